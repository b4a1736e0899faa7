"""`scan` by hand: a counting cell, a delay, clipping, and what wrong arguments get."""

from __future__ import annotations

import pytest
import torch

from rondeau import InputError, cell, cells, context, explain, input, past, scan, state, step, tanh, time, weight
from rondeau.engine.inputs import check


@cell
def counting(x=input(), h=state("input")):
    return h + x


@cell
def delaying(x=input(), h=state("input"), seen=state("input")):
    y = past(seen, 3)
    return y, h, x


@cell
def clock(x=input(), h=state("input")):
    return x * 0 + time() + 0 * h


ones = torch.ones(2, 4, 1)


def test_counting() -> None:
    y, (h,) = scan(counting, {}, ones)
    assert y[0, :, 0].tolist() == [1, 2, 3, 4] and h.tolist() == [[4], [4]]
    y, (h,) = scan(counting, {}, ones, torch.tensor([[10.0], [20.0]]), lengths=[4, 2])
    assert y[:, :, 0].tolist() == [[11, 12, 13, 14], [21, 22, 0, 0]] and h.tolist() == [[14], [22]]
    y, _ = scan(counting, {}, ones, lengths=[4, 2], reverse=True)
    assert y[:, :, 0].tolist() == [[4, 3, 2, 1], [2, 1, 0, 0]]


def test_a_lag_reaches_back_so_many_steps() -> None:
    x = torch.arange(1.0, 7.0).reshape(1, 6, 1)
    y, _ = scan(delaying, {}, x)
    assert y[0, :, 0].tolist() == [0, 0, 0, 1, 2, 3]


def test_the_counter_counts_a_sequences_own_steps() -> None:
    y, state_ = scan(clock, {}, ones, lengths=[4, 2])
    assert y[0, :, 0].tolist() == [0, 1, 2, 3] and state_[1].tolist() == [[4], [2]]
    y, _ = scan(clock, {}, ones, (torch.zeros(2, 1), torch.full((2, 1), 7.0)))
    assert y[0, :, 0].tolist() == [7, 8, 9, 10]


def test_clipping_at_every_step_by_hand() -> None:
    """h_t = 3 h_(t-1) + x_t: what flows back is clipped before it meets the loss of the step before."""

    @cell
    def tripling(x=input(), h=state("input")):
        return 3 * h + x

    x = torch.ones(1, 4, 1, requires_grad=True)
    y, _ = scan(tripling, {}, x, clip=5.0)
    y.sum().backward()
    flow, expected = 0.0, []
    for _ in range(4):
        at = 1.0 + flow
        expected.insert(0, at)
        flow = max(-5.0, min(5.0, 3 * at))
    assert x.grad is not None and x.grad[0, :, 0].tolist() == expected == [6.0, 6.0, 4.0, 1.0]


def test_contexts_by_name_per_step_and_per_sequence() -> None:
    @cell
    def told(x=input(), h=state("input"), a=context(1), b=context(1, per="step")):
        return h + x + a * b

    a, b = torch.tensor([[10.0], [100.0]]), torch.arange(4.0).reshape(1, 4, 1).expand(2, 4, 1)
    y, _ = scan(told, {}, ones, context={"a": a, "b": b})
    assert y[:, :, 0].tolist() == [[1, 12, 33, 64], [1, 102, 303, 604]]
    with pytest.raises(InputError, match="give them by name"):
        scan(told, {}, ones, context=a)
    with pytest.raises(InputError, match="takes the contexts a, b"):
        scan(told, {}, ones)
    y, _ = step(told, {}, ones[:, 0], context={"a": a, "b": b[:, 1]})
    assert y[:, 0].tolist() == [11, 101]


lstm = cells.lstm()
params = {"W": torch.zeros(8, 3), "U": torch.zeros(8, 2), "b": torch.zeros(8)}
good = torch.zeros(2, 4, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": torch.zeros(2, 3)}, r"shape \(batch, time, input\), not \(2, 3\)"),
        ({"x": [[1.0]]}, "x is a tensor"),
        ({"x": torch.zeros(2, 4, 3, dtype=torch.int64)}, "embed it first"),
        ({"x": torch.zeros(2, 4, 5)}, "x of lstm|W of lstm"),
        ({"x": good.double()}, "bring both together"),
        ({"params": {}}, "takes the parameters W, U, b"),
        ({"params": {**params, "V": params["W"]}}, "takes the parameters"),
        ({"params": {**params, "U": torch.zeros(8, 3)}}, "the parameter"),
        ({"state": torch.zeros(2, 2)}, "has 2 states"),
        ({"state": (torch.zeros(2, 2), torch.zeros(3, 2))}, "the state c"),
        ({"lengths": [1, 2, 3]}, "one whole number per sequence"),
        ({"lengths": [1.0, 2.0]}, "one whole number per sequence"),
        ({"lengths": [5, 1]}, "between 0 and the number of steps, 4"),
        ({"lengths": [-1, 1]}, "between 0"),
        ({"clip": 0.0}, "positive bound"),
        ({"clip": float("nan")}, "positive bound"),
        ({"trace": ("q",)}, "no value 'q' to trace; it has h, c, i, f, g, o"),
        ({"masks": {"m": good}}, "no mask 'm'"),
        ({"context": good}, "takes 0 contexts"),
        ({"backend": "cuda"}, "there is no backend 'cuda'"),
        ({"backend": "torch", "clip": 1.0}, "do not clip gradients"),
    ],
)
def test_wrong_arguments_are_explained(arguments, message: str) -> None:
    given = {"params": params, "x": good, **arguments}
    with pytest.raises(InputError, match=message):
        scan(lstm, given.pop("params"), given.pop("x"), **given)


def test_what_is_no_cell_is_explained() -> None:
    with pytest.raises(InputError, match="a cell is wanted here"):
        scan(torch.nn.LSTM(1, 1), {}, good)
    with pytest.raises(InputError, match="use scan for sequences"):
        step(lstm, params, good)
    with pytest.raises(InputError, match="give its initial state"):

        @cell
        def free(x=input(), h=state()):
            return tanh(h)

        scan(free, {}, ones)


def test_explain_says_which_backend_and_why_not() -> None:
    found = explain(lstm, good, clip=1.0)
    assert found.backend != "torch" and "step by step" in found.refusals["torch"]
    assert "is not one of PyTorch's" in explain(cells.min_gru(), good).refusals["torch"]
    assert str(explain(lstm, good, trace=("i",))).startswith("runs on ")


def test_a_lag_and_a_weight_without_hidden() -> None:
    @cell
    def filter_(x=input(1), h=state(1), A=weight(1, 1)):
        return A @ past(h, 2) + x

    y, _ = scan(filter_, {"A": torch.tensor([[0.5]])}, ones)
    assert y[0, :, 0].tolist() == [1, 1, 1.5, 1.5]


def test_what_was_found_to_fit_is_looked_up_and_nothing_else_is(monkeypatch) -> None:
    monkeypatch.setattr(check, "_sound", {})
    item, x = cells.gru(), torch.randn(2, 3, 5)
    params = {p.name: torch.randn(p.shape({"input": 5, "hidden": 4})) for p in item.parameters}
    expected = check.check_inputs(item, params, x)
    monkeypatch.setattr(check, "_checked", lambda *_: pytest.fail("checked again"))
    again = check.check_inputs(item, params, x)
    assert (again.sizes, again.clip, again.trace) == (expected.sizes, None, ()) and torch.equal(
        again.state[0], torch.zeros(2, 4)
    )
    for change in (
        {"x": torch.randn(2, 3, 6)},
        {"x": torch.randn(2, 3, 5).double()},
        {"params": {**params, "c": torch.randn(5)}},
        {"params": {name: params[name] for name in reversed(params)}},
        {"state": ()},
        {"state": torch.randn(3, 4)},
        {"x": torch.randn(2, 4, 5)},
    ):
        with pytest.raises(pytest.fail.Exception, match="checked again"):
            check.check_inputs(item, **{"params": params, "x": x, **change})
    with pytest.raises(InputError, match="clip is a positive bound"):
        check.check_inputs(item, params, x, clip=0.0)
    with pytest.raises(InputError, match="lengths lie between"):
        check.check_inputs(item, params, x, lengths=[4, 1])


def test_few_sets_of_shapes_are_remembered(monkeypatch) -> None:
    monkeypatch.setattr(check, "REMEMBERED", 3)
    monkeypatch.setattr(check, "_sound", {})
    params = {"W": torch.zeros(4, 3), "U": torch.zeros(4, 4), "b": torch.zeros(4)}
    for steps in range(1, 9):
        check.check_inputs(cells.elman(), params, torch.zeros(1, steps, 3))
        assert len(check._sound) <= 3
