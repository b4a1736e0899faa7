"""What the commands do with the data of each kind of estimator: how they are read, split, scored and written down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from rondeau.cli.dataset import DataSet
    from rondeau.data import Sequences

Row = dict[str, Any]
Scores = dict[str, dict[str, float]]
AT_ONCE = 1000  # sequences that are predicted at a time


class Described(Protocol):
    """Data that can say what they are."""

    columns: Any

    def describe(self) -> str:
        """What was understood, in a few lines."""


@dataclass(frozen=True)
class Parts:
    """Data that were read: all, those to train on, those to score by, and how they were chosen."""

    whole: Any
    train: Any
    test: Any
    how: str

    def describe(self) -> str:
        """What was understood, in a few lines."""
        return f"{self.whole.describe()}\n{self.how}"


class Job(Protocol):
    """A kind of estimator, as the commands see it. `SequenceJob` and `SeriesJob` are such."""

    @property
    def kind(self) -> str:
        """The kind of its runs, as ``model.json`` names it."""

    @property
    def estimator(self) -> str:
        """Its name in `rondeau.estimators`."""

    def of(self, parameters: dict[str, Any]) -> Job:
        """The job of an estimator with these parameters."""

    def read(self, data: DataSet, model: Any = None) -> Any:
        """All of a file, with what is true of it; a fitted ``model`` says what can be.

        Raises:
            DataError: the file is not sound.
        """

    def parts(self, data: DataSet, parameters: dict[str, Any]) -> Parts:
        """A file, read and split.

        Raises:
            DataError: the file is not sound, or there is too little.
        """

    def pairs(self, some: Any) -> list[Any]:
        """All that makes data what they are, an item each, for `rondeau.train.fingerprint`."""

    def scores(self, model: Any, parts: Parts, floors: bool) -> Scores:
        """How good a fitted estimator is on what was held out, the last one, behind its floors."""

    def figures(self, model: Any, whole: Any) -> dict[str, float]:
        """How good a fitted estimator is on all of some data."""

    def rows(self, model: Any, data: DataSet, all_classes: bool) -> Iterator[Row]:
        """What a fitted estimator says of a file, row by row."""


def make(job: Job, parameters: dict[str, Any]) -> Any:
    """The estimator of a job, with these parameters."""
    from rondeau import estimators

    return getattr(estimators, job.estimator)(**parameters)


@dataclass(frozen=True)
class SequenceJob:
    """An estimator of labels or numbers of sequences.

    Args:
        kind: of its runs.
        estimator: its name in `rondeau.estimators`.
        goal: what is learned.
        per_step: whether that is one of each step.
    """

    kind: str
    estimator: str
    goal: Literal["label", "target"]
    per_step: bool = False

    def of(self, parameters: dict[str, Any]) -> SequenceJob:
        """See `Job.of`; what tags can say numbers as well."""
        return replace(self, goal=parameters.get("goal", self.goal))

    def read(self, data: DataSet, model: Any = None) -> Sequences:
        """See `Job.read`."""
        return self._read(data, model.classes_ if model is not None and self.goal == "label" else None)

    def _read(self, data: DataSet, classes: Any = None) -> Sequences:
        from rondeau.data import read_sequences

        known = {"goal": self.goal, "per_step": self.per_step, "kind": data.format, "classes": classes}
        return read_sequences(data.opened(), data.read_columns(), **known)

    def parts(self, data: DataSet, parameters: dict[str, Any]) -> Parts:
        """See `Job.parts`."""
        from rondeau.errors import DataError

        whole = self._read(data)
        if data.test:
            goal: Any = whole.goal
            other = replace(data.with_columns(whole.columns), source=data.test)
            test = self._read(other, goal.classes if self.goal == "label" else None)
            return Parts(whole, whole, test, f"all of it to train on, {len(test):,} of {data.test} held out")
        if not data.held_out:
            return Parts(whole, whole, None, "all of it to train on")
        split = self._split(whole, data)
        if not len(split.held_out):
            raise DataError(
                f"{data.source}: every class has one sequence, so none can be held out; name the column of the classes with "
                "--label, or add --held-out 0"
            )
        return Parts(whole, whole.take(split.train), whole.take(split.held_out), split.describe())

    def _split(self, whole: Sequences, data: DataSet) -> Any:
        """Sequences at random, of every class as many; of sequences with labels of steps the last ones, since sentences of one
        text belong together."""
        import numpy as np

        from rondeau.data import Split, split_sequences

        if not self.per_step:
            goal: Any = whole.goal
            codes = goal.codes if self.goal == "label" else None
            return split_sequences(len(whole), data.held_out, seed=data.seed, codes=codes)
        out = len(split_sequences(len(whole), data.held_out).held_out)
        places = np.arange(len(whole))
        return Split(places[:-out], places[-out:], "the last ones")

    def pairs(self, some: Sequences) -> list[Any]:
        """See `Job.pairs`."""
        goal: Any = some.goal
        if self.goal == "target":
            return list(zip(some.items, list(goal.values)))
        return [*zip(some.items, list(goal.codes)), list(map(str, goal.classes))]

    def scores(self, model: Any, parts: Parts, floors: bool) -> Scores:
        """See `Job.scores`."""
        said = self._floors(parts.train, parts.test) if floors else {}
        return {
            **{name: self._scored(parts.test, each) for name, each in said.items()},
            type(model).__name__: self._scored(parts.test, model.predict(parts.test)),
        }

    def figures(self, model: Any, whole: Sequences) -> dict[str, float]:
        """See `Job.figures`."""
        return {**self._scored(whole, model.predict(whole)), "sequences": len(whole)}

    def _scored(self, data: Sequences, said: Any) -> dict[str, float]:
        import numpy as np

        from rondeau.estimators import scores

        goal: Any = data.goal
        if self.goal == "label":
            return scores.tagging_scores(goal, said) if self.per_step else _of_classes(goal, said)
        if not self.per_step:
            return scores.regression_scores(goal.values, said)
        true = np.concatenate(goal.values)
        return scores.regression_scores(true, np.concatenate([np.reshape(each, (-1, true.shape[1])) for each in said]))

    def _floors(self, train: Sequences, test: Sequences) -> dict[str, Any]:
        from rondeau.estimators import floors

        if self.goal == "label":
            return (floors.tagging_floors if self.per_step else floors.classification_floors)(train, test)
        return (floors.step_regression_floors if self.per_step else floors.regression_floors)(train, test)

    def rows(self, model: Any, data: DataSet, all_classes: bool) -> Iterator[Row]:
        """See `Job.rows`."""
        from rondeau.data import read_parts

        first, targets = 1, data.read_columns().targets or ("target",)
        for part in read_parts(data.opened(), data.read_columns(), size=AT_ONCE, kind=data.format):
            names = list(_names(part, first))
            if self.per_step:
                yield from self._step_rows(model, part, names, targets)
            elif self.goal == "label":
                yield from _class_rows(model, part, names, all_classes)
            else:
                said = model.predict(part).reshape(len(part), -1).tolist()
                yield from ({**name, **dict(zip(targets, values))} for name, values in zip(names, said))
            first += len(part)

    def _step_rows(self, model: Any, part: Sequences, names: list[Row], targets: tuple[str, ...]) -> Iterator[Row]:
        for name, item, said in zip(names, part.items, model.predict(part)):
            for step, one in enumerate(said):
                token = {} if part.kind == "numbers" else {"token": item[step]}
                what = {"label": _plain(one)} if self.goal == "label" else dict(zip(targets, _listed(one)))
                yield {**name, "step": step + 1, **token, **what}


CLASSIFY = SequenceJob("sequence classifier", "SequenceClassifier", "label")
REGRESS = SequenceJob("sequence regressor", "SequenceRegressor", "target")
TAG = SequenceJob("sequence tagger", "SequenceTagger", "label", per_step=True)


def _of_classes(goal: Any, said: Any) -> dict[str, float]:
    from rondeau.estimators.scores import classification_scores

    return classification_scores(goal.classes[goal.codes], said)


def _class_rows(model: Any, part: Sequences, names: list[Row], all_classes: bool) -> Iterator[Row]:
    classes = [_plain(each) for each in model.classes_]
    for name, chances in zip(names, model.predict_proba(part)):
        best = int(chances.argmax())
        every = {f"probability of {each}": float(chance) for each, chance in zip(classes, chances)} if all_classes else {}
        yield {**name, "label": classes[best], "probability": float(chances[best]), **every}


def _names(part: Sequences, first: int) -> Iterator[Row]:
    """What names each sequence: its id, or where it has none its number."""
    for place in range(len(part)):
        yield {"row": first + place} if part.ids is None else {"id": _plain(part.ids[place])}


def _listed(value: Any) -> list[Any]:
    import numpy as np

    return np.atleast_1d(value).tolist()


def _plain(value: Any) -> Any:
    import numpy as np

    return value.item() if isinstance(value, np.generic) else value
