"""Searches for what an `EncoderDecoder` writes: beams and drawing, many hypotheses of many sources at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rondeau.errors import InputError
from rondeau.models.decoder_steps import DecoderSteps
from rondeau.models.encoder_decoder import Encoded, EncoderDecoder
from rondeau.models.written import Ending, Hypothesis, Written

NEARLY_NONE = 1e-9  # the attention that a step of the source without any counts as having


@dataclass(frozen=True)
class Beam:
    """The most probable sequences, as far as a beam finds them.

    Of every source the ``width`` best beginnings are kept. Those among the best continuations that end are finished; a source
    is done when so many are. They are ranked by their score, with the log-probability log P of a sequence Y, its end counted,
    and the attention a_ij of step j on step i of the source::

        score = log P / ((5 + |Y|) / 6) ** length_penalty + coverage_penalty * sum_i log(min(sum_j a_ij, 1))

    Args:
        width: how many; 1 takes the most probable token each time.
        length_penalty: 0 leaves log-probabilities as they are, which favours short sequences; 1 has them by token.
        coverage_penalty: above 0 what leaves steps of the source without attention ranks lower.

    Raises:
        InputError: a number is out of range.

    Source:
        Wu et al. 2016, arXiv:1609.08144, equation 14.
    """

    width: int = 1
    length_penalty: float = 0.0
    coverage_penalty: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.width, int) or isinstance(self.width, bool) or self.width < 1:
            raise InputError(f"the width of a beam is a positive whole number, 1 for the likeliest token, not {self.width!r}")
        for name in ("length_penalty", "coverage_penalty"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise InputError(f"{name} is a number from 0 up, not {value!r}")


@dataclass(frozen=True)
class Sampling:
    """Sequences drawn token by token.

    Args:
        count: how many of each source.
        temperature: divides the logits; near 0 the most probable tokens are drawn.
        top_k: only the k most probable tokens take part.
        top_p: only the most probable tokens that together have at least this probability take part.
        generator: the source of randomness.

    Raises:
        InputError: a number is out of range.
    """

    count: int = 1
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    generator: torch.Generator | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.count, int) or isinstance(self.count, bool) or self.count < 1:
            raise InputError(f"count is the number of sequences to draw, at least 1, not {self.count!r}")
        if not 0 < self.temperature < float("inf"):
            raise InputError(f"temperature is a positive number, not {self.temperature!r}; for the most probable take a beam")
        if self.top_k is not None and self.top_k < 1:
            raise InputError(f"top_k is at least 1, not {self.top_k!r}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise InputError(f"top_p lies above 0 and up to 1, not {self.top_p!r}")

    def probabilities(self, logits: Tensor) -> Tensor:
        """What tokens are drawn with, (rows, vocabulary), from logits."""
        logits = logits / self.temperature
        if self.top_k is not None and self.top_k < logits.shape[-1]:
            logits = logits.masked_fill(logits < logits.topk(self.top_k).values[:, -1:], -torch.inf)
        p = logits.softmax(-1)
        if self.top_p is not None:
            ranked, order = p.sort(-1, descending=True)
            ranked = ranked.masked_fill(ranked.cumsum(-1) - ranked >= self.top_p, 0.0)
            p = torch.zeros_like(p).scatter(-1, order, ranked)
        return p


class Run(ABC):
    """A search under way: rows of hypotheses, so many of each source, and the sources that are not done yet."""

    def __init__(
        self, model: EncoderDecoder, encoded: Encoded, lengths: list[int], each: int, end: int, attention: bool
    ) -> None:
        self.steps = DecoderSteps(model, encoded, each)
        self.each, self.end, self.attention, self.lengths = each, end, attention, lengths
        self.device = encoded.state[0][0].device
        self.places: np.ndarray = np.arange(len(lengths))  # of the sources that rows are of
        self.going: np.ndarray = np.ones(len(lengths), bool)
        self.tokens: np.ndarray = np.full(len(lengths) * each, end)
        self.scores: np.ndarray = np.zeros((len(lengths), each), np.float32)  # log-probabilities
        self.written = Written()

    @abstractmethod
    def _chosen(self, log_probabilities: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
        """The tokens (sources, each) that go on, and the rows that they go on from; notes those that end."""

    @abstractmethod
    def _cut(self, longest: int) -> None:
        """Notes what has not ended."""

    def finished(self, longest: int) -> list[list[Hypothesis]]:
        """Runs to the end: the hypotheses of each source."""
        for step in range(longest):
            logits, weights = self.steps(self._tensor(self.tokens))
            if self.attention and weights is not None:
                self.written.look(weights)
            tokens, rows = self._chosen(self._log_probabilities(logits, weights), step)
            if not self.going.any():
                break
            self.tokens = tokens.ravel()
            self._take(rows.ravel())
            self.written.add(self.tokens, rows.ravel())
            if 2 * int(self.going.sum()) <= len(self.going):
                self._keep(np.flatnonzero(self.going))
        self._cut(longest)
        return self.written.hypotheses(self.lengths)

    def _log_probabilities(self, logits: Tensor, weights: Tensor | None) -> np.ndarray:
        """Those of the token after each hypothesis (sources, each, vocabulary)."""
        found = logits.log_softmax(-1).float().cpu().numpy().reshape(len(self.places), self.each, -1)
        if np.isnan(found).any():
            raise InputError("the model's output is no number, so nothing can be written; was its training sound?")
        return found

    def _tensor(self, numbers: np.ndarray) -> Tensor:
        return torch.from_numpy(numbers).to(self.device)

    def _take(self, rows: np.ndarray) -> None:
        if (rows != np.arange(len(rows))).any():
            self.steps.take(self._tensor(rows))

    def _keep(self, sources: np.ndarray) -> np.ndarray:
        """Goes on with some of the sources that rows are of; their rows."""
        self.steps.keep(self._tensor(sources))
        rows = (sources[:, None] * self.each + np.arange(self.each)).ravel()
        self.written.keep(rows)
        self.tokens, self.scores = self.tokens[rows], self.scores[sources]
        self.places, self.going = self.places[sources], self.going[sources]
        return rows

    def _first_rows(self) -> np.ndarray:
        """The first row of each source (sources, 1)."""
        return np.arange(len(self.places))[:, None] * self.each


class BeamRun(Run):
    """A beam search under way."""

    def __init__(
        self, model: EncoderDecoder, encoded: Encoded, lengths: list[int], beam: Beam, end: int, attention: bool
    ) -> None:
        super().__init__(model, encoded, lengths, beam.width, end, attention)
        self.beam, self.count = beam, [0] * len(lengths)
        self.scores[:, 1:] = -np.inf  # all hypotheses of a source are the same at first
        self.looked: Tensor | None = None  # how much each step of the source was looked at so far (rows, time)

    def _log_probabilities(self, logits: Tensor, weights: Tensor | None) -> np.ndarray:
        if self.beam.coverage_penalty:
            if weights is None:
                raise InputError("coverage is that of attention, and this model has none; leave coverage_penalty out")
            self.looked = weights if self.looked is None else self.looked + weights
        return super()._log_probabilities(logits, weights)

    def _chosen(self, log_probabilities: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
        width, vocabulary = log_probabilities.shape[1:]
        total = (self.scores[..., None] + log_probabilities).reshape(len(self.scores), -1)
        best, places = highest(total, min(2 * width, width * vocabulary))  # as many as width may end
        tokens, rows = places % vocabulary, places // vocabulary + self._first_rows()
        ends = tokens == self.end
        self._finish(step, best[:, :width], rows, ends[:, :width] & self.going[:, None])
        order = ends.argsort(axis=1, kind="stable")[:, :width]
        sources = np.arange(len(order))[:, None]
        self.scores = np.where(ends, np.float32(-np.inf), best)[sources, order]
        self.going &= self.scores[:, 0] > -np.inf
        return tokens[sources, order], rows[sources, order]

    def _finish(self, step: int, scores: np.ndarray, rows: np.ndarray, ends: np.ndarray) -> None:
        """Notes the best continuations that end, until their sources have enough."""
        found = np.argwhere(ends & (scores > -np.inf)).tolist()
        penalties = self._penalties() if found else None
        for at, i in found:
            self._note(at, step, int(rows[at, i]), float(scores[at, i]), True, penalties)

    def _note(self, at: int, steps: int, row: int, score: float, ended: bool, penalties: list[float] | None) -> None:
        source = int(self.places[at])
        if self.count[source] == self.each:
            return
        ranked = score / ((5 + steps + ended) / 6) ** self.beam.length_penalty + (penalties[row] if penalties else 0.0)
        self.written.endings.append(Ending(source, steps, row, score, ranked, ended))
        self.count[source] += 1
        if self.count[source] == self.each:
            self.going[at] = False

    def _penalties(self) -> list[float] | None:
        """What each row loses for what it has not looked at."""
        if self.looked is None:
            return None
        memory = self.steps.memory
        assert memory is not None
        missed = self.looked.clamp(NEARLY_NONE, 1.0).log()
        if memory.past is not None:
            missed = missed.masked_fill(memory.past[:, 0].repeat_interleave(self.each, 0), 0.0)
        return (self.beam.coverage_penalty * missed.sum(1)).tolist()

    def _take(self, rows: np.ndarray) -> None:
        super()._take(rows)
        self.looked = None if self.looked is None else self.looked[self._tensor(rows)]

    def _keep(self, sources: np.ndarray) -> np.ndarray:
        rows = super()._keep(sources)
        self.looked = None if self.looked is None else self.looked[self._tensor(rows)]
        return rows

    def _cut(self, longest: int) -> None:
        penalties = self._penalties()
        for at in np.flatnonzero(self.going).tolist():
            for i, score in enumerate(self.scores[at].tolist()):
                if score > -np.inf:
                    self._note(at, longest, at * self.each + i, score, False, penalties)


class SamplingRun(Run):
    """Drawing under way."""

    def __init__(
        self, model: EncoderDecoder, encoded: Encoded, lengths: list[int], sampling: Sampling, end: int, attention: bool
    ) -> None:
        super().__init__(model, encoded, lengths, sampling.count, end, attention)
        self.sampling = sampling
        self.alive = np.ones(self.scores.shape, bool)

    def _chosen(self, log_probabilities: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
        logits = self._tensor(log_probabilities.reshape(-1, log_probabilities.shape[2]))
        drawn = torch.multinomial(self.sampling.probabilities(logits), 1, generator=self.sampling.generator)
        tokens = drawn.cpu().numpy().reshape(self.scores.shape)
        self.scores = self.scores + np.take_along_axis(log_probabilities, tokens[..., None], 2)[..., 0]
        self._note(step, self.alive & (tokens == self.end), True)
        self.alive &= tokens != self.end
        self.going = np.asarray(self.alive.any(1))
        return tokens, self._first_rows() + np.arange(self.each)

    def _note(self, steps: int, which: np.ndarray, ended: bool) -> None:
        for at, i in np.argwhere(which).tolist():
            score = float(self.scores[at, i])
            self.written.endings.append(Ending(int(self.places[at]), steps, at * self.each + i, score, score, ended))

    def _keep(self, sources: np.ndarray) -> np.ndarray:
        self.alive = self.alive[sources]
        return super()._keep(sources)

    def _cut(self, longest: int) -> None:
        self._note(longest, self.alive, False)


def highest(values: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The highest of each row, and their places, from the highest on: both (rows, count).

    Example:
        >>> highest(np.array([[0.1, 0.7, 0.2]]), 2)
        (array([[0.7, 0.2]]), array([[1, 2]]))
    """
    places = np.argpartition(values, values.shape[1] - count, axis=1)[:, values.shape[1] - count :]
    rows = np.arange(len(values))[:, None]
    found = values[rows, places]
    order = (-found).argsort(axis=1, kind="stable")
    return found[rows, order], places[rows, order]
