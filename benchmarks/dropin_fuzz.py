"""Random configurations of the drop-ins against torch.nn: ``python benchmarks/dropin_fuzz.py --count 1000``.

Both modules are made with the same seed. Their initial weights, state-dict keys, outputs, states and all gradients must agree,
by `torch.testing.assert_close` with its own tolerances. One JSON line a class is appended to
benchmarks/results/dropin_fuzz.jsonl. The tests run some of the same trials.

The line counts which backends ran, because they say what was compared: ``torch`` runs PyTorch's own kernels, and so does a
single step (no backend at all), so only the drop-in around them is tested. ``--backend reference`` runs our equations instead.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from rondeau import nn
from rondeau.engine import BACKENDS
from rondeau.engine.backends.registry import named
from rondeau.nn import dropin

SCAN: Any = sys.modules["rondeau.engine.scan"]  # its name in the package is the function's

LAYERS = ("LSTM", "GRU", "RNN")
KINDS = (*LAYERS, "LSTMCell", "GRUCell", "RNNCell")
LAYOUTS = ("contiguous", "strided", "transposed", "expanded", "offset")


class Trial:
    """One random configuration of a class, drawn from a seed."""

    def __init__(self, kind: str, seed: int) -> None:
        pick = random.Random(f"{kind}{seed}")
        self.kind, self.seed, self.layer = kind, seed, kind in LAYERS
        self.family = kind.removesuffix("Cell")
        self.input, self.hidden = pick.randint(1, 33), pick.randint(2, 33)
        self.options: dict[str, Any] = {"bias": pick.random() < 0.8, "dtype": pick.choice([torch.float32, torch.float64])}
        if self.family == "RNN":
            self.options["nonlinearity"] = pick.choice(["tanh", "relu"])
        self.form = pick.choice(["batch", "batch", "unbatched", "packed", "sorted"] if self.layer else ["batch", "unbatched"])
        if self.layer:
            self.options |= {
                "num_layers": pick.randint(1, 3),
                "bidirectional": pick.random() < 0.5,
                "batch_first": pick.random() < 0.5,
            }
            self.options["dropout"] = pick.choice([0.0, 0.3]) if self.options["num_layers"] > 1 else 0.0
        if kind == "LSTM" and pick.random() < 0.3:
            self.options["proj_size"] = pick.randint(1, self.hidden - 1)
        self.training, self.with_state = pick.random() < 0.7, pick.random() < 0.5
        self.batch, self.time = pick.randint(1, 7), pick.randint(1, 12)
        self.layout, self.state_layout = pick.choice(LAYOUTS), pick.choice(LAYOUTS)
        self.lengths = [pick.randint(1, self.time) for _ in range(self.batch)]

    @property
    def settings(self) -> dict[str, str]:
        """What was drawn, in words, for a report and for counting what was covered."""
        own = {k: str(v) for k, v in self.options.items()} | {"form": self.form, "layout": self.layout}
        return own | {"training": str(self.training), "state": self.state_layout if self.with_state else "none"}

    def module(self, package: Any) -> Any:
        """The module of ``torch.nn`` or ``rondeau.nn``, with the weights that the seed gives."""
        torch.manual_seed(self.seed)
        return getattr(package, self.kind)(self.input, self.hidden, **self.options).train(self.training)

    def _lead(self) -> list[int]:
        rows = [] if self.form == "unbatched" else [self.batch]
        if not self.layer:
            return rows
        return [*rows, self.time] if self.options["batch_first"] else [self.time, *rows]

    def inputs(self) -> tuple[Tensor, list[Tensor]]:
        """The input and the states, leaves, in their layouts."""
        torch.manual_seed(self.seed + 1)
        dtype = self.options["dtype"]
        x = laid_out([*self._lead(), self.input], self.layout, dtype)
        count = self.options["num_layers"] * (1 + self.options["bidirectional"]) if self.layer else 0
        rows = [*([count] if self.layer else []), *([] if self.form == "unbatched" else [self.batch])]
        widths = [self.options.get("proj_size") or self.hidden, *([self.hidden] if self.family == "LSTM" else [])]
        states = [laid_out([*rows, width], self.state_layout, dtype) for width in widths] if self.with_state else []
        return x, states

    def run(self, package: Any) -> dict[str, Tensor]:
        """Everything that must agree, by name."""
        module, (x, states) = self.module(package), self.inputs()
        found = {f"initial {name}": value.detach().clone() for name, value in module.state_dict().items()}
        hx: Any = (tuple(states) if self.family == "LSTM" else states[0]) if states else None
        given: Any = x
        if self.form in ("packed", "sorted"):
            lengths = sorted(self.lengths, reverse=True) if self.form == "sorted" else self.lengths
            given = pack_padded_sequence(x, torch.tensor(lengths), self.options["batch_first"], self.form == "sorted")
        torch.manual_seed(self.seed + 2)  # the dropout between layers
        result = module(given, hx)
        y, last = result if self.layer else ((), result)
        if isinstance(y, PackedSequence):
            found |= {name: getattr(y, name) for name in ("batch_sizes", "sorted_indices") if getattr(y, name) is not None}
            y = y.data
        outputs = {f"state {i}": v for i, v in enumerate(last if isinstance(last, tuple) else (last,))}
        outputs |= {"output": y} if self.layer else {}
        torch.manual_seed(self.seed + 3)
        torch.autograd.backward(list(outputs.values()), [torch.randn(o.shape, dtype=o.dtype) for o in outputs.values()])
        leaves = {"input": x, **{f"state {i}": v for i, v in enumerate(states)}, **dict(module.named_parameters())}
        return found | outputs | {f"gradient of {name}": leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}


def laid_out(shape: list[int], layout: str, dtype: torch.dtype) -> Tensor:
    """A random leaf of that shape with the strides that ``layout`` names."""
    if layout == "strided":
        value = torch.randn(*shape[:-1], 2 * shape[-1], dtype=dtype)[..., ::2]
    elif layout == "transposed":
        value = torch.randn(*reversed(shape), dtype=dtype).permute(*reversed(range(len(shape))))
    elif layout == "expanded":
        value = torch.randn(1, *shape[1:], dtype=dtype).expand(*shape)
    elif layout == "offset":
        value = torch.randn(shape[0] + 1, *shape[1:], dtype=dtype)[1:]
    else:
        value = torch.randn(*shape, dtype=dtype)
    return value.detach().requires_grad_()


def compare(trial: Trial) -> str | None:
    """What disagrees, in words, or None when everything agrees."""
    theirs, ours = trial.run(torch.nn), trial.run(nn)
    if list(theirs) != list(ours):
        return f"other names: {sorted(set(theirs) ^ set(ours))}"
    for name, value in theirs.items():
        try:
            exact = name.startswith("initial ") or not value.is_floating_point()
            torch.testing.assert_close(ours[name], value, **({"rtol": 0.0, "atol": 0.0} if exact else {}))
        except AssertionError as error:
            return f"{name}: {' '.join(str(error).split())}"
    return None


@contextmanager
def on(backend: str) -> Iterator[Counter[str]]:
    """Counts the backends that run; any but ``auto`` is preferred where it can run, for single steps too."""
    ran, choose, transforming = Counter[str](), SCAN.choose, dropin.transforming

    def chosen(inputs: Any, name: Any = "auto", **options: bool) -> Any:
        wanted = backend != "auto" and BACKENDS[named(backend)].refusal(inputs) is None
        found = backend if wanted else choose(inputs, name, **options)
        ran[found] += 1
        return found

    SCAN.choose = chosen
    if backend != "auto":
        dropin.transforming = lambda tensors: "asked for"
    try:
        yield ran
    finally:
        SCAN.choose, dropin.transforming = choose, transforming


def series(kind: str, first: int, count: int, backend: str = "auto") -> dict[str, Any]:
    """The result of ``count`` trials of a class."""
    with on(backend) as ran:
        result = _series(kind, first, count)
    return result | {"backend": backend, "ran": dict(ran)}


def _series(kind: str, first: int, count: int) -> dict[str, Any]:
    begin, faults, covered = time.perf_counter(), [], Counter[str]()
    for seed in range(first, first + count):
        trial = Trial(kind, seed)
        covered.update(f"{name}={value}" for name, value in trial.settings.items())
        try:
            fault = compare(trial)
        except Exception as error:  # an error of ours is a fault like any other, and the series goes on
            fault = f"{type(error).__name__}: {error}"
        if fault is not None:
            faults.append({"seed": seed, "settings": trial.settings, "fault": fault[:300]})
    seconds = round(time.perf_counter() - begin, 1)
    agreed = count - len(faults)
    return {"class": kind, "trials": count, "agreed": agreed, "seconds": seconds, "faults": faults, "covered": dict(covered)}


def main() -> None:
    """Runs, prints and records; exits with 1 when anything disagrees."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="trials of each class")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--kinds", nargs="*", default=KINDS, choices=KINDS)
    parser.add_argument("--backend", default="auto", choices=["auto", *BACKENDS])
    options = parser.parse_args()
    here = Path(__file__).resolve().parent
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=here).stdout.strip()
    where: dict[str, Any] = {"commit": commit, "torch": torch.__version__}
    where |= {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "first": options.first,
    }
    faults = 0
    for kind in options.kinds:
        result = series(kind, options.first, options.count, options.backend)
        faults += len(result["faults"])
        agreed = f"{result['agreed']} of {result['trials']} agree"
        print(f"{kind:>9}  {agreed}  ({result['seconds']} s; ran {result['ran'] or 'torch.nn'})", flush=True)
        for fault in result["faults"][:5]:
            print(f"           seed {fault['seed']}: {fault['fault'][:160]}")
        (here / "results").mkdir(exist_ok=True)
        with (here / "results" / "dropin_fuzz.jsonl").open("a", encoding="utf-8") as out:
            out.write(json.dumps(result | where) + "\n")
    raise SystemExit(1 if faults else 0)


if __name__ == "__main__":
    main()
