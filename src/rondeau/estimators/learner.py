"""`Learner`: an estimator that learns by a `rondeau.train.Training` and is kept in a run folder, whatever it learns.

An estimator is a dataclass whose fields are its parameters, so that scikit-learn sees them as those of ``__init__``; nothing is
checked before `fit`. A subclass has

- its own parameters as fields, and `kind`, the name of its kind of run;
- `begin`, which makes the training of ``network_``;
- `_network()`: the network, made from parameters and from what `_fitted` names alone, so that a run folder can be read again.

`fit` runs what `begin` makes, and `finish` takes what was learned. `fit_run` does the same in a run folder.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from rondeau.errors import InputError
from rondeau.estimators import saving
from rondeau.estimators.randomness import own_randomness, seed_of
from rondeau.train import OnRow, Record, RunFolder, Training, TrainingSettings, keep, open_run
from rondeau.train.kinds import CONFIG, NAME
from rondeau.train.manifest import Facts
from rondeau.train.record import NAME as RECORD
from rondeau.train.record import Row
from rondeau.train.weights import weights

Own = TypeVar("Own", bound="Learner")
UPDATES = 1_500  # of the weights, that a small data set is learned in
LEAST_EPOCHS, MOST_EPOCHS = 10, 200
TELLS_EVERY = 2.0  # seconds from one line about the loss to the next, with verbose=True
TOLD = ("step", "epoch", "loss", "error", "held_out", "accuracy", "exact")


@dataclass(kw_only=True, eq=False, repr=False)
class Learner(BaseEstimator, ABC):
    """The parameters of learning; see `SequenceClassifier`."""

    epochs: int | str = "auto"
    batch_size: int | str = "auto"
    learning_rate: float = 0.003
    optimizer: str = "adamw"
    schedule: str = "cosine"
    weight_decay: float = 0.01
    clip_norm: float | None = 1.0
    patience: int | None = 5
    random_state: Any = None
    warm_start: bool = False
    verbose: bool | int = False
    device: str = "cpu"
    threads: int | None = None

    kind: ClassVar[str] = ""
    _fitted: ClassVar[tuple[str, ...]] = ("n_iter_", "n_features_in_", "feature_names_in_")

    def fit(self: Own, X: Any, y: Any = None, sample_weight: Any = None) -> Own:
        """Learns.

        Args:
            X: sequences, as for `rondeau.data.sequences_of`: a list of arrays (steps, features) or (steps,) of any lengths,
                an array (sequences, steps, features) or (sequences, steps), a list of texts, or of lists of tokens; or
                `rondeau.data.Sequences`, which bring labels and weights along. NaN stands for a missing number.
            y: what is to be said of each.
            sample_weight: how much each counts (sequences,).

        Returns:
            The estimator itself.

        Raises:
            InputError: a parameter is out of range, or the sequences are not sound.
        """
        seed = seed_of(self.random_state)
        with self._as_it_was_if_it_fails(), own_randomness(seed, self.device):
            training = self.begin(X, y, sample_weight, seed=seed)
            training.run(*([OnRow(_teller())] if self.verbose else []))
        return self.finish(training)

    @contextmanager
    def _as_it_was_if_it_fails(self) -> Iterator[None]:
        """Takes back what a `fit` has set that fails, so that classes or scales never stand beside an older network."""
        before = dict(vars(self))
        try:
            yield
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    @abstractmethod
    def begin(self, X: Any, y: Any = None, sample_weight: Any = None, *, seed: int) -> Training:
        """The training that `fit` runs, with everything set that does not come of it. PyTorch's random numbers must begin with
        ``seed``.

        Raises:
            InputError: as for `fit`.
        """

    @abstractmethod
    def _network(self) -> nn.Module: ...

    def finish(self: Own, training: Training) -> Own:
        """Takes what a training has learned that `begin` made; the estimator itself."""
        self.history_ = training.record.rows
        self.n_iter_ = int(training.progress.step)
        self.network_.eval()
        return self

    # in a run folder

    def fit_run(
        self: Own, folder: str | Path, X: Any, y: Any = None, sample_weight: Any = None, *, overwrite: bool = False
    ) -> Own:
        """Learns as `fit` does, in a run folder, where it is saved as it goes, to be gone on with.

        Raises:
            RunError: something is there already and ``overwrite`` is off, it is in use, or it cannot be written.
            InputError: as for `fit`.
        """
        seed = seed_of(self.random_state)
        with self._as_it_was_if_it_fails(), own_randomness(seed, self.device):
            training = self.begin(X, y, sample_weight, seed=seed)
            run = keep(training, folder, saving.kind(self.kind), texts=self.texts(), overwrite=overwrite)
            run.fit(_teller() if self.verbose else None)
        self.finish(training)
        run.conclude(self.texts())
        return self

    def texts(self) -> dict[str, str]:
        """The texts of a run folder that say what this fitted estimator is beside its weights, by the names of their files.

        Raises:
            InputError: a parameter cannot be written.
        """
        fitted = {name: value for name, value in vars(self).items() if name in self._fitted}
        return saving.written(self.get_params(deep=False), fitted)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Writes what was fitted into a run folder, to be used, not to be gone on with.

        Raises:
            RunError: something is there already and ``overwrite`` is off, or it cannot be written.
            NotFittedError: nothing was fitted.
        """
        check_is_fitted(self, "network_")
        texts = {NAME: saving.kind(self.kind).to_json(), CONFIG: self.settings_.to_toml(), **self.texts()}
        parts: dict[str, dict[str, Tensor]] = {"model": weights(self.network_), "state": {}}
        place = RunFolder.create(folder, texts, parts, Facts(), overwrite)
        record = Record(place.path / RECORD)
        for row in self.history_:
            record.add(**row)
        place.release()

    @classmethod
    def load(cls: type[Own], folder: str | Path) -> Own:
        """What `save` or `fit_run` wrote.

        Raises:
            RunError: the folder is not sound, or holds another kind of run.
        """
        saved = open_run(folder, saving.kind(cls.kind))
        parameters, fitted = saving.read(saved.texts, str(folder))
        made = cls(**parameters)
        for name, value in fitted.items():
            setattr(made, name, value)
        made.settings_ = saved.settings
        made.network_ = saved.load_into(made._network()).to(made.device).eval()
        made.history_ = Record.read(Path(folder) / RECORD).rows
        return made

    # settings

    def _settings(self, count: int, evaluates: bool, seed: int) -> TrainingSettings:
        batch, epochs = self._batch(count), self.epochs
        if epochs == "auto":
            epochs = int(np.clip(-(-self._updates() * batch // count), LEAST_EPOCHS, MOST_EPOCHS))
        _check_count("epochs", epochs)
        return TrainingSettings(
            epochs=int(epochs),
            learning_rate=self.learning_rate,
            optimizer=self.optimizer,
            schedule=self.schedule,
            weight_decay=self.weight_decay,
            clip_norm=self.clip_norm,
            evaluations=int(epochs),
            patience=self.patience if evaluates else None,
            seed=seed,
            device=self.device,
            threads=self.threads,
        ).checked()

    def _updates(self) -> int:
        """Updates of the weights that there are at least, if ``epochs`` is "auto"."""
        return UPDATES

    def _batch(self, count: int) -> int:
        """Sequences in a batch: with "auto" a sixteenth of all, but from 8 to 64."""
        if self.batch_size == "auto":
            return int(np.clip(1 << (count // 16).bit_length(), 8, 64))
        _check_count("batch_size", self.batch_size)
        return int(self.batch_size)


def _teller() -> Callable[[Row], None]:
    """What prints how far a training is: each evaluation, and now and then how much was lost meanwhile."""
    last = -math.inf

    def tell(row: Row) -> None:
        nonlocal last
        if "loss" in row and time.monotonic() - last < TELLS_EVERY:
            return
        if "loss" in row:
            last = time.monotonic()
        print("  ".join(f"{name} {row[name]:.4g}" for name in TOLD if name in row), flush=True)

    return tell


def _check_count(name: str, value: Any) -> None:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
        raise InputError(f"{name} is auto or a positive whole number, not {value!r}")
