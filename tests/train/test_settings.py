"""`Settings`: what it refuses, and its way to TOML and back."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hostile_runs import seal

from rondeau.data import Text
from rondeau.errors import InputError, RunError
from rondeau.train import Settings, load, start

TINY = {"cell": "projected_lstm", "hidden": 8, "embedding": 4, "batch": 2, "window": 5, "steps": 2}
TEXT = Text.of("to be or not to be " * 20)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["minutes", "epochs", "learning_rate", "warmup", "weight_decay", "clip_norm", "dropout"])
def test_numbers_are_finite(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"^{name} is a finite number, not"):
        Settings.of({name: value}).checked()


def test_sizes_of_a_cell_are_kept(tmp_path) -> None:
    settings = Settings.of({**TINY, "sizes": {"projection": 3}})
    assert Settings.of(Settings.toml(settings.to_toml())) == settings
    start(settings, TEXT, folder=tmp_path / "run").fit()
    assert load(tmp_path / "run").model.head.in_features == 3


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"projection": 0}, "sizes are positive whole numbers, not projection=0"),
        ({"projection": "3"}, "the setting sizes is a table of whole numbers"),
        ({"projection": True}, "the setting sizes is a table of whole numbers"),
        ({"reverse": 3}, "projected_lstm has no size 'reverse'; beside input and hidden it has projection"),
        ({"hidden": 3}, "projected_lstm has no size 'hidden'"),
        (3, "the setting sizes is a table"),
    ],
)
def test_wrong_sizes_are_refused(sizes: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        start(Settings.of({**TINY, "sizes": sizes}), TEXT)


def test_a_cell_without_further_sizes_says_so() -> None:
    with pytest.raises(InputError, match="gru has no size 'projection'; it has none beside input and hidden"):
        start(Settings.of({**TINY, "cell": "gru", "sizes": {"projection": 3}}), TEXT)


def test_a_seed_of_any_size() -> None:
    start(Settings.of({**TINY, "seed": 2**70}), TEXT)


def test_settings_come_without_torch() -> None:
    script = "import sys\nfrom rondeau.train import Settings\nSettings().checked()\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


# declared once, in groups


def test_each_setting_belongs_to_one_group_and_has_help() -> None:
    names = [name for group in Settings.sections.values() for name in group.declared()]
    assert len(names) == len(set(names)) and set(names) == set(Settings.declared())
    assert all(declared.help.endswith(".") for declared in Settings.declared().values())


def test_the_saved_configuration_has_a_table_for_each_group() -> None:
    settings = Settings(hidden=5, batch=3, steps=7, schedule="plateau", schedule_options={"factor": 0.3}, clip_step=2.0)
    tables = Settings.toml(settings.to_toml())
    assert set(tables) == {"data", "model", "training"} and Settings.of(tables) == settings
    assert tables["model"]["hidden"] == 5 and tables["data"]["batch"] == 3 and tables["training"]["steps"] == 7
    for name, kind in Settings.sections.items():
        assert kind.of(tables[name]) == getattr(settings, name)


def test_settings_without_tables_are_read_as_earlier_versions_wrote_them() -> None:
    assert Settings.of({"hidden": 5, "steps": 7, "sizes": {"projection": 3}}) == Settings(
        hidden=5, steps=7, sizes={"projection": 3}
    )
    assert Settings.of({"hidden": 5, "training": {"steps": 7}}) == Settings(hidden=5, steps=7)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model": {"steps": 3}}, r"^steps is a setting of training, not of model; put it under \[training\]"),
        ({"model": {"hiden": 3}}, "^there is no setting 'hiden'; the settings are "),
        ({"model": 3}, r"^model is a table of settings, not 3; write \[model\] above them"),
        ({"hidden": 3, "model": {"hidden": 4}}, r"^the setting hidden is given twice; give it once, under \[model\]"),
        ({"vocabulary": 1.5}, "^the setting vocabulary is int, not 1.5"),
        ({"clip_norm": "much"}, "^the setting clip_norm is float, not 'much'"),
        ({"dropout": 1.0}, "^dropout lies below 1, not 1.0"),
        ({"device": "gpu"}, "^device is cpu, cuda or mps, not 'gpu'"),
        ({"optimizer": "adamax"}, "^optimizer is adamw, adam, sgd, rmsprop or adagrad, not 'adamax'"),
        (
            {"optimizer": "sgd", "optimizer_options": {"beta1": 0.9}},
            "^sgd has no setting 'beta1' of its own; it has momentum",
        ),
        (
            {"schedule": "constant", "schedule_options": {"floor": 0.1}},
            "^constant has no setting 'floor' of its own",
        ),
        ({"optimizer_options": {"beta1": 1}}, "^beta1 of adamw is a number of at least 0 and below 1, not 1"),
        ({"optimizer_options": {"eps": float("nan")}}, "^eps of adamw is a number of at least 0, not nan"),
        ({"optimizer_options": {"eps": True}}, "^the setting optimizer_options is a table of numbers, not"),
    ],
)
def test_what_is_out_of_place_is_explained(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Settings.of(values).checked()


def test_a_run_of_another_kind_is_refused(tmp_path) -> None:
    folder = tmp_path / "run"
    start(Settings.of(TINY), TEXT, folder=folder).fit()
    load(folder)
    for text, message in (
        ('{"kind": "forecaster"}', "holds a 'forecaster', but what is asked for needs a 'language model'"),
        ("[]", "model.json does not say what kind of model this is"),
    ):
        (folder / "model.json").write_text(text)
        seal(folder)
        with pytest.raises(RunError, match=message):
            load(folder)


@pytest.mark.parametrize("name", ["a\x7fb", 'a"b\\c', "a\nb\x00", "é 日 \u2028"])
def test_any_name_of_a_corpus_is_written_and_read_back(name: str) -> None:
    assert Settings.of(Settings.toml(Settings(corpus=name).to_toml())).corpus == name
