"""What predicts without a network, and how predictions are scored."""

from __future__ import annotations

import numpy as np
import pytest

from rondeau.data import Sequences, sequences_of
from rondeau.estimators.floors import (
    classification_floors,
    regression_floors,
    step_regression_floors,
    summaries,
    tagging_floors,
)
from rondeau.estimators.neighbour import nearest
from rondeau.estimators.scores import classification_scores, regression_scores, tagging_scores

DRAW = np.random.default_rng(0)


def warped(one: np.ndarray, other: np.ndarray) -> float:
    """The distance along the best alignment, cell by cell."""
    best = np.full((len(one) + 1, len(other) + 1), np.inf)
    best[0, 0] = 0
    for i, a in enumerate(one):
        for j, b in enumerate(other):
            best[i + 1, j + 1] = ((a - b) ** 2).sum() + min(best[i, j], best[i, j + 1], best[i + 1, j])
    return best[-1, -1]


@pytest.mark.parametrize("features", [1, 3])
def test_the_nearest_sequence_is_that_of_the_textbook(features: int) -> None:
    known = [DRAW.normal(size=(n, features)) for n in DRAW.integers(1, 9, 13)]
    asked = [DRAW.normal(size=(n, features)) for n in DRAW.integers(1, 9, 11)]
    rows = np.concatenate(known)
    mean, deviation = rows.mean(0), rows.std(0)
    slow = [int(np.argmin([warped((a - mean) / deviation, (b - mean) / deviation) for b in known])) for a in asked]
    assert nearest(known, asked).tolist() == slow


def test_much_to_compare_is_thinned_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from rondeau.estimators import neighbour

    known = [np.full((50, 1), float(value)) for value in (0, 1, 5)]
    monkeypatch.setattr(neighbour, "MOST", 100.0)
    assert neighbour._thinning(known, known) > 9
    assert nearest(known, known[::-1]).tolist() == [2, 1, 0]


def test_a_missing_number_and_a_constant_feature_do_no_harm() -> None:
    known = [np.array([[1.0, 7.0], [np.nan, 7.0]]), np.array([[-1.0, 7.0]])]
    assert nearest(known, [np.array([[0.9, np.nan]]), np.array([[-2.0, 7.0]])]).tolist() == [0, 1]


def split(items: list[object], y: object, goal: str, per_step: bool = False) -> tuple[Sequences, Sequences]:
    whole = sequences_of(items, y, goal=goal, per_step=per_step, missing=True)  # type: ignore[arg-type]
    return whole.take(np.arange(0, len(items), 2)), whole.take(np.arange(1, len(items), 2))


@pytest.mark.parametrize("words", ["all {} day", "{}", None])
def test_the_floors_of_classes_learn_what_is_easy(words: str | None) -> None:
    names = ["good", "bad", "good"] * 8
    items: list[object] = [words.format(name * 2) if words else [name, "x"] for name in names]
    train, test = split(items, names, "label")
    said = classification_floors(train, test)
    assert set(said) == {"most frequent class", "TF-IDF, logistic regression"}
    assert set(said["most frequent class"]) == {"good"}
    assert classification_scores(names[1::2], said["TF-IDF, logistic regression"])["accuracy"] == 1


def test_the_floors_of_numbers_for_sequences() -> None:
    items = [DRAW.normal(size=(3 + n % 4, 2)) for n in range(60)]
    true = np.array([[item.mean(), item[-1, 0] - item[0, 0]] for item in items])
    train, test = split(list(items), true, "target")
    said = regression_floors(train, test)
    assert np.allclose(said["mean"], true[::2].mean(0)) and said["mean"].shape == (30, 2)
    assert (
        regression_scores(true[1::2], said["ridge on a summary"])["R2"]
        > 0.9
        > regression_scores(true[1::2], said["mean"])["R2"]
    )
    assert summaries([np.zeros((2, 3)), np.full((1, 3), np.nan)]).shape == (2, 19)
    words = ["no", "one", "two", "many"]
    train, test = split([f"{words[n % 4]} of them" for n in range(60) for _ in (1, 2)], np.arange(120) // 2 % 4.0, "target")
    said = regression_floors(train, test)
    assert regression_scores(test.goal.values, said["TF-IDF, ridge"])["R2"] > 0.9  # type: ignore[union-attr]


def test_the_floors_of_steps() -> None:
    sentences: list[object] = [["the", "cat", "runs"], ["a", "cat"], ["the", "dog", "runs"], ["unknown", "cat", "runs"]] * 2
    tags = [["D", "N", "V"], ["D", "N"], ["D", "N", "V"], ["X", "N", "V"]] * 2
    train, test = split(sentences, tags, "label", per_step=True)
    said = tagging_floors(train, test)
    assert [list(each) for each in said["most frequent class of the word"][:2]] == [["D", "N"], ["D", "N", "V"]]
    assert tagging_scores(test.goal, said["most frequent class"])["accuracy"] == pytest.approx(2 / 10)  # type: ignore[arg-type]
    numbers: list[object] = [DRAW.normal(size=(5, 1)) for _ in range(20)]
    signs = [["+" if value > 0 else "-" for value in item[:, 0]] for item in numbers]  # type: ignore[index]
    train, test = split(numbers, signs, "label", per_step=True)
    found = tagging_floors(train, test)["logistic regression on the step"]
    assert tagging_scores(test.goal, found)["accuracy"] > 0.9  # type: ignore[arg-type]
    train, test = split(numbers, [3 * item + 1 for item in numbers], "target", per_step=True)  # type: ignore[operator]
    found = step_regression_floors(train, test)["ridge on the step"]
    true = np.concatenate(test.goal.values)  # type: ignore[union-attr]
    assert regression_scores(true, np.concatenate(found))["R2"] > 0.9


def test_entities_are_scored_whole_where_labels_mark_them() -> None:
    data = sequences_of([["a", "b", "c"]] * 2, [["B-P", "I-P", "O"], ["O", "O", "B-Q"]], goal="label", per_step=True)
    figures = tagging_scores(data.goal, [np.array(["B-P", "O", "O"]), np.array(["O", "O", "B-Q"])])  # type: ignore[arg-type]
    assert figures == {"accuracy": pytest.approx(5 / 6), "entity F1": 0.5}


def test_what_is_not_known_is_not_scored() -> None:
    true = np.array([[1.0], [np.nan], [3.0]])
    assert regression_scores(true, np.array([2.0, 9.0, 3.0]))["mean absolute error"] == 0.5
