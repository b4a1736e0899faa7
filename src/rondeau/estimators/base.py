"""`SequenceEstimator`: a `Learner` whose input are sequences.

A subclass has, beside what `Learner` says,

- `_goal` and `_per_step`, what ``y`` is: "label" or "target", of a sequence or of each step;
- `_task(data, split, seed, going_on)`: the task (`rondeau.train.Task`) of sequences that were read and of a split of them; what
  it learns about the data set, such as the classes, it sets as attributes that end in ``_``, named in `_fitted`;
- `_network()`: its parts are `_reader()` and `_encoder()`, which read ``form_``;
- ``predict``, which reads its input by `_read` and runs the network over it, as `_outputs` does.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from rondeau.data import Sequences, Split, split_sequences
from rondeau.data.guessing import GoalName
from rondeau.engine.backends.registry import choice
from rondeau.errors import InputError
from rondeau.estimators.form import Form, given
from rondeau.estimators.learner import Learner
from rondeau.estimators.rules import rule
from rondeau.ir import Cell
from rondeau.models import Numbers, Reader, SequenceEncoder, Tokens, recurrent_layers
from rondeau.train import Task, Training, optimizer
from rondeau.train.labelling import outputs_of

HELD_FROM = 500  # sequences from which on some are held back to stop early


@dataclass(kw_only=True, eq=False, repr=False)
class SequenceEstimator(Learner):
    """The parameters of what reads sequences; see `SequenceClassifier`."""

    cell: str | Cell = "gru"
    hidden: int | str = 64
    layers: int = 1
    bidirectional: bool = True
    dropout: float | str = 0.2
    embedding: int = 64
    tokens: str = "auto"
    backend: str = "auto"
    validation_fraction: float | str | None = "auto"

    _goal: ClassVar[GoalName] = "label"
    _per_step: ClassVar[bool] = False
    _fitted: ClassVar[tuple[str, ...]] = ("form_", *Learner._fitted)

    def begin(self, X: Any, y: Any = None, sample_weight: Any = None, *, seed: int) -> Training:
        """See `Learner.begin`."""
        data = self._weighted(given(X, y, goal=self._goal, per_step=self._per_step, sample_weight=sample_weight))
        going_on = self.warm_start and "network_" in vars(self)
        split = self._split(data, seed)
        if going_on:
            self.form_.check(X, data, type(self).__name__)
        else:
            self._set_form(Form.of(X, data.take(split.train), self._unit(data)))
        task = self._task(data, split, seed, going_on)
        if not going_on:
            self.network_ = self._network().to(self.device)
        settings = self._settings(len(split.train), bool(task.metrics), seed)
        self.settings_ = settings
        return Training(self.network_, task, optimizer(self.network_, settings), settings=settings)

    # what a subclass says

    @abstractmethod
    def _task(self, data: Sequences, split: Split, seed: int, going_on: bool) -> Task[Any, Any]: ...

    def _unit(self, data: Sequences) -> str:
        """What the tokens of texts are."""
        return self.tokens

    def _weighted(self, data: Sequences) -> Sequences:
        """The sequences without those that count nothing."""
        return data if data.weights is None or data.weights.all() else data.take(np.flatnonzero(data.weights))

    def _set_form(self, form: Form) -> None:
        self.form_ = form
        self.n_features_in_ = form.columns or form.features or 1
        if form.names is not None:
            self.feature_names_in_ = np.array(form.names, object)
        elif "feature_names_in_" in vars(self):
            del self.feature_names_in_

    def _codes(self, data: Sequences) -> np.ndarray | None:
        """The classes of sequences, where they have any, that every part of a split should have."""
        return None

    def _split(self, data: Sequences, seed: int) -> Split:
        """What to learn from, and what to hold back to see when to stop."""
        part = self.validation_fraction
        if part == "auto":
            part = 0.1 if len(data) >= HELD_FROM else None
        if isinstance(part, str) or (part is not None and not 0 < part < 1):
            raise InputError(f"validation_fraction is auto, None, or a part between 0 and 1, not {part!r}")
        if part is None:
            return Split(np.arange(len(data)), np.zeros(0, np.int64), "none held back")
        return split_sequences(len(data), part, seed=seed, codes=self._codes(data))

    # the parts of a network

    def _reader(self) -> Reader:
        """What reads the sequences: numbers scaled by what was learned from, or an embedding of tokens."""
        form = self.form_
        if form.vocabulary is None:
            return Numbers(form.mean, form.deviation, masked=form.masked, change=form.change)
        return Tokens(form.vocabulary.size, self.embedding, unknown=0.02)

    def _encoder(self) -> SequenceEncoder:
        """A new encoder, with weights of its own."""
        reader, hidden, dropout = self._reader(), int(self._own("hidden")), float(self._own("dropout"))
        frame = self._frame()
        body = recurrent_layers(
            self.cell,
            reader.width * frame,
            hidden,
            layers=self.layers,
            bidirectional=self.bidirectional,
            dropout=dropout,
            backend=choice(self.backend),
        )
        return SequenceEncoder(reader, body, dropout, frame)

    def _frame(self) -> int:
        """Steps that the layers read at once."""
        return 1

    def _own(self, name: str) -> float:
        """A parameter; "auto" by the rule for sequences such as were learned."""
        value, words = self.get_params(deep=False).get(name, "auto"), self.form_.vocabulary
        if value == "auto":
            value = rule(words.unit if words else "numbers", self.form_.sequences)[name]
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise InputError(f"{name} is auto or a number, not {value!r}")
        return value

    # predicting

    def _read(self, X: Any) -> Sequences:
        """Sequences to predict."""
        check_is_fitted(self, "network_")
        return self.form_.read(X, type(self).__name__)

    def _outputs(self, X: Any) -> Tensor:
        """What the network says of sequences (members, sequences, outputs), some at a time."""
        items = self._read(X).items
        return outputs_of(self.network_, items, self.device, self.form_.tensor)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        tags.non_deterministic = False
        return tags
