"""`emit`: a plan as LLVM text.

The kernel is one function ``part(args, k, u, n)``: the time loop over the rows of part ``k`` of the batch, by member ``u`` of a
team of ``n`` threads. A team shares the units of each block, and waits at the end of a block until all are through. ``args`` is
a table of 64-bit words: the number of steps, the stride between rows, the number of parts, a pointer to three words for each
part (its first slot; how many rows are alive at each step; the first row of each step), the size of the team, two words in
which it meets, and then the buffers in order. Rows number the pairs of sequence and time; slots number the sequences.
"""

from __future__ import annotations

from rondeau.engine.compile.buffer import Buffer
from rondeau.engine.compile.emitter import Code
from rondeau.engine.compile.plan import Block, Load, Place, Plan, Store
from rondeau.engine.llvm.entry_points import launchers
from rondeau.engine.llvm.matmul import HEADER, Pack, packer, product
from rondeau.engine.llvm.prefetch import expected
from rondeau.engine.llvm.target import CACHE
from rondeau.engine.llvm.writer import Machine, Writer, declarations, definitions, pointwise
from rondeau.ir.expressions import Expr
from rondeau.ir.ops import OPS


def emit(plan: Plan, machine: Machine) -> Code:
    """The LLVM text of ``plan``."""
    return _Emitter(plan, machine).code()


class _Emitter:
    def __init__(self, plan: Plan, machine: Machine) -> None:
        self.plan, self.machine = plan, machine
        self.packs = [
            Pack(Buffer("packed", number), i, group, self.vectors(block), block.width)
            for number, (i, block, group) in enumerate((i, b, group) for i, b in enumerate(plan.blocks) for group in b.groups)
        ]
        self.far = sum(pack.size(machine) for pack in self.packs) * machine.bytes > CACHE
        self.buffers = self._names()
        self.used: set[str] = set()

    def vectors(self, block: Block) -> int:
        """Vectors of units in a register tile of the block."""
        most = max((len(group.accumulators) for group in block.groups), default=1)
        needed = -(-block.width // self.machine.lanes)
        return max(1, min(self.machine.tile // most, needed))

    def _names(self) -> tuple[Buffer, ...]:
        names = dict.fromkeys(name for name, _ in self.plan.scratch)
        for block in self.plan.blocks:
            places = [load.place for load in block.loads] + [s.place for s in (*block.stores, *block.reductions)]
            places += [t.operand for g in block.groups for terms in g.terms for t in terms]
            names.update(dict.fromkeys(place.buffer for place in places))
        for source, target, _ in self.plan.copies:
            names.update(dict.fromkeys((source.buffer, target.buffer)))
        for pack in self.packs:
            names[pack.buffer] = None
            for terms in pack.group.terms:
                names.update(dict.fromkeys(t.block.buffer for t in terms))
        return tuple(names)

    def code(self) -> Code:
        """The whole module."""
        functions = [*self._part(), *packer(self.packs, self.machine, self.buffers)]
        for pack in self.packs:
            for rows in self.machine.rows:
                functions += product(pack, rows, self.machine, self.far)
        lines = [*functions, *launchers(), *definitions(self.machine, self.used), *declarations(self.machine)]
        packed = tuple((pack.buffer, pack.size(self.machine)) for pack in self.packs)
        return Code("\n".join(lines) + "\n", self.buffers, packed, self.plan.scratch)

    # the time loop

    def _part(self) -> list[str]:
        w = Writer(self.machine)
        self.w = w
        self.steps, self.stride, table = (self._word("%args", i) for i in (0, 1, 3))
        entry = self.w.let(f"inttoptr i64 {table} to ptr")
        first = w.integer("mul", "%k", 3)
        self.first_slot = self._word(entry, w.integer("add", first, 0))
        self.counts = w.let(f"inttoptr i64 {self._word(entry, w.integer('add', first, 1))} to ptr")
        self.rows = w.let(f"inttoptr i64 {self._word(entry, w.integer('add', first, 2))} to ptr")
        self.base = {
            name: w.let(f"inttoptr i64 {self._word('%args', HEADER + i)} to ptr") for i, name in enumerate(self.buffers)
        }
        tiles = [max(self.machine.rows) * self.vectors(b) * _accumulators(b) for b in self.plan.blocks if b.groups]
        self.tile = w.slot(f"[{max(tiles, default=1)} x {self.machine.vector}], align 64")
        w.loop("0", self.steps, self._step)
        w.put("ret void")
        self.used |= w.used
        return ["define void @part(ptr %args, i64 %k, i64 %u, i64 %n) nounwind {", *w.body, "}"]

    def _word(self, pointer: str, index: int | str) -> str:
        return self.w.let(f"load i64, ptr {self.w.at(pointer, str(index), 'i64')}", "i")

    def _step(self, i: str) -> None:
        w = self.w
        s = w.let(f"sub i64 {w.let(f'sub i64 {self.steps}, 1')}, {i}") if self.plan.backward else i
        self.alive, self.row0 = self._word(self.counts, s), self._word(self.rows, s)
        self.onward = self._onward(s)
        for index, block in enumerate(self.plan.blocks):
            if block.reductions:
                self._reduce(block)
            else:
                self._units(index, block)
            w.put("call void @meet(ptr %args, i64 %n)")
        if not self.plan.copies:
            return
        first, after = self._share(self.alive)
        for source, target, row in self.plan.copies:
            at = w.integer("mul", w.integer("add", self.first_slot, first), row)
            size = w.integer("mul", w.integer("mul", w.let(f"sub i64 {after}, {first}"), row), self.machine.bytes)
            ends = [w.let(f"getelementptr {self.machine.real}, ptr {self.base[p.buffer]}, i64 {at}") for p in (target, source)]
            w.put(f"call void @llvm.memcpy.p0.p0.i64(ptr {ends[0]}, ptr {ends[1]}, i64 {size}, i1 false)")
        w.put("call void @meet(ptr %args, i64 %n)")

    def _onward(self, s: str) -> str:
        """How many rows further on the next step's rows lie."""
        w = self.w
        last = w.let(f"sub i64 {self.steps}, 1")
        following = w.integer("sub", s, 1) if self.plan.backward else w.integer("add", s, 1)
        inside = w.let(f"icmp ule i64 {following}, {last}")
        return w.let(f"sub i64 {self._word(self.rows, w.let(f'select i1 {inside}, i64 {following}, i64 {s}'))}, {self.row0}")

    def _share(self, count: str) -> tuple[str, str]:
        """What this thread of the team takes of ``count``: from where, and up to where."""
        w = self.w
        ends = (w.integer("mul", count, "%u"), w.integer("mul", count, w.integer("add", "%u", 1)))
        return w.let(f"udiv i64 {ends[0]}, %n"), w.let(f"udiv i64 {ends[1]}, %n")

    def _units(self, index: int, block: Block) -> None:
        """Unit blocks outside, row tiles inside."""
        w, lanes = self.w, self.machine.lanes
        vectors = self.vectors(block)
        count = -(-block.width // (vectors * lanes))

        def unit_block(j: str) -> None:
            first = w.integer("mul", j, vectors * lanes)
            if block.groups:
                self._tiles(index, block, j, first, vectors)
            else:
                self._lines(block, first, vectors, "0", self.alive)

        first, after = self._share(str(count))
        w.loop(first, after, unit_block)

    def _tiles(self, index: int, block: Block, j: str, first: str, vectors: int) -> None:
        """Cuts the rows into tiles: products on each, then the pointwise lines."""
        w, sizes = self.w, self.machine.rows
        position = w.slot("i64")
        w.put(f"store i64 0, ptr {position}")
        head, done = w.fresh("tiles"), w.fresh("tiled")
        w.put(f"br label {head}")
        w.label(head)
        at = w.let(f"load i64, ptr {position}")
        rest = w.let(f"sub i64 {self.alive}, {at}")
        go = w.fresh("some")
        w.put(f"br i1 {w.let(f'icmp sgt i64 {rest}, 0')}, label {go}, label {done}")
        w.label(go)
        merge = w.fresh("line")
        taken: list[tuple[int, str, str]] = []
        for rank, rows in enumerate(sizes):
            last = rank == len(sizes) - 1
            here, other = w.fresh("take"), w.fresh("less")
            if not last:
                w.put(f"br i1 {self._takes(rest, sizes, rank)}, label {here}, label {other}")
                w.label(here)
            self._calls(index, block, j, at, rows)
            label = here if not last else taken[-1][2] if taken else go
            taken.append((rows, label, other))
            w.put(f"br label {merge}")
            if not last:
                w.label(other)
        w.label(merge)
        incoming = ", ".join(f"[ {rows}, {label} ]" for rows, label, _ in taken)
        height = w.let(f"phi i64 {incoming}")
        self._lines(block, first, vectors, at, height)
        w.put(f"store i64 {w.let(f'add i64 {at}, {height}')}, ptr {position}")
        w.put(f"br label {head}")
        w.label(done)

    def _takes(self, rest: str, sizes: tuple[int, ...], rank: int) -> str:
        """Whether the tile of this size is next: the largest only where no thin remainder would be left."""
        w, rows = self.w, sizes[rank]
        enough = w.let(f"icmp sge i64 {rest}, {rows}")
        if rank or len(sizes) < 2:
            return enough
        exact = w.let(f"icmp eq i64 {rest}, {rows}")
        many = w.let(f"icmp sge i64 {rest}, {rows + sizes[1]}")
        return w.let(f"or i1 {exact}, {many}")

    def _calls(self, index: int, block: Block, j: str, at: str, rows: int) -> None:
        w, real = self.w, self.machine.real
        total, offset = _accumulators(block), 0
        for pack in [p for p in self.packs if p.block == index]:
            lanes = pack.vectors * self.machine.lanes * len(pack.group.accumulators)
            size = pack.inner * lanes
            packed = w.let(f"getelementptr {real}, ptr {self.base[pack.buffer]}, i64 {w.integer('mul', j, size)}")
            following, stride = self._following(pack, j, size, at, rows) if self.far else (packed, "0")
            out = w.let(f"getelementptr {self.machine.vector}, ptr {self.tile}, i64 {offset}")
            operands = []
            for term in pack.group.terms[0]:
                slot = w.let(f"add i64 {at}, 0")
                operands.append(f"ptr {self._address(term.operand, slot, '0')}")
                operands.append(f"i64 {self._row_step(term.operand)}")
            fixed = f"ptr {packed}, ptr {out}, i64 {total}, ptr {following}, i64 {stride}"
            w.put(f"call void @mul.{pack.buffer}.{rows}({fixed}, {', '.join(operands)})")
            offset += len(pack.group.accumulators)

    def _following(self, pack: Pack, j: str, size: int, at: str, rows: int) -> tuple[str, str]:
        """What this tile fetches of the unit block after ``j``, a share for its rows: the address, and bytes a feature."""
        w, total = self.w, size * self.machine.bytes
        after = w.integer("add", j, 1)
        end = w.let(f"icmp sge i64 {after}, {-(-pack.width // pack.lanes(self.machine))}")
        begin = w.integer("mul", w.let(f"select i1 {end}, i64 0, i64 {after}"), total)
        done = w.let(f"udiv i64 {w.integer('mul', at, total)}, {self.alive}")
        stride = w.let(f"udiv i64 {total // pack.inner * rows}, {self.alive}")
        return w.at(self.base[pack.buffer], w.integer("add", begin, done), "i8"), stride

    def _row_step(self, place: Place) -> str:
        return self.w.integer("mul", self.stride, place.row_size) if place.level == "step" else str(place.row_size)

    def _address(self, place: Place, slot: str, unit: str, part: bool = False) -> str:
        """The address of a feature: ``slot`` counts from the part's first."""
        w = self.w
        if place.level == "step":
            row = w.integer("add", self.row0, w.integer("mul", slot, self.stride))
            index = w.integer("mul", row, place.row_size)
        elif place.level == "sequence":
            index = w.integer("mul", w.integer("add", self.first_slot, slot), place.row_size)
        else:
            index = w.integer("mul", "%k", place.row_size) if part else "0"
        index = w.integer("add", w.integer("add", index, unit), place.offset)
        return w.let(f"getelementptr {self.machine.real}, ptr {self.base[place.buffer]}, i64 {index}", "p")

    # pointwise

    def _lines(self, block: Block, first: str, vectors: int, start: str, height: str) -> None:
        """The pointwise lines for ``height`` rows from ``start``, vector by vector of the unit block."""
        w, m = self.w, self.machine
        total, coming = _accumulators(block), expected(self.plan, block)

        def vector(v: str) -> None:
            unit = w.integer("add", first, w.integer("mul", v, m.lanes))
            mask = self._mask(block.width, unit)
            fixed = {a.expr: self._load(a, block, "0", unit, mask) for a in block.loads if a.place.level == "constant"}
            sums = {s: w.slot(m.vector) for s in block.stores if s.add and s.place.level == "constant"}
            for cell in sums.values():
                w.put(f"store {m.vector} {m.splat(0.0)}, ptr {cell}")

            def row(r: str) -> None:
                slot = w.integer("add", start, r)
                values = dict(fixed)
                at = w.integer("mul", w.integer("add", w.integer("mul", r, vectors), v), total) if block.groups else "0"
                for a, expr in enumerate(e for g in block.groups for e in g.accumulators):
                    place = w.let(f"getelementptr {m.vector}, ptr {self.tile}, i64 {w.integer('add', at, a)}")
                    values[expr] = w.let(f"load {m.vector}, ptr {place}, align {m.lanes * m.bytes}")
                for load in block.loads:
                    if load.expr not in values:
                        values[load.expr] = self._load(load, block, slot, unit, mask)
                for place_ in coming:
                    line = w.at(self._address(place_, slot, unit), w.integer("mul", self.onward, place_.row_size))
                    w.put(f"call void @llvm.prefetch.p0(ptr {line}, i32 0, i32 2, i32 1)")
                self._compute(block.order, values)
                for s in block.stores:
                    value = self._value(s.expr, values)
                    if s in sums:
                        old = w.let(f"load {m.vector}, ptr {sums[s]}")
                        w.put(f"store {m.vector} {w.binary('fadd', old, value)}, ptr {sums[s]}")
                    else:
                        self._store(s, value, block.width, slot, unit, mask)

            w.loop("0", height, row)
            for s, cell in sums.items():
                target = self._address(s.place, "0", unit, part=True)
                old = self._read(target, mask)
                self._write(w.binary("fadd", old, w.let(f"load {m.vector}, ptr {cell}")), target, mask)

        if vectors == 1:
            vector("0")
        else:
            w.loop("0", str(vectors), vector)

    def _reduce(self, block: Block) -> None:
        """Sums and maxima over the features, row by row."""
        w, m = self.w, self.machine
        cells = [w.slot(m.vector) for _ in block.reductions]
        start = {"sum": 0.0, "max": float("-inf")}

        def row(slot: str) -> None:
            for store, cell in zip(block.reductions, cells):
                w.put(f"store {m.vector} {m.splat(start[store.expr.op])}, ptr {cell}")

            def vector(v: str) -> None:
                unit = w.integer("mul", v, m.lanes)
                mask = self._mask(block.width, unit)
                values = {load.expr: self._load(load, block, slot, unit, mask) for load in block.loads}
                self._compute(block.order, values)
                for store, cell in zip(block.reductions, cells):
                    value = self._value(store.expr.args[0], values)
                    if mask:
                        value = w.select(mask, value, m.splat(start[store.expr.op]))
                    old = w.let(f"load {m.vector}, ptr {cell}")
                    both = w.binary("fadd", old, value) if store.expr.op == "sum" else w.intrinsic("maximum", old, value)
                    w.put(f"store {m.vector} {both}, ptr {cell}")

            w.loop("0", str(-(-block.width // m.lanes)), vector)
            for store, cell in zip(block.reductions, cells):
                self._finish(store, w.let(f"load {m.vector}, ptr {cell}"), slot)

        first, after = self._share(self.alive)
        w.loop(first, after, row)

    def _finish(self, store: Store, value: str, slot: str) -> None:
        w, m = self.w, self.machine
        kind = f"v{m.lanes}f{m.bits}"
        if store.expr.op == "sum":
            call = f"call reassoc {m.real} @llvm.vector.reduce.fadd.{kind}({m.real} {m.literal(-0.0)}, {m.vector} {value})"
        else:
            call = f"call {m.real} @llvm.vector.reduce.fmaximum.{kind}({m.vector} {value})"
        w.put(f"store {m.real} {w.let(call)}, ptr {self._address(store.place, slot, '0')}")

    def _compute(self, order: tuple[Expr, ...], values: dict[Expr, str]) -> None:
        for expr in order:
            if expr.op == "spread":
                values[expr] = self._value(expr.args[0], values)
                continue
            routine = OPS[expr.op].llvm
            values[expr] = pointwise(self.w, routine, [self._value(arg, values) for arg in expr.args])

    def _value(self, expr: Expr, values: dict[Expr, str]) -> str:
        return self.machine.splat(expr.attrs[0]) if expr.op == "constant" else values[expr]

    def _mask(self, width: int, unit: str) -> str:
        """Which lanes lie within the width, or nothing when all always do."""
        w, m = self.w, self.machine
        vectors = -(-width // m.lanes)
        if width % m.lanes == 0 and vectors * m.lanes == width and self._whole(width):
            return ""
        numbers = "<" + ", ".join(f"i32 {i}" for i in range(m.lanes)) + ">"
        rest = w.let(f"trunc i64 {w.let(f'sub i64 {width}, {unit}')} to i32")
        first = w.let(f"insertelement <{m.lanes} x i32> poison, i32 {rest}, i64 0")
        splat = w.let(f"shufflevector <{m.lanes} x i32> {first}, <{m.lanes} x i32> poison, <{m.lanes} x i32> zeroinitializer")
        return w.let(f"icmp slt <{m.lanes} x i32> {numbers}, {splat}", "m")

    def _whole(self, width: int) -> bool:
        """Whether no block of this width has unit blocks that reach past it."""
        return all(width % (self.vectors(b) * self.machine.lanes) == 0 for b in self.plan.blocks if b.width == width)

    def _load(self, load: Load, block: Block, slot: str, unit: str, mask: str) -> str:
        w, m = self.w, self.machine
        if load.width == 1 and block.width > 1:
            return w.broadcast(w.let(f"load {m.real}, ptr {self._address(load.place, slot, '0')}"))
        return self._read(self._address(load.place, slot, unit), mask)

    def _read(self, pointer: str, mask: str) -> str:
        w, m = self.w, self.machine
        if not mask:
            return w.let(f"load {m.vector}, ptr {pointer}, align {m.bytes}")
        arguments = f"ptr {pointer}, i32 {m.bytes}, <{m.lanes} x i1> {mask}, {m.vector} {m.splat(0.0)}"
        return w.let(f"call {m.vector} @llvm.masked.load.v{m.lanes}f{m.bits}.p0({arguments})")

    def _write(self, value: str, pointer: str, mask: str) -> None:
        w, m = self.w, self.machine
        if not mask:
            w.put(f"store {m.vector} {value}, ptr {pointer}, align {m.bytes}")
            return
        kind, lanes = f"v{m.lanes}f{m.bits}", f"<{m.lanes} x i1>"
        w.put(f"call void @llvm.masked.store.{kind}.p0({m.vector} {value}, ptr {pointer}, i32 {m.bytes}, {lanes} {mask})")

    def _store(self, s: Store, value: str, width: int, slot: str, unit: str, mask: str) -> None:
        target = self._address(s.place, slot, unit)
        if s.add:
            value = self.w.binary("fadd", self._read(target, mask), value)
        self._write(value, target, mask)


def _accumulators(block: Block) -> int:
    return sum(len(group.accumulators) for group in block.groups)
