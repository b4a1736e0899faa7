"""Where the data of a run lie and how they are split, so that `rondeau resume` and `rondeau evaluate` find the same again."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rondeau.cli.jobs import Job

if TYPE_CHECKING:
    from rondeau.data import Columns, Sequences
    from rondeau.train.manifest import Fingerprint

NAME = "data.json"
INPUT = "-"


@dataclass(frozen=True)
class DataSet:
    """A file of labelled sequences, and what is held out of it to score by.

    Args:
        source: its path; "-" is the standard input.
        columns: which column plays which part, as `rondeau.data.Columns` has them.
        format: what kind of file it is, where its name does not tell.
        held_out: the part that is held out; 0 for none.
        test: another file to score by, instead.
        seed: of the choice.
    """

    source: str
    columns: Mapping[str, Any] = field(default_factory=dict)
    format: str = ""
    held_out: float = 0.2
    test: str = ""
    seed: int = 0

    def to_json(self) -> str:
        """As the text that a run folder keeps."""
        return json.dumps(asdict(self)) + "\n"

    @staticmethod
    def of(text: str, where: object) -> DataSet:
        """What `to_json` wrote.

        Raises:
            RunError: it is something else.
        """
        from rondeau.errors import RunError

        try:
            return DataSet(**json.loads(text))
        except (ValueError, TypeError, RecursionError) as error:
            raise RunError(f"{where}: {NAME} does not say where the data lie; give the file with --data") from error

    def parts(self, job: Job) -> Parts:
        """The sequences, read and split.

        Raises:
            DataError: the file is not sound.
        """
        from rondeau.errors import DataError

        whole = self.read(job)
        if self.test:
            classes = whole.goal.classes if job.goal == "label" else None  # type: ignore[union-attr]
            columns = self.columns if whole.columns is None else asdict(whole.columns)
            test = replace(self, source=self.test, columns=columns).read(job, classes)
            return Parts(job, whole, whole, test, f"all of it to train on, {len(test):,} of {self.test} held out")
        if not self.held_out:
            return Parts(job, whole, whole, None, "all of it to train on")
        split = self._split(job, whole)
        if not len(split.held_out):
            raise DataError(
                f"{self.source}: every class has one sequence, so none can be held out; name the column of the classes with "
                "--label, or add --held-out 0"
            )
        return Parts(job, whole, whole.take(split.train), whole.take(split.held_out), split.describe())

    def read_columns(self) -> Columns:
        """The columns, as a value."""
        from rondeau.data import Columns

        named: dict[str, Any] = {name: tuple(each) if isinstance(each, list) else each for name, each in self.columns.items()}
        return Columns(**named)

    def read(self, job: Job, classes: Any = None) -> Sequences:
        """The sequences of the whole file, with what is true of them.

        Args:
            job: what is learned.
            classes: those that labels may name, if they are known.

        Raises:
            DataError: the file is not sound.
        """
        from rondeau.data import read_sequences

        known = {"goal": job.goal, "per_step": job.per_step, "kind": self.format, "classes": classes}
        return read_sequences(opened(self.source), self.read_columns(), **known)

    def _split(self, job: Job, whole: Sequences) -> Any:
        """Sequences at random, of every class as many; of sequences with labels of steps the last ones, since sentences of one
        text belong together."""
        import numpy as np

        from rondeau.data import Split, split_sequences

        if not job.per_step:
            goal: Any = whole.goal
            codes = goal.codes if job.goal == "label" else None
            return split_sequences(len(whole), self.held_out, seed=self.seed, codes=codes)
        out = len(split_sequences(len(whole), self.held_out).held_out)
        places = np.arange(len(whole))
        return Split(places[:-out], places[-out:], "the last ones")


@dataclass(frozen=True)
class Parts:
    """Data that were read: all, those to train on, those to score by, and how they were chosen."""

    job: Job
    whole: Sequences
    train: Sequences
    test: Sequences | None
    how: str

    def describe(self) -> str:
        """What was understood, in a few lines."""
        return f"{self.whole.describe()}\n{self.how}"

    def fingerprint(self) -> Fingerprint:
        """What tells them apart from others."""
        from rondeau.train import fingerprint

        return fingerprint(_pairs(self.job, self.train), [] if self.test is None else _pairs(self.job, self.test))


def _pairs(job: Job, data: Sequences) -> list[Any]:
    """Each sequence with what is true of it."""
    goal: Any = data.goal
    if job.goal == "target":
        return list(zip(data.items, list(goal.values)))
    names = list(map(str, goal.classes))
    return [*zip(data.items, list(goal.codes)), names]


def opened(source: str) -> Any:
    """A path, or the bytes of the standard input."""
    return sys.stdin.buffer if source == INPUT else Path(source)


def columns_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of `rondeau.data.Columns` among options that were given; several names are a list.

    Raises:
        InputError: a list of names is not sound.
    """
    single = {name: given[name] for name in ("text", "label", "id", "time", "shape") if given.get(name)}
    lists = {"features": "features", "past": "features", "future": "future", "static": "static", "target": "target"}
    several = {part: _listed(option, given[option]) for option, part in lists.items() if given.get(option)}
    return {**single, **several}


def _listed(option: str, text: str) -> list[str]:
    """Names with commas between; one with a comma in it stands in double quotes."""
    from rondeau.errors import InputError

    names = [name.strip() for name in next(csv.reader([text], skipinitialspace=True), [])]
    if not names or not all(names):
        raise InputError(f"--{option} is names of columns with commas between, not {text!r}")
    return names


def moved(data: DataSet, to: str | None) -> DataSet:
    """The same data, that lie elsewhere now."""
    return data if to is None else replace(data, source=to)
