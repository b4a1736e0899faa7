"""One loop for every task: a second one, its exact resume, its metrics, and the hooks of callbacks."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import torch
from classification import Classification, Classifier, training
from tiny_runs import TEXT, tiny

from rondeau import InputError, RunError
from rondeau.train import (
    BaseRun,
    Callback,
    Checkpoints,
    EarlyStopping,
    Metric,
    Training,
    TrainingSettings,
    kinds,
    loop,
    optimizer,
    start,
    state,
)

NO_CUDA = not torch.cuda.is_available()


def saved(run: Training) -> dict[str, dict[str, torch.Tensor]]:
    """What a checkpoint of a training holds."""
    weights, rest = state.saved(run)
    return {"weights": {name: value.clone() for name, value in weights.items()}, "rest": rest}


def again(checkpoint: dict[str, dict[str, torch.Tensor]], **changed: object) -> Training:
    """A training that goes on from a checkpoint."""
    run = training(**changed)
    run.model.load_state_dict(checkpoint["weights"], strict=False)
    state.restore(run, checkpoint["rest"])
    return run


def test_another_task_is_learned_by_the_same_loop() -> None:
    run = training(steps=100)
    before = run.task.evaluate(run.model)
    run.run()
    rows = [row for row in run.record.rows if "accuracy" in row]
    assert rows[-1]["accuracy"] >= 0.8 and rows[-1]["held_out"] < before["held_out"]
    first = run.record.rows[0]
    assert {"loss", "bits", "sequences_per_second", "epoch"} <= set(first) and "tokens_per_second" not in first
    assert run.task.example(run.model) in ("class 0", "class 1")


@pytest.mark.parametrize("options", [{}, {"patience": 2}, {"steps": None, "epochs": 7.3}])
@pytest.mark.parametrize("after", [1, 7, 23])
def test_it_goes_on_exactly(options: dict[str, float], after: int) -> None:
    whole = training(**options)
    whole.run()
    part = training(**options)
    seen: list[dict[str, dict[str, torch.Tensor]]] = []

    class Cut(Callback):
        def on_step(self, training: Training) -> None:
            if training.progress.step == after:
                training.stopping = True
                seen.append(saved(training))

    part.run(Cut())
    on = again(seen[0], **options)
    assert on.progress.step == after
    on.run()
    assert on.progress.step == whole.progress.step
    for name, value in whole.model.state_dict().items():
        assert torch.equal(on.model.state_dict()[name], value), name


def test_the_first_metric_says_which_weights_are_best_in_its_own_direction() -> None:
    run, figures = training(patience=100), []

    class Seeing(Callback):
        def on_evaluation(self, training: Training, row: dict[str, float]) -> None:
            figures.append((row["accuracy"], {n: v.clone() for n, v in training.model.state_dict().items()}))

    run.run(Seeing())
    best = max(figures, key=lambda item: item[0])  # the first of equals
    assert run.progress.best == best[0] > min(figures, key=lambda item: item[0])[0]
    assert all(torch.equal(value, best[1][name]) for name, value in run.model.state_dict().items())


@pytest.mark.parametrize("count", [1, 4, 6, 60])
def test_evaluations_lie_evenly_over_the_run(count: int) -> None:
    run = training(evaluations=count)
    run.run()
    steps = [row["step"] for row in run.record.rows if "accuracy" in row]
    assert steps == [60 * number // count for number in range(1, count + 1)]


def test_epochs_of_many_lengths_are_counted_exactly() -> None:
    run = training(steps=None, epochs=3.0)
    run.run()
    assert run.task.batches.epoch == 3 and run.task.batches.passed == 3.0


class Noting(Callback):
    """Notes which hooks are called, in order."""

    def __init__(self) -> None:
        self.calls: list[str] = []


HOOKS = [name for name, value in vars(Callback).items() if inspect.isfunction(value)]
for hook in HOOKS:

    def noted(self: Noting, *given: object, hook: str = hook) -> None:
        self.calls.append(hook)

    setattr(Noting, hook, noted)


def test_there_are_at_most_eight_hooks_and_each_is_called_in_its_place() -> None:
    noting = Noting()
    training(steps=6).run(noting)
    calls = [name for name in noting.calls if name != "ends"]
    assert len(HOOKS) <= 8 and set(noting.calls) == set(HOOKS)
    assert calls[:4] == ["on_begin", "on_row", "on_evaluation", "on_row"] and calls[-2:] == ["on_step", "on_end"]
    assert calls.count("on_step") == calls.count("on_evaluation") == 6 and calls.count("on_row") == 12


def test_a_callback_can_stop_a_run_and_nothing_of_the_record_is_lost() -> None:
    class Impatient(Callback):
        def on_step(self, training: Training) -> None:
            training.stopping = training.progress.step == 55

    run = training(steps=1000)
    run.run(Impatient())
    rows = [row for row in run.record.rows if "loss" in row]
    assert run.progress.step == 55 and not run.finished and sum(row["steps"] for row in rows) == 55


@pytest.mark.parametrize("options", [{}, {"patience": 3}])
def test_a_stopped_run_goes_on_when_it_is_run_again(options: dict[str, float]) -> None:
    class Pausing(Callback):
        def on_step(self, training: Training) -> None:
            training.stopping = training.progress.step == 17

    whole = training(**options)
    whole.run()
    part = training(**options)
    part.run(Pausing())
    assert part.progress.step == 17
    part.run()
    assert part.progress.step == whole.progress.step > 17
    assert all(torch.equal(value, part.model.state_dict()[name]) for name, value in whole.model.state_dict().items())


def test_a_callback_can_end_a_run_for_good() -> None:
    class Short(Callback):
        def ends(self, training: Training) -> bool:
            return training.progress.step >= 4

    run = training()
    run.callbacks.append(Short())
    run.run()
    assert run.progress.step == 4 and run.finished


def test_a_run_takes_further_callbacks(tmp_path) -> None:
    noting = Noting()
    run = start(tiny(), TEXT, folder=tmp_path / "run").fit(callbacks=[noting])
    assert run.training is not None and noting.calls.count("on_step") == 12 and run.training.callbacks == []


def test_checkpoints_by_time_come_after_the_rows_that_they_cover() -> None:
    run, rows = training(steps=120), []
    saving = Checkpoints(lambda: rows.append(sum(row.get("steps", 0) for row in run.record.rows) == run.progress.step), 1e-9)
    run.run(saving)
    assert len(rows) == 121 and all(rows)


def test_patience_stops_a_run_without_a_callback_that_does() -> None:
    run = training(steps=400, patience=2, evaluations=100)
    assert any(isinstance(each, EarlyStopping) for each in run.callbacks)
    run.run()
    assert run.progress.step < 400 and run.progress.worse == 2 and run.last is not None


def test_patience_without_metrics_is_refused() -> None:
    made = training()
    made.task.metrics = ()
    with pytest.raises(InputError, match="patience is 2, but the task has no metrics; hold out some data"):
        Training(made.model, made.task, made.optimizer, settings=TrainingSettings(steps=3, patience=2))


@pytest.mark.skipif(not NO_CUDA, reason="needs a machine without CUDA")
def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="device is cuda, which PyTorch does not find here; choose cpu"):
        training(device="cuda")


@pytest.mark.parametrize("found", ["meta", pytest.param("cuda", marks=pytest.mark.skipif(NO_CUDA, reason="needs CUDA"))])
def test_a_model_goes_to_the_device_of_the_settings(monkeypatch: pytest.MonkeyPatch, found: str) -> None:
    monkeypatch.setattr(loop, "device", lambda name: torch.device(found))
    made = training(optimizer="adagrad", device="cpu")
    assert all(each.device.type == found for each in (*made.model.parameters(), *made.model.buffers()))
    if found == "cuda":
        assert all(part["sum"].is_cuda for part in made.optimizer.state.values())


def test_a_model_stays_where_it_was_put_when_the_settings_name_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "move", lambda *given: pytest.fail("the model was moved"))
    assert training().settings.device is None
    with pytest.raises(pytest.fail.Exception, match="was moved"):
        training(device="cpu")


def test_a_seed_that_nothing_began_with_is_refused() -> None:
    torch.manual_seed(4)
    model, settings = Classifier(), TrainingSettings(steps=3, seed=5)
    with pytest.raises(InputError, match=r"seed is 5, but the random numbers began with another; call torch.manual_seed\(5\)"):
        Training(model, Classification(), optimizer(model, settings), settings=settings)


def test_the_threads_are_those_of_the_settings() -> None:
    before = torch.get_num_threads()
    try:
        training(threads=before + 1)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_a_time_between_checkpoints_is_refused_where_nothing_saves_so_often() -> None:
    for callbacks in ((), (Checkpoints(lambda: None, 60.0),)):
        with pytest.raises(InputError, match=r"save_every is 5.0, but nothing saves so often; add the callback Checkpoints"):
            training(steps=3, save_every=5.0).run(*callbacks)
    run, saves = training(steps=3, save_every=5.0), []
    run.run(Checkpoints(lambda: saves.append(1), 5.0))
    assert saves and run.finished


def test_a_batch_of_nothing_is_told_apart_from_a_loss_that_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Classification, "loss", lambda self, model, batch, state: (model.head.bias.sum(), 0, None))
    with pytest.raises(RunError, match="loss is a sum over 0 sequences at step 1, which has no mean; give batches"):
        training().run()


def test_an_evaluation_without_a_metric_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Classification, "evaluate", lambda self, model: {"accuracy": 0.5, "loss": 1.0})
    with pytest.raises(RunError, match="the task has the metric held_out, but its evaluate gave accuracy, loss; use the same"):
        training().run()


def test_a_metric_is_said_in_its_own_words() -> None:
    assert Metric("accuracy", higher_is_better=True).say(0.87654) == "accuracy 0.8765"
    assert Metric("mean_error", wording="error {:.1f} degrees").say(1.23) == "error 1.2 degrees"


TEXTS = {"model.json": kinds.Kind("classifier").to_json(), "config.toml": ""}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("adam", {"amsgrad": True}, "has amsgrad=True, the adam of the settings amsgrad=False; they keep other tensors"),
        ("adamw", {"amsgrad": True}, "has amsgrad=True, the adamw"),
        ("rmsprop", {"centered": True}, "has centered=True, the rmsprop"),
        ("rmsprop", {"momentum": 0.5}, "has momentum=0.5, the rmsprop of the settings momentum=0.0"),
        ("sgd", {}, "has momentum=0, the sgd of the settings momentum=0.9"),
    ],
)
def test_a_folder_is_not_begun_with_options_that_change_what_is_kept(
    tmp_path: Path, name: str, options: dict[str, object], message: str
) -> None:
    made = training(optimizer=name)
    made.optimizer = type(made.optimizer)(made.model.parameters(), lr=0.1, **options)
    with pytest.raises(InputError, match=message):
        BaseRun(model=made.model, settings=made.settings, training=made).create(tmp_path / "run", TEXTS)
    assert not (tmp_path / "run").exists()


def test_a_folder_is_not_begun_with_an_optimizer_that_the_settings_do_not_name(tmp_path: Path) -> None:
    made = training()
    made.optimizer = torch.optim.SGD(made.model.parameters(), lr=0.1)
    with pytest.raises(InputError, match="the settings name adamw, but the optimizer is of the class SGD"):
        BaseRun(model=made.model, settings=made.settings, training=made).create(tmp_path / "run", TEXTS)
    assert not (tmp_path / "run").exists()
