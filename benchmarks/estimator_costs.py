"""What an estimator costs beside its layers: ``python benchmarks/estimator_costs.py``.

- training: a step of the estimator's training against a bare loop over the same network, taking turns step by step;
- ragged: a step on batches of many lengths against one on as many true steps without padding;
- one: the time to predict a single sequence;
- memory: what the process takes while it predicts 10,000 and 100,000 sequences.

Prints a line of JSON for each that is named; without a name, for all.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from rondeau.data import RaggedBatches
from rondeau.estimators import SequenceClassifier
from rondeau.estimators.randomness import own_randomness
from rondeau.train import Training, optimizer

STEPS = 150


def sequences(count: int, seed: int = 0, least: int = 20, most: int = 80, features: int = 8) -> list[np.ndarray]:
    """Random sequences of many lengths."""
    draw = np.random.default_rng(seed)
    return [draw.normal(size=(n, features)).astype(np.float32) for n in draw.integers(least, most + 1, count)]


def begun(X: list[np.ndarray], **options: Any) -> Training:
    """A training that has not begun, always with the same weights."""
    labels = np.arange(len(X)) % 2
    with own_randomness(0):
        model = SequenceClassifier(epochs=1000, schedule="constant", validation_fraction=None, frame=1, **options)
        return model.begin(X, labels, seed=0)


def turns(first: Callable[[], Any], second: Callable[[], Any], steps: int) -> tuple[float, float, float]:
    """The least and the middle time of the first over those of the second, and the first's least in milliseconds."""
    times: tuple[list[float], list[float]] = [], []
    for _ in range(steps):
        for each, taken in zip((first, second), times):
            start = time.perf_counter()
            each()
            taken.append(time.perf_counter() - start)
    least, middle = (measure(times[0]) / measure(times[1]) for measure in (min, statistics.median))
    return round(least, 3), round(middle, 3), round(1000 * min(times[0]), 3)


def training(steps: int) -> dict[str, Any]:
    """A step of the trainer against a bare loop over the same network."""
    X = sequences(600)
    ours, theirs = begun(X), begun(X)
    task, network = theirs.task, theirs.model
    learner = optimizer(network, theirs.settings)
    targets = task.train.targets

    def bare() -> None:
        batch = task.batches.next()
        outputs = network(batch.inputs, lengths=batch.lengths)
        codes = targets[batch.places].expand(len(outputs), -1).to(outputs.dtype)
        loss = nn.functional.binary_cross_entropy_with_logits(outputs[..., 0], codes)
        learner.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        learner.step()

    for _ in range(3):
        ours.step()
        bare()
    least, middle, own = turns(ours.step, bare, steps)
    return {"what": "training", "least": least, "middle": middle, "milliseconds": own}


def ragged(steps: int) -> dict[str, Any]:
    """A step over true steps of many lengths against one over as many without any padding, per true step."""
    X = [torch.from_numpy(x) for x in sequences(2_000)]
    network = begun(sequences(100)).model
    many = RaggedBatches(X, 32)
    even = torch.cat(X)[: (sum(map(len, X)) // 50) * 50].reshape(-1, 50, 8)
    blocks = RaggedBatches(list(even), 32)

    def cost(batches: RaggedBatches) -> float:
        batch = batches.next()
        start = time.perf_counter()
        network(batch.inputs, lengths=batch.lengths).sum().backward()
        return (time.perf_counter() - start) / int(batch.lengths.sum())

    rows = np.array([[cost(many), cost(blocks)] for _ in range(steps)])
    return {"what": "ragged", "per_true_step": round(float(rows[:, 0].mean() / rows[:, 1].mean()), 3)}


def one(steps: int) -> dict[str, Any]:
    """The time to predict a single sequence of 50 steps, and a text of ten words."""
    series = sequences(64, least=50, most=50)
    texts = [f"word{i % 7} and word{i % 11} are here for us to read" for i in range(64)]
    found: dict[str, Any] = {"what": "one"}
    for name, X in (("series", series), ("text", texts)):
        model = SequenceClassifier(epochs=1, random_state=0).fit(X, np.arange(64) % 2)
        taken = []
        for _ in range(steps):
            start = time.perf_counter()
            model.predict(X[:1])
            taken.append(time.perf_counter() - start)
        found[f"{name} milliseconds"] = round(1000 * min(taken), 3)
    return found


def memory(steps: int) -> dict[str, Any]:
    """The most memory the process has taken after predicting so many sequences."""
    X = sequences(100_000, least=5, most=40, features=2)
    model = SequenceClassifier(epochs=1, members=1, hidden=32, random_state=0).fit(X[:200], np.arange(200) % 2)
    found: dict[str, Any] = {"what": "memory"}
    for count in (1_000, 10_000, 100_000):
        start = time.perf_counter()
        model.predict(X[:count])
        found[f"{count} megabytes"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
        found[f"{count} seconds"] = round(time.perf_counter() - start, 1)
    return found


MEASURES = {"training": training, "ragged": ragged, "one": one, "memory": memory}


def main() -> None:
    """Prints a line for each measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(MEASURES)}; all if none is given")
    parser.add_argument("--steps", type=int, default=STEPS)
    given = parser.parse_args()
    for name in given.names or MEASURES:
        print(json.dumps({**MEASURES[name](given.steps), "threads": torch.get_num_threads()}), flush=True)


if __name__ == "__main__":
    main()
