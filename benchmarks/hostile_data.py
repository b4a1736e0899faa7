"""Data files that are damaged, or are something else: ``python benchmarks/hostile_data.py --count 2000``.

Each trial changes a file of one of the shapes that are read at random (bytes, cells, lines, separators, encodings), and then
reads and splits it as `rondeau fit` does, and predicts and scores it with a small fitted model as `rondeau predict` and
`rondeau evaluate` do. Allowed are: what comes of it, or one sentence that refuses. Not allowed are a traceback, a number that
is not finite in what is predicted, and more than ten seconds.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rondeau.cli.dataset import DataSet
from rondeau.cli.jobs import CLASSIFY, REGRESS, TAG, Job, make
from rondeau.cli.series_job import FORECAST
from rondeau.errors import RondeauError

SECONDS = 10
CELLS = (
    "",
    "?",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "0x10",
    "1,5",
    "NULL",
    "é",
    "\ufeff",
    "\x00",
    '"',
    "a b",
    "2024-02-30",
    "-0",
    "1_0",
)
SMALL: dict[str, Any] = {"hidden": 2, "epochs": 1, "random_state": 0}


def _long(goal: str) -> str:
    rows = (
        f"s{n},{t},{n % 2 + t / 9},{n * t},{'ab'[n % 2] if goal == 'label' else n}" for n in range(12) for t in range(3 + n % 3)
    )
    return f"id,time,x,y,{goal}\n" + "\n".join(rows) + "\n"


def _days() -> str:
    return "day,y\n" + "".join(f"{np.datetime64('2024-01-01') + n},{n % 7 + n / 50:.2f}\n" for n in range(60))


FILES: dict[str, tuple[Job, str, dict[str, Any]]] = {
    "texts.csv": (
        CLASSIFY,
        "text,label\n" + "".join(f'"a {w} day, {n}",{w}\n' for n in range(8) for w in ("good", "bad")),
        {"members": 1},
    ),
    "long.csv": (CLASSIFY, _long("label"), {"members": 1}),
    "numbers.csv": (REGRESS, _long("target"), {"members": 1}),
    "lists.jsonl": (
        CLASSIFY,
        "".join(f'{{"text": [[{n}, 1], [2, null]], "label": "{"ab"[n % 2]}"}}\n' for n in range(12)),
        {"members": 1},
    ),
    "tags.conll": (TAG, "".join(f"w{n} N\nruns V\n\n" for n in range(10)), {}),
    "days.csv": (FORECAST, _days(), {"horizon": 3}),
}


def models(place: Path) -> dict[str, tuple[Any, DataSet]]:
    """A small fitted model for every file, and where its data lie."""
    found = {}
    for name, (job, text, more) in FILES.items():
        (place / name).write_text(text, encoding="utf-8")
        data, parameters = DataSet(str(place / name)), {**SMALL, **more}
        parts = job.parts(data, parameters)
        found[name] = (make(job, parameters).fit(parts.train), data.with_columns(parts.whole.columns))
    return found


def changed(draw: random.Random, text: str) -> bytes:
    """A file with one to three changes."""
    for _ in range(draw.randint(1, 3)):
        text = draw.choice(CHANGES)(draw, text)
    data = text.encode(draw.choice(("utf-8", "utf-8", "utf-8", "utf-16", "latin-1")), "replace")
    if draw.random() < 0.2 and data:
        at = draw.randrange(len(data))
        data = data[:at] + draw.randbytes(draw.randint(1, 4)) + data[at:]
    return data


def _cell(draw: random.Random, text: str) -> str:
    lines = text.split("\n")
    at = draw.randrange(len(lines))
    cells = lines[at].split(",")
    cells[draw.randrange(len(cells))] = draw.choice(CELLS)
    lines[at] = ",".join(cells)
    return "\n".join(lines)


def _line(draw: random.Random, text: str) -> str:
    lines = text.split("\n")
    at, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    how = draw.choice(("gone", "twice", "moved", "cut"))
    if how == "moved":
        lines[at], lines[other] = lines[other], lines[at]
    elif how == "cut":
        lines[at] = lines[at][: draw.randint(0, len(lines[at]))]
    else:
        lines[at : at + 1] = [] if how == "gone" else [lines[at]] * 2
    return "\n".join(lines)


def _letters(draw: random.Random, text: str) -> str:
    old, new = draw.choice(((",", ";"), (",", "\t"), ("\n", "\r\n"), ('"', ""), (" ", ""), (".", ","), ("a", "A"), ("0", "")))
    return text.replace(old, new)


def _end(draw: random.Random, text: str) -> str:
    return text[: draw.randint(0, len(text))]


CHANGES: tuple[Callable[[random.Random, str], str], ...] = (_cell, _cell, _line, _letters, _end)


def uses(job: Job, model: Any, data: DataSet, parameters: dict[str, Any]) -> Iterator[Callable[[], object]]:
    """What the commands do with a file."""
    yield lambda: job.parts(DataSet(data.source), parameters).describe()
    yield lambda: [_finite(row) for row in job.rows(model, data, True)]
    yield lambda: job.figures(model, job.read(data, model))


def _finite(row: dict[str, Any]) -> None:
    for name, value in row.items():
        assert not isinstance(value, float) or name == "time" or math.isfinite(value), f"{name} is {value}"


def trial(seed: int, place: Path, fitted: dict[str, tuple[Any, DataSet]]) -> Iterator[str]:
    """One changed file and three uses: what came of each in a word, or what is not allowed."""
    draw = random.Random(seed)
    name = draw.choice(sorted(FILES))
    job, text, more = FILES[name]
    model, data = fitted[name]
    (place / name).write_bytes(changed(draw, text))
    for number, use in enumerate(uses(job, model, data, {**SMALL, **more})):
        begun = time.monotonic()
        try:
            use()
            said = "used"
        except RondeauError as error:
            said = "refused" if "\n" not in str(error).strip() and len(str(error)) < 2000 else f"LONG {error}"
        except BaseException:
            said = f"TRACEBACK {name} use {number} {traceback.format_exc()[-1500:]}"
        yield said if time.monotonic() - begun < SECONDS else f"SLOW {name} use {number}"


def survey(count: int, begin: int = 0) -> tuple[Counter[str], list[str]]:
    """Makes ``count`` trials; what came of them, and what is not allowed."""
    torch.set_num_threads(1)
    counts: Counter[str] = Counter()
    bad = []
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = models(Path(scratch))
        for seed in range(begin, begin + count):
            for said in trial(seed, Path(scratch), fitted):
                counts[said.split()[0]] += 1
                bad += [f"{seed}: {said}"] if said[:1].isupper() else []
    return counts, bad


def main() -> None:
    """Makes the trials and prints what came of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--begin", type=int, default=0)
    options = parser.parse_args()
    counts, bad = survey(options.count, options.begin)
    for line in bad[:20]:
        print(line)
    print(
        json.dumps({"trials": options.count, "begin": options.begin, "outcomes": dict(sorted(counts.items())), "bad": len(bad)})
    )
    raise SystemExit(bool(bad))


if __name__ == "__main__":
    main()
