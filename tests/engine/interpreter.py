"""A second machine: its emitter hands the plan on as it is, and its kernels carry it out with PyTorch, step by step.

It shows all that a kernel owes to the runtime: what the table of arguments means, and what each part of a plan does.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from rondeau.engine.compile.arguments import HEADER, PARTS, STEPS, STRIDE, TABLE
from rondeau.engine.compile.buffer import Buffer
from rondeau.engine.compile.emitter import Code
from rondeau.engine.compile.plan import Block, Place, Plan, Store, Term
from rondeau.engine.compile.target import FLOAT32, Processor, Real, Target, Types
from rondeau.engine.compile.tiling import Tiling
from rondeau.engine.eager.evaluation import evaluate
from rondeau.ir.expressions import Expr

FAR = 1 << 30  # elements behind an address, more than any of these runs has


@dataclass(frozen=True)
class PlannedCode(Code):
    """The plan itself."""

    plan: Plan


@dataclass(frozen=True)
class Interpreting:
    """A machine of one thread, whose kernels are run by this file; ``sizes`` are those of the cell, ``ran`` counts the runs."""

    sizes: Mapping[str, int]
    ran: list[bool] = field(default_factory=list)
    target = Target(Processor("an interpreter", 32), Types.all(FLOAT32))
    tiling = Tiling()
    language = "plans"

    def threads(self) -> int:
        return 1

    def teams(self) -> bool:
        return False

    def emitter(self, real: Real, single: bool) -> Interpreting:
        assert real == FLOAT32
        return self

    def emit(self, plan: Plan) -> PlannedCode:
        places = [place for source, target, _ in plan.copies for place in (source, target)]
        matrices = []
        for block in plan.blocks:
            terms = [term for group in block.groups for terms in group.terms for term in terms]
            places += [load.place for load in block.loads] + [store.place for store in (*block.stores, *block.reductions)]
            places += [term.operand for term in terms]
            matrices += [term.block.buffer for term in terms]
        buffers = dict.fromkeys([*(buffer for buffer, _ in plan.scratch), *(place.buffer for place in places), *matrices])
        return PlannedCode("", tuple(buffers), (), plan.scratch, plan)

    def build(self, code: Code) -> Interpreted:
        assert isinstance(code, PlannedCode)
        return Interpreted(code.plan, code.buffers, self.sizes, self.ran)

    def assembly(self, code: Code) -> str:
        return code.text


@dataclass(frozen=True)
class Interpreted:
    """A plan as a kernel."""

    plan: Plan
    buffers: tuple[Buffer, ...]
    sizes: Mapping[str, int]
    ran: list[bool]

    def run(self, table: int, parts: int, team: int) -> None:
        self.ran.append(self.plan.backward)
        for k in range(parts):
            self.brief(table, k, 0, 1)

    def pack(self, table: int, k: int, n: int) -> None:
        """Matrices are read where they are."""

    def brief(self, table: int, k: int, u: int, n: int) -> None:
        words = (ctypes.c_int64 * (HEADER + len(self.buffers))).from_address(table)
        assert k < words[PARTS]
        first, counts, starts = (ctypes.c_int64 * 3).from_address(words[TABLE] + 24 * k)
        alive, rows = ((ctypes.c_int64 * words[STEPS]).from_address(at) for at in (counts, starts))
        base = {buffer: _memory(words[HEADER + i]) for i, buffer in enumerate(self.buffers)}
        for i in reversed(range(words[STEPS])) if self.plan.backward else range(words[STEPS]):
            _Step(self, base, k, first, alive[i], rows[i], words[STRIDE]).go()


def _memory(address: int) -> Tensor:
    return torch.frombuffer((ctypes.c_float * FAR).from_address(address), dtype=torch.float32)


@dataclass
class _Step:
    """One step of part ``k``: the sequences from ``first`` on that are ``alive``, whose rows begin at ``row``."""

    kernel: Interpreted
    base: Mapping[Buffer, Tensor]
    k: int
    first: int
    alive: int
    row: int
    stride: int

    def go(self) -> None:
        for block in self.kernel.plan.blocks:
            self._block(block)
        for source, target, size in self.kernel.plan.copies:
            self._at(target, size).copy_(self._at(source, size))

    def _at(self, place: Place, width: int, own: bool = False) -> Tensor:
        """The features at a place, a row for each sequence, or the one row of a constant."""
        begin, across, count = {
            "step": (self.row, self.stride, self.alive),
            "sequence": (self.first, 1, self.alive),
            "constant": (self.k if own else 0, 1, 1),
        }[place.level]
        shape, strides = (count, width), (across * place.row_size, 1)
        return self.base[place.buffer].as_strided(shape, strides, begin * place.row_size + place.offset)

    def _block(self, block: Block) -> None:
        values = {load.expr: self._at(load.place, load.width).clone() for load in block.loads}
        for group in block.groups:
            for expr, terms in zip(group.accumulators, group.terms):
                values[expr] = sum((self._product(term, block.width) for term in terms), torch.zeros(()))
        for expr in block.order:
            values[expr] = evaluate(expr, [self._value(arg, values) for arg in expr.args], self.kernel.sizes)
        for store in block.reductions:
            value = self._value(store.expr.args[0], values).expand(self.alive, block.width)
            self._at(store.place, 1).copy_(evaluate(store.expr, [value], self.kernel.sizes))
        for store in block.stores:
            self._store(store, self._value(store.expr, values).expand(self.alive, block.width))

    def _product(self, term: Term, width: int) -> Tensor:
        """The operand of each sequence times the matrix, where it lies in its parameter."""
        at, shape = term.block, (term.inner, width) if term.transposed else (width, term.inner)
        matrix = self.base[at.buffer].as_strided(shape, (at.length, 1), at.row * at.length + at.column)
        return self._at(term.operand, term.inner) @ (matrix if term.transposed else matrix.t())

    def _value(self, expr: Expr, values: Mapping[Expr, Tensor]) -> Tensor:
        return torch.full((1, 1), float(expr.attrs[0])) if expr.op == "constant" else values[expr]

    def _store(self, store: Store, value: Tensor) -> None:
        target = self._at(store.place, value.shape[1], own=store.add)
        if not store.add:
            target.copy_(value)
        else:
            target += value.sum(0, keepdim=True) if store.place.level == "constant" else value
