"""This phone is very fast: the order of the words carries the sentence, and a recurrent network hears it.

Snippets of product reviews teach a network which word comes next. Asked for the probability of a sentence and of its shuffles,
which have the very same words (marks left out, which would tell where a sentence ends), a bag of words cannot tell one from the
other; the network prefers the order in which somebody wrote them. The picture shows all 120 orders of that one.

The snippets are those that VADER was measured on (Hutto & Gilbert 2014), from the source package of vaderSentiment.
"""

from __future__ import annotations

import re
from itertools import chain, permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rondeau.data import Batch, RaggedBatches, padded
from rondeau.data.archives import archived
from rondeau.examples.outcome import Outcome, drawing, saved
from rondeau.models import LanguageModel
from rondeau.train import Metric, Training, TrainingSettings, optimizer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SENTENCE = "this phone is very fast"
SNIPPETS = "hutto_ICWSM_2014/amazonReviewSnippets_GroundTruth.txt"
SHUFFLES, HELD_OUT = 20, 400


class NextWord:
    """The next word of a snippet; each begins and ends with the number 1, and 0 is a word that was not learned."""

    unit, in_nats, carries_state = "words", True, False
    metrics: tuple[Metric, ...] = ()

    def __init__(self, snippets: list[torch.Tensor], seed: int) -> None:
        self.batches = RaggedBatches(snippets, 32, seed=seed)

    def loss(self, model: LanguageModel, batch: Batch, state: Any) -> tuple[torch.Tensor, float, None]:
        """See `rondeau.train.Task`."""
        found = log_probabilities(model, batch.inputs, batch.lengths)
        return -found.sum(), float((batch.lengths - 1).sum()), None

    def evaluate(self, model: LanguageModel) -> dict[str, float]:
        """Nothing is held out."""
        return {}

    def example(self, model: LanguageModel) -> str:
        """None is shown."""
        return ""


def log_probabilities(model: LanguageModel, words: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """The logarithm of the probability of each snippet (batch, steps), (batch,)."""
    logits, _ = model(words[:, :-1], lengths=lengths - 1)
    each = logits.log_softmax(-1).gather(2, words[:, 1:, None])[:, :, 0]
    return (each * (torch.arange(each.shape[1]) < lengths[:, None] - 1)).sum(1)


def ranked(model: LanguageModel, snippet: torch.Tensor, orders: list[list[int]]) -> tuple[float, np.ndarray]:
    """The logarithm of a snippet's probability, and of those of its words in other orders."""
    words = [snippet, *(torch.cat([snippet[:1], snippet[1:-1][order], snippet[-1:]]) for order in orders)]
    with torch.no_grad():
        found = log_probabilities(model, *padded(words)).numpy()
    return float(found[0]), found[1:]


def recipe(out: Path, seed: int = 1, effort: float = 1.0, data: Path = Path()) -> Outcome:
    """Learns from snippets, and compares held-out ones with their shuffles."""
    lines = archived("vaderSentiment", "3.3.2", SNIPPETS, nested="hutto_ICWSM_2014.tar.gz", folder=data).splitlines()
    texts = [re.findall(r"[\w'-]+", line.split("\t")[2].lower()) for line in lines if line.count("\t") == 2]
    train, held = texts[:-HELD_OUT], [words for words in texts[-HELD_OUT:] if len(words) > 3]
    known, counts = np.unique(list(chain(*train)), return_counts=True)
    numbers = {str(word): number for number, word in enumerate(known[counts > 1], 2)}

    def encoded(words: list[str]) -> torch.Tensor:
        return torch.tensor([1, *(numbers.get(word, 0) for word in words), 1])

    model = learned([encoded(words) for words in train if words], len(numbers) + 2, seed, max(2, int(700 * effort)))
    draw, wins = np.random.default_rng(seed), []
    for words in held:
        own, others = ranked(model, encoded(words), [draw.permutation(len(words)).tolist() for _ in range(SHUFFLES)])
        wins.append(float(np.mean((others < own - 1e-4) + 0.5 * (np.abs(others - own) <= 1e-4))))
    words = SENTENCE.split()
    orders = [list(order) for order in permutations(range(len(words)))][1:]
    own, others = ranked(model, encoded(words), orders)
    place = int((others > own).sum()) + 1
    best = " ".join(words[i] for i in orders[int(others.argmax())]) if place > 1 else SENTENCE
    told = (f"{SENTENCE!r} is number {place} of its {len(orders) + 1} orders; the first is {best!r}",)
    picture = saved(drawn(own, others), out, "word_order")
    floors = {"a bag of words": 0.5}
    return Outcome("held-out snippets more likely than their shuffles", {"lstm": float(np.mean(wins))}, floors, picture, told)


def learned(snippets: list[torch.Tensor], vocabulary: int, seed: int, steps: int) -> LanguageModel:
    """A network that has read the snippets."""
    torch.manual_seed(seed)
    model = LanguageModel(vocabulary, "lstm", hidden=128, embedding=64, dropout=0.3)
    settings = TrainingSettings(steps=steps, learning_rate=0.005, clip_norm=1.0, seed=seed)
    Training(model, NextWord(snippets, seed), optimizer(model, settings), settings=settings).run()
    return model.eval()


def drawn(own: float, others: np.ndarray) -> Figure:
    """The orders of the sentence by their probability."""
    figure, (axes,) = drawing()
    axes.hist(others, bins=30, color="lightgrey", label="its other orders")
    axes.axvline(own, color="C3", label=SENTENCE)
    axes.set(xlabel="logarithm of the probability, nats", ylabel="orders")
    axes.legend()
    return figure
