"""What a block does beside its products: pointwise work on the tile's sums and on what it loads, stores, and reductions."""

from __future__ import annotations

from dataclasses import dataclass

from rondeau.engine.compile.plan import Block, Place, Store
from rondeau.engine.llvm.part import Part
from rondeau.engine.llvm.vector_math import pointwise
from rondeau.engine.llvm.writer import Writer
from rondeau.ir.expressions import Expr
from rondeau.ir.ops import OPS

IDENTITY = {"sum": 0.0, "max": float("-inf")}
"""What a reduction begins with, by its routine."""


@dataclass(frozen=True)
class Lines:
    """The pointwise work of a ``block``, for tiles of ``vectors`` vectors, of which the sums lie at ``tile``.

    ``whole``: its width is one of whole tiles. ``coming``: what the next step reads and is fetched now.
    """

    part: Part
    block: Block
    vectors: int
    whole: bool
    tile: str
    coming: tuple[Place, ...]

    def write(self, first: str, start: str, height: str) -> None:
        """For ``height`` sequences from ``start``, vector by vector of the unit block from ``first``."""
        w = self.part.w

        def vector(v: str) -> None:
            self._vector(v, w.integer("add", first, w.integer("mul", v, w.vt.lanes)), start, height)

        if self.vectors == 1:
            vector("0")
        else:
            w.loop("0", str(self.vectors), vector)

    def _vector(self, v: str, unit: str, start: str, height: str) -> None:
        """One vector of units; what does not depend on the sequence is read and summed up outside the loop over these."""
        part, w, vt = self.part, self.part.w, self.part.w.vt
        mask = mask_of(w, self.block.width, unit, self.whole)
        constants = [load for load in self.block.loads if load.place.level == "constant"]
        fixed = {load.expr: part.load(load, self.block, "0", unit, mask) for load in constants}
        totals = {s: w.variable(vt.vector) for s in self.block.stores if s.add and s.place.level == "constant"}
        for variable in totals.values():
            w.put(f"store {vt.vector} {vt.splat(0.0)}, ptr {variable}")
        w.loop("0", height, lambda r: self._row(v, unit, mask, (r, w.integer("add", start, r)), fixed, totals))
        for store, variable in totals.items():
            target = part.address(store.place, "0", unit, own=True)
            old = part.read(target, mask)
            part.write(w.binary("fadd", old, w.let(f"load {vt.vector}, ptr {variable}")), target, mask)

    def _row(
        self, v: str, unit: str, mask: str, row: tuple[str, str], fixed: dict[Expr, str], totals: dict[Store, str]
    ) -> None:
        """One vector of units of one sequence: its row in the tile, and its number."""
        part, block, (r, sequence) = self.part, self.block, row
        values = dict(fixed)
        self._sums(r, v, values)
        for load in block.loads:
            if load.expr not in values:
                values[load.expr] = part.load(load, block, sequence, unit, mask)
        self._fetch(sequence, unit)
        compute(part.w, block.order, values)
        for store in block.stores:
            value = value_of(part.w, store.expr, values)
            if store in totals:
                _add(part.w, totals[store], value)
            else:
                _store(part, store, value, part.address(store.place, sequence, unit), mask)

    def _sums(self, r: str, v: str, values: dict[Expr, str]) -> None:
        """The tile's sums for a row and a vector of units."""
        w, vt, total = self.part.w, self.part.w.vt, self.block.accumulators
        at = w.integer("mul", w.integer("add", w.integer("mul", r, self.vectors), v), total) if self.block.groups else "0"
        for a, expr in enumerate(e for group in self.block.groups for e in group.accumulators):
            pointer = w.let(f"getelementptr {vt.vector}, ptr {self.tile}, i64 {w.integer('add', at, a)}")
            values[expr] = w.let(f"load {vt.vector}, ptr {pointer}, align {vt.alignment}")

    def _fetch(self, sequence: str, unit: str) -> None:
        part, w = self.part, self.part.w
        for place in self.coming:
            line = w.at(part.address(place, sequence, unit), w.integer("mul", part.onward, place.row_size))
            w.put(f"call void @llvm.prefetch.p0(ptr {line}, i32 0, i32 2, i32 1)")


def _add(w: Writer, variable: str, value: str) -> None:
    old = w.let(f"load {w.vt.vector}, ptr {variable}")
    w.put(f"store {w.vt.vector} {w.binary('fadd', old, value)}, ptr {variable}")


def _store(part: Part, store: Store, value: str, target: str, mask: str) -> None:
    if store.add:
        value = part.w.binary("fadd", part.read(target, mask), value)
    part.write(value, target, mask)


def reduce(part: Part, block: Block, whole: bool) -> None:
    """Sums and maxima over the features, sequence by sequence."""
    w, vt = part.w, part.w.vt
    variables = [w.variable(vt.vector) for _ in block.reductions]

    def sequence(number: str) -> None:
        for store, variable in zip(block.reductions, variables):
            w.put(f"store {vt.vector} {vt.splat(IDENTITY[routine(store)])}, ptr {variable}")
        w.loop("0", str(-(-block.width // vt.lanes)), lambda v: _gather(part, block, variables, number, v, whole))
        for store, variable in zip(block.reductions, variables):
            _finish(part, store, w.let(f"load {vt.vector}, ptr {variable}"), number)

    first, after = part.share(part.alive)
    w.loop(first, after, sequence)


def routine(store: Store) -> str:
    """The routine of a reduction."""
    return OPS[store.expr.op].llvm


def _gather(part: Part, block: Block, variables: list[str], sequence: str, v: str, whole: bool) -> None:
    """One vector of features into each reduction, lane by lane."""
    w, vt = part.w, part.w.vt
    unit = w.integer("mul", v, vt.lanes)
    mask = mask_of(w, block.width, unit, whole)
    values = {load.expr: part.load(load, block, sequence, unit, mask) for load in block.loads}
    compute(w, block.order, values)
    for store, variable in zip(block.reductions, variables):
        value = value_of(w, store.expr.args[0], values)
        if mask:
            value = w.select(mask, value, vt.splat(IDENTITY[routine(store)]))
        old = w.let(f"load {vt.vector}, ptr {variable}")
        both = w.binary("fadd", old, value) if routine(store) == "sum" else w.intrinsic("maximum", old, value)
        w.put(f"store {vt.vector} {both}, ptr {variable}")


def _finish(part: Part, store: Store, value: str, sequence: str) -> None:
    """The lanes as one number."""
    w, vt = part.w, part.w.vt
    if routine(store) == "sum":
        start = f"{vt.real} {vt.literal(-0.0)}"
        call = f"call reassoc {vt.real} @llvm.vector.reduce.fadd.{vt.suffix}({start}, {vt.vector} {value})"
    else:
        call = f"call {vt.real} @llvm.vector.reduce.fmaximum.{vt.suffix}({vt.vector} {value})"
    w.put(f"store {vt.real} {w.let(call)}, ptr {part.address(store.place, sequence, '0')}")


def compute(w: Writer, order: tuple[Expr, ...], values: dict[Expr, str]) -> None:
    """The pointwise operations in order, into ``values``."""
    for expr in order:
        args = [value_of(w, arg, values) for arg in expr.args]
        values[expr] = args[0] if expr.op == "spread" else pointwise(w, OPS[expr.op].llvm, args)


def value_of(w: Writer, expr: Expr, values: dict[Expr, str]) -> str:
    """The vector of an expression."""
    return w.vt.splat(expr.attrs[0]) if expr.op == "constant" else values[expr]


def mask_of(w: Writer, width: int, unit: str, whole: bool) -> str:
    """Which lanes lie within the width, or nothing when all always do."""
    lanes = w.vt.lanes
    if width % lanes == 0 and whole:
        return ""
    numbers = "<" + ", ".join(f"i32 {i}" for i in range(lanes)) + ">"
    rest = w.let(f"trunc i64 {w.let(f'sub i64 {width}, {unit}')} to i32")
    first = w.let(f"insertelement <{lanes} x i32> poison, i32 {rest}, i64 0")
    splat = w.let(f"shufflevector <{lanes} x i32> {first}, <{lanes} x i32> poison, <{lanes} x i32> zeroinitializer")
    return w.let(f"icmp slt <{lanes} x i32> {numbers}, {splat}", "m")
