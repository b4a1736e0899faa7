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
    return ["define void @pack(ptr noalias %args, i64 %k, i64 %n) nounwind {", *w.body, "}", *(transposer(vt) if packs else [])]


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
    (units, step, lanes), size, inner = run, w.vt.lanes, term.inner
    whole = w.let(f"udiv i64 {units}, {size}")
    many = w.integer("mul", whole, size)
    tiled = inner if term.transposed else inner // size * size
    copy = _Copy(w, term, source, target, start, first, step)
    if tiled:
        w.loop("0", whole, lambda v: copy.vectors(w.integer("mul", v, size), tiled))
    w.loop(str(tiled), str(inner), lambda k: w.loop("0", many, lambda u: copy.element(k, u)))
    w.loop("0", str(inner), lambda k: copy.rest(k, many, units, lanes))


@dataclass(frozen=True)
class _Copy:
    """The ways in which the elements of a matrix go to their places in a unit block."""

    w: Writer
    term: Term
    source: str
    target: str
    start: str
    first: str
    step: int

    def vectors(self, u: str, tiled: int) -> None:
        """A vector of units from ``u`` on, of the inner features before ``tiled``: vector by vector where units lie side by
        side in the parameter, else square by square."""
        w, kind = self.w, self.w.vt.vector
        if self.term.transposed:

            def line(k: str) -> None:
                value = w.let(f"load {kind}, ptr {self._from(k, u)}, align {w.vt.bytes}")
                w.put(f"store {kind} {value}, ptr {self._to(k, u)}, align {w.vt.bytes}")

            w.loop("0", str(tiled), line)
            return
        strides = f"i64 {self.term.block.length}, i64 {self.step}"
        w.loop(
            "0",
            str(tiled),
            lambda k: w.put(f"call void @transpose(ptr {self._from(k, u)}, ptr {self._to(k, u)}, {strides})"),
            w.vt.lanes,
        )

    def element(self, k: str, u: str) -> None:
        """One element."""
        w, real = self.w, self.w.vt.real
        w.put(f"store {real} {w.let(f'load {real}, ptr {self._from(k, u)}')}, ptr {self._to(k, u)}")

    def rest(self, k: str, many: str, units: str, lanes: int) -> None:
        """The units beyond the ``many`` that fill vectors, and zeros beyond all units."""
        w = self.w
        zero = f"{w.vt.real} {w.vt.literal(0.0)}"
        w.loop(many, units, lambda u: self.element(k, u))
        w.loop(units, str(lanes), lambda u: w.put(f"store {zero}, ptr {self._to(k, u)}"))

    def _from(self, k: str, u: str) -> str:
        w, block = self.w, self.term.block
        across, along = (1, block.length) if self.term.transposed else (block.length, 1)
        unit = w.integer("mul", w.integer("add", self.first, u), across)
        place = w.integer("add", w.integer("add", unit, w.integer("mul", k, along)), block.row * block.length + block.column)
        return w.at(self.source, place)

    def _to(self, k: str, u: str) -> str:
        w = self.w
        return w.at(self.target, w.integer("add", w.integer("add", self.start, w.integer("mul", k, self.step)), u))


def transposer(vt: VectorType) -> list[str]:
    """The function that transposes a square of as many rows as a vector has lanes, by exchanging ever larger blocks."""
    w, n = Writer(vt), vt.lanes
    rows = [
        w.let(f"load {vt.vector}, ptr {w.at('%from', w.integer('mul', '%from.stride', i))}, align {vt.bytes}") for i in range(n)
    ]
    distance = 1
    while distance < n:
        for i in (i for i in range(n) if not i & distance):
            a, b = rows[i], rows[i + distance]
            rows[i] = _shuffled(w, a, b, [n + j - distance if j & distance else j for j in range(n)])
            rows[i + distance] = _shuffled(w, a, b, [n + j if j & distance else j + distance for j in range(n)])
        distance *= 2
    for i, row in enumerate(rows):
        w.put(f"store {vt.vector} {row}, ptr {w.at('%to', w.integer('mul', '%to.stride', i))}, align {vt.bytes}")
    w.put("ret void")
    arguments = "ptr noalias %from, ptr noalias %to, i64 %from.stride, i64 %to.stride"
    return [f"define internal void @transpose({arguments}) noinline nounwind {{", *w.body, "}"]


def _shuffled(w: Writer, a: str, b: str, lanes: list[int]) -> str:
    """The lanes of two vectors, those of the second counted on from the first's, in another order."""
    chosen = ", ".join(f"i32 {lane}" for lane in lanes)
    return w.let(f"shufflevector {w.vt.vector} {a}, {w.vt.vector} {b}, <{w.vt.lanes} x i32> <{chosen}>")
