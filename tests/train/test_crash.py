"""Kills and failing disks at calls into the file system; benchmarks/resume_kill.py does the same at every one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import resume_kill
from resume_kill import SCENES, every_call, recovered, uncut

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked children")


@pytest.mark.parametrize("how", ["calls", "errors"])
def test_nothing_is_lost_at_some_calls(tmp_path: Path, how: str) -> None:
    found = every_call(tmp_path, how, stride=41 if how == "calls" else 97)
    assert found["outcomes"]["same"] == found["trials"] >= 15 and not found["bad"]
    assert how == "calls" or found["outcomes"]["refused"] > found["trials"] // 3


def test_the_harness_finds_what_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the temporary name a kill inside a write loses the run."""
    from rondeau.train import folder

    def hasty(path: Path, data: bytes) -> None:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        exec("import os\nos.write(handle, data[: len(data) // 2])", {"__name__": "rondeau", "handle": handle, "data": data})
        exec("import os\nos.write(handle, data[len(data) // 2 :])", {"__name__": "rondeau", "handle": handle, "data": data})
        os.close(handle)

    monkeypatch.setattr(folder, "write", hasty)
    whole, resuming = uncut(tmp_path), SCENES[1]
    length = resume_kill.calls(resuming, tmp_path / "counted")
    found = set()
    for at in range(1, length + 1, 3):
        resume_kill.kill(resuming, tmp_path / f"trial{at}", at)
        found.add(recovered(resuming, tmp_path / f"trial{at}", whole))
    assert "lost" in found
