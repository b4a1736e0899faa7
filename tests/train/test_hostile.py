"""Run folders from a stranger: one sentence each, in bounded time and memory, and nothing outside is opened or changed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hostile_runs
import pytest
from tiny_runs import SMALL, TEXT, cut, manifest, tiny

from rondeau import RunError
from rondeau.errors import DataError, InputError
from rondeau.train import load, resume, start
from rondeau.train.tensors import TensorFile

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs FIFOs, links and signals")


def edited(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """The manifest after a change, with a digest that fits."""
    body = manifest(folder)
    body.pop("digest")
    change(body)
    (folder / "manifest.json").write_text(json.dumps({**body, "digest": hostile_runs._digest(body)}))


ENTRIES = ("step", "torch", "threads", "corpus", "record", "settings", "texts", "files", "sha256")
WRONG = (None, "x", -1, 1.5, True, [], {}, [1], {"a": 1}, "\0", 10**30)


@pytest.mark.parametrize("name", ENTRIES)
def test_missing_and_mistyped_entries_of_a_manifest(tmp_path: Path, name: str) -> None:
    cut(tmp_path / "run", **SMALL)
    whole = (tmp_path / "run" / "manifest.json").read_text()
    edited(tmp_path / "run", lambda body: body.pop(name))
    with pytest.raises(RunError, match=r"manifest\.json is damaged"):
        load(tmp_path / "run")
    refused = 0
    for value in WRONG:
        (tmp_path / "run" / "manifest.json").write_text(whole)
        edited(tmp_path / "run", lambda body, value=value: body.update({name: value}))  # type: ignore[misc]
        try:
            load(tmp_path / "run")
        except RunError:
            refused += 1
    assert refused >= len(WRONG) - {"torch": 2, "threads": 1, "corpus": 1, "record": 1, "settings": 1}.get(name, 0)


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body["texts"].update({"/dev/zero": "0" * 64}),
        lambda body: body["texts"].update({"a\0b": "0" * 64}),
        lambda body: body["texts"].pop("cell.json"),
        lambda body: body["files"].update({"model": "/dev/zero"}),
        lambda body: body["files"].update({"model": "../outside.safetensors"}),
        lambda body: body["files"].update({"model": "model-\0.safetensors"}),
        lambda body: body["files"].update({"model": body["files"]["state"]}),
        lambda body: body["sha256"]["model"].popitem(),
        lambda body: body["sha256"]["model"].update({"head.bias": 3}),
        lambda body: body["settings"].update({"hidden": 3}),
        lambda body: body["settings"].update({"steps": "many"}),
        lambda body: body["settings"].update({"steps": float("nan")}),
        lambda body: body["settings"].update({"minutes": 2}),
    ],
)
def test_entries_that_lead_elsewhere(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    cut(tmp_path / "run", **SMALL)
    edited(tmp_path / "run", change)
    with pytest.raises((RunError, InputError)) as caught:
        load(tmp_path / "run")
    assert "\n" not in str(caught.value)


FILES = ("manifest.json", "model.json", "config.toml", "cell.json", "tokenizer.json", "model", "state")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ["FIFO", "link", "device", "folder", "loop", "huge"])
def test_only_plain_files_inside_are_opened(tmp_path: Path, name: str, kind: str) -> None:
    run = tmp_path / "run"
    cut(run, **SMALL)
    path = run / (manifest(run)["files"][name] if name in ("model", "state") else name)
    copy = tmp_path / "outside"
    os.replace(path, copy)
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "huge":
        path.touch()
        os.truncate(path, 1 << 40)
    else:
        path.symlink_to({"link": copy, "device": "/dev/zero", "loop": path}[kind])
    before = copy.read_bytes()
    with pytest.raises(RunError, match="is not a plain file|more than the|cut off or damaged"):
        resume(run, TEXT)
    assert copy.read_bytes() == before


@pytest.mark.parametrize("name", ["lock", ".staging", "pending", "metrics.jsonl"])
def test_links_under_names_used_in_passing_are_not_followed(tmp_path: Path, name: str) -> None:
    run, outside = tmp_path / "run", tmp_path / "outside"
    cut(run, **SMALL)
    (run / name).unlink(missing_ok=True)
    outside.mkdir()
    (outside / "manifest.json").write_text("precious")
    (run / name).symlink_to(outside / "manifest.json" if "." in name[1:] or name == "lock" else outside)
    try:
        with pytest.warns() if name == "metrics.jsonl" else pytest.raises(RunError) if name == "lock" else _nothing():
            resume(run, TEXT).fit()
    finally:
        assert {p.name: p.read_text() for p in outside.iterdir()} == {"manifest.json": "precious"}


def _nothing() -> Any:
    from contextlib import nullcontext

    return nullcontext()


def test_a_lock_that_is_a_second_name_of_a_file_outside_is_left_alone(tmp_path: Path) -> None:
    cut(tmp_path / "run", **SMALL)
    (tmp_path / "precious").write_text("x")
    (tmp_path / "run" / "lock").unlink()
    os.link(tmp_path / "precious", tmp_path / "run" / "lock")
    with pytest.raises(RunError, match="is not a lock that rondeau made"):
        resume(tmp_path / "run", TEXT)
    assert (tmp_path / "precious").read_text() == "x"


@pytest.mark.parametrize(
    "lines",
    [
        "hidden = 1000000000",
        "layers = 10000000",
        "embedding = 1000000000",
        "embedding = 1000000000\ntied = true",
        "hidden = 99999999999999999999999",
        "threads = 100000",
        "vocabulary = 1",
        "steps = 1" + "0" * 400,
        "learning_rate = inf",
        "corpus = 3",
        "backend = 'gpu'",
    ],
)
def test_sizes_are_held_against_the_weights_before_anything_is_built(tmp_path: Path, lines: str) -> None:
    run = tmp_path / "run"
    cut(run, **SMALL)
    names = {line.split(" =")[0] for line in lines.splitlines()}
    old = [line for line in (run / "config.toml").read_text().splitlines() if line.split(" =")[0] not in names]
    (run / "config.toml").write_text("\n".join([lines, *old]) + "\n")
    hostile_runs.seal(run)
    built: list[object] = []

    class Counting:
        def __init__(self, *given: object, **named: object) -> None:
            built.append(given)

    from rondeau.train import building as module

    with pytest.MonkeyPatch.context() as patch:
        if "backend" not in lines:
            patch.setattr(module, "LanguageModel", Counting)
        with pytest.raises((RunError, InputError)):
            resume(run, TEXT).fit()
    assert not built


@pytest.mark.parametrize(
    ("name", "index", "value"),
    [
        ("progress", 0, -1.0),
        ("progress", 0, float("nan")),
        ("progress", 1, float("inf")),
        ("progress", 4, 1e300),
        ("progress", 5, 99.0),
        ("cursor", 1, 3.0),
        ("cursor", 1, 1e9),
        ("cursor", 0, -1.0),
    ],
)
def test_numbers_that_no_run_has(tmp_path: Path, name: str, index: int, value: float) -> None:
    from safetensors.torch import load as read
    from safetensors.torch import save

    run = tmp_path / "run"
    cut(run, **SMALL)
    path = run / manifest(run)["files"]["state"]
    tensors = read(path.read_bytes())
    tensors[name][index] = value
    path.write_bytes(save(tensors))
    hostile_runs.seal(run)
    with pytest.raises(RunError, match="is not one of a run"):
        resume(run, TEXT)


HEADERS = {
    "no JSON": b"oops",
    "a list": b"[]",
    "deep": b"[" * 100_000,
    "an unknown type": b'{"a": {"dtype": "F4", "shape": [1], "data_offsets": [0, 4]}}',
    "an unhashable type": b'{"a": {"dtype": [], "shape": [1], "data_offsets": [0, 4]}}',
    "a negative shape": b'{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}',
    "a shape that does not fit": b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}',
    "a large shape": b'{"a": {"dtype": "F32", "shape": [1099511627776], "data_offsets": [0, 4398046511104]}}',
    "a true shape": b'{"a": {"dtype": "F32", "shape": [true], "data_offsets": [0, 4]}}',
    "a gap": b'{"a": {"dtype": "U8", "shape": [1], "data_offsets": [3, 4]}}',
    "an overlap": b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},'
    b' "b": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}',
    "bytes left over": b'{"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}',
    "a name twice": b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},'
    b' "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}',
    "more fields": b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], "b": 1}}',
}  # fmt: skip


@pytest.mark.parametrize("head", HEADERS.values(), ids=HEADERS)
def test_headers_of_tensors_are_checked(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(head).to_bytes(8, "little") + head + b"\0" * 4)
    with pytest.raises(RunError, match="is cut off or damaged"):
        TensorFile(path)


def test_tokenizers_that_cannot_tell_their_tokens_apart(tmp_path: Path) -> None:
    run = tmp_path / "run"
    cut(run, **SMALL)
    body = json.loads((run / "tokenizer.json").read_text())
    alphabet = body["alphabet"]
    for value in (alphabet[:-1] + alphabet[0], list(alphabet), "", None, 3, [[]], {"a": 1}):
        (run / "tokenizer.json").write_text(json.dumps({**body, "alphabet": value}))
        hostile_runs.seal(run)
        if value == list(alphabet):
            continue
        with pytest.raises((DataError, RunError)):
            load(run)


def test_what_is_no_file_is_refused_as_a_corpus(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for source in (tmp_path / "fifo", "/dev/zero", "a\0b", "x" * 5000):
        with pytest.raises(DataError):
            start(tiny(corpus=str(source)))


@pytest.mark.skipif(sys.platform != "linux", reason="counts memory as Linux does")
def test_a_survey_of_damaged_folders() -> None:
    counts, bad = hostile_runs.survey(60, begin=1_000_000)
    assert not bad and sum(counts.values()) == 60 and counts["refused"] > 20 and counts["same"] + counts["warned"]
