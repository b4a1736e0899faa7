"""The record: rows of the interval they name, enough of them, and nothing that stops a run when it is damaged."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest
from tiny_runs import SMALL, TEXT, contents, cut, tiny

from rondeau import RunError
from rondeau.train import Checkpoints, Record, RunWarning, loop, resume, start

ROW = {"step": 1, "loss": 2.0}


def trained(rows: list[dict[str, float]]) -> list[dict[str, float]]:
    return [row for row in rows if "loss" in row]


@pytest.mark.parametrize(
    "options", [{"steps": 50}, {"steps": 173}, {"epochs": 1.7, "steps": None}, {"minutes": 0.02, "steps": None}]
)
def test_at_least_fifty_rows_each_of_the_steps_it_names(monkeypatch: pytest.MonkeyPatch, options: dict[str, float]) -> None:
    run = start(tiny(**SMALL, **options), TEXT)
    assert run.training is not None
    training, losses, tokens = run.training, [], []
    real = training.step

    def step() -> tuple[float, float, int]:
        loss, norm, count = real()
        losses.append(loss)
        tokens.append(count)
        return loss, norm, count

    monkeypatch.setattr(training, "step", step)
    run.fit()
    rows = trained(training.record.rows)
    assert len(losses) < 50 or len(rows) >= 50
    last = 0
    for row in rows:
        assert row["step"] - row["steps"] == last
        assert row["loss"] == pytest.approx(sum(losses[last : int(row["step"])]) / row["steps"])
        last = int(row["step"])
    assert last == len(losses)


def test_the_speed_is_that_of_the_steps_not_of_what_lies_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock moves by a second in every step, by a thousand in every evaluation and every save."""
    now = [0.0]
    monkeypatch.setattr(loop.time, "perf_counter", lambda: now[0])
    run = start(tiny(steps=120), TEXT)
    assert run.training is not None
    training, counts = run.training, []
    real, real_evaluation = training.step, training.evaluation

    def step() -> tuple[float, float, int]:
        now[0] += 1.0
        found = real()
        counts.append(found[2])
        return found

    def evaluation() -> dict[str, float]:
        now[0] += 1000.0
        return real_evaluation()

    def save() -> None:
        now[0] += 1000.0

    monkeypatch.setattr(training, "step", step)
    monkeypatch.setattr(training, "evaluation", evaluation)
    training.run(Checkpoints(save, math.inf))
    for row in trained(training.record.rows):
        covered = counts[int(row["step"] - row["steps"]) : int(row["step"])]
        assert row["tokens_per_second"] == round(sum(covered) / len(covered))


def test_an_interrupted_run_has_the_rows_of_an_uninterrupted_one(tmp_path: Path) -> None:
    start(tiny(steps=60), TEXT, folder=tmp_path / "whole").fit()
    run = start(tiny(steps=60), TEXT, folder=tmp_path / "cut")
    assert run.training is not None
    training = run.training

    def crash(row: dict[str, float]) -> None:
        if row["step"] == 25:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.fit(crash)
    assert training.progress.step == 25
    again = resume(tmp_path / "cut", TEXT).fit()
    whole = Record.read(tmp_path / "whole" / "metrics.jsonl").rows
    assert again.training is not None

    def key(row: dict[str, float]) -> tuple[object, ...]:
        return row["step"], row.get("steps"), row.get("loss"), row.get("held_out")

    assert [key(row) for row in again.training.record.rows] == [key(row) for row in whole]
    assert Record.read(tmp_path / "cut" / "metrics.jsonl").rows == again.training.record.rows


def test_a_record_survives_a_cut_line(tmp_path: Path) -> None:
    record = Record(tmp_path / "m.jsonl")
    record.add(**ROW)
    record.add(step=2, loss=1.0)
    with (tmp_path / "m.jsonl").open("a") as file:
        file.write('{"step": 3, "lo')
    again = Record.read(tmp_path / "m.jsonl", record.mark())
    assert again.rows == record.rows and again.note is None
    again.rewind(1)
    assert Record.read(tmp_path / "m.jsonl").column("loss") == [2.0]


DAMAGED = {
    "no JSON": b"oops\n",
    "another value": b"[1, 2]\n",
    "no step": b'{"loss": 1.0}\n',
    "a step that is no number": b'{"step": "x"}\n',
    "a step that is true": b'{"step": true}\n',
    "a value that is no number": b'{"step": 1, "held_out": "much"}\n',
    "nested": b'{"step": 1, "a": ' + b"[" * 5000 + b"]" * 5000 + b"}\n",
    "very deep": b"[" * 60_000 + b"\n",
    "no text": b"\xff\xfe\0\0\n",
    "NUL bytes": b"\0" * 100 + b"\n",
    "a number of many digits": b'{"step": ' + b"9" * 5000 + b"}\n",
    "a large number": b'{"step": 1, "held_out": ' + b"9" * 400 + b"}\n",
    "a long line": b'{"step": 1' + b" " * 70_000 + b"}\n",
    "no end of line": b'{"step": 1, "loss": 2.0}',
}


@pytest.mark.parametrize("line", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_line_is_left_out_and_said(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(json.dumps(ROW).encode() + b"\n" + line)
    record = Record.read(path)
    assert record.rows == [ROW] and record.note is not None
    assert "1 of its lines are left out (line 2), 1 rows are kept" in record.note
    assert (tmp_path / "m.damaged-1.jsonl").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("kind", ["folder", "FIFO", "link", "missing", "shorter", "edited", "large", "unreadable"])
def test_a_damaged_record_never_stops_a_resume(tmp_path: Path, kind: str) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("precious\n")
    run = tmp_path / "run"
    cut(run)
    resume(run, TEXT, steps=5).fit()
    path = run / "metrics.jsonl"
    whole = path.read_bytes()
    path.unlink()
    if kind == "folder":
        path.mkdir()
        (path / "x").write_text("")
    elif kind == "FIFO":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(outside)
    elif kind == "shorter":
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "edited":
        path.write_bytes(whole.replace(b'"epoch": 0', b'"epoch": 1', 1))
    elif kind == "large":
        path.write_bytes(whole + b"\n" * (1 << 24))
    elif kind == "unreadable":
        path.write_bytes(b"\x80" * 1000)
    with pytest.warns(RunWarning, match=r"metrics\.jsonl"):
        on = resume(run, TEXT, steps=3)
    on.fit()
    assert outside.read_text() == "precious\n" and path.is_file() and not path.is_symlink()
    assert on.training is not None and Record.read(path).rows == on.training.record.rows
    before = contents(run)
    resume(run, TEXT).fit()
    assert contents(run) == before


def test_a_record_that_the_disk_does_not_give_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start(tiny(), TEXT, folder=tmp_path / "run").fit()
    before, real = contents(tmp_path / "run"), os.open

    def failing(path: object, *given: int) -> int:
        if str(path).endswith("metrics.jsonl"):
            raise OSError(5, "Input/output error")
        return real(path, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", failing)
    with pytest.raises(RunError, match=r"metrics\.jsonl cannot be opened: Input/output error"):
        resume(tmp_path / "run", TEXT, steps=3)
    monkeypatch.undo()
    assert contents(tmp_path / "run") == before


def test_what_came_after_the_checkpoint_is_dropped_silently(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    run = cut(tmp_path / "run")
    assert run.training is not None
    run.training.record.add(step=6, loss=1.0)
    again = resume(tmp_path / "run", TEXT)
    assert again.training is not None and not again.training.record.rows and not list(recwarn)
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == b""


def test_a_record_with_another_name_outside_is_not_written_through(tmp_path: Path) -> None:
    run = tmp_path / "run"
    start(tiny(), TEXT, folder=run).fit()
    os.link(run / "metrics.jsonl", tmp_path / "outside.txt")
    before = (tmp_path / "outside.txt").read_bytes()
    resume(run, TEXT, steps=3).fit()
    assert (tmp_path / "outside.txt").read_bytes() == before != (run / "metrics.jsonl").read_bytes()


def test_rewriting_is_atomic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.jsonl"
    record = Record(path)
    for step in range(5):
        record.add(step=step)
    before = path.read_bytes()

    def killed(a: object, b: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        record.rewind(2)
    assert path.read_bytes() == before
