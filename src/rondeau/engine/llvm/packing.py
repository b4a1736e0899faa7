"""Matrices laid out as products read them, once a call, by a function of the kernel.

A group of two accumulators (gates z and r) over 24 units, with tiles of one vector of 8 lanes, is packed so::

    parameter (2 * 24, 3):        z0 [a b c]      unit 0 of gate z, inner features 0 to 2
                                  z1 [d e f]
                                  ...
                                  r0 [A B C]      unit 0 of gate r
                                  ...
    packed:  unit block 0 | inner 0 | z: a d ... (units 0..7) | r: A D ... (units 0..7)
                          | inner 1 | z: b e ...              | r: B E ...
                          | inner 2 | z: c f ...              | r: C F ...
             unit block 1 | inner 0 | z: units 8..15          | ...

A tile works on one unit block: it reads its weights from the first to the last, a vector at a time, with no stride. Of a sum of
several products the inner features lie behind one another. Past the width of the block there are zeros.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rondeau.engine.compile.arguments import HEADER
from rondeau.engine.compile.buffer import Buffer
from rondeau.engine.compile.plan import Block, Group, Plan, Term
from rondeau.engine.compile.tiling import Tiling
from rondeau.engine.llvm.writer import VectorType, Writer
from rondeau.ir.expressions import Expr


@dataclass(frozen=True, eq=False)
class Pack:
    """A group's packed matrices, for tiles of so many ``vectors`` of each accumulator's units."""

    buffer: Buffer
    block: int
    group: Group
    vectors: int
    width: int

    @property
    def inner(self) -> int:
        """The sum of the terms' inner features."""
        return sum(term.inner for term in self.group.terms[0])

    def units(self, vt: VectorType) -> int:
        """Units of a unit block."""
        return self.vectors * vt.lanes

    def size(self, vt: VectorType) -> int:
        """Elements of the packed buffer."""
        units = self.units(vt)
        return -(-self.width // units) * self.inner * len(self.group.accumulators) * units


def tile_vectors(block: Block, vt: VectorType, tiling: Tiling) -> int:
    """Vectors of units in a register tile of the block."""
    most = max((len(group.accumulators) for group in block.groups), default=1)
    needed = -(-block.width // vt.lanes)
    return max(1, min(tiling.vectors // most, needed))


def packs_of(plan: Plan, vt: VectorType, tiling: Tiling) -> list[Pack]:
    """The packed matrices of all groups."""
    found: list[Pack] = []
    for i, block in enumerate(plan.blocks):
        for group in block.groups:
            found.append(Pack(Buffer("packed", len(found)), i, group, tile_vectors(block, vt, tiling), block.width))
    return found


def packer(packs: list[Pack], vt: VectorType, buffers: tuple[Buffer, ...]) -> list[str]:
    """The function that lays the matrices out; thread ``k`` of ``n`` takes every so many unit blocks."""
    w = Writer(vt)

    def pointer(buffer: Buffer) -> str:
        word = w.let(f"load i64, ptr {w.at('%args', str(HEADER + buffers.index(buffer)), 'i64')}")
        return w.let(f"inttoptr i64 {word} to ptr")

    for pack in packs:
        target = pointer(pack.buffer)
        sources = {t.matrix: pointer(t.block.buffer) for terms in pack.group.terms for t in terms}
        blocks = -(-pack.width // pack.units(vt))

        def block(j: str, pack: Pack = pack, target: str = target, sources: Mapping[Expr, str] = sources) -> None:
            _pack_block(w, pack, j, target, sources)

        w.loop("%k", str(blocks), block, "%n")
    w.put("ret void")
    return ["define void @pack(ptr noalias %args, i64 %k, i64 %n) nounwind {", *w.body, "}"]


def _pack_block(w: Writer, pack: Pack, j: str, target: str, sources: Mapping[Expr, str]) -> None:
    n, lanes, done = len(pack.group.accumulators), pack.units(w.vt), 0
    base, first = w.integer("mul", j, pack.inner * n * lanes), w.integer("mul", j, lanes)
    left = w.let(f"sub i64 {pack.width}, {first}")
    inside = w.let(f"icmp slt i64 {left}, {lanes}")
    units = w.let(f"select i1 {inside}, i64 {left}, i64 {lanes}")
    for t, term in enumerate(pack.group.terms[0]):
        for a in range(n):
            mine = pack.group.terms[a][t]
            start = w.integer("add", base, (done * n + a) * lanes)
            _pack_term(w, mine, sources[mine.matrix], target, start, first, (units, n * lanes, lanes))
        done += term.inner


def _pack_term(w: Writer, term: Term, source: str, target: str, start: str, first: str, run: tuple[str, int, int]) -> None:
    """One matrix of one unit block: a run of units for each inner feature, zeros beyond the width."""
    block, (units, step, lanes), real = term.block, run, w.vt.real
    across, along = (1, block.length) if term.transposed else (block.length, 1)
    origin = w.integer("add", w.integer("mul", first, across), block.row * block.length + block.column)

    def inner(k: str) -> None:
        into = w.integer("add", start, w.integer("mul", k, step))
        here = w.integer("add", origin, w.integer("mul", k, along))

        def unit(u: str) -> None:
            value = w.let(f"load {real}, ptr {w.at(source, w.integer('add', here, w.integer('mul', u, across)))}")
            w.put(f"store {real} {value}, ptr {w.at(target, w.integer('add', into, u))}")

        def blank(u: str) -> None:
            w.put(f"store {real} {w.vt.literal(0.0)}, ptr {w.at(target, w.integer('add', into, u))}")

        w.loop("0", units, unit)
        w.loop(units, str(lanes), blank)

    w.loop("0", str(term.inner), inner)
