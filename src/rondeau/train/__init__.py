"""Training: the loop, its record, run folders and resuming."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rondeau.errors import RunWarning
from rondeau.train.settings import LanguageModelSettings, Settings, TextSettings, TrainingSettings

if TYPE_CHECKING:
    from rondeau.train.callbacks import Callback, Checkpoints, EarlyStopping, OnRow
    from rondeau.train.folder import RunFolder
    from rondeau.train.forecasting import Forecasting
    from rondeau.train.keeping import SavedRun, keep, open_run
    from rondeau.train.kinds import Kind
    from rondeau.train.language_modelling import LanguageModelling, evaluate
    from rondeau.train.loop import Training
    from rondeau.train.optimizers import optimizer
    from rondeau.train.progress import Progress
    from rondeau.train.record import Record, bits
    from rondeau.train.run import BaseRun, Run
    from rondeau.train.same_data import fingerprint
    from rondeau.train.scoring import NetworkScorer
    from rondeau.train.starting import load, resume, start
    from rondeau.train.task import Batches, CarryingTask, Metric, Task
    from rondeau.train.tensors import digest
    from rondeau.train.transduction import Paired, Transduction, written
    from rondeau.train.weights import put_weights

_LATE = {
    "Callback": "callbacks",
    "Checkpoints": "callbacks",
    "EarlyStopping": "callbacks",
    "OnRow": "callbacks",
    "fingerprint": "same_data",
    "RunFolder": "folder",
    "SavedRun": "keeping",
    "keep": "keeping",
    "open_run": "keeping",
    "Kind": "kinds",
    "Forecasting": "forecasting",
    "LanguageModelling": "language_modelling",
    "evaluate": "language_modelling",
    "Training": "loop",
    "optimizer": "optimizers",
    "Progress": "progress",
    "NetworkScorer": "scoring",
    "Batches": "task",
    "CarryingTask": "task",
    "Metric": "task",
    "Task": "task",
    "digest": "tensors",
    "Paired": "transduction",
    "Transduction": "transduction",
    "written": "transduction",
    "put_weights": "weights",
    "Record": "record",
    "bits": "record",
    "BaseRun": "run",
    "Run": "run",
    "load": "starting",
    "resume": "starting",
    "start": "starting",
}
"""What needs torch, which takes a second to import: it comes when it is first asked for; `Settings` come without."""


if not TYPE_CHECKING:  # or a type checker would take any name

    def __getattr__(name: str) -> Any:
        if name not in _LATE:
            raise AttributeError(f"module 'rondeau.train' has no attribute {name!r}")
        return getattr(import_module(f"rondeau.train.{_LATE[name]}"), name)


__all__ = [
    "BaseRun",
    "Batches",
    "Callback",
    "CarryingTask",
    "Checkpoints",
    "EarlyStopping",
    "Forecasting",
    "Kind",
    "LanguageModelSettings",
    "LanguageModelling",
    "Metric",
    "NetworkScorer",
    "OnRow",
    "Paired",
    "Progress",
    "Record",
    "Run",
    "RunFolder",
    "RunWarning",
    "SavedRun",
    "Settings",
    "Task",
    "TextSettings",
    "Training",
    "TrainingSettings",
    "Transduction",
    "bits",
    "digest",
    "evaluate",
    "fingerprint",
    "keep",
    "load",
    "open_run",
    "optimizer",
    "put_weights",
    "resume",
    "start",
    "written",
]
