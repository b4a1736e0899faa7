"""Memory of a process that trains for an hour while cells, sizes, batches, steps and lengths change all the time:
``python benchmarks/memory_hour.py``. Each model is new, trains a few steps, and is forgotten; most kernels are built anew.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import time
from pathlib import Path

import torch
from common import fitting, write, zoo_work

from rondeau import scan
from rondeau.benchmark.measure import Shape
from rondeau.cells import ALL

PERIOD = 10.0  # seconds between looks at the memory
STEPS = 6
"""Steps of training with each model, each with a batch and a number of steps of its own."""


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def train(draw: random.Random) -> None:
    """A model of a size of its own, trained for a few steps."""
    name = draw.choice(list(ALL))
    size = Shape(time=1, batch=1, input=draw.randint(1, 96), hidden=draw.randint(4, 192))
    hidden = fitting(ALL[name], size).hidden
    for step in range(STEPS):
        shape = Shape(draw.randint(1, 150), draw.randint(1, 48), size.input, hidden)
        work = zoo_work(name, shape)
        lengths = [draw.randint(0, shape.time) for _ in range(shape.batch)] if step % 2 else None
        reverse = draw.random() < 0.3
        y, _ = scan(work.cell, work.params, work.x, lengths=lengths, reverse=reverse, backend="compiled", **work.options())
        y.square().mean().backward()
        with torch.no_grad():
            for value in work.params.values():
                value.sub_(0.01 * value.grad if value.grad is not None else 0)


def settled(samples: list[float], seconds: float, settling: float) -> dict[str, float]:
    """The mean of the five minutes after ``settling`` seconds, that of the last five, and the highest before and after."""
    each = seconds / len(samples)
    cut, five = int(settling / each), max(int(300 / each), 1)
    then, last = statistics.fmean(samples[cut : cut + five]), statistics.fmean(samples[-five:])
    found = {"highest_before": max(samples[:cut]), "highest_after": max(samples[cut:]), "then": then, "last": last}
    return {name: round(value) for name, value in found.items()} | {"growth": round(last / then - 1, 4)}


def main() -> None:
    """Trains, looks at the memory every ten seconds, and compares its end with what it held when it had settled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--settling", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw, samples, models = random.Random(options.seed), [], 0
    begin = time.perf_counter()
    while (now := time.perf_counter() - begin) < options.seconds:
        if now >= PERIOD * len(samples):
            samples.append(resident() / 1e6)
        train(draw)
        models += 1
    minutes = [round(statistics.fmean(samples[k : k + 6])) for k in range(0, len(samples), 6)]
    line = {"seconds": round(options.seconds), "settling": round(options.settling), "models": models, "steps": models * STEPS}
    write("memory_hour", {**line, **settled(samples, options.seconds, options.settling), "minutes": minutes})


if __name__ == "__main__":
    main()
