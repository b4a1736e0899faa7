"""Every mutation of the engine can still be made: its old text stands in the code exactly once."""

import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_every_mutation_can_be_made() -> None:
    done = subprocess.run([sys.executable, "mutations.py", "--check"], cwd=BENCHMARKS, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
