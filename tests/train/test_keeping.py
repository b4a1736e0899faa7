"""The run of any task in a folder: kept, resumed exactly, loaded, and refused where something is another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import hostile_runs
import numpy as np
import pytest
import torch
from classification import Classifier, training
from tiny_runs import SMALL, contents, cut, manifest, weights

from rondeau import InputError, RunError
from rondeau.train import BaseRun, Kind, TrainingSettings, fingerprint, keep, load, open_run
from rondeau.train.folder import RunFolder

KIND = Kind("classifier", ("classes.json",))
CLASSES = {"classes.json": '["a", "b"]'}
DATA = fingerprint([torch.arange(3), "a"], [np.ones((2, 1))])


def again(settings: TrainingSettings) -> dict[str, object]:
    """What `training` takes to have these settings."""
    return {name: value for name, value in vars(settings).items() if value is not None}


def begun(place: Path, **options: object) -> None:
    """A run that was stopped at step 23."""
    run = keep(training(**options), place, KIND, texts=CLASSES, data=DATA)
    run.fit(lambda row: setattr(run.training, "stopping", row["step"] >= 23))


@pytest.mark.parametrize("options", [{}, {"patience": 2}, {"optimizer": "sgd"}])
def test_a_run_of_any_task_goes_on_exactly(tmp_path: Path, options: dict[str, object]) -> None:
    keep(training(**options), tmp_path / "whole", KIND, texts=CLASSES, data=DATA).fit()
    begun(tmp_path / "part", **options)
    saved = open_run(tmp_path / "part", KIND)
    assert saved.facts.step == 23 and saved.texts["classes.json"] == CLASSES["classes.json"]
    assert saved.settings == training(**options).settings
    run = saved.resume(training(**again(saved.settings)), data=DATA)
    assert run.training.progress.step == 23 and len(run.record.rows) >= 23
    run.fit()
    assert weights(tmp_path / "part") == weights(tmp_path / "whole")
    model = open_run(tmp_path / "part", KIND).load_into(Classifier())
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in run.model.state_dict().items())


def test_a_folder_changes_no_number(tmp_path: Path) -> None:
    free = training(steps=9)
    free.run()
    kept = keep(training(steps=9), tmp_path / "run", "plain").fit()
    assert all(torch.equal(value, kept.model.state_dict()[name]) for name, value in free.model.state_dict().items())


def test_a_run_goes_on_for_more_and_then_once_more(tmp_path: Path) -> None:
    keep(training(steps=5), tmp_path / "run", "plain").fit()
    saved = open_run(tmp_path / "run", "plain")
    run = saved.resume(training(**again(saved.settings)), epochs=0.5).fit()
    at = run.training.progress.step
    assert run.settings.epochs == run.facts.settings["epochs"] and 5 < at == run.training.task.batches.steps(
        run.settings.epochs
    )
    saved = open_run(tmp_path / "run", "plain")
    assert saved.settings.epochs == run.settings.epochs and saved.settings.steps is None
    assert saved.resume(training(steps=5), steps=3).fit().training.progress.step == at + 3  # with the settings as it was begun


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"learning_rate": 0.5}, "was learned with learning_rate=0.05, the training given has 0.5; make it with the settings"),
        ({"steps": 90}, "with steps=60, the training given has 90; .* and ask resume for more"),
        ({"optimizer": "sgd"}, "with optimizer='adamw', the training given has 'sgd'"),
    ],
)
def test_a_training_with_other_settings_is_refused(tmp_path: Path, changed: dict[str, object], message: str) -> None:
    begun(tmp_path / "run")
    with pytest.raises(RunError, match=message):
        open_run(tmp_path / "run", KIND).resume(training(**changed), data=DATA)
    open_run(tmp_path / "run", KIND).resume(training(save_every=60.0), data=DATA).close()  # the lock was let go


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (fingerprint([torch.arange(3), "a"], [np.zeros((2, 1))]), "are not those that .* has learned: they were changed since"),
        (fingerprint([torch.arange(3)], [np.ones((2, 1))]), "there are 2 items, not 3"),
        (fingerprint([torch.arange(3)], ["a", np.ones((2, 1))]), "there are 1 items to learn from, not 2"),
        (None, "was kept with a fingerprint of its data; give data"),
    ],
)
def test_other_data_are_refused(tmp_path: Path, data: object, message: str) -> None:
    begun(tmp_path / "run")
    with pytest.raises(RunError, match=message):
        open_run(tmp_path / "run", KIND).resume(training(), data=data)


def test_data_are_refused_where_none_were_named(tmp_path: Path) -> None:
    keep(training(steps=3), tmp_path / "run", "plain").fit()
    with pytest.raises(RunError, match="was kept without a fingerprint of its data; leave out data"):
        open_run(tmp_path / "run").resume(training(steps=3), data=DATA)


PAIRS = [
    (["ab"], ["a", "b"]),
    ([["a"], "b"], [["a", "b"]]),
    ([1], [1.0]),
    (["1"], [1]),
    ([np.zeros(2, "f4")], [np.zeros(2, "f8")]),
    ([np.zeros((2, 3))], [np.zeros((3, 2))]),
    ([b"a"], ["a"]),
    ([None], ["None"]),
    ([True], [1]),
]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_data_that_differ_have_fingerprints_that_differ(one: list[object], other: list[object]) -> None:
    assert fingerprint(one) != fingerprint(other) and fingerprint(one) == fingerprint(one)


def test_a_tensor_and_its_array_are_the_same_data() -> None:
    value = torch.arange(6.0).reshape(2, 3)
    assert fingerprint([value]) == fingerprint((value.numpy(),)) == fingerprint([value.T.contiguous().T])
    with pytest.raises(InputError, match="not of set"):
        fingerprint([{1, 2}])


def test_another_kind_is_refused_both_ways(tmp_path: Path) -> None:
    begun(tmp_path / "run")
    cut(tmp_path / "words", **SMALL)
    with pytest.raises(RunError, match="holds a 'classifier', but what is asked for needs a 'language model'; give the folder"):
        load(tmp_path / "run")
    with pytest.raises(RunError, match="holds a 'language model', but what is asked for needs a 'classifier'"):
        open_run(tmp_path / "words", KIND)
    assert open_run(tmp_path / "run").kind.name == "classifier" and open_run(tmp_path / "words").kind.name == "language model"


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    begun(tmp_path / "run")
    with pytest.raises(RunError, match="has the weights of another model; make the model that its texts describe"):
        open_run(tmp_path / "run", KIND).load_into(torch.nn.Linear(2, 3))


@pytest.mark.parametrize("texts", [{}, {"more.json": ""}, {**CLASSES, "Classes.json": ""}, {**CLASSES, "model.json": ""}])
def test_texts_that_a_kind_needs_and_that_may_be_are_given(tmp_path: Path, texts: dict[str, str]) -> None:
    with pytest.raises(InputError, match="a 'classifier' has the texts classes.json, and classes.json is not|a text of a run"):
        keep(training(), tmp_path / "run", KIND, texts=texts)
    assert not (tmp_path / "run").exists()
    keep(training(), tmp_path / "run", KIND, texts={**CLASSES, "data.json": "{}"}).close()
    assert open_run(tmp_path / "run", KIND).texts["data.json"] == "{}"


@pytest.mark.parametrize(
    "make",
    [
        lambda: Kind(""),
        lambda: Kind("a\nb"),
        lambda: Kind("x" * 41),
        *(
            lambda name=name: Kind("a", (name,))
            for name in ("config.toml", "manifest.json", "../a.json", "a", "A.json", "lock")
        ),
        lambda: Kind("a", tuple(f"text{number}.json" for number in range(15))),
    ],
)
def test_a_kind_is_checked_when_it_is_made(make: Callable[[], Kind]) -> None:
    with pytest.raises(InputError, match="a kind of run is named|a text of a run has a name|at most 14 texts"):
        make()


def test_a_folder_without_a_text_of_its_kind_is_not_whole(tmp_path: Path) -> None:
    keep(training(steps=2), tmp_path / "run", "classifier").fit()
    with pytest.raises(RunError, match="is not a whole run folder: its manifest does not name classes.json"):
        open_run(tmp_path / "run", KIND)
    begun(tmp_path / "other")
    (tmp_path / "other" / "classes.json").write_text('["a", "c"]')
    with pytest.raises(RunError, match=r"classes\.json was changed or damaged since it was written"):
        open_run(tmp_path / "other", KIND)


def test_a_run_that_another_has_gone_on_with_is_not_resumed_from_an_old_reading(tmp_path: Path) -> None:
    begun(tmp_path / "run")
    early = open_run(tmp_path / "run", KIND)
    open_run(tmp_path / "run", KIND).resume(training(), data=DATA).fit()
    with pytest.raises(RunError, match="has been written by another run meanwhile"):
        early.resume(training(), data=DATA)


def test_overwriting_leaves_no_text_of_the_run_before(tmp_path: Path) -> None:
    begun(tmp_path / "run")
    (tmp_path / "run" / "mine.json").write_text("not of the run")
    with pytest.raises(RunError, match="exists already; choose another folder, or overwrite it"):
        keep(training(), tmp_path / "run", "plain")
    keep(training(steps=2), tmp_path / "run", "plain", overwrite=True).fit()
    names = {item.name for item in (tmp_path / "run").iterdir()}
    assert "classes.json" not in names and "mine.json" in names and len(manifest(tmp_path / "run")["texts"]) == 2


def test_a_new_run_of_any_kind_that_was_whole_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "settle", lambda self: None)
        patch.setattr(RunFolder, "_sweep", lambda self, **given: None)
        keep(training(steps=2), tmp_path / "run", KIND, texts=CLASSES).close()
    assert (tmp_path / "run" / ".staging" / "classes.json").exists()
    saved = open_run(tmp_path / "run", KIND)
    saved.resume(training(**again(saved.settings))).fit()
    assert (tmp_path / "run" / "classes.json").exists() and not (tmp_path / "run" / ".staging").exists()


@pytest.mark.parametrize("name", ["../a.json", "metrics.jsonl", "a.py", "/dev/zero", "manifest.json", "x" * 60 + ".json"])
def test_a_manifest_cannot_name_a_text_that_leads_elsewhere(tmp_path: Path, name: str) -> None:
    keep(training(steps=2), tmp_path / "run", KIND, texts=CLASSES).close()
    body = manifest(tmp_path / "run")
    body.pop("digest")
    body["texts"][name] = "0" * 64
    (tmp_path / "run" / "manifest.json").write_text(hostile_runs.json.dumps({**body, "digest": hostile_runs._digest(body)}))
    with pytest.raises(RunError, match=r"manifest\.json is damaged"):
        open_run(tmp_path / "run")


def test_settings_that_are_not_sound_are_refused(tmp_path: Path) -> None:
    run = keep(training(steps=2), tmp_path / "run", "plain")
    run.close()
    text = run.settings.to_toml()
    assert TrainingSettings.of(TrainingSettings.toml(text)) == replace(run.settings)
    (tmp_path / "run" / "config.toml").write_text(text.replace("steps = 2", 'steps = "two"'))
    body = manifest(tmp_path / "run")
    body.pop("digest")
    body["texts"]["config.toml"] = hostile_runs.sha256((tmp_path / "run" / "config.toml").read_bytes())
    (tmp_path / "run" / "manifest.json").write_text(hostile_runs.json.dumps({**body, "digest": hostile_runs._digest(body)}))
    with pytest.raises(InputError, match="the setting steps is int, not 'two'"):
        open_run(tmp_path / "run").settings  # noqa: B018


def finished(run: BaseRun) -> None:
    """What an estimator may do with a trained model: other weights, and a text that says what was found."""
    with torch.no_grad():
        run.model.head.bias.add_(1.0)
    run.conclude({"classes.json": '["c"]'})


@pytest.mark.parametrize("options", [{}, {"patience": 100}])
def test_what_was_made_of_a_trained_model_is_kept_and_training_goes_on_from_before(
    tmp_path: Path, options: dict[str, object]
) -> None:
    whole, plain = (keep(training(**options), tmp_path / name, KIND, texts=CLASSES).fit() for name in ("whole", "plain"))
    rows = len(whole.record.rows)
    finished(whole)
    saved = open_run(tmp_path / "whole", KIND)
    assert saved.texts["classes.json"] == '["c"]' and saved.facts.step == 60
    assert torch.equal(saved.load_into(Classifier()).head.bias, plain.model.head.bias + 1)
    assert len((tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()) == rows
    ends = []
    for name in ("whole", "plain"):
        saved = open_run(tmp_path / name, KIND)
        ends.append(saved.resume(training(**again(saved.settings)), steps=20).fit())
    one, other = (run.model.state_dict() for run in ends)
    assert all(torch.equal(value, other[name]) for name, value in one.items()) and ends[0].training.progress.step == 80
    finished(ends[0])
    finished(ends[0])
    saved = open_run(tmp_path / "whole", KIND)
    again_ended = saved.resume(training(steps=60, **options)).fit()
    assert torch.equal(again_ended.model.head.bias, other["head.bias"] + 2)


def test_a_conclusion_that_cannot_be_written_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = keep(training(steps=3), tmp_path / "run", KIND, texts=CLASSES).fit()
    before = contents(tmp_path / "run")
    monkeypatch.setattr("rondeau.train.folder.packed", lambda tensors: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(OSError, match="No space left"):
        finished(run)
    monkeypatch.undo()
    assert (
        contents(tmp_path / "run") == before
        and open_run(tmp_path / "run", KIND).texts["classes.json"] == CLASSES["classes.json"]
    )
    finished(run)
    assert open_run(tmp_path / "run", KIND).texts["classes.json"] == '["c"]'
