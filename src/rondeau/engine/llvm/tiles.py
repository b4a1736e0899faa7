"""A block with products: its units in blocks, the rows of these in tiles, each tile a call of a product and pointwise work."""

from __future__ import annotations

from dataclasses import dataclass

from rondeau.engine.compile.plan import Block
from rondeau.engine.llvm.matmul import name_of
from rondeau.engine.llvm.packing import Pack
from rondeau.engine.llvm.part import Part
from rondeau.engine.llvm.pointwise import Lines


@dataclass(frozen=True)
class Tiles:
    """Tiles of the heights in ``rows``, the largest first. ``prefetch``: each also fetches weights of the next unit block."""

    part: Part
    block: Block
    packs: list[Pack]
    lines: Lines
    rows: tuple[int, ...]
    prefetch: bool

    def write(self) -> None:
        """Unit blocks outside, tiles of rows inside; threads of a team take unit blocks each."""
        w = self.part.w
        units = self.lines.vectors * w.vt.lanes

        def unit_block(j: str) -> None:
            first = w.integer("mul", j, units)
            if self.block.groups:
                self._cut(j, first)
            else:
                self.lines.write(first, "0", self.part.alive)

        first, after = self.part.share(str(-(-self.block.width // units)))
        w.loop(first, after, unit_block)

    def _cut(self, j: str, first: str) -> None:
        """Cuts the rows into tiles: products on each, then the pointwise lines."""
        w = self.part.w
        position = w.variable("i64")
        w.put(f"store i64 0, ptr {position}")
        head, done = w.fresh("tiles"), w.fresh("tiled")
        w.put(f"br label {head}")
        w.label(head)
        at = w.let(f"load i64, ptr {position}")
        rest = w.let(f"sub i64 {self.part.alive}, {at}")
        go = w.fresh("some")
        w.put(f"br i1 {w.let(f'icmp sgt i64 {rest}, 0')}, label {go}, label {done}")
        w.label(go)
        height = self._tallest(j, at, rest, go)
        self.lines.write(first, at, height)
        w.put(f"store i64 {w.let(f'add i64 {at}, {height}')}, ptr {position}")
        w.put(f"br label {head}")
        w.label(done)

    def _tallest(self, j: str, at: str, rest: str, entry: str) -> str:
        """The products of the tallest tile that fits what is left of the rows; its height."""
        w, merge, label = self.part.w, self.part.w.fresh("line"), entry
        taken = []
        for rank, rows in enumerate(self.rows):
            last, other = rank == len(self.rows) - 1, ""
            if not last:
                here, other = w.fresh("take"), w.fresh("less")
                w.put(f"br i1 {self._takes(rest, rank)}, label {here}, label {other}")
                w.label(here)
                label = here
            self._products(j, at, rows)
            taken.append(f"[ {rows}, {label} ]")
            w.put(f"br label {merge}")
            if not last:
                w.label(other)
                label = other
        w.label(merge)
        return w.let(f"phi i64 {', '.join(taken)}")

    def _takes(self, rest: str, rank: int) -> str:
        """Whether the tile of this height is next: the largest only where no thin remainder would be left."""
        w, rows = self.part.w, self.rows[rank]
        enough = w.let(f"icmp sge i64 {rest}, {rows}")
        if rank or len(self.rows) < 2:
            return enough
        exact = w.let(f"icmp eq i64 {rest}, {rows}")
        many = w.let(f"icmp sge i64 {rest}, {rows + self.rows[1]}")
        return w.let(f"or i1 {exact}, {many}")

    def _products(self, j: str, at: str, rows: int) -> None:
        """Calls the product of each group on one tile of rows."""
        part, w, vt = self.part, self.part.w, self.part.w.vt
        total, offset = self.block.accumulators, 0
        for pack in self.packs:
            size = pack.inner * pack.units(vt) * len(pack.group.accumulators)
            packed = w.let(f"getelementptr {vt.real}, ptr {part.base[pack.buffer]}, i64 {w.integer('mul', j, size)}")
            following, stride = self._following(pack, j, size, at, rows) if self.prefetch else (packed, "0")
            out = w.let(f"getelementptr {vt.vector}, ptr {self.lines.tile}, i64 {offset}")
            operands = []
            for term in pack.group.terms[0]:
                sequence = w.let(f"add i64 {at}, 0")
                operands.append(f"ptr {part.address(term.operand, sequence, '0')}")
                operands.append(f"i64 {part.sequence_stride(term.operand)}")
            fixed = f"ptr {packed}, ptr {out}, i64 {total}, ptr {following}, i64 {stride}"
            w.put(f"call void @{name_of(pack, rows)}({fixed}, {', '.join(operands)})")
            offset += len(pack.group.accumulators)

    def _following(self, pack: Pack, j: str, size: int, at: str, rows: int) -> tuple[str, str]:
        """What this tile fetches of the unit block after ``j``, a share for its rows: the address, and bytes a feature."""
        w, total = self.part.w, size * self.part.w.vt.bytes
        after = w.integer("add", j, 1)
        end = w.let(f"icmp sge i64 {after}, {-(-pack.width // pack.units(w.vt))}")
        begin = w.integer("mul", w.let(f"select i1 {end}, i64 0, i64 {after}"), total)
        done = w.let(f"udiv i64 {w.integer('mul', at, total)}, {self.part.alive}")
        stride = w.let(f"udiv i64 {total // pack.inner * rows}, {self.part.alive}")
        return w.at(self.part.base[pack.buffer], w.integer("add", begin, done), "i8"), stride
