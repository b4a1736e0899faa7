"""What the commands do with labelled sequences of each kind: how they are read, scored and written down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rondeau.data import Sequences

Goal = Literal["label", "target"]
Row = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """A kind of estimator, as the commands see it.

    Args:
        kind: of its runs, as ``model.json`` names it.
        estimator: its name in `rondeau.estimators`.
        goal: what is learned: "label" or "target".
        per_step: whether that is one of each step.
    """

    kind: str
    estimator: str
    goal: Goal
    per_step: bool = False

    def make(self, **parameters: Any) -> Any:
        """The estimator with these parameters."""
        from rondeau import estimators

        return getattr(estimators, self.estimator)(**parameters)

    def classes(self, model: Any) -> Any:
        """The classes that a fitted estimator knows; None where it says numbers."""
        return model.classes_ if self.goal == "label" else None

    def true(self, data: Sequences) -> Any:
        """What is true of sequences, as ``predict`` would say it."""
        goal: Any = data.goal
        return (
            goal
            if self.per_step and self.goal == "label"
            else goal.classes[goal.codes]
            if self.goal == "label"
            else goal.values
        )

    def scores(self, data: Sequences, said: Any) -> dict[str, float]:
        """How good predictions of labelled sequences are."""
        import numpy as np

        from rondeau.estimators import scores

        if self.per_step and self.goal == "label":
            return scores.tagging_scores(self.true(data), said)
        if self.goal == "label":
            return scores.classification_scores(self.true(data), said)
        if self.per_step:
            true = np.concatenate(self.true(data))
            return scores.regression_scores(true, np.concatenate([np.reshape(each, (-1, true.shape[1])) for each in said]))
        return scores.regression_scores(self.true(data), said)

    def floors(self, train: Sequences, test: Sequences) -> dict[str, Any]:
        """What is said of ``test`` without a network, by the floor's name."""
        from rondeau.estimators import floors

        if self.goal == "label":
            return (floors.tagging_floors if self.per_step else floors.classification_floors)(train, test)
        return (floors.step_regression_floors if self.per_step else floors.regression_floors)(train, test)

    def rows(self, model: Any, part: Sequences, first: int, all_classes: bool) -> Iterator[Row]:
        """What a fitted estimator says of sequences, a row of a table each, or of each step.

        Args:
            model: the estimator.
            part: sequences.
            first: the number of the first, counted from one.
            all_classes: whether the probability of every class is told.
        """
        if self.per_step:
            yield from self._step_rows(model, part, first)
        elif self.goal == "label":
            yield from _class_rows(model, part, first, all_classes)
        else:
            names = _targets(part, model)
            for name, values in zip(_names(part, first), model.predict(part).reshape(len(part), -1)):
                yield {**name, **dict(zip(names, values.tolist()))}

    def _step_rows(self, model: Any, part: Sequences, first: int) -> Iterator[Row]:
        for name, item, said in zip(_names(part, first), part.items, model.predict(part)):
            for step, one in enumerate(said):
                token = {} if part.kind == "numbers" else {"token": item[step]}
                what = {"label": _plain(one)} if self.goal == "label" else dict(zip(_targets(part, model), _listed(one)))
                yield {**name, "step": step + 1, **token, **what}


CLASSIFY = Job("sequence classifier", "SequenceClassifier", "label")
REGRESS = Job("sequence regressor", "SequenceRegressor", "target")
JOBS = {job.kind: job for job in (CLASSIFY, REGRESS)}


def _class_rows(model: Any, part: Sequences, first: int, all_classes: bool) -> Iterator[Row]:
    classes = [_plain(each) for each in model.classes_]
    for name, chances in zip(_names(part, first), model.predict_proba(part)):
        best = int(chances.argmax())
        every = {f"probability of {each}": float(chance) for each, chance in zip(classes, chances)} if all_classes else {}
        yield {**name, "label": classes[best], "probability": float(chances[best]), **every}


def _names(part: Sequences, first: int) -> Iterator[Row]:
    """What names each sequence: its id, or where it has none its number."""
    for place in range(len(part)):
        yield {"row": first + place} if part.ids is None else {"id": _plain(part.ids[place])}


def _targets(part: Sequences, model: Any) -> tuple[str, ...]:
    named = part.columns.targets if part.columns is not None else ()
    return named or ("target",)


def _listed(value: Any) -> list[Any]:
    import numpy as np

    return np.atleast_1d(value).tolist()


def _plain(value: Any) -> Any:
    import numpy as np

    return value.item() if isinstance(value, np.generic) else value
