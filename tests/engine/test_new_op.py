"""An op is one row: added while the program runs, it is printed, stored, differentiated and run on every backend."""

from __future__ import annotations

import pytest
import torch

from rondeau import Cell, bias, cell, input, scan, state, tanh, weight
from rondeau.ir import latex
from rondeau.ir.ops import OPS, Op
from rondeau.ir.serialise import from_json, to_json

ROWS = (
    Op("muladd", 3, lambda g, y, a, b, c: (g * b, g * a, g), "a * b + c", "llvm.fma",
       "muladd({0}, {1}, {2})", r"{0} {1} \oplus {2}", cheap=True),
    Op("signed", 2, lambda g, y, a, b: (g * ((a > 0) * 2 - 1) * ((b > 0) * 2 - 1), None), "torch.copysign(a, b)",
       "llvm.copysign", "signed({0}, {1})", r"\operatorname{{signed}}\left({0}, {1}\right)"),
    Op("truncated", 1, lambda g, y, a: (None,), "torch.trunc(a)", "llvm.trunc", "truncated({0})", r"\lfloor {0} \rceil"),
    Op("cubed", 1, lambda g, y, a: (g * (a * a) * 3,), text="{0}^3", latex="{0}^3", rank=8, expand=lambda a: a * a * a),
)  # fmt: skip


def using(row: Op) -> Cell:
    """A cell in which the op meets the sequence, the state and a parameter."""

    @cell
    def novel(x=input(), h=state(), W=weight("hidden", "input"), U=weight("hidden", "hidden"), b=bias("hidden")):
        a = W @ x + U @ h
        h = tanh(a * a.apply(row.name, *(b, h)[: row.arity - 1]) + b)
        return h

    return novel


@pytest.fixture(params=ROWS, ids=lambda row: row.name)
def novel(request, monkeypatch) -> Cell:
    monkeypatch.setitem(OPS, request.param.name, request.param)
    return using(request.param)


def test_it_is_printed(novel: Cell) -> None:
    shown = {"muladd": "muladd(a, b, h[t-1])", "signed": "signed(a, b)", "truncated": "truncated(a)", "cubed": "a^3"}
    assert any(text in str(novel) for text in shown.values()), str(novel)
    assert any(mark in latex(novel) for mark in (r"\oplus", "signed", r"\rceil", "^3"))


def test_it_is_stored_and_read(novel: Cell) -> None:
    assert from_json(to_json(novel)) == novel


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_backend_runs_and_differentiates_it(novel: Cell, dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    params = {p.name: torch.randn(p.shape({"input": 3, "hidden": 5}), dtype=dtype) for p in novel.parameters}
    leaves = [torch.randn(2, 4, 3, dtype=dtype), *params.values()]
    leaves = [leaf.requires_grad_() for leaf in leaves]
    runs = []
    for backend in ("reference", "compiled"):
        y, _ = scan(novel, dict(zip(params, leaves[1:])), leaves[0], lengths=[4, 2], backend=backend)
        runs.append([y, *torch.autograd.grad(y.square().sum(), leaves)])
    for a, b in zip(*runs):
        torch.testing.assert_close(a, b)


def test_its_derivative_is_right(novel: Cell) -> None:
    torch.manual_seed(2)
    params = [torch.randn(p.shape({"input": 2, "hidden": 3}), dtype=torch.float64) for p in novel.parameters]
    names = [p.name for p in novel.parameters]

    def run(x, *values):
        return scan(novel, dict(zip(names, values)), x, backend="compiled")[0]

    inputs = [torch.randn(1, 2, 2, dtype=torch.float64), *params]
    assert torch.autograd.gradcheck(run, [value.requires_grad_() for value in inputs], eps=1e-7, atol=1e-5)
