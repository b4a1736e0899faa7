"""`emit`: a plan as LLVM text.

The kernel is one function ``part(args, k, u, n)``: the time loop over part ``k`` of the batch, by thread ``u`` of a team of
``n``. Each block of the plan is one pass over the sequences that are alive at a step; a team shares the units of each block,
and waits at the end of a block until all are through. Beside it stand the functions that it calls: the register tiles of
products, the elementary functions, the barrier; what packs the matrices; and the ways in.
"""

from __future__ import annotations

from rondeau.engine.compile.buffer import Buffer
from rondeau.engine.compile.emitter import Code
from rondeau.engine.compile.plan import Block, Place, Plan
from rondeau.engine.compile.tiling import Tiling
from rondeau.engine.llvm.entry_points import entry_points
from rondeau.engine.llvm.matmul import product
from rondeau.engine.llvm.packing import Pack, packer, packs_of, tile_vectors
from rondeau.engine.llvm.part import Part
from rondeau.engine.llvm.pointwise import Lines, reduce
from rondeau.engine.llvm.prefetch import coming
from rondeau.engine.llvm.tiles import Tiles
from rondeau.engine.llvm.vector_math import declarations, definitions
from rondeau.engine.llvm.writer import VectorType, Writer


def emit(plan: Plan, vt: VectorType, tiling: Tiling) -> Code:
    """The LLVM text of ``plan``."""
    packs = packs_of(plan, vt, tiling)
    buffers = buffers_of(plan, packs)
    prefetch = sum(pack.size(vt) for pack in packs) * vt.bytes > tiling.core_cache
    packing = packer(packs, vt, buffers)
    products = [line for pack in packs for rows in tiling.heights for line in product(pack, rows, vt, tiling.unroll, prefetch)]
    w = Writer(vt)
    loop = _TimeLoop(w, plan, packs, buffers, tiling, prefetch).function()
    lines = [*loop, *packing, *products, *entry_points(tiling.spins)]
    lines += [*definitions(vt, w.used), *declarations(vt, w.intrinsics)]
    packed = tuple((pack.buffer, pack.size(vt)) for pack in packs)
    return Code("\n".join(lines) + "\n", buffers, packed, plan.scratch)


def buffers_of(plan: Plan, packs: list[Pack]) -> tuple[Buffer, ...]:
    """All buffers of a kernel, in the order of its argument table."""
    found = dict.fromkeys(buffer for buffer, _ in plan.scratch)
    for block in plan.blocks:
        places = [load.place for load in block.loads] + [s.place for s in (*block.stores, *block.reductions)]
        places += [term.operand for group in block.groups for terms in group.terms for term in terms]
        found.update(dict.fromkeys(place.buffer for place in places))
    for source, target, _ in plan.copies:
        found.update(dict.fromkeys((source.buffer, target.buffer)))
    for pack in packs:
        found[pack.buffer] = None
        for terms in pack.group.terms:
            found.update(dict.fromkeys(term.block.buffer for term in terms))
    return tuple(found)


class _TimeLoop:
    def __init__(
        self, w: Writer, plan: Plan, packs: list[Pack], buffers: tuple[Buffer, ...], tiling: Tiling, prefetch: bool
    ) -> None:
        self.w, self.plan, self.packs, self.tiling, self.prefetch = w, plan, packs, tiling, prefetch
        self.part = Part(w, buffers)
        sizes = [max(tiling.heights) * self._vectors(block) * block.accumulators for block in plan.blocks if block.groups]
        self.tile = w.variable(f"[{max(sizes, default=1)} x {w.vt.vector}], align 64")

    def _vectors(self, block: Block) -> int:
        return tile_vectors(block, self.w.vt, self.tiling)

    def function(self) -> list[str]:
        """The loop over the steps."""
        self.w.loop("0", self.part.steps, self._step)
        self.w.put("ret void")
        return ["define void @part(ptr %args, i64 %k, i64 %u, i64 %n) nounwind {", *self.w.body, "}"]

    def _step(self, i: str) -> None:
        w, backward = self.w, self.plan.backward
        step = w.let(f"sub i64 {w.let(f'sub i64 {self.part.steps}, 1')}, {i}") if backward else i
        self.part.at_step(step, backward)
        for index, block in enumerate(self.plan.blocks):
            self._block(index, block)
            self.part.barrier()
        if self.plan.copies:
            self._copies()
            self.part.barrier()

    def _block(self, index: int, block: Block) -> None:
        whole = self._whole(block.width)
        if block.reductions:
            reduce(self.part, block, whole)
            return
        lines = Lines(self.part, block, self._vectors(block), whole, self.tile, coming(self.plan, block))
        packs = [pack for pack in self.packs if pack.block == index]
        Tiles(self.part, block, packs, lines, self.tiling.heights, self.prefetch).write()

    def _whole(self, width: int) -> bool:
        """Whether no block of this width has unit blocks that reach past it."""
        return all(width % (self._vectors(b) * self.w.vt.lanes) == 0 for b in self.plan.blocks if b.width == width)

    def _copies(self) -> None:
        """States that waited until nothing read the old ones."""
        first, after = self.part.share(self.part.alive)
        for source, target, size in self.plan.copies:
            self._copy((target, source), size, first, after)

    def _copy(self, ends: tuple[Place, Place], row_size: int, first: str, after: str) -> None:
        w = self.w
        at = w.integer("mul", w.integer("add", self.part.first_sequence, first), row_size)
        size = w.integer("mul", w.integer("mul", w.let(f"sub i64 {after}, {first}"), row_size), w.vt.bytes)
        pointers = [w.let(f"getelementptr {w.vt.real}, ptr {self.part.base[p.buffer]}, i64 {at}") for p in ends]
        w.put(f"call void @llvm.memcpy.p0.p0.i64(ptr {pointers[0]}, ptr {pointers[1]}, i64 {size}, i1 false)")
