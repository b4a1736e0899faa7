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
"""In the order in which ``auto`` prefers them, but for `rondeau.engine.backends.torch_kernels.fastest`."""


def choose(inputs: ScanInputs, backend: BackendChoice = "auto", *, differentiable: bool | None = None) -> BackendName:
    """The backend of a run: the one named, or for ``auto`` the first that does not refuse.

    Args:
        inputs: the run.
        backend: a name, or ``auto``.
        differentiable: whether a backward pass may follow; what autograd says if not given, as inside an operator it cannot.

    Raises:
        InputError: no such backend, or it refuses.
    """
    if backend == "auto":
        return next(name for name in _preferred(inputs, differentiable) if BACKENDS[name].refusal(inputs) is None)
    name = named(backend)
    refusal = BACKENDS[name].refusal(inputs)
    if refusal is not None:
        raise InputError(f"the backend {name} cannot run this: {refusal}; use backend='auto'")
    return name


def runs_compiled(inputs: ScanInputs, backend: BackendChoice, *, differentiable: bool) -> bool:
    """Whether `choose` takes ``compiled``, without asking those after it, which would read the values of lengths: where a
    program is recorded they have none."""
    if backend != "auto":
        return backend == "compiled"
    candidates = (n for n in _preferred(inputs, differentiable) if n == "compiled" or BACKENDS[n].refusal(inputs) is None)
    return next(candidates) == "compiled" and compiled.refusal(inputs) is None


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


def _preferred(inputs: ScanInputs, differentiable: bool | None) -> tuple[BackendName, ...]:
    names = tuple(BACKENDS)
    if torch_kernels.fastest(inputs, differentiable):
        return ("torch", *(name for name in names if name != "torch"))
    return names
