"""A run cut by SIGKILL at random moments ends with the weights of an uncut one: ``python benchmarks/resume_kill.py``."""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SCRIPT = """
import sys
from pathlib import Path
from rondeau.data import Text
from rondeau.train import Settings, resume, start
text = Text.of("to be or not to be, that is the question. " * 200)
settings = Settings(hidden=24, embedding=8, batch=4, window=16, seed=5, steps=3000, threads=1, dropout=0.1)
folder = Path(sys.argv[1])
run = resume(folder, text) if (folder / "manifest.json").exists() else start(settings, text, folder=folder, overwrite=True)
if run.training.progress.step == 0:
    run.save()
while run.training.done < 1:
    run.training.step()
    run.save()
"""


def main() -> None:
    """Kills, resumes, compares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    options = parser.parse_args()
    draw = random.Random(0)
    with tempfile.TemporaryDirectory() as place:
        whole, cut = Path(place) / "whole", Path(place) / "cut"
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", SCRIPT, str(whole)], check=True)
        length = time.perf_counter() - begin
        kills = 0
        while kills < options.kills:
            process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(cut)])
            try:
                process.wait(draw.uniform(1.6, 1.6 + length / options.kills))
                break
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                kills += 1
        subprocess.run([sys.executable, "-c", SCRIPT, str(cut)], check=True)
        same = (whole / "model.safetensors").read_bytes() == (cut / "model.safetensors").read_bytes()
        print(f"{kills} kills, then to the end: the weights are {'the same bytes' if same else 'DIFFERENT'}")
        raise SystemExit(not same)


if __name__ == "__main__":
    main()
