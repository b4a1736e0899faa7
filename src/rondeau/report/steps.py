"""What a report says of a tagger, shown sequences whose tags are known."""

from __future__ import annotations

import numpy as np

from rondeau.data import Sequences, StepLabels, StepTargets
from rondeau.errors import InputError
from rondeau.estimators import SequenceTagger
from rondeau.report import classes, numbers, tags
from rondeau.report.page import Section

WORST, LONGEST = 10, 60  # sequences that are shown, and tokens of each


def of_tagger(model: SequenceTagger, data: Sequences) -> list[Section]:
    """The sections of a tagger: of tags the confusion and the sequences with the most mistakes; of numbers how close they come.

    Args:
        model: fitted.
        data: sequences with a tag, or numbers, at every step.

    Raises:
        InputError: the sequences have nothing to compare with.
    """
    if isinstance(data.goal, StepLabels) and model.goal == "label":
        return _of_tags(model, data, data.goal)
    if isinstance(data.goal, StepTargets) and model.goal == "target":
        said = np.concatenate([each.reshape(len(each), -1) for each in model.predict(data)])
        true = np.concatenate(data.goal.values)
        known = ~np.isnan(true).any(1)
        return [numbers.closeness(true[known, place], said[known, place], name) for place, name in enumerate(data.goal.names)]
    what = "tags" if model.goal == "label" else "numbers"
    raise InputError(
        f"a report of this tagger compares with {what} of every step, and these sequences have none; name their column"
    )


def _of_tags(model: SequenceTagger, data: Sequences, goal: StepLabels) -> list[Section]:
    names = list(map(str, model.classes_))
    places = {name: code for code, name in enumerate(names)}
    said = [[str(tag) for tag in each] for each in model.predict(data)]
    true = [[str(goal.classes[code]) if code >= 0 else None for code in codes] for codes in goal.codes]
    pairs = [(places[t], places[s]) for row in zip(true, said) for t, s in zip(*row) if t in places]
    if not pairs:
        raise InputError("none of the tags in these sequences was learned; give sequences with the tags of the run")
    truth, found = np.array(pairs, np.int64).T
    counts = classes.confusion(truth, found, names)
    wrong = [sum(t is not None and t != s for t, s in zip(*row)) for row in zip(true, said)]
    order = np.argsort(-np.array(wrong), kind="stable")[:WORST]
    items = [_tokens(data, place) for place in order]
    rows = [tags.tagged(item, said[place][:LONGEST], true[place][:LONGEST]) for place, item in zip(order, items)]
    worst = tags.examples("Worst cases", "The sequences with the most wrong tags, which are marked.", rows)
    return [classes.by_class(counts, names, "steps"), worst]


def _tokens(data: Sequences, place: int) -> list[str]:
    """What stands above each tag: a token, a character, or the step's number."""
    item = data.items[place][:LONGEST]
    return [str(step + 1) for step in range(len(item))] if data.kind == "numbers" else [str(token) for token in item]
