"""N-gram models: distributions, by hand and in general."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondeau import InputError
from rondeau.models import NGram, compare


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.lists(st.integers(0, 4), max_size=5), st.integers(1, 4))
def test_probabilities_sum_to_one_and_are_positive(text: list[int], history: list[int], order: int) -> None:
    p = NGram(order, 5).fit(np.array(text)).probabilities(history)
    assert p.min() > 0 and abs(p.sum() - 1) < 1e-9


def test_a_unigram_by_hand() -> None:
    """Counts 4, 1, 1 and 0 of four tokens: two occur once, none twice, so Y = 1 and D1 = 1 - 0, bounded to 0.95."""
    model = NGram(1, 4).fit(np.array([0, 0, 1, 0, 2, 0]))
    d1, d3 = 0.95, 0.5
    spared = (d3 + 2 * d1) / 6
    expected = [(4 - d3) / 6 + spared / 4, (1 - d1) / 6 + spared / 4, (1 - d1) / 6 + spared / 4, spared / 4]
    np.testing.assert_allclose(model.probabilities([]), expected)


def test_higher_orders_learn_a_pattern() -> None:
    text = np.array([0, 0, 1] * 200)
    scores = compare(text, text[:60], 2, range(1, 4))
    assert [s.order for s in scores] == [1, 2, 3]
    assert scores[2].nats < 0.05 < scores[1].nats < scores[0].nats
    assert scores[0].entries == 2 and scores[1].entries == 2 + 3


def test_one_model_scores_as_every_lower_order() -> None:
    draw = np.random.default_rng(0)
    text, held = draw.integers(0, 5, 500), draw.integers(0, 6, 50)
    high = NGram(4, 6).fit(text)
    for order in (1, 2, 3, 4):
        assert abs(high.nats(held, order) - NGram(order, 6).fit(text).nats(held)) < 1e-12


def test_scores_agree_with_probabilities() -> None:
    text = np.random.default_rng(1).integers(0, 4, 300)
    model = NGram(3, 4).fit(text)
    held = np.array([3, 1, 2, 0, 0, 1])
    by_hand = [np.log(model.probabilities(held[:i])[held[i]]) for i in range(len(held))]
    np.testing.assert_allclose(model.log_probability(held), by_hand)


def test_wrong_input_is_explained() -> None:
    for call, message in (
        (lambda: NGram(0, 4), "order is a positive"),
        (lambda: NGram(2, 4).fit(np.array([4])), "between 0 and 3"),
        (lambda: NGram(2, 4).fit(np.array([], dtype=int)), "at least one token"),
        (lambda: NGram(2, 4).nats(np.array([1, 2])), "call fit"),
        (lambda: NGram(2, 4).fit(np.array([1])).nats(np.array([1])), "at least two"),
    ):
        with pytest.raises(InputError, match=message):
            call()
