"""Run folders that are damaged, or made by somebody who means harm: ``python benchmarks/hostile_runs.py --count 10000``.

Each trial changes a run folder at random (bits, bytes, files, links, FIFOs, entries of its JSON and TOML, headers and values
of tensors; half of them *sealed* again, with digests that fit, as a stranger would), and then loads, samples, evaluates and
resumes it. Allowed are: one sentence that refuses, or what comes of the folder unchanged, or for a damaged record a warning. Of
a sealed folder another result is allowed too, since any run may be made by hand. Not allowed are another result in silence, a
traceback, more than ten seconds, 300 MB beyond what the folder unchanged takes, and any change of a file outside.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from rondeau.data import Text
from rondeau.errors import RondeauError
from rondeau.ir import to_json
from rondeau.models import generate
from rondeau.train import Settings, digest, evaluate, load, resume, start
from rondeau.train.manifest import Manifest, sha256

TEXT = Text.of("to be or not to be, that is the question. " * 60)
OLD = Path(__file__).parent.parent / "tests" / "train" / "old_layout"
TEXTS = ("model.json", "config.toml", "cell.json", "tokenizer.json")
BASES = ("base0", "base1", "cut", "cut2")
SECONDS, MEGABYTES = 10, 300
HOSTILE: tuple[Any, ...] = (
    None, True, 0, -1, 1, 2, 3, 7, 64, 1000, 10**7, 10**9, 10**15, 2**53, 2**63, 10**30, 10**400, 0.5, -0.0, 1e-300, 1e300,
    float("inf"), float("nan"), "", "x", "\0", "a\0b", "../../outside", "/dev/zero", "<text>", "shakespeare", "é" * 9, "\ud800",
    "1e999999999", "1/0", "compiled", "reference", [], {}, [[]], [0], [1, 2, 3], {"a": 1}, [None] * 100, "0" * 64,
)  # fmt: skip


class Hang(BaseException):
    """The alarm rang."""


# runs to change


def bases(place: Path) -> list[Path]:
    """Runs of a moment, cut in the middle: characters and words, one with patience, one with a cell of two layers, and those
    of the two older formats."""
    common = {"batch": 2, "window": 8, "steps": 10, "seed": 5, "threads": 1}
    kinds = (
        {"hidden": 4, "embedding": 3, "patience": 9, "cell": "gru"},
        {"hidden": 3, "embedding": 3, "tokenizer": "words", "vocabulary": 9, "layers": 2, "tied": True, "cell": "elman"},
    )
    for number, kind in enumerate(kinds):
        run = start(Settings(**{**common, **kind}), TEXT, folder=place / f"base{number}")  # type: ignore[arg-type]
        training = run.training
        assert training is not None

        def stop(row: dict[str, Any], training: Any = training) -> None:
            training.stopping = row["step"] >= 5

        run.fit(stop)
    for name in BASES[len(kinds) :]:
        shutil.copytree(OLD / name, place / name)
    return [place / name for name in BASES]


# what is done with one


def results(folder: Path) -> dict[str, Any]:
    """What the four ways to use a folder give: a value each, or the sentence that refuses."""
    found: dict[str, Any] = {}
    for name, use in (("load", _load), ("sample", _sample), ("evaluate", _evaluate), ("resume", _resume)):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                found[name] = use(folder)
            except RondeauError as error:
                assert "\n" not in str(error).strip() and len(str(error)) < 2000, f"not one line: {error}"
                found[name] = "refused"
            if told:
                found[f"{name} warned"] = True
    return found


def _load(folder: Path) -> Any:
    run = load(folder)
    values = [digest(value) for value in run.model.state_dict().values()]
    return sha256(repr((values, run.settings, to_json(run.cell), run.tokenizer.to_json())).encode())


def _sample(folder: Path) -> Any:
    run = load(folder)
    prompt = torch.zeros(1, dtype=torch.int64)
    return list(generate(run.model, prompt, 8, generator=torch.Generator().manual_seed(1)))


def _evaluate(folder: Path) -> Any:
    run = load(folder)
    return repr(evaluate(run.model, run.tokenizer.encode(TEXT.text)))


def _resume(folder: Path) -> Any:
    run = resume(folder, TEXT)
    training, rows = run.training, []
    assert training is not None

    def tell(row: dict[str, Any]) -> None:
        rows.append(row)
        training.stopping = len(rows) >= 8

    try:
        run.fit(tell)
    finally:
        run.close()
    kept = [{k: v for k, v in row.items() if k not in ("seconds", "tokens_per_second")} for row in training.record.rows]
    load(folder)
    return Manifest.of((folder / "manifest.json").read_bytes(), "").sha256["model"], kept


# changes

Change = Callable[[random.Random, Path, Path], None]


def _some(draw: random.Random, folder: Path) -> Path:
    return draw.choice(sorted(item for item in folder.iterdir() if item.is_file() and item.name != "lock"))


def flip(draw: random.Random, folder: Path, outside: Path) -> None:
    """One to eight bits."""
    path = _some(draw, folder)
    data = bytearray(path.read_bytes())
    for _ in range(draw.randint(1, 8)):
        if data:
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    path.write_bytes(bytes(data))


def splice(draw: random.Random, folder: Path, outside: Path) -> None:
    """A stretch of bytes cut out, doubled, or replaced by noise or NULs."""
    path = _some(draw, folder)
    data = path.read_bytes()
    a = draw.randint(0, len(data))
    b = draw.choice((len(data), min(len(data), a + draw.randint(1, 40))))
    new = draw.choice((b"", data[a:b] * 2, draw.randbytes(b - a), b"\0" * (b - a), b"\xff\xfe", data[:200], b"[" * 30_000))
    path.write_bytes(data[:a] + new + data[b:])


def misplace(draw: random.Random, folder: Path, outside: Path) -> None:
    """A file gone, emptied, exchanged with another, or grown by a gigabyte of nothing."""
    path = _some(draw, folder)
    how = draw.choice(("gone", "empty", "other", "grown"))
    if how == "gone":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "other":
        shutil.copy(_some(draw, folder), folder / "kept")
        os.replace(folder / "kept", path)
    else:
        os.truncate(path, 1 << 30)


def irregular(draw: random.Random, folder: Path, outside: Path) -> None:
    """A link, a FIFO, a folder or a second name where a file should be, or under a name that is used in passing."""
    names = (*(item.name for item in folder.iterdir()), ".staging", "pending", "lock", f".manifest.json.{os.getpid()}.tmp")
    path = folder / draw.choice(sorted(names))
    data = path.read_bytes() if path.is_file() else b""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    kind = draw.choice(("link", "same", "device", "loop", "folder", "FIFO", "hard link", "folder link"))
    (outside / "copy").write_bytes(data)
    if kind in ("folder", "FIFO"):
        os.mkdir(path) if kind == "folder" else os.mkfifo(path)
    elif kind == "hard link":
        os.link(outside / "canary", path)
    else:
        to = {"link": outside / "canary", "same": outside / "copy", "device": Path("/dev/zero"), "loop": path}
        path.symlink_to(to.get(kind, outside))


def value(draw: random.Random, folder: Path, outside: Path) -> None:
    """An entry of a JSON file, or a setting, with another value, without one, or under another name."""
    names = ("manifest.json", "manifest.json", "model.json", "tokenizer.json", "cell.json", "config.toml", "config.toml")
    name = draw.choice([name for name in names if (folder / name).exists()])
    path = folder / name
    if name == "config.toml":
        lines = path.read_text().splitlines()
        at = draw.randrange(len(lines))
        new = draw.choice(HOSTILE)
        lines[at] = draw.choice((f"{lines[at].split(' =')[0]} = {_toml(new)}", "", lines[at] + "0", "a = 1"))
        path.write_bytes("\n".join(lines).encode("utf-8", "replace"))
        return
    body = json.loads(path.read_text())
    where = body
    while True:
        keys = list(where) if isinstance(where, dict) else list(range(len(where)))
        key = draw.choice(keys)
        inner = where[key]
        if not isinstance(inner, (dict, list)) or not inner or draw.random() < 0.2:
            break
        where = inner
    if draw.random() < 0.1:
        del where[key]
    else:
        where[key] = draw.choice((*HOSTILE, *keys))
    path.write_text(json.dumps(body))


def _toml(value: Any) -> str:
    return (
        {True: "true", None: "1979-05-27"}.get(value, repr(value)) if not isinstance(value, (list, dict)) else json.dumps(value)
    )


def header(draw: random.Random, folder: Path, outside: Path) -> None:
    """The header of a file of tensors."""
    path = draw.choice(sorted(folder.glob("*.safetensors")))
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    body = json.loads(data[8 : 8 + length])
    name = draw.choice(sorted(body))
    field = draw.choice(("shape", "dtype", "data_offsets", "name", "length"))
    if field == "name":
        body[draw.choice(("x", "\0", "embedding.weight", "body.0.W"))] = body.pop(name)
    elif field != "length":
        body[name][field] = draw.choice(
            ([], [1], [2**40], [-1, -1], [0, 4], [10**30], "F64", "I8", "BOOL", "X", None, 3, [1.5])
        )
    text = json.dumps(body).encode()
    said = len(text) if field != "length" else draw.choice((0, 1, 2**31, 2**63, length - 1, length + 1, len(data)))
    path.write_bytes(said.to_bytes(8, "little") + text + data[8 + length :])


def number(draw: random.Random, folder: Path, outside: Path) -> None:
    """A number of a tensor."""
    from safetensors.torch import load as read
    from safetensors.torch import save as made

    path = draw.choice(sorted(folder.glob("*.safetensors")))
    tensors = read(path.read_bytes())
    names = [*sorted(tensors), *(("progress", "cursor") * 4 if "progress" in tensors else ())]
    chosen = tensors[draw.choice(names)]
    flat = chosen.view(-1)
    if chosen.is_floating_point():
        new: float = draw.choice((0.0, -1.0, 0.5, 1.0, 8.0, 1e9, 1e30, -1e30, 1e300, float("nan"), float("inf")))
    else:
        new = draw.choice((0, 1, 3, 8, 100, 255))
    if len(flat):
        flat[draw.randrange(len(flat))] = torch.tensor(new, dtype=torch.float64).to(chosen.dtype)
    path.write_bytes(made(tensors))


CHANGES: tuple[Change, ...] = (flip, splice, misplace, irregular, value, value, value, header, number)
SEALED = (value, header, number, splice, flip)


def seal(folder: Path) -> None:
    """Makes all digests fit again, as far as the files can be understood."""
    path = folder / "manifest.json"
    try:
        body = json.loads(path.read_text())
        digested = body.pop("digest", None) is not None
        body["texts"] = {name: sha256((folder / name).read_bytes()) for name in TEXTS if (folder / name).exists()}
        for part in ("model", "state"):
            file = body["files"][part] if "files" in body else f"{part}.safetensors"
            body["sha256"][part] = _hashes((folder / file).read_bytes())
        path.write_text(json.dumps({**body, "digest": _digest(body)} if digested else body))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return


def _hashes(data: bytes) -> dict[str, str]:
    """The hash of every tensor, of whatever type and shape it claims to be."""
    length = int.from_bytes(data[:8], "little")
    body = json.loads(data[8 : 8 + length])
    names = {"F64": "float64", "F32": "float32", "U8": "uint8", "I64": "int64", "I8": "int8", "BOOL": "bool"}
    found = {}
    for name, item in body.items():
        a, b = item["data_offsets"]
        head = f"torch.{names.get(item['dtype'])} {tuple(item['shape'])} ".encode()
        found[name] = sha256(head + data[8 + length + a : 8 + length + b])
    return found


def _digest(body: dict[str, Any]) -> str:
    return sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode())


# trials


def peak() -> float:
    """The most memory that this process has had, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 10 if sys.platform == "linux" else 1 << 20)


def trial(seed: int, place: Path, runs: list[Path], wanted: list[dict[str, Any]], most: float = 1e9) -> str:
    """One change, four uses: what came of them in a word, or what is not allowed."""
    torch.set_num_threads(1)
    draw = random.Random(seed)
    which = draw.randrange(len(runs))
    folder, outside = place / "trial", place / "outside"
    for used in (folder, outside):
        shutil.rmtree(used, ignore_errors=True)
    shutil.copytree(runs[which], folder)
    outside.mkdir()
    (outside / "canary").write_text("precious\n")
    sealed = draw.random() < 0.5
    change = draw.choice(SEALED if sealed else CHANGES)
    change(draw, folder, outside)
    copied = (outside / "copy").read_bytes() if (outside / "copy").exists() else b""
    if sealed:
        seal(folder)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        found = results(folder)
    except Hang:
        return f"HANG {change.__name__}"
    except BaseException:
        return f"TRACEBACK {change.__name__} {'sealed ' * sealed}{traceback.format_exc()[-1500:]}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    if peak() > most:
        return f"MEMORY {change.__name__} {peak():.0f} MB"
    if (outside / "canary").read_text() != "precious\n" or (copied and (outside / "copy").read_bytes() != copied):
        return f"OUTSIDE {change.__name__}"
    return judged(found, wanted[which], sealed, change.__name__)


def judged(found: dict[str, Any], wanted: dict[str, Any], sealed: bool, change: str) -> str:
    """The word for a trial; ``remade`` for a sealed folder that is now another run."""
    words = set()
    for name in ("load", "sample", "evaluate", "resume"):
        got, want = found[name], wanted[name]
        if got == "refused":
            words.add("refused")
        elif got == want or (name == "resume" and "resume warned" in found and got[0] == want[0]):
            words.add("warned" if f"{name} warned" in found else "same")
        elif sealed:
            words.add("remade")
        else:
            return f"SILENT {change}: {name} gives {str(got)[:300]}"
    return next(word for word in ("remade", "refused", "warned", "same") if word in words)


def work(place: Path, begin: int, end: int, out: Path) -> None:
    """Makes trials in this process and appends a line for each."""
    torch.set_num_threads(1)

    def ring(signum: int, frame: FrameType | None) -> None:
        raise Hang

    signal.signal(signal.SIGALRM, ring)
    runs = [place / name for name in BASES] if (place / BASES[-1]).exists() else bases(place)
    wanted = []
    for number, run in enumerate(runs):
        shutil.copytree(run, place / f"copy{number}")
        wanted.append(results(place / f"copy{number}"))
        shutil.rmtree(place / f"copy{number}")
    assert not any(value == "refused" for found in wanted for value in found.values()), wanted
    most = peak() + MEGABYTES
    limit = 8 << 30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    with out.open("a", encoding="utf-8") as file:
        for seed in range(begin, end):
            said = trial(seed, place, runs, wanted, most)
            file.write(json.dumps([seed, said]) + "\n")
            file.flush()
            if said.startswith("MEMORY"):
                return  # the peak stays; a fresh process goes on


def survey(count: int, begin: int = 0) -> tuple[Counter[str], list[str]]:
    """Makes ``count`` trials in processes of their own; what came of them, and what is not allowed."""
    with tempfile.TemporaryDirectory() as scratch:
        place, out, done = Path(scratch), Path(scratch) / "out.jsonl", begin
        said: list[str] = []
        while done < begin + count:
            command = [sys.executable, __file__, "--worker", scratch, str(done), str(begin + count)]
            code = subprocess.run(command).returncode
            lines = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
            if begin + len(lines) == done and not code:
                raise RuntimeError("a worker made no trial")
            if code:
                if not lines and not (place / BASES[-1]).exists():
                    raise RuntimeError("the runs to change could not be made")
                lines.append([begin + len(lines), f"CRASH, status {code}"])
                out.write_text("".join(json.dumps(line) + "\n" for line in lines))
            done = begin + len(lines)
            said = [f"{seed}: {word}" for seed, word in lines]
    counts = Counter(line.partition(": ")[2].split()[0].rstrip(",") for line in said)
    return counts, [line for line in said if line.partition(": ")[2][:1].isupper()]


def main() -> None:
    """Makes the trials and prints what came of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--begin", type=int, default=0)
    parser.add_argument("--worker", nargs=3)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if options.worker:
        place, begin, end = options.worker
        work(Path(place), int(begin), int(end), Path(place) / "out.jsonl")
        return
    counts, bad = survey(options.count, options.begin)
    for line in bad[:40]:
        print(line)
    outcomes = {name: count for name, count in sorted(counts.items()) if name.islower()}
    found = {"trials": sum(counts.values()), "begin": options.begin, "outcomes": outcomes, "bad": len(bad)}
    print(json.dumps(found))
    if options.write:
        from common import write

        write("hostile_runs", found)
    raise SystemExit(bool(bad))


if __name__ == "__main__":
    main()
