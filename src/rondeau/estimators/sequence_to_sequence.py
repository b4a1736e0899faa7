"""`SequenceToSequence`: a sequence for each sequence, of another length, as an estimator by scikit-learn's conventions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from rondeau.data import Pairs, Symbols, pairs_of, split_sequences
from rondeau.data.pairs import side
from rondeau.engine.backends.registry import choice
from rondeau.errors import InputError
from rondeau.estimators.learner import Learner
from rondeau.estimators.randomness import seed_of
from rondeau.ir import Cell
from rondeau.models import Beam, EncoderDecoder, Hypothesis, Sampling, SequenceEncoder, Tokens, recurrent_layers
from rondeau.models.decoding import Search
from rondeau.train import Paired, Training, Transduction, optimizer, written

HELD_FROM = 500  # pairs from which on some are held back to stop early
UNSEEN = {"characters": 0.001, "words": 0.02, "tokens": 0.02}
"""The rate at which tokens of sources are taken for unknown ones in training: a character tells too much to be missed often."""


@dataclass(frozen=True, eq=False)
class Alternative:
    """One of the sequences that a model writes for a source.

    Args:
        text: the text, or the list of tokens; an unknown token is the token of the source that was looked at most.
        log_probability: in nats.
        score: what it is ranked by.
        ended: whether it came to its end; False where it was cut at the longest length.
        source: the source's tokens.
        target: the tokens of the text.
        attention: where each token of the text, and its end, looked (target + 1, source); None without attention.
    """

    text: Any
    log_probability: float
    score: float
    ended: bool
    source: tuple[str, ...]
    target: tuple[str, ...]
    attention: np.ndarray | None


@dataclass(kw_only=True, eq=False, repr=False)
class SequenceToSequence(Learner):
    """Writes a sequence for each sequence: translations, spellings, transcriptions, normal forms.

    Sources and targets are texts, or lists of tokens, each side by itself. Texts are read and written character by character,
    or as words with the space before them and marks, so that nothing of a text is lost.

    Args:
        cell: the recurrent cell of encoder and decoder, or a name of the zoo.
        hidden: units of each layer, of the encoder in each direction.
        layers: recurrent layers above one another, in both.
        bidirectional: whether the encoder's run both forward and backward.
        dropout: the rate on embeddings, between layers and before the softmax, while training.
        embedding: features of a token.
        attention: "dot", "general", "additive", or None; see `rondeau.nn.Attention`.
        input_feeding: whether the decoder reads what the step before made of its attention; training is then step by step.
        source_tokens: what sources are read as: "characters", "words" or "tokens"; "auto": characters of texts, else tokens.
        target_tokens: the same of targets.
        vocabulary: tokens that are known at most, the most frequent ones, on each side.
        least_count: how often a token must occur to be known; "auto": twice for words, once for others.
        sampling: the rate of scheduled sampling, as in `rondeau.train.Transduction`.
        smoothing: of labels, as there.
        beam: the width of the beam that `predict` searches with.
        length_penalty, coverage_penalty: as in `rondeau.models.Beam`.
        longest: tokens that are written at most; "auto": half as many again as in the longest target learned, and ten.
        epochs: passes over the pairs; "auto" has few pairs passed over more often.
        batch_size: pairs in a batch at most; "auto" grows with their number.
        learning_rate, optimizer, schedule, weight_decay, clip_norm: as in `rondeau.train.TrainingSettings`.
        validation_fraction: the part held back to see when to stop; None: none is. "auto": a tenth, where there are enough.
        patience: evaluations, one an epoch, without progress after which training stops; the best weights are kept.
        random_state: a whole number for the same numbers each time.
        warm_start: whether another `fit` goes on with the weights that there are.
        verbose: whether to print how far training is.
        device: "cpu", "cuda" or "mps".
        backend: as for `rondeau.scan`.
        threads: processor threads while training; as PyTorch has them if not given.

    Attributes:
        network_: what was learned, a `rondeau.models.EncoderDecoder`.
        source_symbols_, target_symbols_: the tokens that it knows, `rondeau.data.Symbols`.
        longest_: tokens that it writes at most.
        history_: the rows of the training's record.
        settings_: of the training.
        n_iter_: updates of the weights.

    Example:
        >>> words = ["one", "two", "three", "four"]
        >>> model = SequenceToSequence(hidden=16, epochs=60, batch_size=4, learning_rate=0.02, random_state=0)
        >>> model = model.fit(words, ["1", "2", "3", "4"])
        >>> model.predict(["three", "one"])
        ['3', '1']
    """

    cell: str | Cell = "gru"
    hidden: int = 128
    layers: int = 1
    bidirectional: bool = True
    dropout: float = 0.1
    embedding: int = 64
    attention: str | None = "general"
    input_feeding: bool = False
    source_tokens: str = "auto"
    target_tokens: str = "auto"
    vocabulary: int = 50_000
    least_count: int | str = "auto"
    sampling: float = 0.0
    smoothing: float = 0.0
    beam: int = 4
    length_penalty: float = 0.0
    coverage_penalty: float = 0.0
    longest: int | str = "auto"
    backend: str = "auto"
    validation_fraction: float | str | None = "auto"

    kind: ClassVar[str] = "sequence to sequence"
    _fitted: ClassVar[tuple[str, ...]] = ("source_symbols_", "target_symbols_", "longest_", *Learner._fitted)

    # learning

    def begin(self, X: Any, y: Any = None, sample_weight: Any = None, *, seed: int) -> Training:
        """See `Learner.begin`; ``X`` may be `rondeau.data.Pairs`, which bring their targets along."""
        pairs = self._pairs(X, y)
        self._search()  # it is as well to know now
        weights = _weights(sample_weight, len(pairs))
        if weights is not None:  # what counts nothing is not there
            counting = weights.nonzero()[:, 0].numpy()
            pairs, weights = pairs.take(counting), weights[counting]
        going_on = self.warm_start and "network_" in vars(self)
        if not going_on:
            self.source_symbols_ = self._symbols(pairs.sources.items, self.source_tokens)
            self.target_symbols_ = self._symbols(pairs.targets.items, self.target_tokens)
            self.n_features_in_ = 1
        train, held = self._parts(pairs, weights, seed)
        self.longest_ = self._longest(train)
        if not going_on:
            self.network_ = self._network().to(self.device)
        task = Transduction(
            train,
            held,
            batch=self._batch(len(train.sources)),
            sampling=self.sampling,
            smoothing=self.smoothing,
            seed=seed,
            device=self.device,
        )
        self.settings_ = settings = self._settings(len(train.sources), held is not None, seed)
        return Training(self.network_, task, optimizer(self.network_, settings), settings=settings)

    def _pairs(self, X: Any, y: Any) -> Pairs:
        if isinstance(X, Pairs):
            return X
        if y is None:
            raise InputError("y is None, and a target is needed for each source; give y, or rondeau.data.Pairs")
        return pairs_of(X, y)

    def _symbols(self, items: Sequence[Any], unit: str) -> Symbols:
        least = self.least_count
        if least == "auto":
            least = 2 if unit == "words" else 1
        for name, value in (("least_count", least), ("vocabulary", self.vocabulary)):
            if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
                raise InputError(f"{name} is a positive whole number, not {value!r}")
        return Symbols.of(items, unit, most=self.vocabulary, least=int(least))

    def _parts(self, pairs: Pairs, weights: Tensor | None, seed: int) -> tuple[Paired, Paired | None]:
        """What to learn from, and what to hold back to see when to stop."""
        sources = [self.source_symbols_.encode(item) for item in pairs.sources.items]
        targets = [self.target_symbols_.encode(item) for item in pairs.targets.items]

        def part(places: np.ndarray) -> Paired:
            own = None if weights is None else weights[places]
            return Paired([sources[place] for place in places], [targets[place] for place in places], own)

        fraction = self.validation_fraction
        if fraction == "auto":
            fraction = 0.1 if len(pairs) >= HELD_FROM else None
        if isinstance(fraction, str):
            raise InputError(f"validation_fraction is auto, None, or a part between 0 and 1, not {fraction!r}")
        if fraction is None:
            return part(np.arange(len(pairs))), None
        split = split_sequences(len(pairs), fraction, seed=seed)
        return part(split.train), part(split.held_out)

    def _longest(self, train: Paired) -> int:
        if self.longest == "auto":
            return train.longest + train.longest // 2 + 10
        if not isinstance(self.longest, (int, np.integer)) or self.longest < 1:
            raise InputError(f"longest is auto or a positive whole number, not {self.longest!r}")
        return int(self.longest)

    def _network(self) -> EncoderDecoder:
        symbols, backend = self.source_symbols_, choice(self.backend)
        reader = Tokens(symbols.size, self.embedding, unknown=UNSEEN[symbols.unit])
        body = recurrent_layers(
            self.cell,
            reader.width,
            self.hidden,
            layers=self.layers,
            bidirectional=self.bidirectional,
            dropout=self.dropout,
            backend=backend,
        )
        return EncoderDecoder(
            SequenceEncoder(reader, body, self.dropout),
            self.target_symbols_.size,
            self.cell,
            hidden=self.hidden,
            layers=self.layers,
            embedding=self.embedding,
            attention=self.attention,
            input_feeding=self.input_feeding,
            dropout=self.dropout,
            backend=backend,
        )

    # writing

    def predict(self, X: Any) -> list[Any]:
        """The best that the beam finds for each source: a list of texts, or of lists of tokens, as the targets were.

        Raises:
            InputError: a source is empty or of another kind than those learned.
        """
        check_is_fitted(self, "network_")
        copies = self.attention is not None and self.target_symbols_.unit != "characters"
        return [found[0].text for found in self._written(X, self._search(), copies)]

    def predict_alternatives(self, X: Any) -> list[list[Alternative]]:
        """All that the beam finds for each source, the best first, with probabilities and attention.

        Raises:
            InputError: as for `predict`.
        """
        return self._written(X, self._search(), attention=True)

    def sample(
        self,
        X: Any,
        count: int = 1,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        random_state: Any = None,
    ) -> list[list[Alternative]]:
        """Sequences drawn for each source; the settings are those of `rondeau.models.Sampling`.

        Raises:
            InputError: a setting is out of range, or as for `predict`.
        """
        draw = torch.Generator(self.device).manual_seed(seed_of(random_state))
        return self._written(X, Sampling(count, temperature, top_k, top_p, draw), attention=True)

    def score(self, X: Any, y: Any = None) -> float:
        """The part of the sources for which `predict` writes exactly the target."""
        pairs = self._pairs(X, y)
        found = self.predict(pairs.sources.items)
        return float(np.mean([own == wanted for own, wanted in zip(found, pairs.targets.items)]))

    def _search(self) -> Beam:
        return Beam(self.beam, self.length_penalty, self.coverage_penalty)

    def _written(self, X: Any, search: Search, attention: bool) -> list[list[Alternative]]:
        check_is_fitted(self, "network_")
        items = side(X, "the sources").items
        if isinstance(items[0], str) is (self.source_symbols_.unit == "tokens"):
            wanted = "lists of tokens" if self.source_symbols_.unit == "tokens" else "texts"
            raise InputError(f"the model has learned to read {wanted}, and the sources are others; give such")
        sources = [self.source_symbols_.encode(item) for item in items]
        found = written(self.network_, sources, search, longest=self.longest_, device=self.device, attention=attention)
        return [[self._alternative(self.source_symbols_.pieces(item), each) for each in own] for item, own in zip(items, found)]

    def _alternative(self, source: list[str], found: Hypothesis) -> Alternative:
        looked = None if found.attention is None else found.attention.numpy()
        seen = [] if looked is None else [source[place] for place in looked[: len(found.tokens)].argmax(1)]
        target = self.target_symbols_.each(found.tokens, seen)
        text = self.target_symbols_.joined(target)
        return Alternative(text, found.log_probability, found.score, found.ended, tuple(source), tuple(target), looked)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.target_tags.required = True
        return tags


def _weights(given: Any, count: int) -> Tensor | None:
    if given is None:
        return None
    weights = torch.as_tensor(np.asarray(given, np.float64)).to(torch.get_default_dtype())
    if weights.shape != (count,) or not (weights >= 0).all() or not weights.isfinite().all() or not weights.any():
        raise InputError(f"sample_weight is {count} finite numbers from 0 up, not all of them 0, one a pair; give such")
    return weights
