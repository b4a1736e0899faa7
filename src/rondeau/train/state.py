"""What a run needs, beside the weights for use, to go on exactly: as tensors with names, and back."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, cast

import torch
from torch import Tensor

from rondeau.errors import RunError
from rondeau.train import optimizers
from rondeau.train.devices import put_random_states, random_states
from rondeau.train.loop import Training
from rondeau.train.progress import Progress
from rondeau.train.task import CarryingTask
from rondeau.train.tensors import Entry
from rondeau.train.weights import copied, weights

OLD_PROGRESS = 4  # format 1 kept the first four figures, the weights as they were last, and the best in the state


def saved(training: Training) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The weights for use, and the rest: optimizer, random state, cursor, carried state, progress, the last weights."""
    rest = {**random_states(_device(training)), "progress": _vector(*vars(training.progress).values())}
    rest["cursor"] = _vector(*training.task.batches.state_dict().values())
    if numbers := training.schedule.state():
        rest["schedule"] = _vector(*numbers)
    rest.update({f"optimizer.{name}": value for name, value in optimizers.tensors(training.optimizer).items()})
    rest.update({f"carried.{name}": value for name, value in _named(training.state)})
    if training.best is None:
        return weights(training.model), copied(rest)
    last = weights(training.model) if training.last is None else training.last
    return training.best, copied({**rest, **{f"last.{name}": value for name, value in last.items()}})


def check(training: Training, entries: Mapping[str, Entry]) -> None:
    """Compares the header of a state with the run that is to take it, before anything of it is read.

    Raises:
        RunError: a tensor is missing, too many, or of another shape or type.
    """
    wanted = dict(_expected(training, set(entries)))
    for name in sorted({*wanted, *entries}):
        if name not in entries or name not in wanted:
            what = "lacks" if name in wanted else "has, beyond what it should,"
            raise RunError(f"the saved state {what} {name[:80]}; train again")
        got = (entries[name].dtype, entries[name].shape)
        if got not in wanted[name]:
            raise RunError(f"the saved state has {name} as {got[0]} of shape {got[1]}, not as this run would; train again")


def restore(training: Training, found: Mapping[str, Tensor]) -> None:
    """Goes on where `saved` was taken; the model has the weights for use already.

    Raises:
        RunError: a number is none that a run can have.
    """
    try:
        training.progress = _progress(found["progress"].tolist())
        batches = training.task.batches
        batches.load_state_dict(dict(zip(batches.state_dict(), map(int, found["cursor"].tolist()))))
        if "schedule" in found:
            training.schedule.put_state(found["schedule"].tolist())
        put_random_states(found)
    except (ValueError, OverflowError, RuntimeError) as error:
        raise RunError(f"the saved state is not one of a run ({str(error).splitlines()[0][:200]}); train again") from error
    optimizers.put(training.optimizer, _under("optimizer.", found))
    device = next(training.model.parameters()).device
    carried = {name: value.to(device) for name, value in _under("carried.", found).items()}
    training.state = _nested(_initial(training), carried, "") if carried else None
    training.best = training.last = None
    if best := _under("best.", found):
        training.best = {name: best[name] for name in weights(training.model)}
    if last := _under("last.", found):
        training.best, training.last = training.best or copied(weights(training.model)), last


def _progress(numbers: list[float]) -> Progress:
    names = [item.name for item in fields(Progress)]
    values: dict[str, Any] = dict(zip(names, numbers))
    for name, value in values.items():
        whole = name in ("step", "worse", "evaluated", "since_step")
        if math.isnan(value) or (abs(value) >= 1 << 53 and name != "best") or (whole and value != int(value)):
            raise ValueError(f"its {name} is {value}")
        values[name] = int(value) if whole else value
    made = Progress(**values)
    if len(numbers) == OLD_PROGRESS:
        made.evaluated = made.step
    if min(made.step, made.seconds, made.worse, made.since_step, made.step - made.since_step, made.since_seconds) < 0:
        raise ValueError("a count is negative")
    return made


def _expected(training: Training, names: set[str]) -> Iterator[tuple[str, set[tuple[torch.dtype, tuple[int, ...]]]]]:
    """Every tensor that a state must have, of which types and shapes."""
    for name, value in random_states(_device(training)).items():
        yield name, {(value.dtype, tuple(value.shape))}
    yield "progress", {(torch.float64, (length,)) for length in (OLD_PROGRESS, len(fields(Progress)))}
    yield "cursor", {(torch.float64, (len(training.task.batches.state_dict()),))}
    if numbers := training.schedule.state():
        yield "schedule", {(torch.float64, (len(numbers),))}
    own = {name: (value.dtype, tuple(value.shape)) for name, value in weights(training.model).items()}
    if any(name.startswith("optimizer.") for name in names):
        for name, dtype, shape in optimizers.expected(training.optimizer, training.settings):
            yield f"optimizer.{name}", {(dtype, shape)}
    if any(name.startswith("carried.") for name in names):
        for name, value in _named(_initial(training)):
            yield f"carried.{name}", {(value.dtype, tuple(value.shape))}
    for kind in ("best", "last"):
        if any(name.startswith(f"{kind}.") for name in names):
            yield from ((f"{kind}.{name}", {item}) for name, item in own.items())


def _initial(training: Training) -> Any:
    """A state such as a task carries that carries any."""
    return cast(CarryingTask[Any, Any], training.task).initial_state(training.model)


def _device(training: Training) -> str:
    """The name of the device on which a training draws random numbers, beside the processor."""
    return training.settings.device or next(training.model.parameters()).device.type


def _vector(*values: float) -> Tensor:
    return torch.tensor([float(value) for value in values], dtype=torch.float64)


def _under(prefix: str, found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix)}


def _named(state: Any, prefix: str = "") -> list[tuple[str, Tensor]]:
    if state is None:
        return []
    if isinstance(state, Tensor):
        return [(prefix, state)]
    return [item for i, part in enumerate(state) for item in _named(part, f"{prefix}.{i}" if prefix else str(i))]


def _nested(like: Any, found: dict[str, Tensor], prefix: str) -> Any:
    if isinstance(like, Tensor):
        return found[prefix]
    return tuple(_nested(part, found, f"{prefix}.{i}" if prefix else str(i)) for i, part in enumerate(like))
