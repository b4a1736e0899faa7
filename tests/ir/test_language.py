"""What a cell function may say, what it means on every backend, and the sentences for what it may not say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import rondeau as rd
from rondeau import CellError, InputError
from rondeau.ir import Cell, from_json, latex, to_json
from rondeau.ir.expressions import node

BACKENDS = ("reference", "compiled")
DTYPES = (torch.float32, torch.float64)


def runs(
    cell: Cell, sizes: dict[str, int], dtype: torch.dtype = torch.float64, time: int = 3, whole: bool = False
) -> list[Any]:
    """Outputs, states and all gradients of a run on each backend; of whole numbers, so that comparisons meet."""
    found = []
    for backend in BACKENDS:
        draw = torch.Generator().manual_seed(1)

        def normal(*shape: int, draw: torch.Generator = draw) -> torch.Tensor:
            value = torch.randn(*shape, generator=draw, dtype=torch.float64) * (1 if whole else shape[-1] ** -0.5)
            return (value.round() if whole else value).to(dtype).requires_grad_()

        x = normal(2, time, cell.input.width.bind(sizes))
        params = {p.name: normal(*p.shape(sizes)) for p in cell.parameters}
        state = tuple(normal(2, s.width.bind(sizes)) for s in cell.states)
        y, last = rd.scan(cell, params, x, state, backend=backend)
        weights = torch.arange(1.0, 1 + y.numel(), dtype=dtype).reshape(y.shape) / y.numel()
        ((y * weights).sum() + sum(value.sum() for value in last)).backward()
        leaves = (x, *params.values(), *state)
        found.append([y, *last, *(torch.zeros_like(t) if t.grad is None else t.grad for t in leaves)])
    return found


def agree(cell: Cell, sizes: dict[str, int], dtype: torch.dtype = torch.float64, whole: bool = False) -> list[torch.Tensor]:
    ours, truth = runs(cell, sizes, dtype, whole=whole)
    for a, b in zip(ours, truth):
        torch.testing.assert_close(a, b, rtol=1e-4 if dtype is torch.float32 else 1e-9, atol=1e-5)
    return truth


# comparisons and logic


@rd.cell
def compared(x=rd.input("hidden"), h=rd.state()):
    a = rd.where(x == 0, h, x)
    b = rd.where(x != h, 2 * a, h)
    c = (x == 1) & (h != 0) | ~(x < h)
    both = (x >= 0) & (x <= 1)
    h = a + b * c + 3 * both + 0.5 * (h & x) + 0.25 * ~h
    return h


@pytest.mark.parametrize("dtype", DTYPES)
def test_comparisons_and_logic_by_hand(dtype: torch.dtype) -> None:
    y, *_ = agree(compared, {"hidden": 4}, dtype, whole=True)
    assert (y == y.round()).logical_not().any()
    x, h = torch.tensor([[0.0, 1.0, 2.0, -1.0]]), torch.tensor([[0.0, 3.0, 2.0, 5.0]])
    for backend in BACKENDS:
        value, _ = rd.step(compared, {}, x, h, backend=backend)
        # a = 0 1 2 -1, b = 0 2 2 -2, c = 1 1 1 0, both = 1 1 0 0, h & x = 0 1 1 1, ~h = 1 0 0 0
        assert value.tolist() == [[3.25, 6.5, 4.5, -0.5]]


def test_comparisons_treat_what_is_no_number_as_torch_does() -> None:
    @rd.cell
    def strange(x=rd.input("hidden"), h=rd.state()):
        return (x == x) + 2 * (x != x) + 4 * (x & x) + 8 * ~x

    x = torch.tensor([[math.nan, math.inf, 0.0, -0.0]])
    for backend in BACKENDS:
        assert rd.step(strange, {}, x, torch.zeros(1, 4), backend=backend)[0].tolist() == [[6.0, 5.0, 9.0, 9.0]]


def test_comparisons_print() -> None:
    assert str(compared).splitlines()[1:5] == [
        "a = where(x == 0, h[t-1], x)",
        "b = where(x != h[t-1], 2 * a, h[t-1])",
        "c = (x == 1) & (h[t-1] != 0) | ~(x < h[t-1])",
        "both = (0 <= x) & (x <= 1)",
    ]
    lines = latex(compared).splitlines()
    assert lines[1] == r"a_{t} &= \begin{cases} h_{t-1} & \left[x_{t} = 0\right] \\ x_{t} & \text{otherwise} \end{cases} \\"
    assert r"\left[h_{t-1} \ne 0\right] \lor \lnot \left[x_{t} < h_{t-1}\right]" in lines[3]
    assert from_json(to_json(compared)) == compared


def test_expressions_are_keys() -> None:
    h, x = compared.states[0].symbol, compared.input.symbol
    assert {h: 1, x: 2}[h] == 1 and h in {h} and x not in {h}
    assert (h == x) is (h == x) and (h == x).op == "eq" and (h != x).op == "ne"
    assert compared == from_json(to_json(compared)) and compared != compared.renamed("other")
    assert hash(compared) == hash(from_json(to_json(compared)))


def test_cells_that_differ_in_one_equation_differ() -> None:
    def written(sign: float) -> Cell:
        @rd.cell
        def one(x=rd.input("hidden"), h=rd.state()):
            h = rd.tanh(x) + sign * h
            return h

        return one

    assert written(1) == written(1) and written(1) != written(2)


# transposes


@rd.cell
def tied(
    x=rd.input(), h=rd.state(), W=rd.weight("a b", "hidden", "input"), U=rd.weight("hidden", "hidden"), b=rd.bias("input")
):
    seen = rd.tanh(W.a @ x + U.T @ h)
    back = W.a.T @ seen + W.b.T @ (h * seen) + b
    V = U.T
    h = rd.tanh(W.b @ back + V @ (W.a @ x) + V.T @ seen)
    return h


@rd.cell
def transposed_only(x=rd.input(), h=rd.state(), W=rd.weight("input", "hidden"), U=rd.weight("r z", "hidden", "hidden")):
    r = rd.sigmoid(W.T @ x + U.r.T @ h)
    h = rd.tanh(U.z.T @ (r * h) + W.T @ rd.tanh(x)) + U.r.T @ rd.concat(h["hidden/2":], r[:"hidden/2"])
    return h


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cell", [tied, transposed_only], ids=lambda c: c.name)
@pytest.mark.parametrize("sizes", [(3, 4), (1, 2), (17, 34), (40, 8)])
def test_transposes_on_every_backend(cell: Cell, sizes: tuple[int, int], dtype: torch.dtype) -> None:
    agree(cell, {"input": sizes[0], "hidden": sizes[1]}, dtype)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("cell", [tied, transposed_only], ids=lambda c: c.name)
def test_transposes_are_differentiable_twice(cell: Cell, backend: str) -> None:
    sizes, draw = {"input": 2, "hidden": 4}, torch.Generator().manual_seed(0)

    def leaf(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=draw).requires_grad_()

    leaves = [leaf(2, 2, 2), leaf(2, 4), *(leaf(*p.shape(sizes)) for p in cell.parameters)]

    def function(x, h, *params):
        y, (last,) = rd.scan(cell, dict(zip((p.name for p in cell.parameters), params)), x, (h,), backend=backend)
        return y, last

    assert torch.autograd.gradcheck(function, leaves)
    assert torch.autograd.gradgradcheck(function, leaves)


def test_a_transpose_by_hand() -> None:
    @rd.cell
    def plain(x=rd.input(), h=rd.state(), W=rd.weight("input", "hidden")):
        return W.T @ x + 0 * h

    W = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    for backend in BACKENDS:
        assert rd.step(plain, {"W": W}, torch.tensor([[1.0, 10.0]]), backend=backend)[0].tolist() == [[41.0, 52.0, 63.0]]


def test_transposes_print_and_are_stored() -> None:
    assert "back = W.a.T @ seen + W.b.T @ (h[t-1] * seen) + b" in str(tied)
    assert r"W_{a}^\top \mathrm{seen}_{t}" in latex(tied)
    assert "dU.r += r * h" not in str(tied) and from_json(to_json(tied)) == tied


def test_mechanisms_see_transposes() -> None:
    normed = rd.cells.layer_norm(transposed_only)
    assert len(normed.parameters) == len(transposed_only.parameters) + 5
    assert "drop_h" in str(rd.cells.dropout(transposed_only, 0.5))
    agree(normed, {"input": 3, "hidden": 4})


# ranges of features


@rd.cell
def ranges(x=rd.input(), h=rd.state()):
    last, most, middle = h[-1:], h[:-1], h[1:-2]
    h = rd.concat(last, most) + rd.total(middle) + rd.mean(h["hidden/2":]) + rd.mean(x)
    return h


@pytest.mark.parametrize("dtype", DTYPES)
def test_ranges_count_from_the_end_too(dtype: torch.dtype) -> None:
    assert [str(e.expr.width) for e in ranges.equations[:3]] == ["1", "hidden - 1", "hidden - 3"]
    agree(ranges, {"input": 2, "hidden": 6}, dtype)
    y, _ = rd.step(ranges, {}, torch.zeros(1, 1), torch.tensor([[1.0, 2.0, 4.0, 8.0]]), backend="compiled")
    assert y.tolist() == [[8 + 2 + 6, 1 + 2 + 6, 2 + 2 + 6, 4 + 2 + 6]]
    assert "h[t-1][hidden - 1:hidden]" in str(ranges) and from_json(to_json(ranges)) == ranges


@rd.cell
def too_far(x=rd.input(), h=rd.state()):
    return rd.tanh(rd.total(h[0:8]) + h + rd.mean(x))


@rd.cell
def too_early(x=rd.input(), h=rd.state()):
    return rd.tanh(rd.total(h["hidden - 8":]) + h + rd.mean(x))


@rd.cell
def other_size(x=rd.input(), h=rd.state()):
    return rd.tanh(rd.total(h[:"input"]) + h + rd.mean(x))


@rd.cell
def empty(x=rd.input(), h=rd.state()):
    return rd.tanh(rd.total(h["hidden/2":4]) + h + rd.mean(x))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("cell", [too_far, too_early, other_size, empty], ids=lambda c: c.name)
def test_a_range_that_does_not_fit_is_refused_where_the_sizes_are_known(cell: Cell, backend: str) -> None:
    sizes = {"input": 9, "hidden": 6 if cell is not empty else 8}
    x, h = torch.zeros(2, 3, 9), (torch.zeros(2, sizes["hidden"]),)
    with pytest.raises(InputError, match=r"takes the features .* of h\[t-1\], which has \d+"):
        rd.scan(cell, {}, x, h, backend=backend)
    with pytest.raises(InputError, match="takes the features"):
        rd.nn.Recurrent(cell, 9, sizes["hidden"])
    agree(cell, {"input": 4, "hidden": 8 if cell is not empty else 6})


# what is refused


def refused(body: str) -> str:
    head = (
        "@rd.cell\ndef f(x=rd.input(), h=rd.state(), W=rd.weight('hidden', 'input'), P=rd.weight('a b', 'hidden', 'hidden')):\n"
    )
    source = head + "".join(f"    {line}\n" for line in body.split("; "))
    scope: dict[str, Any] = {"rd": rd, "np": np, "math": math, "torch": torch}
    with pytest.raises(CellError) as caught:
        exec(source, scope)
    message, _, where = str(caught.value).partition("\n")
    assert where.startswith("  in f, <string>, line ") and "\n" not in where
    return message + f" (line {where.split()[-1]})"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        # Python decides nothing
        ("if h > 0: return h; return h", "where(condition, a, b) instead of if"),
        ("return h if h > 0 else x", "where(condition, a, b) instead of if"),
        ("return h and x", "& | ~ instead of and or not"),
        ("return (h > 0) or (x > 0)", "& | ~ instead of and or not"),
        ("return not h", "& | ~ instead of and or not"),
        ("return 0 < h < 1", "(a < b) & (b < c) instead of a < b < c"),
        ("return h > 0 & h < 1", "(a < b) & (b < c) instead of a < b < c"),
        ("return max(h, 0)", "minimum, maximum instead of min, max"),
        ("return min(h, h)", "minimum, maximum instead of min, max"),
        ("return 0 in h", "cannot be unpacked"),
        ("return h in [h + 1, 0]", "where(condition, a, b) instead of if"),
        ("while h: pass", "where(condition, a, b) instead of if"),
        # Python's numbers
        ("return float(h)", "is no number of Python"),
        ("return int(h)", "is no number of Python"),
        ("return complex(h)", "is no number of Python"),
        ("return math.exp(h)", "as rd.exp(v)"),
        ("return math.floor(h)", "rd.floor(v)"),
        ("return range(h)", "is no index"),
        ("return [1, 2][h]", "is no index"),
        ("return round(h)", "write floor(v + 0.5)"),
        ("return len(h)", "rd.mean(v)"),
        ("return h // 2", "write floor(a / b)"),
        ("return 2 // h", "write floor(a / b)"),
        ("return 2 ** h", "write exp(0.693147 * v)"),
        ("return (-2) ** h", "logarithm of the base"),
        ("return h ** 0.5", "write sqrt(v)"),
        ("return h ** h", "only the power 2"),
        ("return h ^ 2", "for a square write v * v"),
        ("return h(2)", "write * to multiply"),
        ("return h.tanh()", "rd.tanh(v)"),
        ("return h.sum()", "rd.total(v)"),
        ("return h.shape", "has no attribute 'shape'"),
        # other libraries
        ("return np.tanh(h)", "numpy.tanh computes with numbers"),
        ("return np.tanh(h)", "rd.tanh(v)"),
        ("return np.abs(h)", "abs(v)"),
        ("return np.clip(h, 0, 1)", "numpy."),
        ("return np.concatenate([h, x])", "rd.concat(a, b)"),
        ("return np.erfinv(h) if hasattr(np, 'erfinv') else np.arctan(h)", "split, sqrt, tanh, total, where"),
        ("return np.array(h)", "is no array"),
        ("return np.ones(3) * h", "rd.vector('hidden', init=array)"),
        ("return h + np.ones(3)", "rd.vector('hidden', init=array)"),
        ("return torch.tanh(h)", "torch.tanh computes with numbers"),
        ("return torch.tanh(h)", "rd.tanh(v)"),
        ("return torch.cat([h, x])", "rd.concat(a, b)"),
        ("return torch.ones(3) * h", "rd.vector('hidden', init=array)"),
        ("return h - torch.ones(3)", "rd.vector('hidden', init=array)"),
        ("return torch.ones(3, 3) @ h", "W=rd.weight(...)"),
        ("return np.ones((3, 3)) @ h", "W=rd.weight(...)"),
        # ranges
        ("return h[0]", "as v[0:1]"),
        ("return h[-1]", "as v[a:b]"),
        ("return h[::2]", "has no step"),
        ("return h[0.5:]", "whole numbers or sizes"),
        ("return h[x:]", "whole numbers or sizes"),
        ("return h[True:]", "whole numbers or sizes"),
        ("return h[3:3]", "is empty"),
        ("return h[3:2]", "is empty"),
        ("return h[-2:-2]", "is empty"),
        ("return h[: 'hidden + 1']", "reaches beyond"),
        ("return h['hidden/0':]", "divides by zero"),
        ("return rd.split(h, 0)", "whole number of parts"),
        ("for v in h: pass", "cannot be unpacked"),
        ("return W[0:1]", "take the range of the vector"),
        # weights
        ("return W @ W", "a matrix only multiplies a vector, from the left"),
        ("return h @ W", "a matrix only multiplies a vector, from the left"),
        ("return h @ h", "the left side of @ must be a weight"),
        ("return P.a * x", "a matrix only multiplies a vector"),
        ("return P.r @ h", "P has no gate 'r'; it has P.a, P.b"),
        ("return P @ h", "name one, as P.a"),
        ("return P == h", "name one, as P.a"),
        ("return P.T @ h", "name one, as P.a"),
        ("return P.a.T * h", "P.a.T only multiplies a vector"),
        ("return h + P.a.T", "P.a.T"),
        ("return W.T @ x", "W.T @ x: the weight takes hidden features"),
        ("return P.a.T", "as vectors"),
        ("return h.T", "only a weight has a transpose"),
        ("return W == h", "a matrix only multiplies a vector"),
        # the rest
        ("return h * 1e39", "finite and within"),
        ("return rd.past(h, 10**9)", "from 1 to 1000"),
        ("return rd.tanh(h, h)", "tanh takes 1 arguments, got 2"),
        ("return rd.concat(h, 'x')", "expressions and numbers"),
        ("return rd.tanh(rd.tanh)", "expressions and numbers"),
        ("return h + None", "expressions and numbers"),
    ],
)
def test_each_mistake_has_a_sentence(body: str, message: str) -> None:
    assert message in refused(body)


def test_numbers_of_other_libraries_are_numbers() -> None:
    @rd.cell
    def foreign(x=rd.input("hidden"), h=rd.state()):
        h = np.float64(2.0) * h + np.float32(3) + x * np.int64(2) - torch.tensor(1.5) * x + h * torch.tensor(0.5)
        h = torch.tensor(1.0) - h / np.array(2.0) + np.array(3.0) * h
        return h

    @rd.cell
    def own(x=rd.input("hidden"), h=rd.state()):
        h = 2.0 * h + 3 + x * 2 - 1.5 * x + h * 0.5
        h = 1.0 - h / 2.0 + 3.0 * h
        return h

    assert foreign.next == own.next or str(foreign).partition("\n")[2] == str(own).partition("\n")[2]


def two(body: str) -> str:
    head = "@rd.cell\ndef f(x=rd.input('hidden'), h=rd.state(), c=rd.state()):\n"
    return head + "".join(f"    {line}\n" for line in body.split("; "))


@pytest.mark.parametrize(
    "body",
    [
        "c = rd.tanh(c + x); h = rd.tanh(c); return c, h",
        "h, c = rd.tanh(h), rd.tanh(c + x); return c, h",
        "c = c + x; out = rd.tanh(c); return c, out",
        "return c, h",
        "c = c + x; y = rd.tanh(c); h = y * x; return y, c, h",
        "h = rd.tanh(x); return x, h",
    ],
)
def test_states_in_the_wrong_order_are_refused(body: str) -> None:
    with pytest.raises(CellError, match="return the next states in the order declared, h, c") as caught:
        exec(two(body), {"rd": rd})
    assert f"line {2 + len(body.split('; '))}" in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        "c = rd.tanh(c + x); h = rd.tanh(c); return h, c",
        "new = rd.tanh(h + x); return new, h",
        "h = rd.tanh(h + x + c); return h, h",
        "h, c = c, h; return h, c",
        "y = rd.tanh(c + x); return y, h, c",
        "c = c + x; return c, c",
        "c = h + x; return c, h, c",
    ],
)
def test_states_in_their_order_are_accepted(body: str) -> None:
    exec(two(body), {"rd": rd})


def test_a_state_may_be_called_time() -> None:
    @rd.cell
    def clock(x=rd.input("hidden"), time=rd.state()):
        time = rd.tanh(time + x)
        return time

    @rd.cell
    def single(x=rd.input(1), time=rd.state(1)):
        time = rd.tanh(time + x)
        return time

    assert [s.role for s in clock.states + single.states] == ["state", "state"]
    for cell, sizes in ((clock, {"hidden": 3}), (single, {})):
        *_, gradient = agree(cell, sizes)
        assert gradient.all()

    with pytest.raises(CellError, match="'time' is declared twice"):

        @rd.cell
        def both(x=rd.input("hidden"), time=rd.state()):
            return rd.tanh(time + x + rd.time())


def test_a_name_of_an_internal_op_is_no_op() -> None:
    from rondeau.ir.expressions import build

    h = node("state", (), ("h",), rd.ir.Width.of("hidden"))
    for name in ("products", "cotangent", "state", "no such"):
        with pytest.raises(CellError, match="is not in the op table"):
            build(name, (h,))


# arrays to start with


def started(init: Any) -> Cell:
    @rd.cell
    def square(x=rd.input("hidden"), h=rd.state(), U=rd.weight("hidden", "hidden", init=init)):
        h = rd.tanh(U @ h + x)
        return h

    return square


EYE = [[1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize(
    "init", [torch.eye(2), np.eye(2), np.eye(2, dtype=np.float32), EYE, ((1, 0), (0, 1)), torch.eye(2) > 0.5]
)
def test_a_parameter_starts_with_an_array(init: Any) -> None:
    cell = started(init)
    assert cell == started(EYE) and from_json(to_json(cell)) == cell and "values" in rd.ir.table(cell, hidden=2)
    for dtype in (torch.float32, torch.float64, torch.float16):
        assert torch.equal(rd.nn.Recurrent(cell, 2, 2, dtype=dtype).U.detach(), torch.eye(2, dtype=dtype))
    with pytest.raises(InputError, match=r"U has the shape \(3, 3\), but is to start with values of the shape \(2, 2\)"):
        rd.nn.Recurrent(cell, 3, 3)


def test_a_number_and_gates_may_start_a_parameter() -> None:
    @rd.cell
    def gated(
        x=rd.input("hidden"),
        h=rd.state(),
        U=rd.weight("a b", "hidden", "hidden", init=rd.zeros(b=np.eye(2))),
        c=rd.bias("a b", "hidden", init=np.arange(4.0)),
        d=rd.vector("hidden", init=0.5),
    ):
        h = rd.tanh(U.a @ h + U.b @ h + x + c.a + c.b + d * h)
        return h

    layer = rd.nn.Recurrent(gated, 2, 2)
    assert layer.U.tolist() == [[0, 0], [0, 0], [1, 0], [0, 1]] and layer.c.tolist() == [0, 1, 2, 3]
    assert layer.d.tolist() == [0.5, 0.5] and from_json(to_json(gated)) == gated


@pytest.mark.parametrize(
    ("init", "message"),
    [
        ([[1.0, 0.0], [0.0]], "rows of different length"),
        ([[1.0, "a"], [0.0, 1.0]], "holds real numbers, not 'a'"),
        (torch.full((2, 2), math.nan), "finite numbers"),
        (torch.zeros(2, 2, 2), "1 or 2 dimensions"),
        (torch.zeros(300, 300), "init takes up to 50,000 numbers, not 90,000"),
        (torch.zeros(0), "1 or 2 dimensions"),
        ("orthogonal", "init is a rule such as"),
        (rd.orthogonal, "init is a rule such as"),
        (torch.zeros(2, 2, dtype=torch.complex64), "holds real numbers"),
    ],
)
def test_what_cannot_start_a_parameter_is_explained(init: Any, message: str) -> None:
    with pytest.raises(CellError, match=message):
        started(init)


def test_the_names_that_messages_offer_are_the_functions_there_are() -> None:
    """A message says what may be written instead; its names stand below the module that defines the functions."""
    from rondeau.ir import functions
    from rondeau.ir.refusals import FUNCTIONS

    own = {name for name, value in vars(functions).items() if callable(value) and value.__module__ == functions.__name__}
    assert {name for name in own if not name.startswith("_")} == set(FUNCTIONS) and set(FUNCTIONS) < set(rd.ir.__all__)
