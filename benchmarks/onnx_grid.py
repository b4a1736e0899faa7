"""The drop-ins through PyTorch's ONNX exporters: ``python benchmarks/onnx_grid.py``.

Every mix of cell kind, depth, direction, given or missing state, packed or padded input and dropout is exported, run in
onnxruntime and compared with the module: 4 x 2 x 2 x 2 x 3 x 2 = 192 models through the TorchScript exporter, as PyTorch's own
tests take them, and the 64 padded ones through that on ``torch.export``, which knows no packed sequences. ``--stock`` exports
``torch.nn`` in place of ``rondeau.nn``. One JSON line a run is appended to benchmarks/results/onnx_grid.jsonl.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rondeau import nn

INPUT, HIDDEN, BATCH, TIME = 5, 6, 3, 7


@dataclass(frozen=True)
class Variant:
    """One model of the grid; ``packed`` is no, time-first or batch-first."""

    kind: str
    layers: int
    both: bool
    state: bool
    packed: str
    dropout: float

    def module(self, package: Any) -> torch.nn.Module:
        """The model, with weights that the seed gives."""
        torch.manual_seed(0)
        name, *activation = self.kind.split("_")
        options: dict[str, Any] = {"nonlinearity": activation[0]} if activation else {}
        layer = getattr(package, name)(
            INPUT,
            HIDDEN,
            self.layers,
            bidirectional=self.both,
            dropout=self.dropout,
            batch_first=self.packed == "batch",
            **options,
        )
        return Model(layer, self.packed).eval()

    def inputs(self, batch: int = BATCH, time: int = TIME) -> tuple[Tensor, ...]:
        """Arguments of the model."""
        torch.manual_seed(batch)
        x = torch.randn(batch, time, INPUT) if self.packed == "batch" else torch.randn(time, batch, INPUT)
        lengths = (torch.tensor([time, *(max(1, time - 2 * i) for i in range(1, batch))]),) if self.packed != "no" else ()
        shape = (self.layers * (1 + self.both), batch, HIDDEN)
        states = [torch.randn(shape) for _ in range(1 + (self.kind == "LSTM"))] if self.state else []
        return (x, *lengths, *states)


class Model(torch.nn.Module):
    """A layer whose input may be packed on the way in and is padded on the way out."""

    def __init__(self, layer: torch.nn.Module, packed: str) -> None:
        super().__init__()
        self.layer, self.packed = layer, packed

    def forward(self, x: Tensor, *more: Tensor) -> tuple[Tensor, ...]:
        """The outputs and the last states, flat."""
        first, given = self.packed == "batch", more[1:] if self.packed != "no" else more
        state = (tuple(given) if len(given) > 1 else given[0]) if given else None
        source: Any = pack_padded_sequence(x, more[0], first) if self.packed != "no" else x
        y, last = self.layer(source, state)
        y = pad_packed_sequence(y, first)[0] if self.packed != "no" else y
        return (y, *(last if isinstance(last, tuple) else (last,)))


def grid() -> Iterator[Variant]:
    """All 192."""
    kinds, packed = ("RNN_tanh", "RNN_relu", "LSTM", "GRU"), ("no", "time", "batch")
    for item in itertools.product(kinds, (1, 3), (False, True), (False, True), packed, (0.0, 0.2)):
        yield Variant(*item)


def difference(variant: Variant, package: Any, dynamo: bool) -> float:
    """The largest deviation of the exported model from the module, on the inputs of the export and, traced, on others."""
    import onnxruntime

    model, inputs = variant.module(package), variant.inputs()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = str(Path(folder) / "model.onnx")
        names = [f"in{i}" for i in range(len(inputs))]
        moving = {} if dynamo else {"dynamic_axes": {"in0": {0: "a", 1: "b"}, **_batches(variant, names)}}
        torch.onnx.export(model, inputs, path, input_names=names, dynamo=dynamo, verbose=False, **moving)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        others = [inputs] if dynamo else [inputs, variant.inputs(BATCH + 1, TIME + 2)]
        return max(_deviation(session, model, given) for given in others)


def _batches(variant: Variant, names: list[str]) -> dict[str, dict[int, str]]:
    lengths = {names[1]: {0: "c"}} if variant.packed != "no" else {}
    return lengths | {name: {1: "c"} for name in names[1 + len(lengths) :]}


def _deviation(session: Any, model: torch.nn.Module, inputs: tuple[Tensor, ...]) -> float:
    wanted = model(*inputs)
    known = {item.name for item in session.get_inputs()}
    given = {f"in{i}": value.numpy() for i, value in enumerate(inputs) if f"in{i}" in known}
    found = session.run(None, given)
    return max(float((torch.from_numpy(a) - b).abs().max()) for a, b in zip(found, wanted))


def passes(variant: Variant, package: Any = nn, dynamo: bool = False) -> str | None:
    """None, or what went wrong."""
    try:
        worst = difference(variant, package, dynamo)
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
    return None if worst < 1e-5 else f"off by {worst:.1e}"


def main() -> None:
    """Runs the grid."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stock", action="store_true", help="torch.nn in place of rondeau.nn")
    parser.add_argument("--exporter", choices=["torchscript", "dynamo"], default="torchscript")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    dynamo = arguments.exporter == "dynamo"
    variants = [variant for variant in grid() if not dynamo or variant.packed == "no"]
    faults = {}
    for variant in variants:
        fault = passes(variant, torch.nn if arguments.stock else nn, dynamo)
        if fault is not None:
            faults[json.dumps(asdict(variant))] = fault
            print(variant, fault, file=sys.stderr)
    row = {
        "stock": arguments.stock,
        "exporter": arguments.exporter,
        "models": len(variants),
        "passed": len(variants) - len(faults),
    }
    results = Path(__file__).parent / "results" / "onnx_grid.jsonl"
    with results.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row | {"torch": torch.__version__, "faults": faults}) + "\n")
    print(row)


if __name__ == "__main__":
    main()
