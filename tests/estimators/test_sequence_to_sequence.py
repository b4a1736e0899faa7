"""The estimator of sequences for sequences: what it takes, what it writes, and what scikit-learn does with it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

from rondeau.data import pairs_of
from rondeau.errors import InputError, RunError
from rondeau.estimators import SequenceClassifier, SequenceToSequence, load
from rondeau.models import Hypothesis

SMALL: dict[str, Any] = {
    "hidden": 16, "embedding": 8, "epochs": 40, "batch_size": 8, "learning_rate": 0.02, "random_state": 0, "threads": 1,
    "dropout": 0.0,
}  # fmt: skip
NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
DIGITS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]


@pytest.fixture(scope="module")
def fitted() -> SequenceToSequence:
    return SequenceToSequence(**SMALL).fit(NUMBERS, DIGITS)


def test_it_learns(fitted: SequenceToSequence) -> None:
    assert fitted.score(NUMBERS, DIGITS) == 1.0 and fitted.predict(["ten", "two"]) == ["10", "2"]
    assert fitted.history_[-1]["loss"] < fitted.history_[0]["loss"] and fitted.n_iter_ > 80


def test_it_says_what_else_it_might_have_written(fitted: SequenceToSequence) -> None:
    (found,) = fitted.predict_alternatives(["three"])
    assert found[0].text == "3" and len(found) == 4
    scores = [each.score for each in found if each.ended]
    assert scores == sorted(scores, reverse=True) and sum(np.exp(each.log_probability) for each in found) <= 1.0001
    best = found[0]
    assert best.source == tuple("three") and best.target == ("3",)
    assert best.attention is not None and best.attention.shape == (2, 5)
    np.testing.assert_allclose(best.attention.sum(1), 1, rtol=1e-5)


def test_drawn_sequences_hang_on_the_seed(fitted: SequenceToSequence) -> None:
    drawn = [[each.text for each in fitted.sample(["four", "five"], 5, temperature=3.0, random_state=s)[1]] for s in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2] and len(drawn[0]) == 5


def test_token_lists_and_words() -> None:
    sources = [["a", "b"], ["b", "a"], ["a", "a"], ["b", "b"]]
    model = SequenceToSequence(**SMALL).fit(sources, [["A"], ["B", "B"], ["A", "B", "A"], ["B"]])
    assert model.predict(sources[1:3]) == [["B", "B"], ["A", "B", "A"]]
    texts = ["the red house", "the blue house", "the red door", "the blue door"]
    spanish = ["la casa roja", "la casa azul", "la puerta roja", "la puerta azul"]
    model = SequenceToSequence(**SMALL, source_tokens="words", target_tokens="words", beam=2).fit(texts * 3, spanish * 3)
    assert model.predict(texts) == spanish and model.source_symbols_.unit == "words"


def test_an_unknown_token_is_copied_from_where_attention_looked(fitted: SequenceToSequence) -> None:
    model = SequenceToSequence(**{**SMALL, "epochs": 1}).fit([["hello", "Ada"]], [["hola", "Ada"]])
    looked = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
    written = model._alternative(["hello", "Grace"], Hypothesis(torch.tensor([3, 0]), -0.1, -0.1, True, looked))
    assert written.text == ["hola", "Grace"]
    assert model.predict([["hello", "Grace"]])  # an unknown token is read, too


def test_unknown_characters_are_read(fitted: SequenceToSequence) -> None:
    assert len(fitted.predict(["thrëe", "ж"])) == 2


def test_the_same_seed_gives_the_same(fitted: SequenceToSequence) -> None:
    one, again = (clone(fitted).set_params(epochs=3).fit(NUMBERS, DIGITS) for _ in range(2))
    for own, other in zip(one.network_.parameters(), again.network_.parameters()):
        assert torch.equal(own, other)


def test_each_source_is_written_by_itself(fitted: SequenceToSequence) -> None:
    together = fitted.predict_alternatives(NUMBERS)
    for word, found in zip(NUMBERS, together):
        (alone,) = fitted.predict_alternatives([word])
        assert [each.text for each in alone] == [each.text for each in found]


def test_it_is_kept_in_a_run_folder_and_pickled(fitted: SequenceToSequence, tmp_path: Path) -> None:
    fitted.save(tmp_path / "run")
    for again in (load(tmp_path / "run"), SequenceToSequence.load(tmp_path / "run"), pickle.loads(pickle.dumps(fitted))):
        assert isinstance(again, SequenceToSequence) and again.get_params() == fitted.get_params()
        assert again.predict(NUMBERS) == DIGITS and again.longest_ == fitted.longest_
    with pytest.raises(RunError, match="needs a"):
        SequenceClassifier.load(tmp_path / "run")


def test_a_run_is_the_fit(fitted: SequenceToSequence, tmp_path: Path) -> None:
    few = clone(fitted).set_params(epochs=3)
    run = clone(few).fit_run(tmp_path / "run", NUMBERS, DIGITS)
    expected = few.fit(NUMBERS, DIGITS).predict(NUMBERS)
    assert run.predict(NUMBERS) == load(tmp_path / "run").predict(NUMBERS) == expected


def test_warm_start_goes_on(fitted: SequenceToSequence) -> None:
    model = pickle.loads(pickle.dumps(fitted)).set_params(warm_start=True, epochs=2)
    before = fitted.history_[-1]["loss"]
    assert model.fit(NUMBERS, DIGITS).history_[0]["loss"] < 4 * before + 0.1


def test_a_part_is_held_back_and_weights_count() -> None:
    model = SequenceToSequence(**{**SMALL, "epochs": 3}, validation_fraction=0.3)
    model.fit(NUMBERS * 2, DIGITS * 2, sample_weight=[1.0] * 10 + [0.5] * 10)
    assert {"token_error", "exact", "held_out"} <= set(model.history_[-1])
    alone = SequenceToSequence(**SMALL, validation_fraction=None)
    alone.fit(NUMBERS, [*DIGITS[:-1], "0"], sample_weight=[0.0] * 9 + [1.0])
    assert set(alone.predict(NUMBERS)) == {"0"}


def test_a_search_over_parameters_and_pairs() -> None:
    search = GridSearchCV(SequenceToSequence(**{**SMALL, "epochs": 2}), {"beam": [1, 2]}, cv=2)
    search.fit(NUMBERS, DIGITS)
    assert search.best_params_["beam"] in (1, 2)
    assert SequenceToSequence(**{**SMALL, "epochs": 1}).fit(pairs_of(NUMBERS, DIGITS)).score(pairs_of(NUMBERS, DIGITS)) <= 1


@pytest.mark.parametrize(
    "options", [{"attention": None}, {"input_feeding": True, "attention": "additive"}, {"layers": 2}], ids=str
)
def test_other_networks(options: dict[str, Any]) -> None:
    model = SequenceToSequence(**{**SMALL, **options}).fit(NUMBERS[:4], DIGITS[:4])
    assert model.predict(NUMBERS[:4]) == DIGITS[:4]


def test_a_long_source_is_read(fitted: SequenceToSequence) -> None:
    assert len(fitted.predict(["one" * 3_334])) == 1


@pytest.mark.parametrize(
    ("options", "X", "y", "message"),
    [
        ({}, ["a", ""], ["b", "c"], "the sources: the one at 1 is empty; leave it out"),
        ({}, ["a", "b"], ["b", ""], "the targets: the one at 1 is empty"),
        ({}, ["a"], None, "y is None, and a target is needed for each source"),
        ({}, ["a", "b"], ["c"], "1 targets for 2 sources"),
        ({"beam": 0}, ["a"], ["b"], "the width of a beam is a positive whole number"),
        ({"beam": 100_000_000}, ["a"], ["b"], "hypotheses of a source over"),
        ({"least_count": 0}, ["a"], ["b"], "least_count is a positive whole number, not 0"),
        ({"source_tokens": "letters"}, ["a"], ["b"], "not 'letters'"),
        ({"target_tokens": "tokens"}, ["a"], ["b"], "the sequences are texts; choose characters or words"),
        ({"longest": 0}, ["a"], ["b"], "longest is auto or a positive whole number, not 0"),
        ({"validation_fraction": 1.5}, ["a", "b"], ["b", "c"], "between 0 and 1"),
        ({"attention": "dot"}, ["a"], ["b"], "dot product needs queries as wide as values"),
        ({"sampling": 2.0}, ["a"], ["b"], "sampling is a rate"),
    ],
)  # fmt: skip
def test_what_does_not_fit_says_so(options: dict[str, Any], X: Any, y: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        SequenceToSequence(**{**SMALL, "epochs": 1, **options}).fit(X, y).predict(X)


def test_what_cannot_be_read_says_so(fitted: SequenceToSequence) -> None:
    with pytest.raises(NotFittedError):
        SequenceToSequence().predict(["a"])
    with pytest.raises(InputError, match="the sources: the one at 1 is empty; leave it out"):
        fitted.predict(["a", ""])
    with pytest.raises(InputError, match="has learned to read texts"):
        fitted.predict([["a", "b"]])
    with pytest.raises(InputError, match="sample_weight is 10 finite numbers"):
        clone(fitted).fit(NUMBERS, DIGITS, sample_weight=[1.0])
