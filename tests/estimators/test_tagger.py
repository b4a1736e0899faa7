"""The estimator of tags and numbers at every step."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score

from rondeau.data import bio_follows, entity_scores, read_sequences, sequences_of
from rondeau.errors import InputError, RondeauError
from rondeau.estimators import SequenceTagger, load
from rondeau.models import Tokens, Words

SMALL: dict[str, Any] = {
    "hidden": 10, "embedding": 8, "epochs": 20, "batch_size": 15, "learning_rate": 0.05, "dropout": 0.0, "random_state": 0,
    "threads": 1,
}  # fmt: skip
STEMS = ["lamp", "dog", "walk", "sing", "house", "train", "green", "talk", "paint", "cook"]


def words(count: int = 60, seed: int = 0) -> tuple[list[list[str]], list[list[str]]]:
    """Words whose tag is how they end, and behind "to" another; the stems of seed 1 and more were not seen by seed 0."""
    draw, stems = np.random.default_rng(seed), STEMS if seed == 0 else [stem[::-1] for stem in STEMS]
    texts, tags = [], []
    for _ in range(count):
        text, own = [], []
        for _ in range(draw.integers(1, 8)):
            ending = str(draw.choice(["ing", "ed", "ly", ""]))
            behind = bool(text) and text[-1] == "to"
            text.append("to" if draw.random() < 0.2 else str(draw.choice(stems)) + ending)
            own.append("TO" if text[-1] == "to" else "VB" if behind else {"ing": "G", "ed": "D", "ly": "R", "": "N"}[ending])
        texts.append(text)
        tags.append(own)
    return texts, tags


def sums(count: int = 40, seed: int = 0) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Numbers, and their running sums."""
    draw = np.random.default_rng(seed)
    X = [draw.normal(size=(int(n), 1)) for n in draw.integers(2, 9, count)]
    return X, [100 + 10 * x[:, 0].cumsum() for x in X]


@pytest.fixture(scope="module")
def fitted() -> SequenceTagger:
    return SequenceTagger(**SMALL).fit(*words())


def test_it_tells_words_that_it_never_saw_by_how_they_are_written(fitted: SequenceTagger) -> None:
    assert fitted.score(*words()) > 0.98
    X, y = words(seed=1)
    assert fitted.score(X, y) > 0.8
    plain = SequenceTagger(**{**SMALL, "spelling": False}).fit(*words())
    assert plain.score(X, y) < 0.7
    assert isinstance(fitted.network_.encoder.reader, Words) and isinstance(plain.network_.encoder.reader, Tokens)


def test_predictions_are_lists_of_tags_in_the_order_given(fitted: SequenceTagger) -> None:
    X, y = words(seed=3)
    found = fitted.predict(X)
    assert [len(tags) for tags in found] == [len(text) for text in X]
    assert all(isinstance(tag, str) for tags in found for tag in tags)
    assert [fitted.predict([text])[0] for text in X] == found
    sure = fitted.predict_proba(X)
    assert [fitted.classes_[each.argmax(1)].tolist() for each in sure] == found
    np.testing.assert_allclose(np.concatenate(sure).sum(1), 1, atol=1e-5)
    right = [a == b for own, true in zip(found, y) for a, b in zip(own, true)]
    assert fitted.score(X, y) == pytest.approx(np.mean(right))


def entities(count: int = 80) -> tuple[list[list[str]], list[list[str]]]:
    """A person is Mr and one or two names."""
    draw, texts, tags = np.random.default_rng(0), [], []
    for _ in range(count):
        text, own = [], []
        for _ in range(draw.integers(1, 4)):
            if draw.random() < 0.5:
                names = [str(name) for name in draw.choice(["Ada", "Lovelace", "Alan", "Turing"], draw.integers(1, 3))]
                text += ["Mr", *names]
                own += ["B-PER"] + ["I-PER"] * len(names)
            text.append(str(draw.choice(["saw", "and", "then", "Ada"])))
            own.append("I-PER" if own and text[-1] == "Ada" and own[-1] != "O" else "O")
        texts.append(text)
        tags.append(own)
    return texts, tags


@pytest.mark.parametrize("constrained", [False, True])
def test_a_chain_decides_over_bio_tags(constrained: bool) -> None:
    X, y = entities()
    model = SequenceTagger(**{**SMALL, "epochs": 12}, constrained=constrained).fit(X, y)
    assert model.network_.crf is not None and model.network_.crf.constrained == constrained
    assert entity_scores(y, model.predict(X)).f1 > 0.95
    follows, classes = bio_follows(model.classes_), model.classes_.tolist()
    for tags in SequenceTagger(**{**SMALL, "epochs": 1}).fit(X, y).predict(X):
        codes = [classes.index(tag) for tag in tags]
        assert follows.first[codes[0]] and follows.after[codes[:-1], codes[1:]].all()
    np.testing.assert_allclose(np.concatenate(model.predict_proba(X[:5])).sum(1), 1, atol=1e-4)
    assert SequenceTagger(**{**SMALL, "crf": False, "epochs": 1}).fit(X, y).network_.crf is None


def test_numbers_at_every_step() -> None:
    X, y = sums()
    model = SequenceTagger(**{**SMALL, "epochs": 40}, goal="target").fit(X, y)
    assert model.score(X, y) > 0.95
    found = model.predict(X)
    assert found[0].shape == y[0].shape and np.abs(np.concatenate(found) - np.concatenate(y)).mean() < 5
    both = SequenceTagger(**{**SMALL, "epochs": 1}, goal="target", loss="absolute").fit(X, [np.stack([v, -v], 1) for v in y])
    assert both.predict(X)[0].shape == (len(X[0]), 2)
    rows = pd.Series(y, index=range(100, 100 + len(y)))  # whose rows have names of their own, as those of a part of a frame
    assert SequenceTagger(**{**SMALL, "epochs": 1}, goal="target").fit(X, rows).predict(X)[0].shape == y[0].shape
    with pytest.raises(InputError, match="numbers have no probabilities"):
        model.predict_proba(X)


def test_steps_that_do_not_count_neither_teach_nor_score() -> None:
    X, y = words()
    other = [["G"] * (len(tags) - 1) + tags[-1:] for tags in y]
    settings = {**SMALL, "epochs": 3}
    one, two = (SequenceTagger(**settings, steps=(-1, -1)).fit(X, tags) for tags in (y, other))
    assert one.score(X, y) == two.score(X, other)
    assert one.predict(X) == two.predict(X)


@pytest.mark.parametrize("kind", ["arrays", "texts", "block", "file"])
def test_kinds_of_sequences(kind: str, tmp_path: Path) -> None:
    if kind == "arrays":
        X = [np.random.default_rng(n).normal(size=(n, 2)) for n in range(2, 12)]
        X[3][1, 0] = np.nan
        y = [(np.nan_to_num(x[:, 0]) > 0).astype(int) for x in X]
    elif kind == "block":
        X = np.random.default_rng(0).normal(size=(12, 5, 2))
        y = (X[:, :, 0] > 0).astype(int)
    elif kind == "texts":
        X = ["one two", "two and three", "four"] * 5
        y = [["space" if letter == " " else "letter" for letter in text] for text in X]
    else:
        (tmp_path / "tags.conll").write_text("Ada B-PER\nwrote O\n\nLondon B-LOC\nwaits O\n")
        X, y = read_sequences(str(tmp_path / "tags.conll"), goal="label", per_step=True), None
    model = SequenceTagger(**{**SMALL, "epochs": 40}).fit(X, y)
    assert model.score(X, y) > 0.9


def test_the_same_seed_gives_the_same_and_nothing_else_changes(fitted: SequenceTagger) -> None:
    X, y = words()
    torch.manual_seed(7)
    before = torch.get_rng_state()
    again = SequenceTagger(**SMALL).fit(X, y)
    assert torch.get_rng_state().equal(before)
    assert again.predict(X) == fitted.predict(X)
    for name, value in fitted.network_.state_dict().items():
        assert again.network_.state_dict()[name].equal(value), name


def test_saved_loaded_pickled_and_cloned(fitted: SequenceTagger, tmp_path: Path) -> None:
    X, _ = words(seed=2)
    fitted.save(tmp_path / "run")
    loaded = load(tmp_path / "run")
    assert isinstance(loaded, SequenceTagger) and loaded.predict(X) == fitted.predict(X)
    assert pickle.loads(pickle.dumps(fitted)).predict(X) == fitted.predict(X)
    assert clone(fitted).get_params() == fitted.get_params()
    X, y = sums()
    model = SequenceTagger(**{**SMALL, "epochs": 1}, goal="target").fit_run(tmp_path / "numbers", X, y)
    np.testing.assert_allclose(load(tmp_path / "numbers").predict(X)[0], model.predict(X)[0])
    X, y = entities(20)
    chained = SequenceTagger(**{**SMALL, "epochs": 1}).fit_run(tmp_path / "chain", X, y)
    assert load(tmp_path / "chain").predict(X) == chained.predict(X)


def test_searched_and_validated_by_scikit_learn() -> None:
    X, y = words(30)
    model = SequenceTagger(**{**SMALL, "epochs": 2})
    assert cross_val_score(model, X, y, cv=3).shape == (3,)
    assert set(GridSearchCV(model, {"hidden": [4, 8]}, cv=2).fit(X, y).best_params_) == {"hidden"}


def test_weights_of_sequences_and_of_classes() -> None:
    X, y = words(20)
    doubled = SequenceTagger(**{**SMALL, "epochs": 1, "batch_size": 40}).fit(X, y, sample_weight=[1] * 10 + [0] * 10)
    assert doubled.n_steps_ == sum(map(len, X[:10]))
    balanced = SequenceTagger(**{**SMALL, "epochs": 1}, class_weight="balanced").fit(X, y)
    assert balanced.predict(X) is not None
    X, y = entities(20)
    with pytest.raises(InputError, match="class_weight is for tags of which each"):
        SequenceTagger(**SMALL, class_weight="balanced").fit(X, y)
    SequenceTagger(**{**SMALL, "epochs": 1}, class_weight="balanced", crf=False).fit(X, y)


def test_early_stopping_and_what_the_record_says() -> None:
    X, y = entities(60)
    model = SequenceTagger(**{**SMALL, "epochs": 4}, validation_fraction=0.2).fit(X, y)
    rows = [row for row in model.history_ if "entity_f1" in row]
    assert len(rows) == 4 and {"held_out", "accuracy"} <= set(rows[0])


def test_few_steps_are_read_more_often() -> None:
    def epochs(steps: int) -> float | None:
        model = SequenceTagger()
        model.n_steps_ = steps
        return model._settings(100, False, 0).epochs

    assert [epochs(steps) for steps in (100, 60_000, 300_000, 10_000_000)] == [100, 20, 4, 4]


def test_going_on_with_what_was_learned() -> None:
    X, y = words()
    model = SequenceTagger(**{**SMALL, "epochs": 2}, warm_start=True).fit(X, y)
    first = model.history_[-1]["loss"]
    assert model.fit(X, y).history_[-1]["loss"] < first
    with pytest.raises(InputError, match="tags are others"):
        model.fit(X, [["A" if tag == "N" else "B" for tag in tags] for tags in y])


def test_sequences_read_before_bring_their_own_tags() -> None:
    X, y = words(20)
    data = sequences_of(X, y, goal="label", per_step=True)
    settings = {**SMALL, "epochs": 2}
    assert SequenceTagger(**settings).fit(data).predict(data) == SequenceTagger(**settings).fit(X, y).predict(X)


@pytest.mark.parametrize(
    ("settings", "y", "message"),
    [
        ({"goal": "both"}, None, "goal is label or target"),
        ({"steps": (0, 1, 2)}, None, "steps are the first and the last"),
        ({"steps": (90, -1)}, None, "no step from 90 to -1"),
        ({"goal": "target", "loss": "cubic"}, [[1.0, 2.0]] * 2, "squared or absolute"),
        ({}, [["A"], ["A", "B"]], r"y\[0\] has one|y\[0\] has 1 entries"),
        ({}, [["A", "A"], ["A", "A"]], "one class only"),
    ],
)
def test_what_does_not_fit_is_refused(settings: dict[str, Any], y: Any, message: str) -> None:
    with pytest.raises(RondeauError, match=message):
        SequenceTagger(**{**SMALL, "epochs": 1, **settings}).fit([["a", "b"], ["c", "d"]], y or [["A", "B"], ["B", "A"]])


def test_before_it_is_fitted() -> None:
    with pytest.raises(NotFittedError):
        SequenceTagger().predict([["a"]])
    with pytest.raises(InputError, match="give lists of words"):
        SequenceTagger(tokens="words").fit(["a b"], [["A", "B", "A"]])
