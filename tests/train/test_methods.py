"""Optimizers, schedules and devices by name: what they do, what they keep, and that a run goes on exactly with each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from classification import training
from safetensors.torch import load as read
from tiny_runs import TEXT, cut, manifest, tiny, weights

from rondeau import InputError
from rondeau.train import TrainingSettings, load, optimizer, resume, start, state
from rondeau.train.methods import OPTIMIZERS, SCHEDULES
from rondeau.train.optimizers import MAKERS, TENSORS
from rondeau.train.schedule import Plateau, schedule

METHODS = [
    {"optimizer": "adam"},
    {"optimizer": "sgd", "learning_rate": 0.5},
    {"optimizer": "sgd", "optimizer_options": {"momentum": 0.0}},
    {"optimizer": "rmsprop"},
    {"optimizer": "rmsprop", "optimizer_options": {"momentum": 0.5, "alpha": 0.9}},
    {"optimizer": "adagrad", "optimizer_options": {"lr_decay": 0.1}},
    {"schedule": "plateau", "schedule_options": {"factor": 0.3}, "learning_rate": 3.0},
    {"schedule": "plateau", "schedule_options": {"patience": 1}, "learning_rate": 3.0, "patience": 9},
    {"schedule": "linear", "schedule_options": {"floor": 0.5}},
]


@pytest.mark.parametrize("options", METHODS, ids=str)
@pytest.mark.parametrize("after", [0, 7])
def test_a_run_goes_on_exactly_with_each(tmp_path: Path, options: dict[str, object], after: int) -> None:
    start(tiny(**options), TEXT, folder=tmp_path / "whole").fit()
    run = start(tiny(**options), TEXT, folder=tmp_path / "part")
    if after:
        assert run.training is not None

        def stop(row: dict[str, float]) -> None:
            run.training.stopping = row["step"] == after  # type: ignore[union-attr]

        run.fit(stop)
    else:
        run.save()
        run.close()
    assert manifest(tmp_path / "part")["step"] == after
    resume(tmp_path / "part", TEXT).fit()
    assert weights(tmp_path / "part") == weights(tmp_path / "whole")


def test_the_tables_name_the_same_methods() -> None:
    assert set(OPTIMIZERS) == set(MAKERS) == set(TENSORS)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_is_that_of_pytorch_with_these_numbers(name: str) -> None:
    model = torch.nn.Linear(3, 2)
    made = optimizer(model, TrainingSettings(optimizer=name, learning_rate=0.1, weight_decay=0.2))
    groups = made.param_groups
    assert type(made).__name__.lower() == name and [group["weight_decay"] for group in groups] == [0.2, 0.0]
    for option, item in OPTIMIZERS[name].items():
        index = {"beta1": 0, "beta2": 1}.get(option)
        assert (groups[0][option] if index is None else groups[0]["betas"][index]) == item.default


def test_what_each_optimizer_keeps_is_what_a_checkpoint_expects(tmp_path: Path) -> None:
    for number, options in enumerate(METHODS):
        run = cut(tmp_path / str(number), 2, **options)
        path = tmp_path / str(number) / manifest(tmp_path / str(number))["files"]["state"]
        assert run.training is not None and run.training.progress.step == 2
        names = {name for name in read(path.read_bytes()) if name.startswith("optimizer.")}
        momentum = run.training.optimizer.param_groups[0].get("momentum", 0)
        fields = [field for field in TENSORS[run.settings.optimizer] if momentum or field != "momentum_buffer"]
        count = len(list(run.model.parameters()))
        assert names == {f"optimizer.{i}.{field}" for i in range(count) for field in fields}


def test_a_plateau_lowers_the_rate_and_waits_as_long_as_it_says() -> None:
    made = schedule(TrainingSettings(schedule="plateau", schedule_options={"patience": 1, "floor": 0.2}), True)
    factors = []
    for better in (True, False, False, False, True, False, False, False, False, False, False):
        made.evaluated(better)
        factors.append(made.factor(0.5))
    assert factors == [1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2, 0.2]
    other = Plateau(0.5, 1, 0.2)
    other.put_state(made.state())
    assert (other.left, other.waited) == (made.left, made.waited)  # type: ignore[attr-defined]
    made.begin()
    assert made.factor(0.5) == 1.0


def test_a_plateau_without_evaluations_is_refused() -> None:
    with pytest.raises(InputError, match="the schedule plateau waits for evaluations; hold out some data"):
        schedule(TrainingSettings(schedule="plateau"), False)


def test_more_of_a_run_begins_its_plateau_anew(tmp_path: Path) -> None:
    options = {"schedule": "plateau", "learning_rate": 50.0, "warmup": 0.0}
    run = start(tiny(**options), TEXT, folder=tmp_path / "run").fit()
    assert run.training is not None and run.training.rate() < 50.0
    on = resume(tmp_path / "run", TEXT, steps=6)
    assert on.training is not None and on.training.rate() == 50.0
    on.close()


@pytest.mark.parametrize("numbers", [[2.0, 0.0], [0.5, -1.0], [0.5, 0.5], [float("nan"), 0.0]])
def test_a_plateau_that_no_run_has_is_refused(numbers: list[float]) -> None:
    with pytest.raises(ValueError, match="its schedule is"):
        Plateau(0.5, 0, 0.0).put_state(numbers)


def test_every_schedule_falls_from_the_whole_rate_to_its_floor() -> None:
    for name in SCHEDULES:
        made = schedule(TrainingSettings(schedule=name), True)
        assert made.factor(0.0) == 1.0
        assert made.factor(1.0) == (0.01 if name in ("cosine", "linear") else 1.0)


# devices


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_device_that_is_not_there_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="device is cuda, which PyTorch does not find here; choose cpu"):
        start(tiny(device="cuda"), TEXT, folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_random_state_of_the_device_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers, found = torch.arange(16, dtype=torch.uint8), []
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda: numbers)
    monkeypatch.setattr(torch.cuda, "set_rng_state", found.append)
    run = training()
    run.settings = replace(run.settings, device="cuda")
    _, rest = state.saved(run)
    assert torch.equal(rest["random.cuda"], numbers) and dict(state._expected(run, set()))["random.cuda"] == {
        (torch.uint8, (16,))
    }
    state.restore(run, rest)
    assert torch.equal(found[0], numbers)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_run_on_another_device_goes_on_exactly_and_loads_on_the_processor(tmp_path: Path) -> None:
    options = {"device": "cuda", "dropout": 0.3, "layers": 2}
    start(tiny(**options), TEXT, folder=tmp_path / "whole").fit()
    cut(tmp_path / "part", 5, **options)
    resume(tmp_path / "part", TEXT).fit()
    assert weights(tmp_path / "part") == weights(tmp_path / "whole")
    assert next(load(tmp_path / "part").model.parameters()).device.type == "cpu"


def test_an_optimizer_is_made_of_sound_settings_only() -> None:
    with pytest.raises(InputError, match="optimizer is adamw, adam, sgd, rmsprop or adagrad, not 'lion'"):
        optimizer(torch.nn.Linear(3, 2), TrainingSettings(optimizer="lion"))
    with pytest.raises(InputError, match="learning_rate is above 0, not -1"):
        optimizer(torch.nn.Linear(3, 2), TrainingSettings(learning_rate=-1.0))
