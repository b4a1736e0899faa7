"""`Part`: one part of the batch inside its function, and how its values are read and written."""

from __future__ import annotations

from rondeau.engine.compile.arguments import HEADER, STEPS, STRIDE, TABLE
from rondeau.engine.compile.buffer import Buffer
from rondeau.engine.compile.plan import Block, Load, Place
from rondeau.engine.llvm.writer import Writer


class Part:
    """The registers that hold what the code of a part needs to find its values.

    Sequences are counted from the part's first. Begun by reading the argument table (`rondeau.engine.compile.arguments`).
    """

    def __init__(self, w: Writer, buffers: tuple[Buffer, ...]) -> None:
        self.w = w
        self.steps, self.stride, table = (self._word("%args", i) for i in (STEPS, STRIDE, TABLE))
        entry = w.let(f"inttoptr i64 {table} to ptr")
        own = w.integer("mul", "%k", 3)
        self.first_sequence = self._word(entry, w.integer("add", own, 0))
        self._alive_counts = w.let(f"inttoptr i64 {self._word(entry, w.integer('add', own, 1))} to ptr")
        self._first_rows = w.let(f"inttoptr i64 {self._word(entry, w.integer('add', own, 2))} to ptr")
        self.base = {b: w.let(f"inttoptr i64 {self._word('%args', HEADER + i)} to ptr") for i, b in enumerate(buffers)}
        self.alive = self.first_row = self.onward = ""

    def _word(self, pointer: str, index: int | str) -> str:
        return self.w.let(f"load i64, ptr {self.w.at(pointer, str(index), 'i64')}", "i")

    def at_step(self, step: str, backward: bool) -> None:
        """Reads how many sequences are alive at a step, where its rows begin, and how many rows onward the next ones lie."""
        w = self.w
        self.alive, self.first_row = self._word(self._alive_counts, step), self._word(self._first_rows, step)
        last = w.let(f"sub i64 {self.steps}, 1")
        following = w.integer("sub", step, 1) if backward else w.integer("add", step, 1)
        inside = w.let(f"icmp ule i64 {following}, {last}")
        at = w.let(f"select i1 {inside}, i64 {following}, i64 {step}")
        self.onward = w.let(f"sub i64 {self._word(self._first_rows, at)}, {self.first_row}")

    def share(self, count: str) -> tuple[str, str]:
        """What this thread of the team takes of ``count``: from where, and up to where."""
        w = self.w
        ends = (w.integer("mul", count, "%u"), w.integer("mul", count, w.integer("add", "%u", 1)))
        return w.let(f"udiv i64 {ends[0]}, %n"), w.let(f"udiv i64 {ends[1]}, %n")

    def barrier(self) -> None:
        """Waits until the whole team is here."""
        self.w.put("call void @barrier(ptr %args, i64 %n)")

    # places

    def address(self, place: Place, sequence: str, unit: str, own: bool = False) -> str:
        """The address of a feature; of constants there may be a row for each part, of which this is its ``own``."""
        w = self.w
        if place.level == "step":
            row = w.integer("add", self.first_row, w.integer("mul", sequence, self.stride))
            index = w.integer("mul", row, place.row_size)
        elif place.level == "sequence":
            index = w.integer("mul", w.integer("add", self.first_sequence, sequence), place.row_size)
        else:
            index = w.integer("mul", "%k", place.row_size) if own else "0"
        index = w.integer("add", w.integer("add", index, unit), place.offset)
        return w.let(f"getelementptr {w.vt.real}, ptr {self.base[place.buffer]}, i64 {index}", "p")

    def sequence_stride(self, place: Place) -> str:
        """Elements from a sequence to the next."""
        return self.w.integer("mul", self.stride, place.row_size) if place.level == "step" else str(place.row_size)

    def load(self, load: Load, block: Block, sequence: str, unit: str, mask: str) -> str:
        """A vector of a value, or its one feature in all lanes."""
        w = self.w
        if load.width == 1 and block.width > 1:
            return w.broadcast(w.let(f"load {w.vt.real}, ptr {self.address(load.place, sequence, '0')}"))
        return self.read(self.address(load.place, sequence, unit), mask)

    def read(self, pointer: str, mask: str) -> str:
        """The vector at an address, zeros where the mask has none."""
        w, vt = self.w, self.w.vt
        if not mask:
            return w.let(f"load {vt.vector}, ptr {pointer}, align {vt.bytes}")
        arguments = f"ptr {pointer}, i32 {vt.bytes}, {vt.mask} {mask}, {vt.vector} {vt.splat(0.0)}"
        return w.let(f"call {vt.vector} @llvm.masked.load.{vt.suffix}.p0({arguments})")

    def write(self, value: str, pointer: str, mask: str) -> None:
        """A vector to an address, but for what the mask leaves out."""
        w, vt = self.w, self.w.vt
        if not mask:
            w.put(f"store {vt.vector} {value}, ptr {pointer}, align {vt.bytes}")
            return
        arguments = f"{vt.vector} {value}, ptr {pointer}, i32 {vt.bytes}, {vt.mask} {mask}"
        w.put(f"call void @llvm.masked.store.{vt.suffix}.p0({arguments})")
