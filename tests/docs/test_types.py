"""What a user copies type-checks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_first_example_of_the_readme_type_checks(tmp_path: Path) -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    example = re.findall(r"```python\n(.*?)```", page, re.S)[0]
    more = """
from rondeau.ir import Expr


@rd.cell
def plain(x=rd.input(1), h=rd.state(), V=rd.weight("hidden", "hidden"), t=rd.context(1, per="step")):
    part: Expr = h["hidden/2":]
    h = rd.where((x == 0) & (h != 1) | ~(h < 2), V.T @ h, -abs(h)) + t + rd.mean(part) + rd.past(h, 2) % rd.time()
    return h


cells: list[rd.Cell] = [plain, cautious]
"""
    (tmp_path / "example.py").write_text(example + more, encoding="utf-8")
    wrong = "wrong: int = rd.cell(lambda x=rd.input(), h=rd.state(): h)\n"
    (tmp_path / "fault.py").write_text("import rondeau as rd\n" + wrong, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "--check-untyped-defs"]
    environment = {**os.environ, "MYPYPATH": str(ROOT / "src")}

    def checked(name: str) -> subprocess.CompletedProcess[str]:
        options = ["--cache-dir", str(ROOT / ".mypy_cache"), "--allow-untyped-defs", str(tmp_path / name)]
        return subprocess.run([*command, *options], cwd=ROOT, env=environment, capture_output=True, text=True)

    found = checked("example.py")
    assert not found.returncode, found.stdout
    assert "Incompatible types in assignment" in checked("fault.py").stdout
