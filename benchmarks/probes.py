"""Figures that need a process of their own, printed as JSON: ``python benchmarks/probes.py memory rondeau 100 64 512 512``."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path


def imports() -> dict[str, float]:
    """Seconds that the import of torch takes, and what rondeau with all its layers adds."""
    begin = time.perf_counter()
    import torch  # noqa: F401

    middle = time.perf_counter()
    import rondeau
    import rondeau.nn  # noqa: F401

    return {"torch": middle - begin, "rondeau": time.perf_counter() - middle}


def memory(which: str, time_: str, batch: str, inputs: str, hidden: str) -> dict[str, float]:
    """The peak of the process in MiB, before and after three training steps of an LSTM."""
    import torch

    from rondeau import nn

    x = torch.randn(int(batch), int(time_), int(inputs), requires_grad=True)
    layers = {"rondeau": nn.LSTM, "torch": torch.nn.LSTM}
    layer = layers[which](int(inputs), int(hidden), batch_first=True)
    gradient = torch.randn(int(batch), int(time_), int(hidden))
    before = peak()
    for _ in range(3):
        layer(x)[0].backward(gradient)
    return {"before": before, "after": peak()}


def peak() -> float:
    """The most memory that this process has held so far, in MiB; a process inherits the figure of getrusage from its parent."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return float(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024


def build(cell: str, inputs: str, hidden: str) -> dict[str, float]:
    """Seconds by which the first training step of a cell exceeds the second, once another cell has been run."""
    import torch

    from rondeau import nn

    def step(layer: nn.Recurrent) -> float:
        x = torch.randn(4, 10, layer.input_size)
        begin = time.perf_counter()
        layer(x)[0].sum().backward()
        return time.perf_counter() - begin

    step(nn.Recurrent("elman", 8, 8))
    layer = nn.Recurrent(cell, int(inputs), int(hidden))
    return {"seconds": step(layer) - step(layer)}


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
