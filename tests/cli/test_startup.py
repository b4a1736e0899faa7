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


def test_the_package_and_its_data_room_do_not_import_pandas() -> None:
    script = "import sys, rondeau, rondeau.data, rondeau.cli; print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "False"
