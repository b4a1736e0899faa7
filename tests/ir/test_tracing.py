"""From a Python function to a cell."""

from __future__ import annotations

import copy
import pickle
import sys

import pytest

from rondeau import (
    CellError,
    bias,
    cell,
    concat,
    input,
    mask,
    mean,
    past,
    sigmoid,
    split,
    state,
    tanh,
    time,
    vector,
    weight,
    where,
)  # fmt: skip
from rondeau.cells import ALL
from rondeau.ir import from_json, to_json


@cell(source="a test")
def example(x=input(), h=state(), c=state(), W=weight("a b", "hidden", "input"), U=weight("hidden", "hidden")):
    a = sigmoid(W.a @ x + U @ h)
    s = W.b @ x
    s = s * a
    s = tanh(s)
    c = c + s
    return a * c, c


def test_names_follow_the_function() -> None:
    assert str(example).splitlines() == [
        "example: a test",
        "a = sigmoid(W.a @ x + U @ h[t-1])",
        "s_1 = W.b @ x",
        "s_2 = s_1 * a",
        "s = tanh(s_2)",
        "c[t] = c[t-1] + s",
        "h[t] = a * c[t]",
    ]


def test_tracing_restores_the_tracer() -> None:
    def tracer(frame, event, arg):
        return None

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        cell(example_function)
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(before)


def example_function(x=input(), h=state(), W=weight("hidden", "input")):
    return tanh(W @ x + h)


def test_an_output_beside_the_states() -> None:
    @cell
    def both(x=input(), h=state(), W=weight("hidden", "input"), V=weight("2*hidden", "hidden")):
        h = tanh(W @ x + h)
        y = V @ h
        return y, h

    assert str(both.output.width) == "2*hidden"
    assert both.output is not both.next[0]


def test_past_and_time_become_states() -> None:
    @cell
    def slow(x=input(), h=state(), W=weight("hidden", "input")):
        h = where(time() % 2 < 1, W @ x + past(h, 3), h)
        return h

    assert [(s.name, s.role) for s in slow.states] == [
        ("h", "state"), ("h_past2", "past"), ("h_past3", "past"), ("time", "time"),
    ]  # fmt: skip
    assert str(slow).splitlines()[1] == "h[t] = where(mod(t, 2) < 1, W @ x + h[t-3], h[t-1])"


def refused(body: str) -> str:
    source = "@cell\ndef f(x=input(), h=state(), W=weight('hidden', 'input'), P=weight('a b', 'hidden', 'hidden')):\n"
    scope = {name: globals()[name] for name in ("cell", "input", "state", "weight", "tanh", "past", "concat", "mean", "where")}
    with pytest.raises(CellError) as caught:
        exec(source + "".join(f"    {line}\n" for line in body.split(";")), scope)
    return str(caught.value)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("if x > 0: pass;return h", "write where(condition, a, b) instead of if"),
        ("return W @ h", "takes input features"),
        ("return h + W", "a matrix only multiplies a vector"),
        ("return h * x", "equal widths"),
        ("return P @ h", "name one, as P.a"),
        ("return P.c @ h", "has no gate 'c'"),
        ("return past(x, 2)", "past takes a state"),
        ("return past(h, 0)", "whole number of steps from 1"),
        ("return h ** 3", "only the power 2"),
        ("return h, h, h", "returns 3 values"),
        ("return 1", "as vectors"),
        ("return tanh(h, h)", "takes 1 arguments"),
        ("return h + 'a'", "expressions and numbers"),
        ("return h + float('nan')", "must be finite"),
        ("return tanh(W @ x)", "nothing uses it"),
        ("return x", "but its next value is input wide"),
        ("a, b = h;return a", "cannot be unpacked"),
        ("return h[0]", "range of features"),
    ],
)
def test_faults_are_explained(body: str, message: str) -> None:
    assert message in refused(body)


def test_an_error_shows_the_authors_own_line() -> None:
    with pytest.raises(CellError, match=r"in wrong, .*test_tracing.py, line \d+: return h \* x"):

        @cell
        def wrong(x=input(), h=state()):
            return h * x


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: weight("hidden"), "takes gates"),
        (lambda: weight("r r", "hidden", "input"), "different names"),
        (lambda: bias("2x", "hidden"), "different names"),
        (lambda: vector("hid den"), "not a width"),
        (lambda: mask(probability=2.0), "between 0 and 1"),
        (lambda: cell(lambda x, h=state(): h), "needs a declaration"),
        (lambda: cell(lambda x=input(): x), "at least one state"),
        (lambda: cell(lambda h=state(): h), "exactly one sequence"),
    ],
)
def test_wrong_declarations_are_explained(make, message: str) -> None:
    with pytest.raises(CellError, match=message):
        make()


def test_equal_equations_are_equal_cells() -> None:
    assert cell(example_function) == cell(example_function)
    assert split(example.states[0].symbol, 2)[0] is example.states[0].symbol["0":"hidden/2"]
    assert mean(concat(example.next[0], example.next[1])).width.is_one


@pytest.mark.parametrize("name", ALL)
def test_a_cell_survives_json_pickle_and_copying(name: str) -> None:
    original = ALL[name]
    assert from_json(to_json(original)) == original
    assert pickle.loads(pickle.dumps(original)) == original
    assert copy.deepcopy(original) == original


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 99}', '{"format": 1}', '{"format": 1, "nodes": [["add", [5], [], []]]}']
)
def test_what_is_no_cell_is_refused(text: str) -> None:
    with pytest.raises(CellError):
        from_json(text)


def test_a_bias_of_the_wrong_gate_is_refused() -> None:
    from rondeau import zeros

    with pytest.raises(CellError, match="init names the gate 'q'"):
        bias("r z", "hidden", init=zeros(q=1.0))
