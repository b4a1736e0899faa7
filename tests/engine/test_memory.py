"""Memory is handed on only when nothing can read it any more, whoever holds it and in whatever thread."""

from __future__ import annotations

import gc
import multiprocessing
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from rondeau import cells, scan
from rondeau.cells import ALL
from rondeau.engine import Stepper
from rondeau.engine.runtime import arena
from rondeau.engine.runtime.arena import Pool
from rondeau.ir import Cell

ALIASES: dict[str, Callable[[Tensor], Any]] = {
    "detach": lambda t: t.detach(),
    "data": lambda t: t.data,
    "view": lambda t: t.view(-1),
    "slice": lambda t: t[3:],
    "strided": lambda t: t.as_strided((4,), (1,), 2),
    "alias of an alias": lambda t: t.detach().view(-1)[1:].data,
    "array": lambda t: t.numpy(),
    "buffer": lambda t: memoryview(t.numpy()),
    "storage": lambda t: t.untyped_storage(),
    "capsule": lambda t: t.__dlpack__(),
    "other library": lambda t: np.from_dlpack(t),
    "parameter": lambda t: torch.nn.Parameter(t),
}


@pytest.fixture(autouse=True)
def _small(monkeypatch) -> Iterator[None]:
    """Even the smallest run borrows."""
    monkeypatch.setattr(arena, "SMALL", 0)
    arena._pool.clear()
    yield
    arena._pool.clear()


@pytest.mark.parametrize("alias", ALIASES.values(), ids=list(ALIASES))
def test_a_block_comes_back_when_its_last_alias_is_gone(alias: Callable[[Tensor], Any]) -> None:
    like = torch.empty(0)
    lent = arena.allocate(like, 100)
    kept = alias(lent)
    address = lent.data_ptr()
    del lent
    gc.collect()
    assert len(arena._pool) == 0
    assert arena.allocate(like, 100).data_ptr() != address
    del kept
    gc.collect()
    assert arena.allocate(like, 100).data_ptr() == address


def test_what_is_lent_is_as_torch_would_make_it() -> None:
    for dtype in (torch.float32, torch.float64):
        with torch.inference_mode():
            lent = arena.allocate(torch.empty(0, dtype=dtype), 1001)
        assert lent.dtype == dtype and lent.shape == (1001,) and lent.is_contiguous()
        assert lent.data_ptr() % 64 == 0 and not lent.is_inference() and not lent.requires_grad
        assert lent.untyped_storage().nbytes() == 1001 * dtype.itemsize  # nothing behind it can be reached
        again = torch.zeros(3, dtype=dtype, requires_grad=True).sum()
        lent.fill_(1).mul_(again.detach())


def drawn(cell: Cell, batch: int = 3, time: int = 5, seed: int = 0) -> dict[str, Any]:
    draw = torch.Generator().manual_seed(seed)
    sizes = {"input": 5, "hidden": 12, "projection": 3, "output": 4, "context": 3}
    known = {name: sizes[name] for name in cell.sizes}
    params = {p.name: 0.5 * torch.randn(p.shape(known), generator=draw) for p in cell.parameters}
    lead = {"step": (batch, time), "sequence": (batch,)}
    context = {c.name: torch.rand(*lead[c.per], c.width.bind(known), generator=draw) for c in cell.contexts}
    return {"params": params, "x": torch.randn(batch, time, 5, generator=draw), "context": context}


def run(cell: Cell, given: dict[str, Any], backend: str = "compiled", **options: Any) -> tuple[Tensor, list[Tensor]]:
    """A number that depends on every result, and what its gradient is asked of."""
    leaves = [value.detach().clone().requires_grad_() for value in (given["x"], *given["params"].values())]
    params = dict(zip(given["params"], leaves[1:]))
    y, state, *_ = scan(cell, params, leaves[0], context=given["context"], backend=backend, **options)
    return y.square().sum() + sum(s.sin().sum() for s in state), leaves


def gradients(total: Tensor, leaves: list[Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad(total, leaves, materialize_grads=True)


@pytest.mark.parametrize("name", ALL)
def test_a_hook_may_keep_an_alias_of_what_is_saved(name: str) -> None:
    cell = ALL[name]
    given = drawn(cell)
    expected = gradients(*run(cell, given))
    gc.collect()
    with saved_tensors_hooks(lambda t: t.detach(), lambda t: t):
        total, leaves = run(cell, given)
    for seed in (1, 2, 3):
        run(cell, drawn(cell, seed=seed))
    for a, b in zip(gradients(total, leaves), expected, strict=True):
        assert torch.equal(a, b)


def shifted(value: Tensor) -> Tensor:
    """The same numbers, from an address that no vector is aligned to."""
    return torch.empty(value.numel() + 3, dtype=value.dtype)[3:].view(value.shape).copy_(value)


@pytest.mark.parametrize("back", [shifted, lambda t: t.numpy().copy(), lambda t: t.clone()], ids=["shifted", "array", "clone"])
def test_a_hook_may_hand_back_a_copy(back: Callable[[Tensor], Any]) -> None:
    given = drawn(cells.lstm())
    expected = gradients(*run(cells.lstm(), given))
    with saved_tensors_hooks(back, torch.as_tensor):
        total, leaves = run(cells.lstm(), given)
    run(cells.lstm(), drawn(cells.lstm(), seed=1))
    for a, b in zip(gradients(total, leaves), expected, strict=True):
        assert torch.equal(a, b)


def test_one_graph_may_be_run_back_by_several_threads() -> None:
    given = drawn(cells.peephole_lstm())
    expected = gradients(*run(cells.peephole_lstm(), given))
    total, leaves = run(cells.peephole_lstm(), given)
    found: list[tuple[Tensor, ...]] = []

    def work() -> None:
        for _ in range(10):
            found.append(torch.autograd.grad(total, leaves, retain_graph=True, materialize_grads=True))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 40 and all(torch.equal(a, b) for values in found for a, b in zip(values, expected, strict=True))


@pytest.mark.parametrize("name", ["lstm", "gru", "layer_norm_gru", "clockwork", "conditioned_lstm", "peephole_lstm_full"])
def test_results_and_gradients_belong_to_the_caller(name: str) -> None:
    cell = ALL[name]
    given = drawn(cell)
    params = {key: value.clone().requires_grad_() for key, value in given["params"].items()}
    x = given["x"].clone().requires_grad_()
    equation = next(e.name for e in cell.equations)
    for options in ({}, {"lengths": [5, 2, 3], "reverse": True}):
        y, state, traces = scan(cell, params, x, context=given["context"], trace=(equation,), backend="compiled", **options)
        total = y.square().sum() + sum(s.sum() for s in state) + traces[equation].sum()
        found = torch.autograd.grad(total, [x, *params.values()], materialize_grads=True)
        results = [y, *state, *traces.values(), *found]
        copies = [value.detach().clone() for value in results]
        storages = [value.untyped_storage().data_ptr() for value in results]
        for seed in (4, 5, 6):
            gradients(*run(cell, drawn(cell, seed=seed)))
        assert all(torch.equal(a, b) for a, b in zip(results, copies, strict=True))
        lent = {block.ctypes.data for _, block in arena._pool._free.values()}
        assert len(arena._pool) and not lent & set(storages)


def test_a_stepper_keeps_what_it_runs_in() -> None:
    cell = ALL["peephole_lstm"]
    params, table = drawn(cell)["params"], torch.randn(7, 5)
    entries = [3, 1, 6, 0, 2, 5]
    stepper = Stepper(cell, params, table)
    found = []
    for entry in entries:
        found.append(stepper.step(entry).copy())
        gradients(*run(cell, drawn(cell, seed=entry, batch=1, time=7)))
    expected, state = scan(cell, params, table[entries].unsqueeze(0), backend="reference")
    torch.testing.assert_close(torch.from_numpy(np.stack(found)), expected[0])
    torch.testing.assert_close(stepper.state, state)


def test_threads_do_not_read_one_anothers_memory() -> None:
    cell = cells.lstm()
    data = [drawn(cell, seed=seed) for seed in range(8)]
    expected = [gradients(*run(cell, given)) for given in data]
    wrong: list[int] = []

    def work(first: int) -> None:
        kept = []
        for k in range(24):
            index = (first + k) % len(data)
            with saved_tensors_hooks(lambda t: t.detach(), lambda t: t):
                kept.append((index, run(cell, data[index])))
            if len(kept) == 3:
                index, (total, leaves) = kept.pop(0)
                found = gradients(total, leaves)
                wrong.extend([index] * (not all(torch.equal(a, b) for a, b in zip(found, expected[index], strict=True))))

    workers = [threading.Thread(target=work, args=(first,)) for first in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []


def lending(blocks: Pool, size: int) -> tuple[arena.Key, np.ndarray]:
    return blocks.take((torch.float32, size), lambda: np.empty(size, np.float32))


def test_blocks_are_bounded_and_the_oldest_go_first() -> None:
    blocks = Pool(limit=1000)
    lent = [lending(blocks, 100) for _ in range(4)]
    assert (blocks.used_bytes, blocks.free_bytes, blocks.peak_bytes) == (1600, 0, 1600)
    for key, block in lent:
        blocks.give(key, block)
    assert (blocks.used_bytes, blocks.free_bytes) == (0, 800)
    assert lending(blocks, 100)[1] is lent[3][1] and lending(blocks, 100)[1] is lent[2][1]
    assert all(lending(blocks, 100)[1] is not block for _, block in lent)


def test_a_block_larger_than_all_that_may_be_kept_is_let_go() -> None:
    blocks = Pool(limit=1000)
    blocks.give(*lending(blocks, 1000))
    assert (len(blocks), blocks.free_bytes, blocks.used_bytes) == (0, 0, 0)


def test_no_more_is_kept_than_twice_what_was_ever_in_use() -> None:
    blocks = Pool(limit=1 << 30)
    for size in (*range(1000, 100, -10), *range(100, 1000, 10)):
        first, second = lending(blocks, size), lending(blocks, size)
        assert len(first[1]) < 1.5 * size and first[1] is not second[1]
        blocks.give(*first)
        blocks.give(*second)
        assert blocks.free_bytes + blocks.used_bytes <= 2 * blocks.peak_bytes == 2 * 8000


def test_a_block_serves_what_is_a_little_smaller() -> None:
    blocks = Pool(limit=1 << 30)
    lent = [lending(blocks, size) for size in (100, 130, 200)]
    for key, block in lent:
        blocks.give(key, block)
    for size, expected in ((110, lent[1]), (99, lent[0]), (134, lent[2])):
        found = lending(blocks, size)
        assert found[1] is expected[1] and found[0] == expected[0]
        blocks.give(*found)
    assert len(lending(blocks, 133)[1]) == 133
    assert len(blocks.take((torch.float64, 100), lambda: np.empty(100))[1]) == 100


def test_a_block_may_come_back_while_the_lock_is_held() -> None:
    blocks = Pool(limit=1000)
    lent = lending(blocks, 10)
    with blocks._lock:
        blocks.give(*lent)
    assert lending(blocks, 10)[1] is lent[1]


def _child(queue: Any) -> None:
    queue.put(float(gradients(*run(cells.lstm(), drawn(cells.lstm())))[0].sum()))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
def test_a_child_forked_while_the_lock_is_held_does_not_wait_for_it() -> None:
    expected = float(gradients(*run(cells.lstm(), drawn(cells.lstm())))[0].sum())
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    with arena._pool._lock:
        child = context.Process(target=_child, args=(queue,))
        child.start()
    assert queue.get(timeout=60) == pytest.approx(expected)
    child.join(timeout=60)


def test_what_is_still_held_at_the_end_of_the_process_does_no_harm() -> None:
    text = """
import atexit, torch
from rondeau import cells
from rondeau.engine.runtime import arena
from rondeau.nn import Recurrent
held = arena.allocate(torch.empty(0), 1 << 20)
array = arena.allocate(torch.empty(0), 1 << 20).numpy()
y, _ = Recurrent(cells.gru(), 64, 64)(torch.randn(32, 100, 64))
atexit.register(lambda: arena.allocate(torch.empty(0), 1 << 20).sum())
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
