"""The backends by name, and the one place where a run gets its backend: also under ``torch.compile`` and ``torch.export``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from rondeau.engine.backends import compiled, reference, torch_kernels
from rondeau.engine.backends.backend import Backend, BackendChoice, BackendName
from rondeau.engine.inputs.scan_inputs import ScanInputs
from rondeau.errors import InputError

BACKENDS: Mapping[BackendName, Backend] = MappingProxyType(
    {"compiled": compiled, "torch": torch_kernels, "reference": reference}
)
"""In the order in which ``auto`` prefers them."""


def choose(inputs: ScanInputs, backend: BackendChoice = "auto") -> BackendName:
    """The backend of a run: the one named, or for ``auto`` the first that does not refuse.

    Args:
        inputs: the run.
        backend: a name, or ``auto``.

    Raises:
        InputError: no such backend, or it refuses.
    """
    if backend == "auto":
        return next(name for name in BACKENDS if BACKENDS[name].refusal(inputs) is None)
    name = named(backend)
    refusal = BACKENDS[name].refusal(inputs)
    if refusal is not None:
        raise InputError(f"the backend {name} cannot run this: {refusal}; use backend='auto'")
    return name


def runs_compiled(inputs: ScanInputs, backend: BackendChoice) -> bool:
    """Whether `choose` takes ``compiled``, without asking those after it, which would read the values of lengths: where a
    program is recorded they have none."""
    return backend == "compiled" if backend != "auto" else compiled.refusal(inputs) is None


def named(backend: str) -> BackendName:
    """The backend whose name a user wrote.

    Raises:
        InputError: there is no such backend.
    """
    for name in BACKENDS:
        if name == backend:
            return name
    raise InputError(f"there is no backend {backend!r}; choose auto, {', '.join(BACKENDS)}")


def choice(backend: str) -> BackendChoice:
    """As `named`, or ``auto``."""
    return "auto" if backend == "auto" else named(backend)
