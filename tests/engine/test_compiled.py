"""The compiled backend: guarded memory, its cache, threads, forks, and its vector functions."""

from __future__ import annotations

import gc
import multiprocessing
import threading
import weakref

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from rondeau import cell, cells, input, scan, state, step, tanh, weight
from rondeau.cells import ALL
from rondeau.engine.backends import compiled
from rondeau.engine.backends.reference import evaluate
from rondeau.engine.compile import printing
from rondeau.engine.compile.buffer import Buffer
from rondeau.engine.compile.tiling import Tiling
from rondeau.engine.inputs.check import check_inputs
from rondeau.engine.llvm import build, host
from rondeau.engine.runtime import arena, program
from rondeau.engine.runtime.buffers import Frame, frame
from rondeau.errors import InputError
from rondeau.ir.expressions import node
from rondeau.ir.ops import OPS
from rondeau.ir.widths import Width

GUARD = 64
MARK = 777.25


class Guard(Buffer):
    """A buffer that no kernel knows."""


class Guards:
    """Stands guards between and around the buffers of every run."""

    def __init__(self, monkeypatch) -> None:
        self.frames: dict[int, Frame] = {}
        self.ranks: dict[tuple[tuple[Buffer, tuple[int, int]], ...], int] = {}
        self.made: list[torch.Tensor] = []
        monkeypatch.setattr(program, "frame", self.frame)
        monkeypatch.setattr(program, "allocate", self.allocate)
        compiled.PROGRAMS.made.cache_clear()

    def frame(self, shapes) -> Frame:
        wider = [(Guard("scratch", "before all"), (1, GUARD))]
        for buffer, shape in shapes:
            wider += [(buffer, shape), (Guard("scratch", f"after {buffer}"), (1, GUARD))]
        rank = self.ranks.setdefault(tuple(wider), len(self.ranks))
        found = frame([*wider, (Guard("scratch", "last"), (1, rank << 12))])  # no two of one size
        self.frames[found.size] = found
        return found

    def allocate(self, like: torch.Tensor, count: int) -> torch.Tensor:
        self.made.append(torch.full((count,), MARK, dtype=like.dtype))
        return self.made[-1]

    def broken(self) -> list[str]:
        """The guards that something wrote over; those among the numbers that begin as zeros are zeros."""
        found = []
        for whole in self.made:
            at = self.frames[len(whole)]
            values = {buffer: at.view(whole, buffer) for buffer in at.at if isinstance(buffer, Guard)}
            found += [str(buffer) for buffer, value in values.items() if (value != MARK).any() and (value != 0).any()]
        return found


@pytest.fixture
def guards(monkeypatch):
    yield Guards(monkeypatch)
    compiled.PROGRAMS.made.cache_clear()


@pytest.mark.parametrize("name", ALL)
def test_nothing_is_written_outside_the_buffers(name: str, guards: Guards) -> None:
    sizes = {"input": 5, "hidden": 12, "projection": 3, "output": 4, "context": 3}
    item = ALL[name]
    known = {size: sizes[size] for size in item.sizes}
    params = {p.name: torch.randn(p.shape(known)).requires_grad_() for p in item.parameters}
    context = {c.name: torch.rand(5, 7, 1) if c.per == "step" else torch.rand(5, 3) for c in item.contexts}
    for options in ({}, {"lengths": [7, 2, 0, 5, 1]}, {"reverse": True}):
        guards.made.clear()
        y, _ = scan(item, params, torch.randn(5, 7, 5), context=context, backend="compiled", **options)
        y.sum().backward()
        assert len(guards.made) == 3 and guards.broken() == []


@pytest.mark.parametrize("name", ALL)
def test_a_team_of_threads_computes_the_same(name: str, two_threads, monkeypatch) -> None:
    torch.manual_seed(3)
    item, sizes = ALL[name], {"input": 5, "hidden": 156, "projection": 33, "output": 4, "context": 3}
    known = {size: sizes[size] for size in item.sizes}
    params = {p.name: (0.3 * torch.randn(p.shape(known))).requires_grad_() for p in item.parameters}
    x = torch.randn(3, 7, 5)
    context = {c.name: torch.rand(3, 7, 1) if c.per == "step" else torch.rand(3, 3) for c in item.contexts}
    for options in ({}, {"lengths": [7, 2, 5], "reverse": True}):
        runs = []
        for team in (1, 2):
            monkeypatch.setattr(Tiling, "team_size", lambda *_, team=team: team)
            y, _ = scan(item, params, x, context=context, backend="compiled", **options)
            runs.append((y, torch.autograd.grad(y.square().sum(), list(params.values()), materialize_grads=True)))
        assert torch.equal(runs[0][0], runs[1][0])
        for a, b in zip(runs[0][1], runs[1][1], strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_one_sequence_can_have_a_team(two_threads, monkeypatch) -> None:
    params, x = drawn(600)
    monkeypatch.setattr(Tiling, "team_size", lambda *_: 1)
    expected = scan(plain, params, x[:1], backend="compiled")[0]
    monkeypatch.setattr(Tiling, "team_size", lambda *_: 2)
    assert torch.equal(scan(plain, params, x[:1], backend="compiled")[0], expected)


FUNCTIONS = ["exp", "sigmoid", "tanh", "log", "softplus", "sin", "cos", "erf", "sqrt", "abs", "floor", "relu"]


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_vector_functions_are_precise(name: str, dtype: torch.dtype) -> None:
    """Within 2 units in the last place of float32 (4 of float64) of PyTorch in float64, with NaN and infinities alike."""
    symbol = node("input", (), ("v",), Width.of(1))

    @cell
    def apply(x=input(), h=state("input")):
        from rondeau.ir.expressions import apply as op

        return op(name, x + 0 * h) if name not in ("floor",) else op(name, x + 0 * h) + 0 * h

    spread = torch.cat(
        [torch.linspace(-30, 30, 4001), torch.linspace(-1, 1, 2001), torch.logspace(-30, 3, 500), -torch.logspace(-30, 3, 500)]
    )
    special = torch.tensor([0.0, float("inf"), -float("inf"), float("nan"), 88.0, -88.0, 1e-38, 700.0])
    x = torch.cat([spread, special]).to(dtype)
    found = scan(apply, {}, x.view(-1, 1, 1), (torch.zeros(len(x), 1, dtype=dtype),), backend="compiled")[0].flatten()
    exact = evaluate(node(name, (symbol,), (), symbol.width), [x.double()], {})
    expected = exact.to(dtype)
    assert OPS[name].llvm == name
    usable = torch.isfinite(expected) & torch.isfinite(x)
    unit = torch.nextafter(expected.abs(), torch.full_like(expected, torch.inf)) - expected.abs()
    tiny = torch.finfo(dtype).tiny
    error = (found.double() - exact).abs()[usable] / unit.double().clamp(min=tiny)[usable]
    assert error.max() <= (2.0 if dtype == torch.float32 else 4.0), (x[usable][error.argmax()], error.max())
    odd = ~usable & ~torch.isinf(x)
    torch.testing.assert_close(found[odd], expected[odd], equal_nan=True)


@cell
def plain(x=input(), h=state(), W=weight("hidden", "input"), U=weight("hidden", "hidden")):
    return tanh(W @ x + U @ h)


def drawn(hidden: int = 9) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    torch.manual_seed(0)
    return {"W": 0.3 * torch.randn(hidden, 4), "U": 0.3 * torch.randn(hidden, hidden)}, torch.randn(3, 6, 4)


def test_eight_threads_share_one_cell() -> None:
    params, x = drawn(40)
    expected = scan(plain, params, x, backend="reference")[0]
    found: list[torch.Tensor] = []

    def work() -> None:
        for _ in range(20):
            found.append(scan(plain, params, x, backend="compiled")[0])

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 160
    for y in found:
        torch.testing.assert_close(y, expected)


def test_without_openmp_threads_of_our_own_do_the_work(two_threads, monkeypatch) -> None:
    params, x = drawn(40)
    weights = {name: value.requires_grad_() for name, value in params.items()}
    runs = []
    for library in (build.openmp(), {}):
        monkeypatch.setattr(build, "openmp", lambda library=library: library)
        monkeypatch.setattr(host, "openmp", lambda library=library: library)
        y, _ = scan(plain, weights, x, backend="compiled")
        runs.append([y, *torch.autograd.grad(y.sum(), list(weights.values()))])
    for a, b in zip(*runs):
        assert torch.equal(a, b)


def _child(queue) -> None:
    params, x = drawn()
    queue.put((torch.get_num_threads(), scan(plain, params, x, backend="compiled")[0].tolist()))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
def test_a_forked_child_computes_on_one_thread(two_threads) -> None:
    params, x = drawn()
    expected = scan(plain, params, x, backend="compiled")[0]
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_child, args=(queue,))
    child.start()
    threads, found = queue.get(timeout=60)
    child.join(timeout=60)
    assert threads == 1
    torch.testing.assert_close(torch.tensor(found), expected)


@pytest.fixture
def lent(monkeypatch) -> list[weakref.ref[torch.Tensor]]:
    """What runs allocate."""
    found = []
    allocate = program.allocate

    def watched(like: torch.Tensor, count: int) -> torch.Tensor:
        value = allocate(like, count)
        found.append(weakref.ref(value))
        return value

    monkeypatch.setattr(program, "allocate", watched)
    monkeypatch.setattr(arena, "SMALL", 0)
    return found


def test_memory_goes_back_when_the_graph_does(lent) -> None:
    params, x = drawn()
    weights = {name: value.requires_grad_() for name, value in params.items()}
    gc.disable()
    try:
        y, _ = scan(plain, weights, x, backend="compiled")
        assert [item() is None for item in lent] == [False, True]
        y.sum().backward()
        assert [item() is None for item in lent] == [True, True, True]
        y, _ = scan(plain, weights, x, backend="compiled")
        assert lent[3]() is not None
        del y, _
        assert lent[3]() is None
        kinds = {id(block) for _, block in arena._pool._free.values()}
        scan(plain, weights, x, backend="compiled")
        assert {id(block) for _, block in arena._pool._free.values()} == kinds  # nothing new was made
    finally:
        gc.enable()


def test_checkpointing_keeps_nothing(lent) -> None:
    params, x = drawn()
    weights = {name: value.requires_grad_() for name, value in params.items()}
    expected, _ = scan(plain, weights, x, backend="reference")
    y = checkpoint(lambda x: scan(plain, weights, x, backend="compiled")[0], x, use_reentrant=False)
    assert all(item() is None for item in lent)
    for a, b in zip(torch.autograd.grad(y.sum(), weights.values()), torch.autograd.grad(expected.sum(), weights.values())):
        torch.testing.assert_close(a, b)


def test_segments_keep_only_the_states_between_them(lent) -> None:
    params, x = drawn()[0], torch.randn(3, 100, 4)
    weights = {name: value.requires_grad_() for name, value in params.items()}
    y, _ = scan(plain, weights, x, segment="auto", backend="compiled")
    assert all(item() is None for item in lent)
    y.sum().backward()
    assert len(lent) == 10 * 5 and all(item() is None for item in lent)  # each segment forward twice and backward once
    for wrong in (0, -1, 2.5, "some", True):
        with pytest.raises(InputError, match="segment is"):
            scan(plain, weights, x, segment=wrong)


def test_a_very_long_sequence() -> None:
    item = cells.min_gru()
    params = {"W": torch.randn(2, 1), "b": torch.zeros(2)}
    y, _ = scan(item, params, torch.randn(1, 1_000_000, 1), backend="compiled")
    assert y.shape == (1, 1_000_000, 1) and torch.isfinite(y).all()


def test_retained_graphs_and_in_place_changes() -> None:
    params, x = drawn()
    weights = {name: value.requires_grad_() for name, value in params.items()}
    y, _ = scan(plain, weights, x, backend="compiled")
    first = torch.autograd.grad(y.sum(), list(weights.values()), retain_graph=True)
    second = torch.autograd.grad(y.sum(), list(weights.values()))
    for a, b in zip(first, second):
        torch.testing.assert_close(a, b)
    y, _ = scan(plain, weights, x, backend="compiled")
    with torch.no_grad():
        weights["U"].add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize(
    ("level", "wanted"), [(1, "ready in"), (2, "plan of infer"), (3, "define void @part"), (4, "assembly of")]
)
def test_debugging_prints_the_stages_as_they_happen(level: int, wanted: str, monkeypatch, capsys) -> None:
    params, x = drawn()
    for given in (level, level - 1):
        monkeypatch.setenv("RONDEAU_DEBUG", str(given))
        printing.debug_level.cache_clear()
        compiled.PROGRAMS.made.cache_clear()
        scan(plain, params, x, backend="compiled")
        assert (wanted in capsys.readouterr().err) == (given == level)
    monkeypatch.setenv("RONDEAU_DEBUG", "yes")
    printing.debug_level.cache_clear()
    compiled.PROGRAMS.made.cache_clear()
    with pytest.raises(InputError, match="RONDEAU_DEBUG is 1"):
        scan(plain, params, x, backend="compiled")
    monkeypatch.undo()
    printing.debug_level.cache_clear()


def operations(run) -> int:
    """How many of PyTorch's operations a call makes, the inner ones too."""
    run()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        run()
    return sum(event.name.startswith("aten::") for event in profile.events())


@torch.no_grad()
def test_a_step_makes_no_needless_operation() -> None:
    """Half as many as PyTorch's own cell; the product of the input, the copy of the state, and views."""
    item, sizes = cells.gru(), {"input": 5, "hidden": 6}
    params = {p.name: torch.randn(p.shape(sizes)) for p in item.parameters}
    stock, x, h = torch.nn.GRUCell(5, 6), torch.randn(3, 5), torch.randn(3, 6)
    found = operations(lambda: step(item, params, x, h, backend="compiled"))
    assert found <= 27 and 2 * found < operations(lambda: stock(x, h)) + 2


@pytest.mark.parametrize(("hidden", "keeps", "inside"), [(64, False, True), (64, True, False), (512, False, False)])
def test_products_with_the_sequence_stay_in_the_loop_where_that_is_faster(hidden: int, keeps: bool, inside: bool) -> None:
    """In runs that keep nothing for a backward run and whose weights fit a core's cache."""
    params = {item.name: torch.zeros(item.shape({"input": 8, "hidden": hidden})) for item in cells.gru().parameters}
    inputs = check_inputs(cells.gru(), params, torch.zeros(4, 3, 8))
    program = compiled.PROGRAMS.of(inputs, keeps=keeps)
    assert (not program.layout.columns) is inside
