"""The program of a user runs; that its types hold is checked by `mypy --strict` in ``make test``."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def test_the_program_runs(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(Path(__file__).with_name("program.py")), run_name="__main__")
    out = capsys.readouterr().out
    assert "W: weight" in out and "torch.Size([2, 5, 4])" in out and out.rstrip().endswith("True")


def test_its_types_are_checked_strictly_and_nothing_in_it_is_left_out() -> None:
    text = Path(__file__).with_name("program.py").read_text(encoding="utf-8")
    assert "mypy --strict tests/typing/program.py" in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert not any(word in text for word in ("cast(", "Any", "type: ignore", "pyright:"))


def test_a_type_checker_knows_every_name(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import rondeau\nimport rondeau.train\nrondeau.scann\nrondeau.train.trian\n", encoding="utf-8")
    found = subprocess.run([sys.executable, "-m", "mypy", "--strict", str(program)], cwd=ROOT, capture_output=True, text=True)
    assert found.stdout.count("has no attribute") == 2, found.stdout
