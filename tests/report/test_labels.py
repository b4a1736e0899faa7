"""Reports of fitted estimators: what they say is what the estimator says."""

from __future__ import annotations

import numpy as np
import pytest

from rondeau.data import Labels, Sequences, StepLabels, Targets
from rondeau.errors import InputError
from rondeau.estimators import SequenceClassifier, SequenceRegressor, SequenceTagger
from rondeau.report.items import lines, shown
from rondeau.report.labels import of_classifier, of_regressor
from rondeau.report.steps import of_tagger

ARRAYS = [np.linspace(0, 1, n)[:: 1 if n % 2 else -1, None] for n in range(3, 23)]
NAMES = ["up" if n % 2 else "down" for n in range(3, 23)]


def labelled(names: list[str]) -> Sequences:
    """The arrays with these labels."""
    classes, codes = np.unique(names, return_inverse=True)
    return Sequences(ARRAYS, "numbers", Labels(codes, classes), ids=np.array([f"<{i}>" for i in range(len(ARRAYS))]))


@pytest.fixture(scope="module")
def classifier() -> SequenceClassifier:
    """Knows up from down, more or less."""
    return SequenceClassifier(hidden=4, members=1, epochs=2, random_state=0).fit(ARRAYS, NAMES)


def test_the_accuracy_is_that_of_the_estimator(classifier) -> None:
    text = "".join(each.html() for each in of_classifier(classifier, labelled(NAMES)))
    assert f"an accuracy of {classifier.score(ARRAYS, NAMES):.4f}" in text
    assert "never learned" not in text


def test_classes_are_matched_by_name_and_not_by_code(classifier) -> None:
    names = [name if place else "across" for place, name in enumerate(NAMES)]  # sorts before the others
    text = "".join(each.html() for each in of_classifier(classifier, labelled(names)))
    assert f"an accuracy of {classifier.score(ARRAYS[1:], NAMES[1:]):.4f}" in text
    assert "1 sequences are of classes that were never learned" in text


def test_what_cannot_be_compared_is_refused(classifier) -> None:
    with pytest.raises(InputError, match="none of the classes across was learned"):
        of_classifier(classifier, labelled(["across"] * len(NAMES)))
    with pytest.raises(InputError, match="have none"):
        of_classifier(classifier, Sequences(ARRAYS, "numbers"))


def test_every_target_of_a_regressor_has_its_section() -> None:
    values = np.array([[len(each), -len(each)] for each in ARRAYS], float)
    model = SequenceRegressor(hidden=4, members=1, epochs=2, random_state=0).fit(ARRAYS, values)
    data = Sequences(ARRAYS, "numbers", Targets(values, ("length", "minus")))
    sections = of_regressor(model, data)
    assert [each.title for each in sections] == ["length", "Worst cases", "minus", "Worst cases"]
    error = np.abs(model.predict(ARRAYS) - values).mean(0)
    assert f"{error[1]:.4g}" in sections[2].html()
    with pytest.raises(InputError, match="2 numbers of each sequence, and 1"):
        of_regressor(model, Sequences(ARRAYS, "numbers", Targets(values[:, :1], ("length",))))


def test_names_and_texts_stay_text() -> None:
    assert "&lt;0&gt;" in shown(labelled(NAMES), [0])[0]
    assert shown(Sequences(["<b>" * 99], "texts"), [0])[0].endswith("...")
    assert shown(Sequences([["a", "b"]], "tokens", ids=np.array(["x"])), [0]) == ["x: a b"]


def test_missing_and_constant_numbers_are_drawn() -> None:
    text = lines(np.array([[1.0, np.nan, 0.0], [1.0, np.nan, np.nan], [1.0, np.nan, 3.0]]))
    assert text.count("polyline") == 2
    assert "nan" not in text


def test_a_tagger_is_compared_tag_by_tag_and_its_worst_sequence_comes_first() -> None:
    texts = [["the", "cat", "sleeps"], ["a", "dog", "barks"], ["the", "dog", "sleeps"], ["a", "cat", "barks"]]
    model = SequenceTagger(hidden=16, epochs=30, random_state=0).fit(texts, [["D", "N", "V"]] * 4)
    codes = [np.array([0, 1, 2]), np.array([1, 1, -1]), np.array([3, 0, 0]), np.array([0, 1, 2])]
    data = Sequences(texts, "tokens", StepLabels(codes, np.array(["D", "N", "V", "X"])))
    first, worst = of_tagger(model, data)
    assert "7 of 10 steps right" in first.html()  # of X, which was never learned, nothing is said
    assert worst.parts[1].count("tag bad") == 3 and "V, not D" in worst.parts[1] and "D, not X" in worst.parts[1]
    assert worst.parts[2].count("tag bad") == 1  # and the step without a tag is no mistake
    with pytest.raises(InputError, match="tags of every step"):
        of_tagger(model, Sequences(texts, "tokens"))
