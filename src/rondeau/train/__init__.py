"""Training: the loop, its record, run folders and resuming."""

from rondeau.train.folder import RunFolder, digest
from rondeau.train.loop import Progress, Training, evaluate
from rondeau.train.record import Record, bits
from rondeau.train.run import Run, load, resume, start
from rondeau.train.settings import Settings

__all__ = [
    "Progress",
    "Record",
    "Run",
    "RunFolder",
    "Settings",
    "Training",
    "bits",
    "digest",
    "evaluate",
    "load",
    "resume",
    "start",
]
