"""Widths as sums of sizes, and the op table."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rondeau import CellError, InputError
from rondeau.cells import ALL, lstm
from rondeau.engine.backends.reference import evaluate
from rondeau.ir import Width, latex, table
from rondeau.ir.expressions import apply, constant, node
from rondeau.ir.ops import LEAVES, OPS
from rondeau.ir.rewrite import primitive


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 9), st.integers(1, 50), st.integers(1, 50))
def test_widths_are_sums(a: int, b: int, c: int, hidden: int, input: int) -> None:
    width = Width.of(f"{a}*hidden + {b}*input") + Width.of(c)
    sizes = {"hidden": hidden, "input": input}
    assert width.bind(sizes) == a * hidden + b * input + c
    assert width - Width.of("input").scaled(b) == Width.of(f"{a}*hidden") + Width.of(c)
    assert Width.of(str(width)) == width


def test_a_width_that_does_not_divide_is_an_error() -> None:
    assert Width.of("hidden/4").bind({"hidden": 8}) == 2
    with pytest.raises(InputError, match="choose a size that divides"):
        Width.of("hidden/4").bind({"hidden": 6})
    with pytest.raises(InputError, match="'hidden' is not known"):
        Width.of("hidden").bind({})
    with pytest.raises(CellError, match="is not a width"):
        Width.of("hidden ** 1")


@pytest.mark.parametrize("name", [n for n, row in OPS.items() if row.kind in ("pointwise", "reduction")])
def test_every_op_has_a_meaning_and_a_derivative(name: str) -> None:
    """The derivative of the table, evaluated as equations, against autograd through the torch spelling."""
    row = OPS[name]
    width = Width.of(3)
    leaves = [node("input", (), (f"v{i}",), width) for i in range(row.arity)]
    expr = primitive([whole := apply(name, *leaves)])[whole]
    generator = torch.Generator().manual_seed(len(name))
    values = [torch.rand(2, 3, dtype=torch.float64, generator=generator) + 0.3 + 0.01 * i for i in range(row.arity)]
    for value in values:
        value.requires_grad_()
    known = dict(zip(leaves, values))
    y = _evaluate(expr, known)
    g = torch.rand(y.shape, dtype=torch.float64, generator=generator)
    if row.expand is None:
        if y.requires_grad:
            expected = torch.autograd.grad(y, values, g, allow_unused=True)
        else:
            expected = (None,) * row.arity
        symbol = node("input", (), ("g",), expr.width)
        assert row.derivative is not None
        found = row.derivative(symbol, expr, *leaves)
        for gradient, wanted in zip(found, expected):
            if wanted is not None and wanted.abs().sum():
                ours = _evaluate(primitive([gradient])[gradient], {**known, symbol: g})
                torch.testing.assert_close(ours.expand_as(wanted), wanted)
    assert torch.isfinite(y).all()


def _evaluate(expr, known):
    if expr in known:
        return known[expr]
    if expr.op == "constant":
        return torch.full((1,), expr.attrs[0], dtype=torch.float64)
    if expr.op == "size":
        return torch.full((1,), float(expr.attrs[0].bind({})), dtype=torch.float64)
    return evaluate(expr, [_evaluate(arg, known) for arg in expr.args], {})


def test_every_op_is_spelled_everywhere() -> None:
    for name, row in OPS.items():
        assert row.text and row.latex, name
        assert (row.expand is None) == bool(row.torch), name
        assert not row.torch or row.llvm, name
        assert name not in LEAVES


def test_numbers_fold() -> None:
    h = node("state", (), ("h",), Width.of("hidden"))
    assert apply("mul", h, 1) is h
    assert apply("add", 0, h) is h
    assert apply("add", 2, 3) is constant(5)
    assert constant(0.0) is not constant(-0.0)


@pytest.mark.parametrize("name", ALL)
def test_latex_is_balanced(name: str) -> None:
    text = latex(ALL[name])
    assert text.count("{") == text.count("}")
    assert text.count(r"\left") == text.count(r"\right")
    assert text.startswith(r"\begin{aligned}") and "{t-" in text


def test_a_table_counts() -> None:
    lines = table(lstm(), input=3, hidden=5).splitlines()
    assert lines[-1].split() == ["total", "180"]
    assert "hidden" in table(lstm())
