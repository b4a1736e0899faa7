"""`Settings`: what it refuses, and its way to TOML and back."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rondeau.data import Text
from rondeau.errors import InputError
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
