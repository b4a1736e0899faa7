"""Large products: every way gives the same, whatever the strides; the choice among them is measured once and kept."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from rondeau import scan
from rondeau.cells import get
from rondeau.engine.products import choice
from rondeau.engine.products.choice import MARGIN, PINNED, ROUNDS, Shape, chosen, fastest, rounds
from rondeau.engine.products.multiply import SMALL, multiply
from rondeau.engine.products.ways import WAYS, Name, blas, own, possible
from rondeau.errors import InputError
from rondeau.nn import Recurrent

sys.path.insert(0, str(Path(__file__).parent))
import guard_pages

SIZES = [(128, 128, 128), (131, 67, 129), (7, 650, 600), (1, 17, 1030), (1300, 3, 515), (65, 1100, 40)]
"""Rows, columns and inner features: whole tiles, tails of every kind, several panels."""
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-13}


def matrix(rows: int, columns: int, layout: str, dtype: torch.dtype = torch.float32) -> Tensor:
    """Random numbers, row by row, column by column, amid a wider matrix, or with one row for all."""
    if layout == "columns":
        return torch.randn(columns, rows, dtype=dtype).t()
    if layout == "wide":
        return torch.randn(rows, columns + 5, dtype=dtype)[:, 2 : 2 + columns]
    if layout == "repeated":
        return torch.randn(columns, dtype=dtype).expand(rows, columns)
    return torch.randn(rows, columns, dtype=dtype)


def apart(got: Tensor, wanted: Tensor) -> float:
    return float((got.double() - wanted).norm() / wanted.norm())


@pytest.fixture
def remembering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """An empty cache on disk, and no way named; a call forgets what this process knows, as a new one would."""
    monkeypatch.setenv("RONDEAU_CACHE", str(tmp_path))
    monkeypatch.delenv(PINNED, raising=False)
    choice._remembered.cache_clear()
    return choice._remembered.cache_clear


@pytest.mark.parametrize(
    ("way", "size"), [(way, size) for way in WAYS for size in SIZES[: None if way == "own" else 2]], ids=str
)
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_every_way_gives_the_same_for_all_layouts(way: Name, size: tuple[int, int, int], dtype: torch.dtype) -> None:
    if way not in possible(dtype):
        pytest.skip(f"no {way} for {dtype}")
    rows, columns, inner = size
    for left_layout, right_layout in itertools.product(("rows", "columns", "wide"), ("rows", "columns", "wide", "repeated")):
        left, right = matrix(rows, inner, left_layout, dtype), matrix(inner, columns, right_layout, dtype)
        row, wanted = torch.randn(columns, dtype=dtype), left.double() @ right.double()
        around = torch.full((rows, columns + 3), 7.0, dtype=dtype)
        out = around[:, 1 : 1 + columns]
        assert apart(WAYS[way](left, right, None, None), wanted) < TOLERANCE[dtype]
        assert WAYS[way](left, right, out, row) is out
        assert apart(out, wanted + row) < TOLERANCE[dtype]
        WAYS[way](left, right, out, out)
        assert apart(out, 2 * wanted + row) < TOLERANCE[dtype]
        assert (around[:, 0] == 7).all() and (around[:, 1 + columns :] == 7).all()


def test_the_bits_of_our_kernel_depend_on_neither_threads_nor_other_rows(two_threads: None) -> None:
    left, right = torch.randn(157, 700), torch.randn(700, 90)
    together = own(left, right, None, None)
    torch.set_num_threads(1)
    assert torch.equal(own(left, right, None, None), together)
    assert torch.equal(own(left[60:73], right, None, None), together[60:73])
    assert torch.equal(own(left, right[:, 3:40], None, None), together[:, 3:40])


def test_our_kernel_runs_without_openmp(monkeypatch: pytest.MonkeyPatch, two_threads: None) -> None:
    left, right = torch.randn(157, 70), torch.randn(70, 90)
    wanted = own(left, right, None, None)
    monkeypatch.setattr("rondeau.engine.llvm.build.openmp", dict)
    assert torch.equal(own(left, right, None, None), wanted)


@pytest.mark.skipif(not guard_pages.possible(), reason="this system cannot forbid pages")
@pytest.mark.parametrize("side", ["start", "end"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_our_kernel_stays_within_its_matrices(side: str, size: tuple[int, int, int]) -> None:
    rows, columns, inner = size

    def bordering(height: int, width: int, by_rows: bool = True) -> tuple[guard_pages.Block, Tensor]:
        block = guard_pages.Block.of(np.random.default_rng(0).random((height, width), dtype=np.float32), side)
        value = torch.from_numpy(block.bytes.view(np.float32).reshape((height, width) if by_rows else (width, height)))
        return block, value if by_rows else value.t()

    for left_by_rows, right_by_rows in itertools.product((True, False), repeat=2):
        made = [bordering(rows, inner, left_by_rows), bordering(inner, columns, right_by_rows), bordering(rows, columns)]
        added = bordering(1, columns)
        (_, left), (_, right), (_, out) = made
        own(left, right, out, added[1][0])
        assert apart(out, left.double() @ right.double() + added[1]) < 1e-5
        assert all(block.whole() for block, _ in (*made, added))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["lstm", "gru", "peephole_lstm", "highway_rnn", "min_gru"])
def test_every_way_gives_right_gradients(way: Name, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reversed, ragged and time-major ones too, at a size at which all products are large."""
    monkeypatch.setattr("rondeau.engine.products.multiply.SMALL", 0)
    monkeypatch.setenv(PINNED, way)
    torch.manual_seed(0)
    cell = get(name)
    params = {key: value.detach().requires_grad_() for key, value in Recurrent(cell, 13, 20).params.items()}
    x = torch.randn(9, 11, 13, requires_grad=True)
    for options in ({}, {"reverse": True}, {"lengths": [3, 9, 0, 1, 9, 5, 7, 2, 11]}):
        for given in (x, x.transpose(0, 1).contiguous().transpose(0, 1)):
            found = []
            for backend in ("reference", "compiled"):
                y, _ = scan(cell, params, given, backend=backend, **options)  # type: ignore[call-overload]
                found.append([y, *torch.autograd.grad(y.sin().sum(), [x, *params.values()])])
            torch.testing.assert_close(found[1], found[0], rtol=2e-4, atol=2e-5)


class Clock:
    """A clock that says how long each way takes, in the order in which ways are run."""

    def __init__(self, times: list[float]) -> None:
        self.times, self.now, self.turn = itertools.cycle(times), 0.0, 0

    def __call__(self) -> float:
        self.turn += 1
        self.now += 0 if self.turn % 2 else next(self.times)
        return self.now


SHAPE = Shape(torch.float64, 16, 16, 16, True, True)


@pytest.mark.parametrize(("times", "expected"), [([3.0, 1.0], "blas"), ([1.0, 3.0], "own"), ([1.05, 1.0], "own")])
def test_the_fastest_way_is_taken_where_it_wins_clearly(times: list[float], expected: Name) -> None:
    assert fastest(rounds(SHAPE, Clock(times))) == expected


@pytest.mark.skipif("onednn" not in possible(torch.float32), reason="PyTorch was built without oneDNN")
@pytest.mark.parametrize(("times", "expected"), [([2, 3, 1], "onednn"), ([3, 1, 2], "blas"), ([1, 1, 1], "own")])
def test_of_three_ways_too(times: list[float], expected: Name) -> None:
    shape = Shape(torch.float32, 16, 16, 16, True, False)
    assert fastest(rounds(shape, Clock(times))) == expected


def test_a_busy_moment_changes_nothing() -> None:
    quiet: list[choice.Times] = [{"own": 1.0, "blas": 2.0}] * ROUNDS
    assert fastest(quiet) == "own"
    held = [{"own": 9.0, "blas": 2.0}] * (ROUNDS - 2)
    assert fastest([*held, {"own": 1.0, "blas": 2.0}, {"own": 1.0, "blas": 2.0}]) == "own"
    assert fastest([*[{"own": 2.0, "blas": 1.0}] * (ROUNDS - 2), *[{"own": 1.0 * MARGIN * 1.1, "blas": 2.0}] * 2]) == "own"


def test_what_was_chosen_is_kept(remembering: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(times: choice.Times) -> None:
        monkeypatch.setattr(choice, "rounds", lambda _: [times])

    measured({"own": 3.0, "blas": 1.0})
    assert chosen(SHAPE) == "blas"
    measured({"own": 1.0, "blas": 3.0})
    assert chosen(SHAPE) == "blas"
    remembering()  # another process
    assert chosen(SHAPE) == "blas"
    assert chosen(Shape(torch.float64, 32, 16, 16, True, True)) == "own"


def test_where_nothing_can_be_kept_our_kernel_is_taken(remembering: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "rounds", lambda _: [{"own": 3.0, "blas": 1.0}])
    monkeypatch.setattr(choice.store, "write", lambda *_: None)
    assert chosen(SHAPE) == "own"


def test_a_way_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    spies = {name: lambda *given, name=name: taken.append(name) or WAYS[name](*given) for name in WAYS}  # type: ignore[misc]
    monkeypatch.setattr("rondeau.engine.products.multiply.WAYS", spies)
    left, right = torch.randn(128, 128), torch.randn(128, SMALL // (128 * 128))
    for name in possible(torch.float32):
        monkeypatch.setenv(PINNED, name)
        multiply(left, right)
    assert taken == list(possible(torch.float32))
    monkeypatch.setenv(PINNED, "onednn")
    assert chosen(SHAPE) == "blas"  # which has no float64
    monkeypatch.setenv(PINNED, "fast")
    with pytest.raises(InputError, match="RONDEAU_PRODUCTS is one of own, blas, onednn, or unset .*, not 'fast'"):
        multiply(left, right)


def test_a_class_of_shapes() -> None:
    shape = Shape.of(torch.zeros(6400, 650), torch.zeros(100, 650).t())
    assert shape == Shape(torch.float32, 1024, 64, 512, True, False)
    left, right = shape.operands()
    assert Shape.of(left, right) == shape


@pytest.mark.parametrize("columns", [1, 2, 8, 15, 16])
def test_a_narrow_product_is_the_same_by_its_transpose(columns: int) -> None:
    left, right = matrix(96, 128, "columns"), matrix(128, columns, "wide")
    found = blas(left, right, None, None)
    assert found.is_contiguous() and apart(found, left.double() @ right.double()) < TOLERANCE[torch.float32]
