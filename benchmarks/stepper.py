"""Microseconds for a step of one sequence, against torch.nn in inference mode: python benchmarks/stepper.py

The layers have one sequence, as many inputs as hidden units, and the same weights: our
`Recurrent.from_torch(layer).stepper()` on NumPy and on tensors, PyTorch's layer over a sequence of one step, and PyTorch's
cell. All step along one sequence first and must agree. Then they take turns, on one thread; the least and the median of the
turns are kept.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from common import undisturbed, write
from torch import Tensor, nn

from rondeau.nn import Recurrent

SIZES, STEPS, TURNS = (64, 256), 500, 30
KINDS: dict[str, tuple[Any, Any]] = {
    "lstm": (nn.LSTM, nn.LSTMCell),
    "gru": (nn.GRU, nn.GRUCell),
    "rnn": (nn.RNN, nn.RNNCell),
}
Step = Callable[[], Any]


def contenders(kind: str, size: int, x: Tensor) -> dict[str, Step]:
    """A step of each on ``x`` (1, size), which may be written to between steps; each returns its output."""
    whole, single = KINDS[kind]
    layer, cell = whole(size, size, batch_first=True), single(size, size)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
    ours = Recurrent.from_torch(layer)
    arrays, tensors, array = ours.stepper(), ours.stepper(), x.numpy()
    state: dict[str, Any] = {"layer": None, "cell": None}

    def by_layer() -> Tensor:
        y, state["layer"] = layer(x[:, None], state["layer"])
        return y[:, 0]

    def by_cell() -> Tensor:
        state["cell"] = cell(x, state["cell"])
        return state["cell"][0] if kind == "lstm" else state["cell"]

    return {
        "numpy": lambda: arrays.step(array),
        "tensor": lambda: tensors.step(x),
        "torch_layer": by_layer,
        "torch_cell": by_cell,
    }


def agree(steps: dict[str, Step], x: Tensor) -> None:
    """Steps along a random sequence, and compares."""
    for _ in range(20):
        x.normal_()
        found = {name: torch.as_tensor(step()).clone() for name, step in steps.items()}
        for value in found.values():
            torch.testing.assert_close(value, found["torch_layer"], rtol=1e-4, atol=1e-5)


def turn(step: Step) -> float:
    """Microseconds a step."""
    begin = time.perf_counter()
    for _ in range(STEPS):
        step()
    return 1e6 * (time.perf_counter() - begin) / STEPS


@torch.inference_mode()
def measure(kind: str, size: int) -> dict[str, Any]:
    """The least and the median of the turns of each, in microseconds a step."""
    torch.manual_seed(0)
    x = torch.zeros(1, size)
    steps = contenders(kind, size, x)
    agree(steps, x)
    turns: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(TURNS):
        for name, step in steps.items():
            turns[name].append(turn(step))
    line: dict[str, Any] = {"kind": kind, "shape": [1, 1, size, size]}
    for name, values in turns.items():
        line |= {f"{name}_us": round(min(values), 2), f"{name}_median_us": round(median(values), 2)}
    best = min(line["torch_layer_us"], line["torch_cell_us"])
    return {**line, "ratio": round(best / line["numpy_us"], 2)}


def main() -> None:
    """Every kind at every size; a line of results each."""
    torch.set_num_threads(1)
    for kind in KINDS:
        for size in SIZES:
            line = undisturbed(lambda kind=kind, size=size: measure(kind, size))
            print(json.dumps(line))
            write("stepper", line)


if __name__ == "__main__":
    main()
