"""The laws that every cell and every backend must keep."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rondeau import cells, scan, step
from rondeau.cells import ALL
from rondeau.engine import BACKENDS
from rondeau.engine.inputs.check import check_inputs
from rondeau.ir import Cell

NAMES = list(ALL)
SIZES = {"input": 5, "hidden": 12, "projection": 3, "output": 4, "context": 3}
DOUBLE = torch.float64


def sizes_of(cell: Cell, **changed: int) -> dict[str, int]:
    return {name: {**SIZES, **changed}[name] for name in cell.sizes}


class Case:
    """A cell with parameters, a batch and all that it reads."""

    def __init__(self, cell: Cell, batch: int = 3, time: int = 6, dtype: torch.dtype = DOUBLE, **sizes: int) -> None:
        self.cell, known = cell, sizes_of(cell, **sizes)
        draw = torch.Generator().manual_seed(7)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, dtype=dtype, generator=draw)

        self.params = {p.name: 0.5 * normal(*p.shape(known)) for p in cell.parameters}
        self.x = normal(batch, time, known["input"])
        self.state = tuple(
            torch.full((batch, 1), 2.0, dtype=dtype) if s.role == "time" else normal(batch, s.width.bind(known))
            for s in cell.states
        )
        lead = {"step": (batch, time), "sequence": (batch,)}
        self.context = {c.name: normal(*lead[c.per], c.width.bind(known)).abs() for c in cell.contexts}
        self.masks = {
            m.name: torch.bernoulli(torch.full((*lead[m.per], m.width.bind(known)), m.probability, dtype=dtype), generator=draw)
            for m in cell.masks
        }

    def run(self, backend: str = "auto", **changed):
        given = {"context": self.context, "masks": self.masks, **changed}
        x, state, params = given.pop("x", self.x), given.pop("state", self.state), given.pop("params", self.params)
        return scan(self.cell, params, x, state, backend=backend, **given)

    def rows(self, rows) -> Case:
        other = object.__new__(Case)
        other.cell, other.params, other.x = self.cell, self.params, self.x[rows]
        other.state = tuple(s[rows] for s in self.state)
        other.context = {n: v[rows] for n, v in self.context.items()}
        other.masks = {n: v[rows] for n, v in self.masks.items()}
        return other

    def steps(self, part: slice) -> Case:
        other = self.rows(slice(None))
        other.x = self.x[:, part]
        moving = {i.name for i in self.cell.inputs if i.per == "step"}
        other.context = {n: v[:, part] if n in moving else v for n, v in self.context.items()}
        other.masks = {n: v[:, part] if n in moving else v for n, v in self.masks.items()}
        return other


def backends(case: Case, **options) -> list[str]:
    inputs = check_inputs(case.cell, case.params, case.x, case.state, context=case.context, masks=case.masks, **options)
    able = [name for name, backend in BACKENDS.items() if backend.refusal(inputs) is None]
    assert "reference" in able
    return able


def close(found, expected) -> None:
    torch.testing.assert_close(found[0], expected[0])
    for a, b in zip(found[1], expected[1], strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("name", NAMES)
def test_chunks(name: str) -> None:
    case = Case(ALL[name])
    for backend in backends(case):
        whole = case.run(backend)
        for cut in (1, 4):
            first = case.steps(slice(None, cut)).run(backend)
            second = case.steps(slice(cut, None)).run(backend, state=first[1])
            close((torch.cat([first[0], second[0]], 1), second[1]), whole)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reverse", [False, True])
def test_padding_batch_order_and_single_rows(name: str, reverse: bool) -> None:
    case = Case(ALL[name], batch=4)
    lengths = [6, 2, 5, 1]
    for backend in backends(case, lengths=lengths, reverse=reverse):
        y, state = case.run(backend, lengths=lengths, reverse=reverse)
        dirty = case.x.clone()
        for row, length in enumerate(lengths):
            assert not y[row, length:].any()
            dirty[row, length:] = 1e3
            alone = case.rows(slice(row, row + 1)).steps(slice(None, length)).run("reference", reverse=reverse)
            close((y[row : row + 1, :length], [s[row : row + 1] for s in state]), alone)
        again = case.run(backend, x=dirty, lengths=lengths, reverse=reverse)
        assert torch.equal(again[0], y) and all(torch.equal(a, b) for a, b in zip(again[1], state))
        order = torch.tensor([2, 0, 3, 1])
        mixed = case.rows(order).run(backend, lengths=[lengths[i] for i in order], reverse=reverse)
        close(mixed, (y[order], [s[order] for s in state]))


@pytest.mark.parametrize("name", NAMES)
def test_a_sequence_of_length_zero_keeps_its_state(name: str) -> None:
    case = Case(ALL[name])
    for backend in backends(case, lengths=[0, 6, 0]):
        y, state = case.run(backend, lengths=[0, 6, 0])
        assert not y[0].any()
        assert all(torch.equal(a[0], b[0]) for a, b in zip(state, case.state))


@pytest.mark.parametrize("name", NAMES)
def test_reverse_is_flipping(name: str) -> None:
    case = Case(ALL[name])
    moving = {i.name for i in case.cell.inputs if i.per == "step"}
    flipped = {k: {n: v.flip(1) if n in moving else v for n, v in getattr(case, k).items()} for k in ("context", "masks")}
    for backend in backends(case):
        y, state = case.run(backend, x=case.x.flip(1), **flipped)
        close(case.run(backend, reverse=True), (y.flip(1), state))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("batch", "time", "hidden", "options"),
    [
        (3, 5, 12, {}),
        (1, 1, 12, {}),
        (4, 6, 60, {"lengths": [6, 1, 0, 4]}),
        (2, 4, 12, {"lengths": [2, 4], "reverse": True}),
        (2, 5, 36, {"reverse": True, "clip": 0.02}),
        (3, 5, 12, {"lengths": [2, 5, 0], "clip": 0.02}),
        (0, 4, 12, {}),
        (2, 0, 12, {}),
    ],
)
def test_every_backend_equals_the_reference(name: str, batch: int, time: int, hidden: int, options) -> None:
    case = Case(ALL[name], batch, time, hidden=hidden)
    able = [b for b in backends(case, **options) if b != "reference"]
    expected = gradients(case, "reference", **options)
    for backend in able:
        for found, wanted in zip(gradients(case, backend, **options), expected, strict=True):
            torch.testing.assert_close(found, wanted)


def gradients(case: Case, backend: str, **options) -> list[Tensor]:
    """Outputs, last states and the gradients of a fixed random sum of them, for everything that can have one."""
    leaves = {"x": case.x, **{f"s{i}": s for i, s in enumerate(case.state)}, **case.params, **case.context}
    leaves = {name: value.clone().requires_grad_() for name, value in leaves.items()}
    state = tuple(leaves[f"s{i}"] for i in range(len(case.state)))
    params, context = {n: leaves[n] for n in case.params}, {n: leaves[n] for n in case.context}
    y, last = case.run(backend, x=leaves["x"], state=state, params=params, context=context, **options)
    values = [y, *(v for v, s in zip(last, case.cell.states) if s.role != "time")]
    draw = torch.Generator().manual_seed(3)
    loss = sum((v * torch.randn(v.shape, dtype=v.dtype, generator=draw)).sum() for v in values)
    found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True) if loss.requires_grad else []
    return [y, *last, *(torch.zeros_like(v) if g is None else g for g, v in zip(found, leaves.values()))]


@pytest.mark.parametrize("name", NAMES)
def test_gradcheck_and_gradgradcheck(name: str) -> None:
    smallest = {"clockwork": 4, "hierarchical_rnn": 3}.get(name, 2)
    case = Case(ALL[name], batch=2, time=3, input=2, hidden=smallest, projection=1, output=2, context=1)
    counted = [s.role != "time" for s in case.cell.states]
    leaves = [case.x, *(s for s, c in zip(case.state, counted) if c), *case.params.values(), *case.context.values()]

    def function(*values: Tensor) -> tuple[Tensor, ...]:
        given = iter(values)
        x = next(given)
        state = tuple(next(given) if c else s for s, c in zip(case.state, counted))
        params = {n: next(given) for n in case.params}
        context = {n: next(given) for n in case.context}
        y, last = case.run(x=x, state=state, params=params, context=context, lengths=[3, 2])
        return (y, *(v for v, c in zip(last, counted) if c))

    inputs = tuple(leaf.clone().requires_grad_() for leaf in leaves)
    assert torch.autograd.gradcheck(function, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(function, inputs, fast_mode=True)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_bits_for_any_number_of_threads(name: str) -> None:
    case = Case(ALL[name], batch=5, dtype=torch.float32)
    before = torch.get_num_threads()
    try:
        runs = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            runs.append(case.run())
    finally:
        torch.set_num_threads(before)
    assert torch.equal(runs[0][0], runs[1][0])


@pytest.mark.parametrize("name", ["lstm", "layer_norm_gru", "peephole_lstm_full", "clockwork"])
def test_gradients_depend_on_the_number_of_threads_alone(name: str, two_threads) -> None:
    """The same bits in every run with as many threads; those of the states for any number."""
    case = Case(ALL[name], batch=5, dtype=torch.float32)
    leaves = [value.requires_grad_() for value in (*case.state, *case.params.values())]

    def gradients(threads: int) -> list[Tensor]:
        torch.set_num_threads(threads)
        y, state = case.run("compiled")
        total = y.square().sum() + sum(s.sin().sum() for s in state)
        return list(torch.autograd.grad(total, leaves, materialize_grads=True))

    runs = [gradients(threads) for threads in (1, 2, 2, 1)]
    for one, two, again, other in zip(*runs, strict=True):
        assert torch.equal(one, other) and torch.equal(two, again)
        torch.testing.assert_close(one, two)
    n = len(case.state)
    assert all(torch.equal(a, b) for a, b in zip(runs[0][:n], runs[1][:n]))


@pytest.mark.parametrize("name", NAMES)
def test_any_strides(name: str) -> None:
    case = Case(ALL[name])
    expected = case.run("reference")
    for backend in backends(case):
        close(case.run(backend, x=case.x.transpose(0, 1).contiguous().transpose(0, 1)), expected)
        wide = torch.stack([case.x, case.x], -1)[..., 0]
        assert not wide.is_contiguous()
        close(case.run(backend, x=wide), expected)


@pytest.mark.parametrize("name", NAMES)
def test_traces_are_the_equations(name: str) -> None:
    case = Case(ALL[name])
    names = tuple(equation.name for equation in case.cell.equations)
    for backend in backends(case, trace=names, lengths=[6, 3, 1]):
        y, _, traces = case.run(backend, trace=names, lengths=[6, 3, 1])
        assert set(traces) == set(names)
        assert all(not value[2, 1:].any() for value in traces.values())
        for equation in case.cell.equations:
            if equation.expr is case.cell.output:
                torch.testing.assert_close(traces[equation.name], y)
            torch.testing.assert_close(
                traces[equation.name], case.run("reference", trace=names, lengths=[6, 3, 1])[2][equation.name]
            )


@pytest.mark.parametrize("name", NAMES)
def test_a_step_is_a_scan_of_one_step(name: str) -> None:
    case = Case(ALL[name], time=1)
    moving = {i.name for i in case.cell.inputs if i.per == "step"}
    flat = {k: {n: v[:, 0] if n in moving else v for n, v in getattr(case, k).items()} for k in ("context", "masks")}
    y, state = step(case.cell, case.params, case.x[:, 0], case.state, **flat)
    close((y[:, None], state), case.run())


@pytest.mark.parametrize("name", ["lstm", "gru", "peephole_lstm", "layer_norm_lstm"])
def test_transforms_are_right(name: str) -> None:
    case = Case(ALL[name])
    tangent = torch.randn_like(case.x)

    def loss(x: Tensor) -> Tensor:
        return case.run(x=x)[0].square().sum()

    _, forward = torch.func.jvp(loss, (case.x,), (tangent,))
    torch.testing.assert_close(forward, (torch.func.grad(loss)(case.x) * tangent).sum())
    stacked = torch.stack([case.x, 2 * case.x])
    together = torch.vmap(lambda x: case.run(x=x)[0])(stacked)
    torch.testing.assert_close(together[1], case.run(x=stacked[1])[0])
    small = case.rows(slice(0, 1)).steps(slice(0, 2))
    hessian = torch.func.hessian(lambda x: small.run(x=x)[0].square().sum())(small.x)
    assert torch.isfinite(hessian).all() and hessian.any()


@pytest.mark.parametrize(("name", "kind"), [("lstm", "LSTM"), ("gru", "GRU"), ("elman", "RNN")])
def test_pytorchs_cells_are_pytorchs(name: str, kind: str) -> None:
    case = Case(ALL[name], dtype=torch.float32)
    theirs = getattr(torch.nn, kind)(SIZES["input"], SIZES["hidden"], batch_first=True)
    W, U, b = (case.params[n] for n in "WUb")
    second = torch.zeros_like(b)
    if name == "gru":
        second[-SIZES["hidden"] :] = case.params["c"]
    with torch.no_grad():
        for parameter, value in zip(theirs.parameters(), (W, U, b, second)):
            parameter.copy_(value)
        hidden = tuple(s[None] for s in case.state)
        y, last = theirs(case.x, hidden if name == "lstm" else hidden[0])
    for backend in backends(case):
        close(case.run(backend), (y, [v[0] for v in (last if name == "lstm" else (last,))]))


def test_inference_mode_and_second_backward() -> None:
    case = Case(cells.lstm())
    with torch.inference_mode():
        assert torch.isfinite(case.run()[0]).all()
    x = case.x.clone().requires_grad_()
    y, _ = case.run(x=x)
    (first,) = torch.autograd.grad(y.sum(), x, retain_graph=True)
    (second,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(first, second)


@pytest.mark.parametrize("name", NAMES)
def test_segments_change_nothing(name: str) -> None:
    case = Case(ALL[name], batch=4)
    for backend in backends(case):
        for options in ({}, {"lengths": [6, 2, 5, 0], "reverse": True, "clip": 0.1}):
            if backend == "torch" and options:
                continue  # its kernels refuse clipping and sequences of no steps
            found, expected = ([], [])
            for segment, results in (("auto", found), (None, expected)):
                leaves = [value.clone().requires_grad_() for value in (case.x, *case.state, *case.params.values())]
                n = len(case.state)
                given = {"x": leaves[0], "state": tuple(leaves[1 : 1 + n]), "params": dict(zip(case.params, leaves[1 + n :]))}
                y, state = case.run(backend, segment=segment, **given, **options)
                total = y.square().sum() + sum(s.square().sum() for s in state)
                results += [y, *state, *torch.autograd.grad(total, leaves, materialize_grads=True)]
            for a, b in zip(found, expected, strict=True):
                torch.testing.assert_close(a, b)
