"""Runs of a moment, for tests."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from rondeau.data import Text
from rondeau.train import Run, Settings, start

TEXT = Text.of("to be or not to be, that is the question. " * 60)
OLD = Path(__file__).parent / "old_layout"
TINY = {"hidden": 12, "embedding": 6, "batch": 3, "window": 8, "seed": 5, "learning_rate": 0.01}
SMALL = {"hidden": 4, "embedding": 3}


def tiny(**changed: Any) -> Settings:
    """Settings of a run of twelve steps."""
    return Settings(**{**TINY, "steps": 12, **changed})


def manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a run folder."""
    return json.loads((folder / "manifest.json").read_text())


def weights(folder: Path) -> bytes:
    """The bytes of the weights of the newest checkpoint."""
    return (folder / manifest(folder)["files"]["model"]).read_bytes()


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a folder but the lock."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != "lock"}


def cut(folder: Path, after: int = 5, **changed: Any) -> Run:
    """A run that was saved after some steps and let go."""
    run = start(tiny(**changed), TEXT, folder=folder)
    assert run.training is not None
    for _ in range(after):
        run.training.step()
    run.save()
    run.close()
    return run


def stopped(folder: Path, after: int, **changed: Any) -> Run:
    """A run that was asked to stop after some steps, as by Ctrl-C."""
    run = start(tiny(**changed), TEXT, folder=folder)
    training = run.training
    assert training is not None

    def tell(row: dict[str, Any]) -> None:
        training.stopping = row["step"] >= after

    return run.fit(tell)


def old(name: str, place: Path) -> Path:
    """A copy of a run that an earlier version made: ``cut`` after 5 of 12 steps, or ``whole``; those of format 2 end in 2."""
    return Path(shutil.copytree(OLD / name, place / name))
