"""The fitted model in a run folder, with its job and where its data lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rondeau.cli.dataset import NAME, DataSet
from rondeau.cli.jobs import CLASSIFY, REGRESS, TAG, Job, make
from rondeau.cli.series_job import FORECAST
from rondeau.errors import RunError
from rondeau.train import SavedRun, open_run
from rondeau.train.kinds import LANGUAGE_MODEL

ALL: tuple[Job, ...] = (CLASSIFY, REGRESS, TAG, FORECAST)
JOBS = {job.kind: job for job in ALL}


def job_of(saved: SavedRun) -> Job:
    """What the commands do with a run.

    Raises:
        RunError: it is of a kind that was not fitted to labels, numbers or series.
    """
    name = saved.kind.name
    if name not in JOBS:
        hint = "let it write with `rondeau sample`" if name == LANGUAGE_MODEL.name else "give the folder of one"
        kinds = " or a ".join(JOBS)
        raise RunError(f"{saved.folder.path} holds a {name!r}, and what is asked for needs a {kinds}; {hint}")
    return JOBS[name].of(parameters_of(saved))


def parameters_of(saved: SavedRun) -> dict[str, Any]:
    """The parameters of the estimator in a run folder.

    Raises:
        RunError: the folder does not say.
    """
    from rondeau.estimators import saving

    if "estimator.json" not in saved.texts or "cell.json" not in saved.texts:
        raise RunError(f"{saved.folder.path} is not a whole run folder: estimator.json is missing; restore it from a copy")
    return saving.read(saved.texts, str(saved.folder.path))[0]


def data_of(saved: SavedRun) -> DataSet:
    """Where its data lie; for a run that was fitted in Python, data of which nothing is known.

    Raises:
        RunError: what the folder says of it is not sound.
    """
    text = saved.texts.get(NAME)
    return DataSet("") if text is None else DataSet.of(text, saved.folder.path)


def fitted(run: Path) -> tuple[Job, Any, DataSet]:
    """The job, the model and the data of a run.

    Raises:
        RunError: the folder is not sound, or holds another kind of run.
    """
    saved = open_run(run)
    job = job_of(saved)
    return job, make(job, {}).load(run), data_of(saved)
