"""A warning, once, when a run goes step by step in Python because no kernel is for its device or type."""

from __future__ import annotations

import warnings

import torch

from rondeau.engine.backends import compiled
from rondeau.engine.backends.backend import BackendChoice, BackendName
from rondeau.engine.inputs.scan_inputs import ScanInputs
from rondeau.errors import FallbackWarning

_warned: set[tuple[str, str, torch.dtype]] = set()


def warn_once(inputs: ScanInputs, asked: BackendChoice, chosen: BackendName) -> None:
    """Warns of the first run of a cell on a device and in a type for which there is no kernel, if it has any steps."""
    if asked != "auto" or chosen != "reference" or compiled.unsupported(inputs.x) is None:
        return
    device, dtype = inputs.x.device.type, inputs.x.dtype
    kind = (inputs.cell.name, device, dtype)
    if device == "meta" or not inputs.time or kind in _warned:
        return
    _warned.add(kind)
    note = (
        f"{inputs.cell.name} runs step by step in Python for {dtype} on {device}, many times slower: kernels are for float32 "
        "and float64 on the CPU; silence this with warnings.simplefilter('ignore', rondeau.FallbackWarning)"
    )
    warnings.warn(note, FallbackWarning, stacklevel=2)
