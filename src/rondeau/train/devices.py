"""The device and the threads that a run learns on, and the seed and the state of its random numbers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from rondeau.errors import InputError
from rondeau.train.settings import TrainingSettings


def device(name: str | None) -> torch.device:
    """The device of that name; the processor if none is given.

    Raises:
        InputError: this machine has none.
    """
    if (name == "cuda" and not torch.cuda.is_available()) or (name == "mps" and not torch.backends.mps.is_available()):
        raise InputError(f"device is {name}, which PyTorch does not find here; choose cpu, or a machine that has {name}")
    return torch.device(name or "cpu")


def move(model: nn.Module, optimizer: torch.optim.Optimizer, where: torch.device) -> None:
    """Moves a model that is elsewhere, and with it what its optimizer keeps."""
    if any(each.device.type != where.type for each in (*model.parameters(), *model.buffers())):
        model.to(where)
        optimizer.load_state_dict(optimizer.state_dict())  # which goes to where the parameters are


def use_threads(count: int | None) -> None:
    """Lets PyTorch use so many threads, if a number is given.

    Raises:
        InputError: it is out of range.
    """
    if count is None:
        return
    TrainingSettings(threads=count).checked()
    torch.set_num_threads(count)


def use_seed(seed: int) -> None:
    """Begins PyTorch's random numbers with a seed of any size."""
    torch.manual_seed(seed % 2**64)


def check_seed(settings: TrainingSettings) -> None:
    """Refuses a seed that is not the default, where the random numbers did not begin with it.

    Raises:
        InputError: they did not.
    """
    seed = settings.seed
    if seed != TrainingSettings.defaults()["seed"] and torch.initial_seed() != seed % 2**64:
        raise InputError(
            f"seed is {seed}, but the random numbers began with another; call torch.manual_seed({seed}) before the model"
        )


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
