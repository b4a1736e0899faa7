"""Nothing that a run has saved is lost by a kill or by a failing disk, and it ends with the bytes of an uncut run.

``python benchmarks/resume_kill.py --kills 200`` cuts one run by SIGKILL at random moments of its saving, again and again.
``--calls`` cuts saving, starting, overwriting and resuming at every single call into the file system, and ``--errors`` lets
every single one fail instead, in every way that disks fail. ``--write`` adds the counts to benchmarks/results/.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rondeau.data import Text
from rondeau.errors import RondeauError
from rondeau.train import Checkpoints, OnRow, RunWarning, Settings, load, resume, start

SCRIPT = """
import sys
from pathlib import Path
from rondeau.data import Text
from rondeau.train import Settings, resume, start
text = Text.of("to be or not to be, that is the question. " * 200)
settings = Settings(hidden=24, embedding=8, batch=4, window=16, seed=5, steps=3000, threads=1, dropout=0.1, save_every=1e-6)
folder = Path(sys.argv[1])
run = resume(folder, text) if (folder / "manifest.json").exists() else start(settings, text, folder=folder)
print("on", flush=True)
run.fit()
"""
TEXT = Text.of("to be or not to be, that is the question. " * 20)
CALLS = ("open", "write", "fsync", "replace", "rename", "unlink", "mkdir", "rmdir", "ftruncate", "close")
"""The calls that change files, as the package makes them."""
FAILURES = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS)
KILLED = 77


def settings(hidden: int = 3, steps: int = 4) -> Settings:
    """A run of a moment that saves at every step."""
    return Settings(
        hidden=hidden, embedding=2, batch=2, window=8, seed=5, steps=steps, threads=1, save_every=1e-6, patience=3, cell="gru"
    )


@dataclass(frozen=True)
class Scene:
    """Something that is done in a folder, on what is there before, and the hidden sizes of runs that may be there after."""

    name: str
    before: Callable[[Path], object]
    act: Callable[[Path], object]
    after: tuple[int, ...]


def _part(place: Path) -> None:
    run = start(settings(), TEXT, folder=place)
    assert run.training is not None
    stop = OnRow(lambda row: setattr(run.training, "stopping", row["step"] == 2))
    run.training.run(stop, Checkpoints(run.save, 1e-6))
    run.training.record.add(step=3, loss=1.0)
    run.close()


def _cut_overwriting(place: Path) -> None:
    _part(place)
    shutil.copytree(place, place / ".staging")
    (place / ".staging" / "lock").unlink()
    (place / "config.toml").unlink()


SCENES = (
    Scene("starting", lambda place: None, lambda place: start(settings(), TEXT, folder=place).fit(), (3,)),
    Scene("resuming", _part, lambda place: resume(place, TEXT).fit(), (3,)),
    Scene("resuming an overwritten run", _cut_overwriting, lambda place: resume(place, TEXT).fit(), (3,)),
    Scene(
        "overwriting",
        lambda place: start(settings(), TEXT, folder=place).fit(),
        lambda place: start(settings(hidden=2), TEXT, folder=place, overwrite=True).fit(),
        (3, 2),
    ),
    Scene(
        "more",
        lambda place: start(settings(), TEXT, folder=place).fit(),
        lambda place: resume(place, TEXT, steps=2).fit(),
        (3,),
    ),
)


@contextmanager
def tapped(act: Callable[[int, str], None]) -> Iterator[list[str]]:
    """Calls ``act(number, name)`` before every call of the package into the file system; the list has their names."""
    real = {name: getattr(os, name) for name in CALLS}
    seen: list[str] = []

    def tap(name: str) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            if "rondeau" in sys._getframe(1).f_globals.get("__name__", "") or "pathlib" in sys._getframe(1).f_code.co_filename:
                seen.append(name)
                if name == "close":  # a file is closed even where closing it fails
                    real[name](*given)
                    return act(len(seen), name)
                act(len(seen), name)
            return real[name](*given, **named)

        return call

    for name in CALLS:
        setattr(os, name, tap(name))
    try:
        yield seen
    finally:
        for name, function in real.items():
            setattr(os, name, function)


def calls(scene: Scene, place: Path) -> int:
    """How many calls into the file system the scene makes."""
    scene.before(place)
    with tapped(lambda number, name: None) as seen:
        scene.act(place)
    return len(seen)


def fingerprint(place: Path) -> dict[str, str]:
    """The weights of a run folder, as the hashes in its manifest."""
    return json.loads((place / "manifest.json").read_text())["sha256"]["model"]


def kill(scene: Scene, place: Path, at: int) -> None:
    """Does the scene in a forked child that ends, without a word to anything, before its ``at``-th call."""
    scene.before(place)
    child = os.fork()
    if not child:
        try:
            with tapped(lambda number, name: os._exit(KILLED) if number == at else None):
                scene.act(place)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == KILLED, "the child ended otherwise"


def fail(scene: Scene, place: Path, at: int, number: int) -> str:
    """Does the scene with one call failing; what came of it: ``fine`` or ``refused``.

    Raises:
        AssertionError: another error than one of ours came out.
    """
    scene.before(place)

    def act(count: int, name: str) -> None:
        if count == at:
            raise OSError(number, os.strerror(number))

    with tapped(act):
        try:
            scene.act(place)
        except RondeauError as error:
            assert "\n" not in str(error), error
            return "refused"
    return "fine"


def recovered(scene: Scene, place: Path, whole: dict[int, dict[str, str]]) -> str:
    """Goes on after a cut, as a person would: ``lost`` if what was there is gone, ``differs`` if it ends otherwise."""
    try:
        run = load(place)
    except RondeauError:
        if scene.name != "starting":
            return "lost"
        start(settings(), TEXT, folder=place).fit()
        return "same" if fingerprint(place) == whole[3] else "differs"
    if run.settings.hidden not in scene.after:
        return "lost"
    resume(place, TEXT).fit()
    if scene.name == "more" and run.settings.steps == 4:
        resume(place, TEXT, steps=2).fit()
    rows = [json.loads(line)["step"] for line in (place / "metrics.jsonl").read_text().splitlines()]
    steps = 6 if scene.name == "more" else 4
    if set(rows) != set(range(1, steps + 1)):
        return "rows lost"
    return "same" if fingerprint(place) == whole[-6 if steps == 6 else run.settings.hidden] else "differs"


def uncut(place: Path) -> dict[int, dict[str, str]]:
    """The weights of runs that nothing happened to, by hidden size; under -6 those of the run that did more."""
    found = {}
    for hidden in (3, 2):
        start(settings(hidden), TEXT, folder=place / f"whole{hidden}").fit()
        found[hidden] = fingerprint(place / f"whole{hidden}")
    resume(place / "whole3", TEXT, steps=2).fit()
    return found | {-6: fingerprint(place / "whole3")}


def every_call(place: Path, how: str, stride: int = 1) -> dict[str, Any]:
    """Cuts or fails every scene at every call (or each ``stride``-th), and counts what comes of it."""
    warnings.simplefilter("ignore", RunWarning)
    torch.set_num_threads(1)
    whole, found, made = uncut(place), Counter[str](), 0
    for scene in SCENES:
        length = calls(scene, place / f"{scene.name}")
        for at in range(1, length + 1, stride):
            for number in FAILURES if how == "errors" else (0,):
                made += 1
                folder = place / f"trial{made}"
                outcome = fail(scene, folder, at, number) if how == "errors" else kill(scene, folder, at)
                after = recovered(scene, folder, whole)
                found.update(filter(None, (outcome, after)))
                if after != "same":
                    print(f"{scene.name}, call {at} of {length}, {errno.errorcode.get(number, 'killed')}: {after}", flush=True)
                shutil.rmtree(folder)
    return _summed(found, made)


def _summed(found: Counter[str], trials: int) -> dict[str, Any]:
    return {"trials": trials, "outcomes": dict(sorted(found.items())), "bad": trials - found["same"]}


def at_random(place: Path, wanted: int) -> dict[str, Any]:
    """Kills one run again and again, a fifth of the times while it starts, and compares its end with an uncut one's."""
    draw = random.Random(0)
    whole, cut = place / "whole", place / "cut"
    begin = time.perf_counter()
    process = _process(whole)
    assert process.stdout is not None and process.stdout.readline()
    begun = time.perf_counter()
    process.wait()
    starting, running = begun - begin, time.perf_counter() - begun
    for number in range(wanted):
        process = _process(cut)
        if draw.random() < 0.2:
            time.sleep(draw.uniform(0, starting))
        elif process.stdout is not None and process.stdout.readline():
            time.sleep(draw.uniform(0, running / wanted))
        process.kill()
        if process.wait() > 0:
            return {"trials": number, "outcomes": {"ended with an error": 1}, "bad": 1}
    if _process(cut).wait():
        return {"trials": wanted, "outcomes": {"ended with an error": 1}, "bad": 1}
    same = fingerprint(whole) == fingerprint(cut)
    return _summed(Counter({"same" if same else "differs": wanted}), wanted)


def _process(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(folder)], stdout=subprocess.PIPE, text=True)


def main() -> None:
    """Kills, fails, resumes, compares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--calls", action="store_true")
    parser.add_argument("--errors", action="store_true")
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    hows = [how for how in ("calls", "errors") if getattr(options, how)]
    lines = []
    for how in hows or ["random"]:
        with tempfile.TemporaryDirectory() as place:
            found = at_random(Path(place), options.kills) if how == "random" else every_call(Path(place), how, options.stride)
            lines.append({"figure": how, **found})
        print(json.dumps(lines[-1]), flush=True)
    if options.write:
        from common import write

        for line in lines:
            write("resume_kill", line)
    raise SystemExit(any(line["bad"] for line in lines))


if __name__ == "__main__":
    main()
