"""Estimators of labels and numbers of sequences: what they take, what they keep, and what scikit-learn does with them."""

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
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from rondeau.cells import peephole_lstm
from rondeau.data import sequences_of
from rondeau.errors import InputError, RunError
from rondeau.estimators import SequenceClassifier, SequenceRegressor, load

SMALL: dict[str, Any] = {
    "hidden": 6, "members": 1, "epochs": 30, "batch_size": 8, "learning_rate": 0.03, "random_state": 0, "threads": 1,
}  # fmt: skip


def slopes(count: int = 40, seed: int = 0, features: int = 1) -> tuple[list[np.ndarray], np.ndarray]:
    """Sequences that go up or down, of many lengths."""
    draw = np.random.default_rng(seed)
    labels = np.array(["down", "up"])[draw.integers(0, 2, count)]
    signs = np.where(labels == "up", 1, -1)
    lengths = draw.integers(3, 12, count)
    return [
        sign * np.linspace(-1, 1, n)[:, None] + 0.1 * draw.normal(size=(n, features)) for sign, n in zip(signs, lengths)
    ], labels


@pytest.fixture(scope="module")
def fitted() -> SequenceClassifier:
    return SequenceClassifier(**SMALL).fit(*slopes())


def test_it_learns(fitted: SequenceClassifier) -> None:
    X, y = slopes(seed=1)
    assert fitted.score(X, y) == 1.0
    probabilities = fitted.predict_proba(X)
    assert probabilities.shape == (40, 2)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    assert fitted.classes_.tolist() == ["down", "up"] and fitted.n_features_in_ == 1
    assert fitted.history_[-1]["loss"] < fitted.history_[0]["loss"] / 2


def test_each_sequence_is_read_by_itself(fitted: SequenceClassifier) -> None:
    X, _ = slopes(300, seed=2)
    together = fitted.predict_proba(X)
    alone = np.concatenate([fitted.predict_proba([x]) for x in X[:20]])
    np.testing.assert_allclose(together[:20], alone, atol=1e-6)
    np.testing.assert_allclose(fitted.predict_proba(X[::-1])[::-1], together, atol=1e-6)


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention", "last mean max"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_pooling(pooling: str, bidirectional: bool) -> None:
    X, y = slopes()
    model = SequenceClassifier(**SMALL, pooling=pooling, bidirectional=bidirectional).fit(X, y)
    assert model.score(X, y) > 0.9


@pytest.mark.parametrize(
    ("texts", "unit"), [(["a dog runs in the yard", "my cats sleep all day long"], "words"), (["dog", "cat"], "characters")]
)
def test_texts(texts: list[str], unit: str) -> None:
    model = SequenceClassifier(**SMALL).fit(texts * 10, [0, 1] * 10)
    assert model.form_.vocabulary is not None and model.form_.vocabulary.unit == unit
    assert model.predict([*texts, "ж ж ж"])[:2].tolist() == [0, 1]


def test_tokens() -> None:
    model = SequenceClassifier(**SMALL).fit([["up", "up"], ["down", "up", "down"]] * 10, [1, 0] * 10)
    assert model.predict([["up"] * 3, ["down", "down"]]).tolist() == [1, 0]
    with pytest.raises(InputError, match="kind texts, and the model was fitted to tokens"):
        model.predict(["up up"])


def test_a_block_and_a_list_are_the_same() -> None:
    X = np.random.default_rng(0).normal(size=(20, 5, 3))
    y = X[:, :, 0].mean(1) > 0
    one, other = (SequenceClassifier(**SMALL).fit(given, y) for given in (X, list(X)))
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(list(X)))
    assert one.n_features_in_ == 3


def test_read_sequences_bring_their_labels() -> None:
    X, y = slopes()
    model = SequenceClassifier(**SMALL).fit(sequences_of(X, y, goal="label"))
    assert model.score(X, y) == 1.0
    with pytest.raises(InputError, match="no labels, and none are given"):
        SequenceClassifier(**SMALL).fit(sequences_of(X))


def test_missing_values_are_told_apart() -> None:
    draw = np.random.default_rng(0)
    X = [draw.normal(size=(6, 2)) for _ in range(40)]
    y = draw.integers(0, 2, 40)
    for x, label in zip(X, y):
        x[draw.integers(0, 6), label] = np.nan
    assert SequenceClassifier(**SMALL).fit(X, y).score(X, y) > 0.9
    with pytest.raises(InputError, match=r"X\[3\] has infinity"):
        SequenceClassifier(**SMALL).fit([*X[:3], np.full((2, 2), np.inf)], y[:4])


def test_the_same_seed_gives_the_same_numbers_and_touches_no_others() -> None:
    X, y = slopes()
    torch.manual_seed(5)
    np.random.seed(5)
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), torch.get_num_threads()  # type: ignore[index]
    one, other = (SequenceClassifier(**SMALL).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    assert torch.equal(torch.get_rng_state(), states[0]) and torch.get_num_threads() == states[2]
    assert (np.random.get_state()[1] == states[1]).all()  # type: ignore[index]
    third = SequenceClassifier(**{**SMALL, "random_state": 1}).fit(X, y)
    assert not np.array_equal(third.predict_proba(X), one.predict_proba(X))


def test_scikit_learn_composes_it() -> None:
    X, y = slopes(30)
    model = SequenceClassifier(**{**SMALL, "epochs": 10})
    assert clone(model).get_params() == model.get_params()
    assert cross_val_score(model, X, y, cv=3).mean() > 0.8
    search = GridSearchCV(model, {"hidden": [1, 6], "cell": ["gru", "lstm"]}, cv=2).fit(X, y)
    assert search.best_score_ > 0.8
    doubled = make_pipeline(FunctionTransformer(lambda X: [2 * x for x in X]), model).fit(X, y)
    assert doubled.score(X, y) > 0.8


def test_weights_decide_among_equal_sequences() -> None:
    X, y = [np.ones((3, 1))] * 20, np.array([0, 1] * 10)
    heavy = SequenceClassifier(**SMALL).fit(X, y, sample_weight=np.where(y == 1, 9.0, 1.0)).predict_proba(X)[0, 1]
    by_class = SequenceClassifier(**SMALL, class_weight={0: 9.0, 1: 1.0}).fit(X, y).predict_proba(X)[0, 1]
    assert heavy > 0.8 and by_class < 0.2
    balanced = SequenceClassifier(**SMALL, class_weight="balanced").fit(X, np.array([0, 1, 1, 1] * 5)).predict_proba(X)[0, 1]
    assert 0.4 < balanced < 0.6


def test_what_counts_nothing_is_left_out() -> None:
    X, y = slopes()
    wrong = np.where(y == "up", "down", "up")
    model = SequenceClassifier(**SMALL).fit([*X, *X], [*y, *wrong], sample_weight=np.repeat([1.0, 0.0], 40))
    assert model.score(X, y) == 1.0


def test_early_stopping_keeps_the_best_weights() -> None:
    X, y = slopes(60)
    model = SequenceClassifier(**{**SMALL, "epochs": 100, "learning_rate": 0.3}, validation_fraction=0.3, patience=2).fit(X, y)
    rows = [row for row in model.history_ if "held_out" in row]
    assert 3 <= len(rows) < 100 and {"held_out", "accuracy"} <= set(rows[0])
    best = min(row["held_out"] for row in rows)
    assert [row["held_out"] for row in rows].index(best) == len(rows) - 3


def test_warm_start_goes_on() -> None:
    X, y = slopes()
    model = SequenceClassifier(**{**SMALL, "epochs": 2}, warm_start=True).fit(X, y)
    before = model.history_[-1]["loss"]
    for _ in range(5):
        model.fit(X, y)
    assert model.history_[-1]["loss"] < before / 2
    with pytest.raises(InputError, match="warm_start goes on with"):
        model.fit(X, np.where(y == "up", "left", "right"))


def test_verbose_prints_a_line_an_evaluation(capsys: pytest.CaptureFixture[str]) -> None:
    SequenceClassifier(**{**SMALL, "epochs": 3}, verbose=True, validation_fraction=0.2).fit(*slopes())
    assert capsys.readouterr().out.count("held_out") == 3


def test_pickle(fitted: SequenceClassifier) -> None:
    X, _ = slopes(seed=3)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict_proba(X), fitted.predict_proba(X))


@pytest.mark.parametrize("labels", [["down", "up"], [3, 7], [False, True]])
def test_a_run_folder(labels: list[Any], tmp_path: Path) -> None:
    X, y = slopes()
    X[0][0] = np.nan
    names = np.array(labels)[(y == "up").astype(int)]
    given = {**SMALL, "cell": peephole_lstm(), "class_weight": {labels[0]: 1.5, labels[1]: 1.0}, "epochs": 4}
    model = SequenceClassifier(**given).fit(X, names)
    model.save(tmp_path / "run")
    again = load(tmp_path / "run")
    assert type(again) is SequenceClassifier and again.get_params() == model.get_params()
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.predict(X).dtype == model.predict(X).dtype and again.history_ == model.history_
    with pytest.raises(RunError, match="holds a 'sequence classifier'"):
        SequenceRegressor.load(tmp_path / "run")


def test_a_run_folder_of_texts_that_is_saved_as_it_goes(tmp_path: Path) -> None:
    texts, y = ["a dog runs in the yard", "my cats sleep all day long"] * 10, [0, 1] * 10
    model = SequenceClassifier(**SMALL).fit_run(tmp_path / "run", texts, y)
    again = SequenceClassifier.load(tmp_path / "run")
    np.testing.assert_array_equal(again.predict_proba(texts), model.predict_proba(texts))
    assert again.history_ == model.history_


def test_regression() -> None:
    draw = np.random.default_rng(0)
    X = [draw.normal(size=(n, 2)) for n in draw.integers(2, 9, 80)]
    y = np.array([1e6 + 100 * x[:, 0].mean() for x in X])
    for loss in ("squared", "absolute", "quantile"):
        model = SequenceRegressor(**SMALL, loss=loss).fit(X, y)
        assert model.score(X, y) > 0.8 and model.predict(X).shape == (80,)
    assert model.predict_quantiles(X).shape == (80, 3) and (np.diff(model.predict_quantiles(X)) >= 0).all()


def test_several_targets(tmp_path: Path) -> None:
    X, y = slopes()
    targets = np.stack([(y == "up") * 2.0, (y == "up") * -5.0], 1)
    model = SequenceRegressor(**SMALL).fit(X, targets)
    assert model.predict(X).shape == (40, 2) and model.score(X, targets) > 0.9
    model.save(tmp_path / "run")
    np.testing.assert_array_equal(load(tmp_path / "run").predict(X), model.predict(X))


def test_long_series_are_read_in_frames() -> None:
    draw = np.random.default_rng(0)
    X = [draw.normal(size=(n, 1)) for n in draw.integers(100, 200, 16)]
    y = np.arange(16) % 2
    for x, label in zip(X, y):
        x[50:] += 2 * label
    model = SequenceClassifier(**SMALL).fit(X, y)
    assert model.network_[0].encoder.frame == 3 and model.score(X, y) == 1.0
    np.testing.assert_allclose(model.predict_proba(X)[3], model.predict_proba([X[3]])[0], atol=1e-6)


def test_a_frame_is_a_table() -> None:
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(draw.normal(size=(30, 4)), columns=["t1", "t2", "t3", "t4"])
    y = (frame["t1"] > 0).to_numpy()
    model = SequenceClassifier(**SMALL).fit(frame, y)
    assert model.feature_names_in_.tolist() == ["t1", "t2", "t3", "t4"] and model.n_features_in_ == 4
    assert model.score(frame, y) > 0.9
    with pytest.raises(InputError, match="expecting 4 features"):
        model.predict(frame.iloc[:, :3])
    with pytest.warns(UserWarning, match="no feature names"):
        model.predict(frame.to_numpy())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"hidden": 0}, "hidden"), ({"layers": 0}, "layers is a positive"), ({"dropout": 1.0}, "dropout is a rate"),
        ({"epochs": 0}, "epochs is auto or"), ({"batch_size": "many"}, "batch_size is auto or"), ({"members": 0}, "members is"),
        ({"pooling": "least"}, "pooling is one or several"), ({"loss": "hinge"}, "loss of a classifier"),
        ({"frame": 0}, "frame is auto"), ({"dropout": "much"}, "dropout is auto"),
        ({"tokens": "bytes"}, "tokens is auto"), ({"validation_fraction": 2}, "validation_fraction is auto"),
        ({"optimizer": "magic"}, "optimizer is"), ({"cell": "no_cell"}, "no_cell"), ({"learning_rate": -1.0}, "learning_rate"),
    ],
)  # fmt: skip
def test_a_parameter_out_of_range(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SequenceClassifier(**{**SMALL, **changed}).fit(["up", "down"] * 4, [0, 1] * 4)


def test_nothing_was_fitted(tmp_path: Path) -> None:
    with pytest.raises(NotFittedError):
        SequenceClassifier().predict(slopes()[0])
    with pytest.raises(NotFittedError):
        SequenceClassifier().save(tmp_path / "run")


def test_a_frame_is_read_as_its_column_of_texts_or_refused() -> None:
    frame = pd.DataFrame({"text": ["good thing", "bad thing"] * 10, "language": ["en", "de"] * 10})
    model = SequenceClassifier(**SMALL).fit(frame[["text"]], [0, 1] * 10)
    said = model.predict_proba(["good thing", "bad thing"])
    np.testing.assert_allclose(model.predict_proba(frame[["text"]])[:2], said, rtol=1e-5)
    with pytest.raises(InputError, match=r"give the column that is to be read, X\['text'\]"):
        model.fit(frame, [0, 1] * 10)


def test_what_is_held_back_has_no_part_in_the_vocabulary() -> None:
    texts = [f"word{place} {'good' if place % 2 else 'bad'}" for place in range(600)]
    model = SequenceClassifier(**{**SMALL, "epochs": 1}, tokens="words").fit(texts, [0, 1] * 300)
    known = set(model.form_.vocabulary.tokens)
    assert sum(text.split()[0] in known for text in texts) <= 540


def test_a_fit_that_fails_leaves_what_was_fitted_before() -> None:
    X, y = slopes()
    model = SequenceClassifier(**SMALL).fit(X, y)
    said = model.predict(X)
    with pytest.raises(InputError, match="pooling"):
        model.set_params(pooling="nonsense").fit(X, np.where(y == "up", "left", "right"))
    model.set_params(pooling="mean max")
    np.testing.assert_array_equal(model.predict(X), said)
