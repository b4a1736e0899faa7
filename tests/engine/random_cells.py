"""Random cells from the op table, on the compiled backend against the reference, values and every gradient.

``python tests/engine/random_cells.py --count 1000 --seed 5`` runs the cells of seeds 5 to 1004; a cell that disagrees is made
as small as it can be while it still does, and printed. The tests run some seeds.

Float64 agrees to 1e-10 of the scale of a tensor: the largest number in it, at least 1. Float32 agrees to 5e-6 of that scale
plus 20 times what float32 costs the reference itself, measured against the reference in float64.
"""

from __future__ import annotations

import argparse
import inspect
import random
import sys
import time as clock
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from rondeau import ir, scan
from rondeau.engine.compile.tiling import Tiling
from rondeau.engine.runtime import program
from rondeau.errors import RondeauError
from rondeau.ir import Cell, Expr
from rondeau.ir.arguments import Declaration, past, time
from rondeau.ir.declarations import Input, Parameter, State
from rondeau.ir.expressions import apply, features, node, spread
from rondeau.ir.functions import concat, normalise, relu, softmax
from rondeau.ir.initial import zeros
from rondeau.ir.nodes import postorder, same
from rondeau.ir.ops import OPS
from rondeau.ir.verification import verify
from rondeau.ir.widths import ONE, Width

SIZES = (1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 33, 40, 66)
BATCHES = (1, 2, 3, 5, 7, 12, 13, 20)
GUARD = 64
BOUNDED = ("sigmoid", "tanh", "sin", "cos", "erf", "softsign", "hard_sigmoid", "hard_tanh")
ROLES = {"W": "weight", "b": "bias", "d": "vector"}
PLAIN = (*BOUNDED, "relu", "softplus", "abs", "neg", "silu", "gelu")
GUARDED: dict[str, Callable[[Expr, Expr], Expr]] = {
    "floor": lambda a, b: apply("floor", 3.1 * a) * 0.25 + a,
    "exp": lambda a, b: apply("exp", b),
    "log": lambda a, b: apply("log", 1.2 + a * a),
    "sqrt": lambda a, b: apply("sqrt", 1.1 + a * a),
}
BINARY = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / (1 + b * b),
    "minimum": lambda a, b: apply("minimum", a, b),
    "maximum": lambda a, b: apply("maximum", a, b),
    "clamp": lambda a, b: apply("clamp", a, b - 0.7, b + 0.9),
    "mod": lambda a, b: apply("mod", a, 1.3 + b * b),
    "lt": lambda a, b: (a < b) + 0.5 * b,
    "le": lambda a, b: a * (b <= a),
    "eq": lambda a, b: b + (apply("floor", 2.3 * a) == 0),
    "ne": lambda a, b: b * (apply("floor", 1.7 * a) != apply("floor", 1.9 * b)),
    "and": lambda a, b: a + 0.5 * ((a < b) & (b < 0.4)),
    "or": lambda a, b: a * ((a <= b) | relu(b)),
    "not": lambda a, b: b - 0.5 * ~(a < b),
}


@dataclass
class Author:
    """Draws a cell's declarations and expressions. What was drawn before is drawn again, so that values are shared."""

    pick: random.Random
    widths: list[Width]
    sizes: dict[str, int]
    inputs: list[Input] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    parameters: dict[tuple[str, Width, Width | None], list[str]] = field(default_factory=dict)
    gates: list[Expr] = field(default_factory=list)

    def declare(self) -> None:
        """The sequence, some contexts and masks, and one to three states."""
        pick = self.pick
        self.inputs.append(Input("x", Width.of("input")))
        for i in range(pick.choice((0, 0, 1, 2))):
            width = pick.choice((ONE, *self.widths))
            self.inputs.append(Input(f"v{i}", width, "context", pick.choice(("step", "sequence"))))
        for i in range(pick.choice((0, 0, 1))):
            per = pick.choice(("step", "sequence"))
            self.inputs.append(Input(f"m{i}", pick.choice(self.widths), "mask", per, 0.6, 1.5))
        for i in range(pick.choice((1, 1, 2, 2, 3))):
            self.states.append(State(f"h{i}", pick.choice(self.widths)))

    # parameters

    def block(self, rows: Width, columns: Width | None, role: str) -> Expr:
        """A gate of a parameter of this shape: a new one, an old one, or that of a new parameter."""
        same = [key for key in self.parameters if key[1:] == (rows, columns) and key[0].startswith(role)]
        key = self.pick.choice(same) if same and self.pick.random() < 0.8 else (f"{role}{len(self.parameters)}", rows, columns)
        gates = self.parameters.setdefault(key, [])
        if not gates or self.pick.random() < 0.75:
            gates.append(f"g{len(gates)}")
        gate = self.pick.choice((gates[-1], gates[-1], *gates))
        return Parameter(key[0], tuple(gates), rows, columns, zeros(), role).block(gate)

    def declared(self) -> list[Parameter]:
        """The parameters, with their gates in some order and now and then one that nothing uses."""
        found = []
        for (name, rows, columns), gates in self.parameters.items():
            order = [*gates, *(["idle"] if self.pick.random() < 0.15 else [])]
            if self.pick.random() < 0.3:
                self.pick.shuffle(order)
            found.append(Parameter(name, tuple(order), rows, columns, zeros(), ROLES[name[0]]))
        return found

    # vectors

    def vector(self, width: Width, depth: int) -> Expr:
        """An expression of ``width`` features."""
        pick = self.pick
        shared = [gate for gate in self.gates if gate.width == width]
        if shared and pick.random() < 0.2:
            return pick.choice(shared)
        if depth <= 0:
            return self.leaf(width)
        kinds = (self.affine, self.affine, self.unary, self.unary, self.binary, self.binary, self.choice, self.parts, self.wide)
        return pick.choice(kinds)(width, depth - 1)

    def leaf(self, width: Width) -> Expr:
        """A state, an input, a lag, a diagonal weight or a bias; a product where nothing has this width."""
        pick = self.pick
        states = [item.symbol for item in self.states if item.width == width]
        found = [*states, *(past(s, pick.choice((1, 2, 3))) for s in states)]
        found += [item.symbol for item in self.inputs if item.width == width]
        if not found or pick.random() < 0.2:
            return self.block(width, None, "b") if pick.random() < 0.4 else self.product(width, self.anything(0))
        value = pick.choice(found)
        return self.block(width, None, "d") * value if pick.random() < 0.3 else value

    def anything(self, depth: int) -> Expr:
        """A vector of some width, sometimes several behind one another."""
        pick = self.pick
        if pick.random() < 0.2:
            return concat(*(self.vector(pick.choice(self.widths), depth) for _ in range(2)))
        return self.vector(pick.choice(self.widths), depth)

    def product(self, width: Width, value: Expr) -> Expr:
        """A matrix, or now and then the transpose of one, times ``value``."""
        if self.pick.random() < 0.15:
            return self.block(value.width, width, "W").T @ value
        return self.block(width, value.width, "W") @ value

    def affine(self, width: Width, depth: int) -> Expr:
        """A sum of products, a bias perhaps among them."""
        pick = self.pick
        value = self.product(width, self.inputs[0].symbol if pick.random() < 0.5 else self.anything(depth))
        for _ in range(pick.choice((0, 1, 1, 2))):
            more = self.product(width, pick.choice(self.states).symbol if pick.random() < 0.5 else self.anything(depth - 1))
            value = value + more if pick.random() < 0.8 else value - more
        way = pick.random()
        if way > 0.7:
            return value
        return value + self.block(width, None, "b") if way < 0.5 else value - self.block(width, None, "b")

    def unary(self, width: Width, depth: int) -> Expr:
        """A function of one value, within its domain."""
        name = self.pick.choice((*PLAIN, *GUARDED, "normalise", "softmax"))
        value = self.vector(width, depth)
        if name in GUARDED:
            return GUARDED[name](value, self.bounded(value))
        if name in ("normalise", "softmax"):
            return normalise(value, self.pick.choice((0.1, 0.02))) if name == "normalise" else softmax(value)
        return apply(name, value)

    def bounded(self, value: Expr) -> Expr:
        """``value`` pressed between -1 and 1."""
        return apply(self.pick.choice(BOUNDED), value)

    def binary(self, width: Width, depth: int) -> Expr:
        """Two vectors, or a vector and a number, feature by feature."""
        pick = self.pick
        a = self.vector(width, depth)
        b = self.scalar(depth) if pick.random() < 0.2 else self.vector(width, depth)
        if pick.random() < 0.2 and not b.width.is_one:
            a, b = b, a
        return BINARY[pick.choice(("add", "sub", "mul", "mul", *BINARY))](a, b)

    def choice(self, width: Width, depth: int) -> Expr:
        """Two branches, and what decides between them."""
        pick = self.pick
        a, b = self.vector(width, depth), self.vector(width, depth)
        tests = (
            lambda: a < self.vector(width, depth - 1),
            lambda: self.scalar(depth - 1) <= 0.3,
            lambda: time() % pick.choice((2.0, 3.0)) == 0,
            lambda: ~(time() % 2.0 != 0) | (self.scalar(depth - 1) <= 0.3) & (a < 0.2),
        )
        a, b = pick.choice(((a, b), (a, 0.0), (-0.5, b)))
        return apply("where", pick.choice(tests)(), a, b) + 0 * self.leaf(width)

    def parts(self, width: Width, depth: int) -> Expr:
        """Ranges of features put together anew, or a range of something wider."""
        pick, size = self.pick, width.bind(self.sizes)
        if pick.random() < 0.4:
            other = pick.choice(self.widths)
            whole = concat(self.vector(other, depth), self.vector(width, depth))
            start = pick.choice((other, Width.of(0)))
            return features(whole, slice(start, start + width))
        if size < 2:
            return self.vector(width, depth)
        cut = Width.of(pick.randint(1, size - 1))
        pair = [self.vector(width, depth), self.vector(width, depth - 1)]
        first, second = features(pair[0], slice(0, cut)), features(pair[1], slice(cut, width))
        if pick.random() < 0.3:
            first, second = apply(pick.choice(PLAIN), first), self.scalar(depth - 1) * second
        return concat(first, second)

    def wide(self, width: Width, depth: int) -> Expr:
        """A number for all features, with a vector or alone."""
        value = self.scalar(depth)
        known = any(item.width == width for item in (*self.states, self.inputs[0]))  # else no shape would tell the size
        return spread(value, width) if known and self.pick.random() < 0.2 else value * self.vector(width, depth)

    def scalar(self, depth: int) -> Expr:
        """An expression of one feature."""
        pick = self.pick
        plain = [item.symbol for item in self.inputs if item.width.is_one]
        value = self.vector(pick.choice(self.widths), depth - 1)
        ways = [
            lambda: apply("mean", value),
            lambda: apply("mean", value * value),
            lambda: apply("sum", self.bounded(value)) * 0.1,
            lambda: apply("max", value),
            lambda: self.product(ONE, value),
            lambda: apply("sin", 0.7 * time()),
            lambda: apply("max", self.bounded(value)) - apply("mean", value),
            *(lambda item=item: item for item in plain),
        ]
        found = pick.choice(ways)()
        return self.bounded(found) if pick.random() < 0.5 else found

    def following(self, item: State) -> Expr:
        """A next value that stays bounded."""
        pick, h = self.pick, item.symbol
        if pick.random() < 0.08:
            return self.bounded(self.scalar(2))
        new = self.bounded(self.vector(item.width, pick.choice((2, 3, 4))))
        if pick.random() < 0.4:
            gate = apply("sigmoid", self.vector(item.width, 2))
            new = pick.choice((lambda: (1 - gate) * new + gate * h, lambda: gate * h + new * 0.5))()
        return new

    def bodies(self) -> Iterator[tuple[Expr, ...]]:
        """The gates one after another, at last what the cell returns."""
        pick = self.pick
        for _ in range(pick.choice((0, 1, 2, 3))):
            self.gates.append(self.vector(pick.choice(self.widths), pick.choice((1, 2, 3))))
            yield (self.gates[-1],)
        following = [self.following(item) for item in self.states]
        others = [s.symbol for s in self.states if s.width == self.states[0].width]
        if pick.random() < 0.1:
            following[0] = pick.choice(others)
        last = len(following) - 1
        if pick.random() < 0.1 and self.states[last].width == self.states[0].width:
            following[last] = following[0]
        output = pick.choice((following[0], following[0], *self.gates, *others))
        yield (self.vector(pick.choice(self.widths), 2) if pick.random() < 0.3 else output, *following)


def drawn_cell(pick: random.Random, sizes: dict[str, int]) -> Cell:
    """A random cell at ``sizes``, traced as an author's function is."""
    author = Author(pick, [Width.of(name) for name in ("hidden", "hidden", "other", "input")], sizes)
    author.declare()
    bodies = list(author.bodies())

    def body(**given: Any) -> Any:
        value = None
        for drawn in bodies:
            value = drawn[0]
        return (value, *bodies[-1][1:])

    read = {e.attrs[0] for e in postorder(bodies[-1]) if e.op in ("vector", "matrix")}
    items = [*author.inputs, *author.states, *(p for p in author.declared() if p.name in read)]
    kind = inspect.Parameter.KEYWORD_ONLY
    body.__signature__ = inspect.Signature([inspect.Parameter(i.name, kind, default=_declaration(i)) for i in items])
    return ir.cell(body, name="drawn")


def _declaration(item: Input | State | Parameter) -> Declaration:
    fields = tuple((name, value) for name, value in vars(item).items() if name != "name")
    return Declaration(type(item), fields)


@dataclass(frozen=True)
class Trial:
    """A cell with all that it is run on, drawn from a seed."""

    seed: int
    cell: Cell
    sizes: dict[str, int]
    dtype: torch.dtype
    batch: int
    time: int
    layout: str = "contiguous"
    options: dict[str, Any] = field(default_factory=dict)
    masked: bool = True
    team: bool = False  # whether threads share the units of a step; else each takes a part of the batch
    wanted: int = 0  # drawn: which outputs are read, and which leaves have a gradient

    def leaves(self, dtype: torch.dtype) -> dict[str, Tensor]:
        """Everything that a run reads, by name, drawn in float64 and rounded to float32 where that is tried."""
        draw = torch.Generator().manual_seed(self.seed)
        cell, sizes = self.cell, self.sizes

        def normal(*shape: int, scale: float = 1.0) -> Tensor:
            return (scale * torch.randn(*shape, generator=draw, dtype=torch.float64)).to(self.dtype).to(dtype)

        found = {"x": _laid_out(normal(self.batch, self.time, cell.input.width.bind(sizes)), self.layout)}
        for item in cell.states:
            value = normal(self.batch, item.width.bind(sizes))
            found[f"state {item.name}"] = torch.full_like(value, 2.0) if item.role == "time" else value
        for p in cell.parameters:
            scale = 0.7 if p.columns is None else p.columns.bind(sizes) ** -0.5
            found[f"param {p.name}"] = normal(*p.shape(sizes), scale=scale)
        lead = {"step": (self.batch, self.time), "sequence": (self.batch,)}
        for item in cell.inputs[1:]:
            value = normal(*lead[item.per], item.width.bind(sizes))
            found[f"{item.role} {item.name}"] = item.scale * (value > -0.3).to(dtype) if item.role == "mask" else value
        return found

    def run(self, backend: str, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
        """Outputs, last states, traces, and the gradients of a random sum of some of them."""
        pick, leaves = random.Random(self.wanted), self.leaves(dtype or self.dtype)
        for name, value in leaves.items():
            if name != "state time" and (self.wanted % 3 or pick.random() < 0.6):
                value.requires_grad_()
        given = {
            role: {n.split()[1]: v for n, v in leaves.items() if n.startswith(role)} for role in ("param", "context", "mask")
        }
        state = tuple(leaves[f"state {item.name}"] for item in self.cell.states)
        options = self.options | ({"segment": None} if backend == "reference" else {})
        y, last, *rest = scan(
            self.cell, given["param"], leaves["x"], state, context=given["context"],
            masks=given["mask"] if self.masked else None, backend=backend, **options,
        )  # fmt: skip
        values = {"y": y, **{f"last {item.name}": v for item, v in zip(self.cell.states, last)}}
        values |= {f"trace {name}": v for name, v in (rest[0] if rest else {}).items()}
        return {n: v.detach() for n, v in values.items()} | self._gradients(values, leaves, pick)

    def _gradients(self, values: dict[str, Tensor], leaves: dict[str, Tensor], pick: random.Random) -> dict[str, Tensor]:
        draw = torch.Generator().manual_seed(self.seed + 1)
        loss, free = torch.zeros((), dtype=values["y"].dtype), {n: v for n, v in leaves.items() if v.requires_grad}
        for name, value in values.items():
            weights = torch.randn(value.shape, generator=draw, dtype=torch.float64).to(self.dtype).to(value.dtype)
            if name != "last time" and (self.wanted % 2 or pick.random() < 0.7):
                loss = loss + (value * weights).sum()
        if not loss.requires_grad or not free:
            return {}
        found = torch.autograd.grad(loss, list(free.values()), allow_unused=True)
        return {f"d {n}": torch.zeros_like(v) if g is None else g for (n, v), g in zip(free.items(), found)}


def _laid_out(x: Tensor, layout: str) -> Tensor:
    if layout == "time major":
        return x.transpose(0, 1).contiguous().transpose(0, 1)
    return torch.stack([x, x], -1)[..., 0] if layout == "strided" else x


def drawn(seed: int) -> Trial:
    """The trial of a seed."""
    pick = random.Random(seed)
    sizes = {name: pick.choice(SIZES) for name in ("input", "hidden", "other")}
    cell = drawn_cell(pick, sizes)
    batch, time_ = pick.choice(BATCHES), pick.randint(1, 6)
    options: dict[str, Any] = {"reverse": pick.random() < 0.4, "clip": pick.choice((None, None, 0.05, 1.0))}
    options["lengths"] = (
        [pick.choice((0, time_, pick.randint(1, time_))) for _ in range(batch)] if pick.random() < 0.5 else None
    )
    names = [*(item.name for item in cell.states), *(e.name for e in cell.equations)]
    options["trace"] = tuple(sorted(set(pick.choices(names, k=2)))) if pick.random() < 0.4 else ()
    options["segment"] = pick.choice((None, None, None, 2, "auto"))
    dtype = torch.float32 if seed % 3 == 2 else torch.float64
    layout = pick.choice(("contiguous", "contiguous", "time major", "strided"))
    known = {name: sizes[name] for name in cell.sizes}
    plain = replace(cell, inputs=tuple(item for item in cell.inputs if item.role != "mask"))
    masked = pick.random() < 0.6 or len(plain.sizes) < len(known)  # else no shape would tell a size
    return Trial(seed, cell, known, dtype, batch, time_, layout, options, masked, pick.random() < 0.3, pick.randrange(1000))


def ops_of(cell: Cell) -> set[str]:
    """The ops that the author's equations use."""
    return {expr.op for expr in postorder(cell.roots)} & OPS.keys()


@contextmanager
def guarded() -> Iterator[list[Tensor]]:
    """Lends kernels memory that holds NaN and lies between guards; they may write nothing outside it."""
    lent: list[Tensor] = []

    def allocate(like: Tensor, count: int) -> Tensor:
        lent.append(torch.full((count + 2 * GUARD,), torch.nan, dtype=like.dtype))
        return lent[-1][GUARD : GUARD + count]

    before, program.allocate = program.allocate, allocate
    try:
        yield lent
    finally:
        program.allocate = before
    assert all(w[:GUARD].isnan().all() and w[-GUARD:].isnan().all() for w in lent), "a kernel wrote outside its memory"


def compare(trial: Trial) -> str | None:
    """What disagrees, in words, or None when everything agrees."""
    exact = trial.run("reference", torch.float64)
    if not all(torch.isfinite(value).all() for value in exact.values()):
        return "the reference itself is not finite: the generator left a domain"
    team_size = mock.patch.object(Tiling, "team_size", lambda self, weights, batch, threads: threads if trial.team else 1)
    with guarded() as lent, team_size:
        found = trial.run("compiled")
    assert lent, "no kernel ran"
    own = trial.run("reference") if trial.dtype == torch.float32 else {}
    for name, value in exact.items():
        scale = max(1.0, float(value.abs().max())) if value.numel() else 1.0
        bound = 1e-10 * scale
        if own:
            bound = 5e-6 * scale + 20 * float((own[name].double() - value).abs().max() if value.numel() else 0.0)
        error = float((found[name].double() - value).abs().max()) if value.numel() else 0.0
        if not error <= bound:
            return f"{name}: off by {error:.3g}, allowed {bound:.3g}"
    return None


def fault_of(trial: Trial) -> str | None:
    """As `compare`; an error of the backend is a fault too."""
    try:
        return compare(trial)
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:300]}"


# making a fault small


def shrunk(trial: Trial) -> Trial:
    """The smallest trial found that still fails in the same way."""
    kind = _kind(fault_of(trial))
    for _ in range(200):
        smaller = next((t for t in _smaller(trial) if _sound(t) and _kind(fault_of(t)) == kind), None)
        if smaller is None:
            break
        trial = smaller
    return trial


def _kind(fault: str | None) -> str:
    """Wrong numbers, or the type of the error."""
    return "" if fault is None else "off" if ": off by" in fault else fault.split(":")[0]


def _sound(trial: Trial) -> bool:
    """Whether the cell is one, its ranges lie within their vectors, and the reference runs it."""
    try:
        verify(trial.cell)
        for expr in postorder(trial.cell.roots):
            if expr.op in OPS and OPS[expr.op].kind in ("pointwise", "product"):
                apply(expr.op, *expr.args)
            if not expr.width.bind(trial.sizes):
                return False
            if expr.op == "slice" and expr.attrs[1].bind(trial.sizes) > expr.args[0].width.bind(trial.sizes):
                return False
        trial.run("reference", torch.float64)
    except (RondeauError, RuntimeError):
        return False
    return True


def _smaller(trial: Trial) -> Iterator[Trial]:
    for name, plain in (("lengths", None), ("reverse", False), ("clip", None), ("trace", ()), ("segment", None)):
        if trial.options[name] != plain:
            yield replace(trial, options={**trial.options, name: plain})
    if not trial.options["lengths"]:
        for batch in {1, trial.batch // 2} - {0, trial.batch}:
            yield replace(trial, batch=batch)
        for steps in {1, 2} - {trial.time}:
            if steps < trial.time:
                yield replace(trial, time=steps)
    for name, value in (("layout", "contiguous"), ("wanted", 1), ("team", False)):
        if getattr(trial, name) != value:
            yield replace(trial, **{name: value})
    for cell in _simpler(trial.cell):
        yield replace(trial, cell=cell, sizes={n: trial.sizes[n] for n in cell.sizes}, options={**trial.options, "trace": ()})
    for name, size in trial.sizes.items():
        for less in (1, 2, 3, 9):
            if less < size:
                yield replace(trial, sizes={**trial.sizes, name: less})


def substituted(expr: Expr, mapping: Mapping[Expr, Expr]) -> Expr:
    """``expr`` with every occurrence of a key of ``mapping`` replaced by its value; the values are not searched again."""
    new: dict[Expr, Expr] = {}
    for part in postorder([expr]):
        args = tuple(new[arg] for arg in part.args)
        kept = part if same(args, part.args) else node(part.op, args, part.attrs, part.width)
        new[part] = mapping.get(part, kept)
    return new[expr]


def _simpler(cell: Cell) -> Iterator[Cell]:
    """The cell with one expression replaced by one of its arguments or by an earlier leaf."""
    leaves = [e for e in postorder(cell.roots) if e.op in ("state", "input")]
    for expr in reversed(postorder(cell.roots)):
        if not expr.args:
            continue
        options = [v for v in (*leaves, *expr.args) if v.width == expr.width and v is not expr and v.op != "matrix"]
        for value in dict.fromkeys(options):
            roots = [substituted(root, {expr: value}) for root in cell.roots]
            used = {e.attrs[0] for e in postorder(roots) if e.op in ("input", "vector", "matrix")}
            yield replace(
                cell, output=roots[0], next=tuple(roots[1:]), equations=(),
                inputs=tuple(i for i in cell.inputs if i.role == "input" or i.name in used),
                parameters=tuple(p for p in cell.parameters if p.name in used),
            )  # fmt: skip


def told(trial: Trial) -> str:
    """A trial in words."""
    sizes = ", ".join(f"{name}={size}" for name, size in trial.sizes.items())
    shown = {n: v for n, v in trial.options.items() if v not in (None, False, ())}
    head = f"{trial.dtype}, batch {trial.batch}, time {trial.time}, {sizes}, {trial.layout}, {shown}{', team' * trial.team}"
    outputs = "" if trial.cell.output is trial.cell.next[0] else f"\noutput {trial.cell.output!r}"
    return f"{head}\n{trial.cell}{outputs}"


def main() -> None:
    """Runs and prints; exits with 1 when anything disagrees."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    options = parser.parse_args()
    begin, faults, seen = clock.perf_counter(), 0, set()
    for seed in range(options.seed, options.seed + options.count):
        trial = drawn(seed)
        seen |= ops_of(trial.cell)
        fault = fault_of(trial)
        if fault is not None:
            faults += 1
            small = shrunk(trial)
            print(f"seed {seed}: {fault}\nsmallest: {fault_of(small)}\n{told(small)}\n", flush=True)
    seconds = clock.perf_counter() - begin
    missing = sorted(OPS.keys() - seen)
    print(f"{options.count - faults} of {options.count} cells agree ({seconds:.0f} s); ops not drawn: {missing or 'none'}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
