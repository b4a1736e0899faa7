"""The command must answer at once when nothing heavy is asked of it."""

from __future__ import annotations

import subprocess
import sys


def test_help_does_not_import_torch() -> None:
    script = (
        "import sys\nfrom rondeau.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\nprint('torch' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "Usage" in done.stdout and done.stderr.strip() == "False"
