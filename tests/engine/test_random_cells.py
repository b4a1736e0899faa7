"""The compiled backend against the reference on random cells, and the cells on which they once disagreed."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rondeau import bias, cell, concat, input, largest, mask, mean, scan, state, tanh, time, total, weight
from rondeau.engine.backends import compiled
from rondeau.engine.runtime import program
from rondeau.ir import Cell
from rondeau.ir.expressions import spread
from rondeau.ir.ops import OPS
from rondeau.ir.widths import Width

sys.path.insert(0, str(Path(__file__).parent))
import random_cells
from random_cells import Trial, compare, drawn, fault_of, guarded, ops_of, shrunk, told

SEEDS = range(60)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_cell_agrees_with_the_reference(seed: int) -> None:
    trial = drawn(seed)
    fault = compare(trial)
    assert fault is None, (
        f"{fault}\n{told(trial)}\nmake it small with: python tests/engine/random_cells.py --seed {seed} --count 1"
    )


def test_every_op_of_the_table_and_every_option_is_drawn() -> None:
    trials = [drawn(seed) for seed in SEEDS]
    assert set().union(*(ops_of(trial.cell) for trial in trials)) == OPS.keys()
    assert {trial.dtype for trial in trials} == {torch.float32, torch.float64}
    assert {trial.team for trial in trials} == {True, False}
    assert {trial.layout for trial in trials} == {"contiguous", "time major", "strided"}
    assert {len([s for s in trial.cell.states if s.role == "state"]) for trial in trials} == {1, 2, 3}
    assert {s.role for trial in trials for s in trial.cell.states} == {"state", "past", "time"}
    assert {(i.role, i.per) for trial in trials for i in trial.cell.inputs} >= {
        ("context", "step"), ("context", "sequence"), ("mask", "step"), ("mask", "sequence")
    }  # fmt: skip
    for name in ("reverse", "clip", "lengths", "trace", "segment"):
        assert {bool(trial.options[name]) for trial in trials} == {True, False}, name
    assert any(0 in (trial.options["lengths"] or ()) for trial in trials)
    assert {1, 7, 17, 33} <= {size for trial in trials for size in trial.sizes.values()}


def test_a_fault_is_found_and_made_small(monkeypatch) -> None:
    """With a wrong derivative of tanh what is left of the cell is hardly more than a tanh."""
    monkeypatch.setitem(OPS, "tanh", replace(OPS["tanh"], derivative=lambda g, y, a: (g * (1 - y),)))
    compiled.PROGRAMS.made.cache_clear()
    found = next(trial for trial in map(drawn, SEEDS) if "tanh" in ops_of(trial.cell) and fault_of(trial) is not None)
    small = shrunk(found)
    fault, ops = fault_of(small), ops_of(small.cell)
    compiled.PROGRAMS.made.cache_clear()
    assert fault is not None and ": off by" in fault
    assert "tanh" in ops and len(ops) <= 3, told(small)


def test_what_is_written_outside_the_memory_is_seen() -> None:
    with pytest.raises(AssertionError, match="outside its memory"), guarded():
        torch.as_strided(program.allocate(torch.zeros(1), 3), (4,), (1,), random_cells.GUARD)[3] = 0.0


@cell
def unread_mask(x=input(), h=state(), m=mask("input", probability=0.5, scale=3.0), W=weight("hidden", "input")):
    return tanh(W @ (m * x) + W @ concat(m[:"input/2"], 1 - m["input/2":]) + h * total(m) + h * mean(m))


@cell
def only_a_mask(x=input(), h=state(), m=mask(probability=0.5, scale=3.0)):
    return m + 0 * mean(x)


@cell
def spread_operand(x=input(), h=state(), U=weight("hidden", "hidden")):
    return tanh(U @ spread(mean(h) * time(), Width.of("hidden")) + mean(x))


@cell
def mean_of_parts(x=input(), h=state(), k=state()):
    return tanh(h + mean(x)), mean(concat(h[:3], h[3:])) * k


@cell
def sum_before_a_product(x=input(), h=state(), k=state(), U=weight("hidden", "hidden"), v=weight("hidden", 1)):
    a = U @ h
    return tanh(h + mean(x)), tanh(v @ total(a[:2] * (U @ k)[1:3]) + a)


@cell
def product_of_one_row(x=input(), h=state(), U=weight("hidden", "hidden"), v=weight(1, "hidden")):
    return tanh(U @ h + v @ h + mean(x))


@cell
def fixed_spread(x=input(), h=state(), v=weight(1, "hidden"), b=bias("hidden")):
    return largest(x) * spread(v @ b, Width.of("hidden")) * h


@cell
def product_of_a_product(x=input(), h=state(), W=weight("hidden", "input"), U=weight("hidden", "hidden")):
    return tanh(U @ (W @ x) + h)


@pytest.mark.parametrize(
    "item",
    [
        product_of_one_row,
        fixed_spread,
        product_of_a_product,
        unread_mask,
        only_a_mask,
        spread_operand,
        mean_of_parts,
        sum_before_a_product,
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cells_that_once_failed(item: Cell, dtype: torch.dtype) -> None:
    options = {"reverse": False, "clip": None, "lengths": None, "trace": (), "segment": None}
    sizes = {name: {"input": 4, "hidden": 9}[name] for name in item.sizes}
    assert compare(Trial(3, item, sizes, dtype, 3, 4, options=options, masked=False)) is None


@cell
def rolling(x=input(), h=state()):
    return concat(h["hidden/2":], tanh(h["hidden/4":"3*hidden/4"]))


@cell
def read_again(x=input(), h=state(), W=weight("hidden", "input"), U=weight("hidden", "hidden"), V=weight("hidden", "hidden")):
    drive = W @ x
    return V @ tanh(drive + U @ h) + drive


def test_a_saved_value_overwrites_only_what_nobody_reads_any_more() -> None:
    options = {"reverse": False, "clip": None, "lengths": None, "trace": (), "segment": None}
    assert compare(Trial(5, read_again, {"input": 3, "hidden": 21}, torch.float64, 3, 4, options=options)) is None


@pytest.mark.parametrize("hidden", [16, 64, 136])
def test_a_state_can_move_within_itself(hidden: int) -> None:
    options = {"reverse": False, "clip": None, "lengths": None, "trace": (), "segment": None}
    assert compare(Trial(4, rolling, {"input": 1, "hidden": hidden}, torch.float64, 3, 4, options=options)) is None


@pytest.mark.parametrize("backend", ["reference", "compiled"])
def test_clipping_does_not_reach_past_a_length(backend: str) -> None:
    """A sequence has the same gradient alone as it has in a longer batch."""

    @cell
    def doubling(x=input(), h=state("input")):
        return 2 * h + x

    def gradient(x: torch.Tensor, lengths: list[int] | None) -> tuple[torch.Tensor, torch.Tensor]:
        h = torch.zeros(len(x), 1, requires_grad=True)
        x = x.clone().requires_grad_()
        _, (last,) = scan(doubling, {}, x, h, lengths=lengths, clip=1.5, backend=backend)
        dx, dh = torch.autograd.grad(3 * last.sum(), (x, h))
        return dx[0, :2, 0], dh[0]

    together, alone = gradient(torch.ones(2, 5, 1), [2, 5]), gradient(torch.ones(1, 2, 1), None)
    assert together[0].tolist() == alone[0].tolist() == [1.5, 3.0]
    assert together[1].tolist() == alone[1].tolist() == [1.5]
