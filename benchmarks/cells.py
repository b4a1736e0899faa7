"""Cells against PyTorch's own layers, forward and all gradients, or inference: ``python benchmarks/cells.py``.

Equality is asserted first; the competitors take turns in one process; the ratio is the competitor's time over ours, so above 1
is faster than PyTorch. Results are appended to benchmarks/results/cells.jsonl.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

import torch
from common import undisturbed, write

from rondeau import nn
from rondeau.benchmark.measure import Competitor, Shape, assert_equal, interleave, layer

SHAPES = (
    (100, 1, 64, 64), (100, 16, 64, 128), (100, 64, 128, 128), (100, 32, 256, 256), (100, 64, 512, 512), (35, 20, 650, 650),
    (1000, 32, 123, 320),
)  # fmt: skip
KINDS = ("LSTM", "GRU", "RNN")


def pair(kind: str, shape: Shape) -> tuple[Competitor, Competitor]:
    """Ours and theirs on the same weights and data, steps first as is PyTorch's default."""
    torch.manual_seed(0)
    theirs = getattr(torch.nn, kind)(shape.input, shape.hidden)
    ours = getattr(nn, kind)(shape.input, shape.hidden)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(shape.time, shape.batch, shape.input, requires_grad=True)
    gradient = torch.randn(shape.time, shape.batch, shape.hidden)
    return layer("ours", ours, x, gradient), layer("theirs", theirs, x, gradient)


def measured(kind: str, shape: Shape, seconds: float) -> dict[str, Any]:
    """Ratios of times, and the times of training."""
    ours, theirs = pair(kind, shape)
    assert_equal([theirs, ours])
    assert ours.infer is not None and theirs.infer is not None
    t = interleave({"ours": ours.train, "theirs": theirs.train}, seconds)
    i = interleave({"ours": ours.infer, "theirs": theirs.infer}, seconds / 3)
    return {
        "train": t["theirs"].least / t["ours"].least, "train_median": t["theirs"].median / t["ours"].median,
        "infer": i["theirs"].least / i["ours"].least, "infer_median": i["theirs"].median / i["ours"].median,
        "ours_ms": t["ours"].least, "theirs_ms": t["theirs"].least,
    }  # fmt: skip


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="*", default=KINDS)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rows", type=int, nargs="*", default=range(len(SHAPES)))
    options = parser.parse_args()
    for row in options.rows:
        for kind in options.kinds:
            figures = undisturbed(partial(measured, kind, Shape(*SHAPES[row]), options.seconds))
            write("cells", {"kind": kind, "shape": SHAPES[row], **figures})


if __name__ == "__main__":
    main()
