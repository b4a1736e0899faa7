"""A large matrix product, to whose rows a row or matrix may be added, as LLVM text: packed, and blocked for the caches.

``out = left @ right + init``: ``left`` (rows, inner) and ``right`` (inner, columns) have any strides; those of ``out`` and
``init`` are 1 within a row; ``init`` may be a single row. Each thread takes a range of rows through these loops, so that the
order of a sum depends on neither the threads nor the rows::

    span columns at a time
        depth inner features at a time     -> this panel of right is packed: [unit block][inner][units]
            some rows
                unit blocks
                    tiles of rows          -> sums in registers, added to init after the first panel, then to out
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rondeau.engine.compile.arguments import HEADER, PARTS
from rondeau.engine.llvm.entry_points import entry_points
from rondeau.engine.llvm.vector_math import declarations
from rondeau.engine.llvm.writer import VectorType, Writer

SIZES = (
    "rows",
    "columns",
    "inner",
    "left row",
    "left inner",
    "right inner",
    "right column",
    "out row",
    "init row",
    "scratch size",
)
ADDRESSES = ("left", "right", "out", "init", "scratch")
"""What the argument table holds after its header: sizes and strides in elements, then addresses."""


@dataclass(frozen=True)
class Blocking:
    """The shape of the register tiles and of the panels; ``heights`` are those of the tiles, the largest first.

    ``vectors`` make a unit block. ``depth``: the deeper, the less often sums leave the registers: 15 % of the time between 128
    and 512, one more beyond (Zen 4). ``rows`` times ``depth`` of the left matrix stay in a core's second-level cache while all
    unit blocks pass; from 48 to 192 it made no difference. ``span`` times ``depth`` bounds what is packed at a time.
    """

    heights: tuple[int, ...] = (6, 4, 2, 1)
    vectors: int = 4
    depth: int = 512
    span: int = 1024
    rows: int = 96
    unroll: int = 4

    def scratch(self, vt: VectorType, columns: int, inner: int) -> int:
        """Elements that each thread packs into."""
        units = self.vectors * vt.lanes
        return (min(self.depth, inner) + self.unroll) * -(-min(self.span, columns) // units) * units


def large_product(vt: VectorType, blocking: Blocking, spins: int) -> str:
    """The module: the entry points of any kernel, whose parts are ranges of rows."""
    lines = []
    for rows in blocking.heights:
        lines += _Tile(vt, blocking, rows, blocking.vectors, masked=False).function()
        for vectors in range(1, blocking.vectors + 1):
            lines += _Tile(vt, blocking, rows, vectors, masked=True).function()
    lines += [*_Packer(vt, blocking).function(), *_Loops(vt, blocking).function(), *entry_points(spins)]
    lines += ["define void @pack(ptr %args, i64 %k, i64 %n) nounwind {", "  ret void", "}"]
    return "\n".join([*lines, *declarations(vt, {("fma" if vt.fused else "fmuladd", 3)})]) + "\n"


def _name(rows: int, vectors: int, masked: bool) -> str:
    return f"{'edge' if masked else 'whole'}.{rows}.{vectors}"


TILE = "ptr %w, ptr %a, i64 %am, i64 %ak, i64 %depth, ptr %init, i64 %initm, ptr %out, i64 %outm, i64 %width"


class _Tile:
    """A register tile as a function: ``rows`` of the left matrix times one packed unit block, of which ``width`` columns count
    where it is ``masked``, else all."""

    def __init__(self, vt: VectorType, blocking: Blocking, rows: int, vectors: int, masked: bool) -> None:
        self.w, self.blocking, self.rows, self.vectors, self.masked = Writer(vt), blocking, rows, vectors, masked
        self.few = (rows + 1) * vectors >= vt.registers

    def function(self) -> list[str]:
        """Its text."""
        w = self.w
        values = [w.vt.splat(0.0)] * (self.rows * self.vectors)
        at = ["%a"]
        for _ in range(1, self.rows):
            at.append(w.at(at[-1], "%am"))
        whole = w.let(f"and i64 %depth, {-self.blocking.unroll}")
        values = self._loop(at, "0", whole, self.blocking.unroll, values)
        values = self._loop(at, whole, "%depth", 1, values)
        self._finish(values, self._masks())
        w.put("ret void")
        return [
            f"define internal void @{_name(self.rows, self.vectors, self.masked)}({TILE}) noinline nounwind {{",
            *w.body,
            "}",
        ]

    def _masks(self) -> list[str]:
        """Which lanes of each vector lie within the width."""
        w, lanes = self.w, self.w.vt.lanes
        if not self.masked:
            return []
        first = w.let("insertelement <1 x i64> poison, i64 %width, i64 0")
        width = w.let(f"shufflevector <1 x i64> {first}, <1 x i64> poison, <{lanes} x i32> zeroinitializer")
        found = []
        for v in range(self.vectors):
            places = ", ".join(f"i64 {v * lanes + i}" for i in range(lanes))
            found.append(w.let(f"icmp slt <{lanes} x i64> <{places}>, {width}"))
        return found

    def _address(self, base: str, stride: str, r: int, v: int) -> str:
        w = self.w
        return w.at(w.at(base, w.integer("mul", stride, r)), str(v * w.vt.lanes))

    def _finish(self, values: list[str], masks: list[str]) -> None:
        """Adds what the sums begin with, and stores them."""
        vt, w = self.w.vt, self.w
        for i, value in enumerate(values):
            r, v = divmod(i, self.vectors)
            init, out = self._address("%init", "%initm", r, v), self._address("%out", "%outm", r, v)
            if masks:
                mask = f"i32 {vt.bytes}, {vt.mask} {masks[v]}"
                given = w.let(
                    f"call {vt.vector} @llvm.masked.load.{vt.suffix}.p0(ptr {init}, {mask}, {vt.vector} zeroinitializer)"
                )
                total = w.binary("fadd", given, value)
                w.put(f"call void @llvm.masked.store.{vt.suffix}.p0({vt.vector} {total}, ptr {out}, {mask})")
            else:
                total = w.binary("fadd", w.let(f"load {vt.vector}, ptr {init}, align {vt.bytes}"), value)
                w.put(f"store {vt.vector} {total}, ptr {out}, align {vt.bytes}")

    def _loop(self, at: list[str], start: str, stop: str, step: int, values: list[str]) -> list[str]:
        """The inner features from ``start`` to ``stop``, ``step`` in a turn; the sums after them."""
        w, vector = self.w, self.w.vt.vector
        before, head, turn, done = (w.fresh(hint) for hint in ("before", "inner", "turn", "done"))
        w.put(f"br label {before}")
        w.label(before)
        w.put(f"br label {head}")
        w.label(head)
        k, following = w.fresh("k"), w.fresh("k")
        phis = [w.fresh("acc") for _ in values]
        mark = len(w.lines)
        w.put(f"br i1 {w.let(f'icmp slt i64 {k}, {stop}')}, label {turn}, label {done}")
        w.label(turn)
        new = list(phis)
        for u in range(step):
            self._advance(at, w.integer("add", k, u), new)
        lines = [f"  {k} = phi i64 [ {start}, {before} ], [ {following}, {turn} ]"]
        lines += [f"  {p} = phi {vector} [ {old}, {before} ], [ {now}, {turn} ]" for p, old, now in zip(phis, values, new)]
        w.lines[mark:mark] = lines
        w.put(f"{following} = add i64 {k}, {step}")
        w.put(f"br label {head}")
        w.label(done)
        return phis

    def _advance(self, at: list[str], k: str, values: list[str]) -> None:
        """One inner feature, added to the sums: all weights in registers, or all operands where registers are few."""
        w, n = self.w, self.vectors
        row, index = w.at("%w", w.integer("mul", k, self.blocking.vectors * w.vt.lanes)), w.integer("mul", k, "%ak")
        if self.few:
            operands = [self._operand(pointer, index) for pointer in at]
            for v in range(n):
                weight = self._weight(row, v)
                for r, x in enumerate(operands):
                    values[r * n + v] = w.fma(x, weight, values[r * n + v])
            return
        weights = [self._weight(row, v) for v in range(n)]
        for r, pointer in enumerate(at):
            x = self._operand(pointer, index)
            for v in range(n):
                values[r * n + v] = w.fma(x, weights[v], values[r * n + v])

    def _weight(self, row: str, v: int) -> str:
        vt = self.w.vt
        return self.w.let(f"load {vt.vector}, ptr {self.w.at(row, str(v), vt.vector)}, align {vt.alignment}")

    def _operand(self, pointer: str, index: str) -> str:
        return self.w.broadcast(self.w.let(f"load {self.w.vt.real}, ptr {self.w.at(pointer, index)}"))


PANEL = "ptr %from, i64 %inner, i64 %column, ptr %to, i64 %depth, i64 %width"


class _Packer:
    """The function that packs one unit block of the right matrix, with zeros past its ``width`` columns: vectors of columns
    where these are neighbours, squares that are transposed in registers where inner features are, else element by element."""

    def __init__(self, vt: VectorType, blocking: Blocking) -> None:
        self.w, self.vt, self.vectors, self.units = Writer(vt), vt, blocking.vectors, blocking.vectors * vt.lanes

    def function(self) -> list[str]:
        """Its text."""
        w = self.w
        whole = w.let(f"icmp sge i64 %width, {self.units}")
        rows = w.let(f"and i1 {whole}, {w.let('icmp eq i64 %column, 1')}")
        columns = w.let(f"and i1 {whole}, {w.let('icmp eq i64 %inner, 1')}")
        by_rows, others, squares, rest, done = (w.fresh(hint) for hint in ("rows", "others", "squares", "rest", "done"))
        square = w.let(f"and i64 %depth, {-self.vt.lanes}")
        w.put(f"br i1 {rows}, label {by_rows}, label {others}")
        w.label(by_rows)
        w.loop("0", "%depth", self._row)
        w.put(f"br label {done}")
        w.label(others)
        start = w.let(f"select i1 {columns}, i64 {square}, i64 0")
        w.put(f"br i1 {columns}, label {squares}, label {rest}")
        w.label(squares)
        w.loop("0", square, lambda k: w.loop("0", str(self.units), lambda u: self._square(k, u), self.vt.lanes), self.vt.lanes)
        w.put(f"br label {rest}")
        w.label(rest)
        w.loop(start, "%depth", self._elements)
        w.put(f"br label {done}")
        w.label(done)
        w.put("ret void")
        head = f"define internal void @panel({PANEL}) noinline nounwind {{"
        return ["declare i64 @llvm.smin.i64(i64, i64)", head, *w.body, "}"]

    def _target(self, k: str) -> str:
        return self.w.at("%to", self.w.integer("mul", k, self.units))

    def _source(self, k: str) -> str:
        return self.w.at("%from", self.w.integer("mul", k, "%inner"))

    def _load(self, at: str) -> str:
        return self.w.let(f"load {self.vt.vector}, ptr {at}, align {self.vt.bytes}")

    def _store(self, value: str, at: str) -> None:
        self.w.put(f"store {self.vt.vector} {value}, ptr {at}, align {self.vt.alignment}")

    def _row(self, k: str) -> None:
        w, source, target = self.w, self._source(k), self._target(k)
        for v in range(self.vectors):
            self._store(self._load(w.at(source, str(v), self.vt.vector)), w.at(target, str(v), self.vt.vector))

    def _square(self, k: str, u: str) -> None:
        """As many units as inner features, a vector of each."""
        w, at = self.w, self.w.at(self._source(k), self.w.integer("mul", u, "%column"))
        values = []
        for _ in range(self.vt.lanes):
            values.append(self._load(at))
            at = w.at(at, "%column")
        for i, value in enumerate(_transposed(w, values)):
            self._store(value, w.at(self._target(w.integer("add", k, i)), u))

    def _elements(self, k: str) -> None:
        w, real, source, target = self.w, self.vt.real, self._source(k), self._target(k)

        def copy(u: str) -> None:
            value = w.let(f"load {real}, ptr {w.at(source, w.integer('mul', u, '%column'))}")
            w.put(f"store {real} {value}, ptr {w.at(target, u)}")

        inside = w.let(f"call i64 @llvm.smin.i64(i64 %width, i64 {self.units})")
        w.loop("0", inside, copy)
        w.loop(inside, str(self.units), lambda u: w.put(f"store {real} {self.vt.literal(0.0)}, ptr {w.at(target, u)}"))


def _transposed(w: Writer, rows: list[str]) -> list[str]:
    """As many vectors as each has lanes, transposed: the quarters off the diagonal change places, then theirs, and so on."""
    vt, n, values = w.vt, len(rows), list(rows)
    distance = n // 2
    while distance:
        for i in (i for i in range(n) if not i & distance):
            a, b = values[i], values[i + distance]
            for into, first in ((i, 0), (i + distance, distance)):
                lanes = [
                    lane - lane % (2 * distance) + first + lane % distance + (n if lane & distance else 0) for lane in range(n)
                ]
                mask = ", ".join(f"i32 {lane}" for lane in lanes)
                values[into] = w.let(f"shufflevector {vt.vector} {a}, {vt.vector} {b}, <{n} x i32> <{mask}>")
        distance //= 2
    return values


class _Loops:
    """The function ``part``: the loops of one thread."""

    def __init__(self, vt: VectorType, blocking: Blocking) -> None:
        self.w, self.blocking, self.units = Writer(vt), blocking, blocking.vectors * vt.lanes
        words = {name: HEADER + i for i, name in enumerate((*SIZES, *ADDRESSES))}
        self.at = {name: self._word(index) for name, index in words.items()}
        for name in ADDRESSES:
            self.at[name] = self.w.let(f"inttoptr i64 {self.at[name]} to ptr")
        own = self.w.integer("mul", "%k", self.at["scratch size"])
        self.scratch = self.w.at(self.at["scratch"], own)
        self.first, self.after = self._range()
        self.depth = self._depth()

    def _word(self, index: int) -> str:
        return self.w.let(f"load i64, ptr {self.w.at('%args', str(index), 'i64')}", "i")

    def _range(self) -> tuple[str, str]:
        """This part's rows, cut between the tallest tiles."""
        w, tallest, parts = self.w, self.blocking.heights[0], self._word(PARTS)
        tiles = w.let(f"udiv i64 {w.integer('add', self.at['rows'], tallest - 1)}, {tallest}")
        ends = []
        for k in ("%k", w.integer("add", "%k", 1)):
            share = w.let(f"udiv i64 {w.integer('mul', tiles, k)}, {parts}")
            ends.append(self._least(w.integer("mul", share, tallest), self.at["rows"]))
        return ends[0], ends[1]

    def _depth(self) -> str:
        """The inner features of a panel, such that all panels are about as deep."""
        w, most, unroll = self.w, self.blocking.depth, self.blocking.unroll
        panels = w.let(f"udiv i64 {w.integer('add', self.at['inner'], most - 1)}, {most}")
        share = w.let(f"udiv i64 {w.integer('add', self.at['inner'], w.let(f'sub i64 {panels}, 1'))}, {panels}")
        return w.let(f"and i64 {w.integer('add', share, unroll - 1)}, {-unroll}")

    def _least(self, a: str, b: str) -> str:
        return self.w.let(f"call i64 @llvm.smin.i64(i64 {a}, i64 {b})")

    def _left(self, stop: str, at: str, most: int | str) -> str:
        """How much of a panel of ``most`` lies between ``at`` and ``stop``."""
        return self._least(self.w.let(f"sub i64 {stop}, {at}"), str(most))

    def function(self) -> list[str]:
        """Its text."""
        self.w.loop("0", self.at["columns"], self._span, self.blocking.span)
        self.w.put("ret void")
        return ["define void @part(ptr %args, i64 %k, i64 %u, i64 %n) nounwind {", *self.w.body, "}"]

    def _span(self, column: str) -> None:
        width = self._left(self.at["columns"], column, self.blocking.span)
        self.w.loop("0", self.at["inner"], lambda k: self._panel(column, width, k), self.depth)

    def _panel(self, column: str, width: str, k: str) -> None:
        w, at, depth = self.w, self.at, self._left(self.at["inner"], k, self.depth)
        origin = w.integer("add", w.integer("mul", k, at["right inner"]), w.integer("mul", column, at["right column"]))
        source = w.at(at["right"], origin)
        first = w.let(f"icmp eq i64 {k}, 0")
        init = w.let(f"select i1 {first}, ptr {at['init']}, ptr {at['out']}")
        stride = w.let(f"select i1 {first}, i64 {at['init row']}, i64 {at['out row']}")

        def pack(j: str) -> None:
            block = w.at(source, w.integer("mul", j, at["right column"]))
            given = f"ptr {block}, i64 {at['right inner']}, i64 {at['right column']}, ptr {self._packed(j, depth)}"
            w.put(f"call void @panel({given}, i64 {depth}, i64 {w.let(f'sub i64 {width}, {j}')})")

        w.loop("0", width, pack, self.units)
        left = w.at(at["left"], w.integer("mul", k, at["left inner"]))
        rows = self.blocking.rows

        def some(m: str) -> None:
            after = w.integer("add", m, self._left(self.after, m, rows))
            w.loop("0", width, lambda j: self._unit_block(m, after, j, width, column, (left, depth, init, stride)), self.units)

        w.loop(self.first, self.after, some, rows)

    def _packed(self, j: str, depth: str) -> str:
        """Where a unit block of the panel lies."""
        return self.w.at(self.scratch, self.w.integer("mul", j, depth))

    def _unit_block(self, m: str, after: str, j: str, width: str, column: str, given: tuple[str, str, str, str]) -> None:
        w, rest = self.w, self.w.let(f"sub i64 {width}, {j}")
        first, packed, done = w.integer("add", column, j), self._packed(j, given[1]), w.fresh("done")
        whole = w.let(f"icmp sge i64 {rest}, {self.units}")
        kinds = [(self.blocking.vectors, False, whole)]
        for vectors in range(1, self.blocking.vectors + 1):
            kinds.append((vectors, True, w.let(f"icmp sle i64 {rest}, {vectors * w.vt.lanes}")))
        for vectors, masked, fits in kinds:
            here, other = w.fresh("fits"), w.fresh("other")
            w.put(f"br i1 {fits}, label {here}, label {other}")
            w.label(here)
            kind = vectors, masked
            self._rows(m, after, lambda at, rows, kind=kind: self._tile(at, (rows, *kind), first, packed, rest, given))  # type: ignore[misc]
            w.put(f"br label {done}")
            w.label(other)
        w.put(f"br label {done}")
        w.label(done)

    def _rows(self, m: str, after: str, tile: Callable[[str, int], None]) -> None:
        """Tiles of the tallest height while they fit, then of the others."""
        w, start = self.w, m
        for rows in self.blocking.heights:
            count = w.let(f"udiv i64 {w.let(f'sub i64 {after}, {start}')}, {rows}")
            stop = w.integer("add", start, w.integer("mul", count, rows))
            w.loop(start, stop, lambda at, rows=rows: tile(at, rows), rows)  # type: ignore[misc]
            start = stop

    def _tile(
        self, m: str, kind: tuple[int, int, bool], column: str, packed: str, rest: str, given: tuple[str, str, str, str]
    ) -> None:
        w, at, (left, depth, init, stride) = self.w, self.at, given
        a = w.at(left, w.integer("mul", m, at["left row"]))
        begin = w.at(w.at(init, w.integer("mul", m, stride)), column)
        out = w.at(w.at(at["out"], w.integer("mul", m, at["out row"])), column)
        matrices = f"ptr {packed}, ptr {a}, i64 {at['left row']}, i64 {at['left inner']}, i64 {depth}"
        w.put(f"call void @{_name(*kind)}({matrices}, ptr {begin}, i64 {stride}, ptr {out}, i64 {at['out row']}, i64 {rest})")
