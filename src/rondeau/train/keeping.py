"""Keeping, resuming and loading the run of any task: `keep` gives a training its run folder, `open_run` reads one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from rondeau.errors import InputError, RunError
from rondeau.train.checkpoint import Checkpoint
from rondeau.train.devices import use_threads
from rondeau.train.folder import RunFolder
from rondeau.train.kinds import CONFIG, NAME, Kind, kind_name
from rondeau.train.loop import Training
from rondeau.train.manifest import MORE, Facts, Fingerprint
from rondeau.train.run import BaseRun
from rondeau.train.same_data import check_same
from rondeau.train.settings import TrainingSettings
from rondeau.train.weights import put_weights

Model = TypeVar("Model", bound=nn.Module)
FREE = ("threads", "save_every")
"""Settings that decide nothing of what is learned: a resumed run may have others."""


def keep(
    training: Training,
    folder: str | Path,
    kind: Kind | str,
    *,
    texts: Mapping[str, str] | None = None,
    data: Fingerprint | None = None,
    overwrite: bool = False,
) -> BaseRun:
    """Gives a training a run folder, where `BaseRun.fit` then saves as it goes.

    The folder keeps weights, state, record and settings, not the code: going on takes the same model and task, made anew from
    what ``texts`` say.

    Args:
        training: what has not begun yet, or goes on from here.
        folder: where to keep it.
        kind: what kind of run this is; or the name of a kind that has no texts of its own.
        texts: those that the kind needs, and others, by the names of their files; they describe the model and all that using
            it takes.
        data: what `fingerprint` gives of the data; a resumed run then has to have the same.
        overwrite: whether a run that is there may be replaced.

    Raises:
        RunError: something is there already and ``overwrite`` is off, it is in use, or it cannot be written.
        InputError: a text that the kind needs is not given, one has no name that a text may have, or the optimizer is not the
            one that the settings name.

    Example:
        >>> import tempfile
        >>> from rondeau.data import Text
        >>> from rondeau.train import LanguageModelling, optimizer
        >>> from rondeau.models import LanguageModel
        >>> settings = TrainingSettings(steps=4)
        >>> def made(settings):
        ...     model, tokens = LanguageModel(3, "gru", hidden=4), torch.arange(60) % 3
        ...     task = LanguageModelling(tokens, None, batch=2, window=8)
        ...     return Training(model, task, optimizer(model, settings), settings=settings)
        >>> where = tempfile.mkdtemp() + "/thirds"
        >>> run = keep(made(settings), where, "thirds").fit()
        >>> saved = open_run(where, "thirds")
        >>> more = saved.resume(made(saved.settings), steps=2).fit()
        >>> more.training.progress.step
        6
        >>> _ = open_run(where, "thirds").load_into(LanguageModel(3, "gru", hidden=4))
    """
    kind = kind if isinstance(kind, Kind) else Kind(kind)
    given = dict(texts or {})
    missing = [name for name in kind.texts if name not in given]
    if missing:
        raise InputError(f"a {kind.name!r} has the texts {', '.join(kind.texts)}, and {missing[0]} is not given; give all")
    Kind(kind.name, tuple(given))  # the names of all of them are sound
    run = BaseRun(model=training.model, settings=training.settings, training=training, facts=_facts(data))
    run.create(folder, {NAME: kind.to_json(), CONFIG: training.settings.to_toml(), **given}, overwrite)
    return run


def _facts(data: Fingerprint | None) -> Facts:
    return Facts(torch=torch.__version__, threads=torch.get_num_threads(), corpus=data)


def open_run(folder: str | Path, kind: Kind | str | None = None) -> SavedRun:
    """Reads what a run folder says of its run.

    Args:
        folder: the run folder.
        kind: what kind of run it has to be, or the name of that kind; any if not given.

    Raises:
        RunError: the folder is not sound, or holds another kind of run.
    """
    place = RunFolder.open(folder)
    found = place.read()
    expected = Kind(kind) if isinstance(kind, str) else kind or Kind(kind_name(found.texts, place.path))
    expected.check(found.texts, place.path)
    return SavedRun(place, found, expected)


class SavedRun:
    """A run that was read from its folder: `open_run` makes one."""

    def __init__(self, folder: RunFolder, checkpoint: Checkpoint, kind: Kind) -> None:
        self.folder, self.checkpoint, self.kind = folder, checkpoint, kind

    @property
    def texts(self) -> Mapping[str, str]:
        """The texts that describe it, by the names of their files."""
        return self.checkpoint.texts

    @property
    def facts(self) -> Facts:
        """What its newest checkpoint says beside its tensors."""
        return self.checkpoint.manifest.facts

    @property
    def settings(self) -> TrainingSettings:
        """Its settings, of the class that its kind has, with what was asked for since it was begun.

        Raises:
            InputError: they are not sound.
        """
        return self._settings(dict(self.facts.settings))

    def _settings(self, changed: dict[str, Any]) -> TrainingSettings:
        own = self.kind.settings
        values = own.flat(own.toml(self.texts[CONFIG], str(self.folder.path / CONFIG))) | changed
        return own.of({name: value for name, value in values.items() if value is not None}).checked()

    def load_into(self, model: Model) -> Model:
        """Puts the weights into a model of the same make; the model itself.

        Raises:
            RunError: the weights are damaged, or those of another model.
        """
        try:
            put_weights(model, self.checkpoint.tensors("model"))
        except InputError as error:
            raise RunError(
                f"{self.folder.path} has the weights of another model; make the model that its texts describe"
            ) from error
        return model

    def resume(
        self,
        training: Training,
        *,
        data: Fingerprint | None = None,
        minutes: float | None = None,
        epochs: float | None = None,
        steps: int | None = None,
        learning_rate: float | None = None,
    ) -> BaseRun:
        """The run, where it was last saved, ready to `BaseRun.fit`; on as many threads as it was started with.

        With ``steps`` or ``epochs`` it ends with the very weights of a run that was never interrupted, if ``training`` is made
        as that of the run was.

        Args:
            training: made anew: the same model, task and optimizer, with the `settings` of this run.
            data: what `fingerprint` gives of its data, where the run was kept with one.
            minutes, epochs, steps: go on for so much more, counted from where the run was last saved. The learning rate's
                warm-up and schedule, and the patience, begin anew and span what is asked for.
            learning_rate: the highest one from here on; without an end, the run keeps its end and its schedule.

        Raises:
            RunError: the folder is not sound, in use or written since it was opened, the data, the model or the settings are
                others, or the run has ended and only a learning rate is given.
            InputError: a number is out of range, or more than one end is given.
        """
        more = {"minutes": minutes, "epochs": epochs, "steps": steps, "learning_rate": learning_rate}
        self.folder.claim()
        try:
            self.folder.settle()
            return self._resumed(training, data, more)
        except BaseException:
            self.folder.release()
            raise

    def _resumed(self, training: Training, data: Fingerprint | None, more: Mapping[str, float | None]) -> BaseRun:
        self.checkpoint = found = self.folder.read(("model", "state"))
        check_same(self.facts.corpus, data, self.folder.path)
        training.settings = self._same_settings(training.settings)
        use_threads(self.facts.threads or training.settings.threads)
        self.load_into(training.model)
        facts = replace(self.facts, threads=torch.get_num_threads())
        run = BaseRun(model=training.model, settings=training.settings, training=training, folder=self.folder, facts=facts)
        run.go_on(found, more)
        return run

    def _same_settings(self, given: TrainingSettings) -> TrainingSettings:
        """The settings to go on with: those given, once they are those of the run as it was begun or as it is now."""
        begun, now = self._settings({}), self.settings
        for name in TrainingSettings.declared():
            value, own = getattr(given, name), getattr(now, name)
            if name not in FREE and value != own and (name not in MORE or value != getattr(begun, name)):
                raise RunError(
                    f"{self.folder.path} was learned with {name}={own!r}, the training given has {value!r}; "
                    "make it with the settings of the run, and ask resume for more"
                )
        return replace(given, **{name: getattr(now, name) for name in MORE})
