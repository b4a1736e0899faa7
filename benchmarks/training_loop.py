"""What the training loop costs over a bare PyTorch loop on the same model: ``python benchmarks/training_loop.py``.

Both start from the same weights on the same windows; equality of the weights after some steps is asserted first; then the
two take turns, step by step, in one process.
"""

from __future__ import annotations

import statistics
import time

import torch
from torch import nn

from rondeau.data import Text, load_text
from rondeau.models.language_model import detached
from rondeau.train import Settings, start

STEPS = 150


def main() -> None:
    """Measures and prints the ratio of medians and of minima."""
    text = Text.of(load_text("shakespeare").text[:400_000], "shakespeare")
    settings = Settings(steps=10_000, schedule="constant", warmup=0.0)
    ours, theirs = start(settings, text).training, start(settings, text).training
    assert ours is not None and theirs is not None
    theirs.model.load_state_dict(ours.model.state_dict())
    streams, optimizer, model = theirs.task.batches, theirs.optimizer, theirs.model
    state = None

    def bare() -> None:
        nonlocal state
        window = streams.next()
        logits, after = model(window.inputs, None if window.start else state)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), window.targets.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        state = detached(after)

    for _ in range(5):
        ours.step()
        bare()
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(ours.model.parameters(), model.parameters()))
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(STEPS):
        for function, own in zip((ours.step, bare), times):
            begin = time.perf_counter()
            function()
            own.append(time.perf_counter() - begin)
    middle = statistics.median(times[0]) / statistics.median(times[1])
    print(f"ours over bare: median {middle:.3f}, minimum {min(times[0]) / min(times[1]):.3f} ({STEPS} steps each)")


if __name__ == "__main__":
    main()
