"""The device that a run learns on, and the state of its random numbers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from rondeau.errors import InputError


def device(name: str) -> torch.device:
    """The device of that name.

    Raises:
        InputError: this machine has none.
    """
    if (name == "cuda" and not torch.cuda.is_available()) or (name == "mps" and not torch.backends.mps.is_available()):
        raise InputError(f"device is {name}, which PyTorch does not find here; choose cpu, or a machine that has {name}")
    return torch.device(name)


def random_states(name: str) -> dict[str, Tensor]:
    """The state of the random numbers of the processor, and of a device beside it, by a name for each."""
    found = {"random": torch.get_rng_state()}
    if name == "cuda":
        found["random.cuda"] = torch.cuda.get_rng_state()
    if name == "mps":
        found["random.mps"] = torch.mps.get_rng_state()
    return found


def put_random_states(found: Mapping[str, Tensor]) -> None:
    """Sets what `random_states` gave."""
    torch.set_rng_state(found["random"])
    if "random.cuda" in found:
        torch.cuda.set_rng_state(found["random.cuda"])
    if "random.mps" in found:
        torch.mps.set_rng_state(found["random.mps"])
