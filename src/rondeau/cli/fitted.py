"""The fitted model in a run folder, with its job and where its data lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rondeau.cli.dataset import NAME, DataSet
from rondeau.cli.jobs import JOBS, Job
from rondeau.errors import RunError
from rondeau.train import SavedRun, open_run
from rondeau.train.kinds import LANGUAGE_MODEL


def job_of(saved: SavedRun) -> Job:
    """What the commands do with a run.

    Raises:
        RunError: it is of a kind that was not fitted to labels, numbers or series.
    """
    name = saved.kind.name
    if name not in JOBS:
        hint = "; let it write with `rondeau sample`" if name == LANGUAGE_MODEL.name else ""
        raise RunError(
            f"{saved.folder.path} holds a {name!r}, and what is asked for needs a {', '.join(JOBS)}{hint or '; give one'}"
        )
    return JOBS[name]


def data_of(saved: SavedRun) -> DataSet:
    """Where its data lie; for a run that was fitted in Python, data of which nothing is known."""
    text = saved.texts.get(NAME)
    return DataSet("") if text is None else DataSet.of(text, saved.folder.path)


def fitted(run: Path) -> tuple[Job, Any, DataSet]:
    """The job, the model and the data of a run.

    Raises:
        RunError: the folder is not sound, or holds another kind of run.
    """
    saved = open_run(run)
    job = job_of(saved)
    return job, job.make().load(run), data_of(saved)
