"""What every scorer keeps to, n-grams and networks alike."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch

from rondeau import InputError
from rondeau.models import LanguageModel, NGram, Scorer
from rondeau.train import NetworkScorer, TrainingSettings


def network() -> Scorer:
    settings = TrainingSettings(steps=150, learning_rate=0.05)
    return NetworkScorer(LanguageModel(4, "gru", hidden=8, embedding=4, dropout=0.1), settings, batch=2, window=9)


SCORERS: dict[str, Callable[[], Scorer]] = {"n-gram": lambda: NGram(3, 4), "network": network}
TEXT = torch.tensor([0, 1, 2, 0, 1, 3] * 40)


@pytest.fixture(params=SCORERS)
def scorer(request: pytest.FixtureRequest) -> Scorer:
    return SCORERS[request.param]()


def test_it_gives_each_token_a_probability_and_all_texts_together_one(scorer: Scorer) -> None:
    fitted = scorer.fit(TEXT)
    texts = [torch.tensor(text) for text in product(range(scorer.size), repeat=3)]
    found = [fitted.log_probability(text) for text in texts]
    assert fitted is scorer and scorer.size == 4
    assert all(each.shape == (3,) and each.dtype == np.float64 and (each <= 0).all() for each in found)
    assert sum(np.exp(each.sum()) for each in found) == pytest.approx(1.0)


def test_a_token_is_scored_by_what_comes_before_it_alone(scorer: Scorer) -> None:
    scorer.fit(TEXT)
    text = torch.randint(4, (600,), generator=torch.Generator().manual_seed(1))  # longer than what is scored at a time
    np.testing.assert_allclose(scorer.log_probability(text)[:300], scorer.log_probability(text[:300]), rtol=1e-4, atol=1e-5)


def test_it_learns(scorer: Scorer) -> None:
    scorer.fit(TEXT)
    likely, unlikely = (
        scorer.log_probability(torch.tensor(text))[1:].mean() for text in ([0, 1, 2, 0, 1, 3], [3, 2, 1, 3, 2, 1])
    )
    assert likely > -0.6 and unlikely < -2


def test_no_tokens_and_wrong_tokens(scorer: Scorer) -> None:
    scorer.fit(TEXT)
    assert scorer.log_probability(torch.zeros(0, dtype=torch.int64)).shape == (0,)
    with pytest.raises(InputError, match="tokens lie between 0 and 3, got 1 to 4"):
        scorer.log_probability(torch.tensor([1, 4]))


def test_a_network_scores_as_it_predicts_and_keeps_its_mode() -> None:
    model = LanguageModel(4, "gru", hidden=8, embedding=4, dropout=0.5)
    text = torch.tensor([0, 3, 1, 2])
    found = model.log_probability(text)
    assert model.training and found[0] == pytest.approx(-np.log(4))
    with torch.no_grad():
        expected = model.eval()(text[None])[0][0].log_softmax(-1)[torch.arange(3), text[1:]]
    np.testing.assert_allclose(found[1:], expected.numpy(), rtol=1e-4)
