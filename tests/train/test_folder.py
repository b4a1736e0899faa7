"""Run folders: whole or not there, one writer at a time, one checkpoint a read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from tiny_runs import SMALL, TEXT, contents, cut, manifest, old, tiny, weights

from rondeau import RunError
from rondeau.data import Text
from rondeau.train import RunFolder, RunWarning, checkpoint, load, resume, start


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = cut(tmp_path / "run")
    before = contents(tmp_path / "run")
    assert run.training is not None
    run.training.step()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match="No space left on device; what was saved before is intact"):
        run.save()
    monkeypatch.undo()
    assert contents(tmp_path / "run") == before
    load(tmp_path / "run")


def test_one_flipped_bit_is_found_by_its_hash(tmp_path: Path) -> None:
    cut(tmp_path / "run")
    path = tmp_path / "run" / manifest(tmp_path / "run")["files"]["model"]
    data = bytearray(path.read_bytes())
    data[-9] ^= 4
    path.write_bytes(bytes(data))
    with pytest.raises(RunError, match="the tensor .* is damaged, its hash differs"):
        load(tmp_path / "run")
    path.write_bytes(bytes(data[:-20]))
    with pytest.raises(RunError, match="cut off or damaged"):
        load(tmp_path / "run")
    path.unlink()
    with pytest.raises(RunError, match=r"not a whole run folder: model-\w+.safetensors is missing"):
        load(tmp_path / "run")


def test_folders_that_are_no_runs_are_explained(tmp_path: Path) -> None:
    for path, message in (
        (tmp_path / "none", "there is no run folder"),
        (tmp_path, "config.toml is missing"),
        ("a\0b", "there is no run folder"),
        ("a" * 5000, "there is no run folder|too long"),
    ):
        with pytest.raises(RunError, match=message):
            load(path)
    cut(tmp_path / "run")
    with pytest.raises(RunError, match="exists already"):
        start(tiny(), TEXT, folder=tmp_path / "run")
    config = tmp_path / "run" / "config.toml"
    config.write_text(config.read_text().replace("hidden = 12", "hidden = 13"))
    with pytest.raises(RunError, match=r"config\.toml was changed"):
        load(tmp_path / "run")
    path = tmp_path / "run" / "manifest.json"
    path.write_text(path.read_text().replace('"format": 3', '"format": 9'))
    with pytest.raises(RunError, match="update rondeau"):
        RunFolder.open(tmp_path / "run")
    path.write_text("{")
    with pytest.raises(RunError, match="damaged"):
        RunFolder.open(tmp_path / "run")


def test_the_manifest_notices_a_change_of_its_own(tmp_path: Path) -> None:
    cut(tmp_path / "run")
    path = tmp_path / "run" / "manifest.json"
    path.write_text(path.read_text().replace('"step": 5', '"step": 6'))
    with pytest.raises(RunError, match="does not have the hash that it ends with"):
        load(tmp_path / "run")


# overwriting


def test_only_runs_are_overwritten_and_what_is_no_file_of_ours_stays(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("precious")
    with pytest.raises(RunError, match="is not a run folder, so it is not overwritten"):
        start(tiny(), TEXT, folder=mine, overwrite=True)
    assert contents(mine) == {"thesis.txt": b"precious"}
    cut(tmp_path / "run")
    (tmp_path / "run" / "poem.txt").write_text("what it wrote")
    start(tiny(hidden=5), TEXT, folder=tmp_path / "run", overwrite=True).fit()
    assert load(tmp_path / "run").settings.hidden == 5
    assert (tmp_path / "run" / "poem.txt").read_text() == "what it wrote"
    assert len(list((tmp_path / "run").glob("*.safetensors"))) == 2


def test_an_overwriting_that_fails_leaves_the_old_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut(tmp_path / "run")
    before = contents(tmp_path / "run")
    calls = []

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) > 4:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match="No space left on device; what was saved before is intact"):
        start(tiny(hidden=7), TEXT, folder=tmp_path / "run", overwrite=True)
    monkeypatch.undo()
    assert contents(tmp_path / "run") == before
    assert resume(tmp_path / "run", TEXT).training.progress.step == 5  # type: ignore[union-attr]


def test_a_new_run_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match="No space left"):
        start(tiny(), TEXT, folder=tmp_path / "run")
    monkeypatch.undo()
    assert not (tmp_path / "run").exists()


def test_a_new_run_half_moved_up_is_read_and_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut(tmp_path / "run")
    real, moved = os.replace, []

    def stop_after_two(a: Path, b: Path) -> None:
        if Path(a).parent.name == ".staging" and not Path(a).name.startswith("."):
            if len(moved) == 2:
                raise KeyboardInterrupt
            moved.append(a)
        real(a, b)

    monkeypatch.setattr(os, "replace", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        start(tiny(hidden=7), TEXT, folder=tmp_path / "run", overwrite=True)
    monkeypatch.undo()
    assert (tmp_path / "run" / ".staging" / "manifest.json").is_file()
    assert load(tmp_path / "run").settings.hidden == 7
    with pytest.raises(RunError, match="exists already"):
        start(tiny(), TEXT, folder=tmp_path / "run")
    resume(tmp_path / "run", TEXT).fit()
    assert not (tmp_path / "run" / ".staging").exists()
    assert load(tmp_path / "run").settings.hidden == 7 and len(list((tmp_path / "run").glob("*.safetensors"))) == 2


@pytest.mark.parametrize("left", [[".staging/config.toml", "lock"], [".config.toml.12.tmp"], ["lock"], []])
def test_what_a_kill_inside_the_first_write_leaves_is_no_obstacle(tmp_path: Path, left: list[str]) -> None:
    run = tmp_path / "run"
    for name in left:
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text("")
    start(tiny(), TEXT, folder=run).fit()
    assert load(run).settings.hidden == 12


@pytest.mark.parametrize("left", [["cell.json"], ["config.toml", "cell.json"], ["pending/model.safetensors", "tokenizer.json"]])
def test_what_the_old_version_left_when_it_was_killed_can_be_overwritten(tmp_path: Path, left: list[str]) -> None:
    run = tmp_path / "run"
    for name in left:
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text("")
    with pytest.raises(RunError, match="exists already"):
        start(tiny(), TEXT, folder=run)
    start(tiny(), TEXT, folder=run, overwrite=True).fit()
    assert load(run).settings.hidden == 12


# one writer, one checkpoint a read


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    first = start(tiny(), TEXT, folder=folder)
    for second in (lambda: resume(folder, TEXT), lambda: start(tiny(), TEXT, folder=folder, overwrite=True)):
        with pytest.raises(RunError, match=rf"in use by process {os.getpid()} on .* \(this very one"):
            second()
    load(folder)  # reading needs no lock
    first.close()
    second_run = resume(folder, TEXT)
    assert second_run.training is not None and first.training is not None
    with pytest.raises(RunError, match="in use"):
        first.save()
    second_run.fit()
    with pytest.raises(RunError, match="has been written by another run meanwhile"):
        first.save()
    with pytest.raises(RunError, match="has been written by another run meanwhile"):
        first.fit()
    assert resume(folder, TEXT).fit().training.progress.step == 12  # type: ignore[union-attr]


HOLD = """
import sys
from rondeau.data import Text
from rondeau.train import resume
run = resume(sys.argv[1], Text.of("to be or not to be, that is the question. " * 60))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    cut(tmp_path / "run")
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    with pytest.raises(RunError, match=rf"in use by process {process.pid} on "):
        resume(tmp_path / "run", TEXT)
    process.kill()
    process.wait()
    resume(tmp_path / "run", TEXT).fit()


def test_a_file_system_without_locks_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rondeau.train import lock

    def refused(handle: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(lock, "_lock", refused)
    cut(tmp_path / "run")
    resume(tmp_path / "run", TEXT).fit()


def test_a_read_while_it_is_saved_is_of_one_checkpoint(tmp_path: Path) -> None:
    run = start(tiny(**SMALL), TEXT, folder=tmp_path / "run")
    assert run.training is not None
    wrong, reads, done = [], [0], threading.Event()
    first = next(run.model.parameters())

    def read() -> None:
        while not done.is_set():
            found = RunFolder.open(tmp_path / "run").read(("model", "state"))
            model, state = found.tensors("model"), found.tensors("state")
            step = found.manifest.facts.step
            if not (int(state["progress"][0]) == step == int(model["embedding.weight"][0, 0])):
                wrong.append((step, state["progress"], model))
            reads[0] += 1

    reader = threading.Thread(target=read)
    with torch.no_grad():
        first.fill_(0.0)
    run.save()
    reader.start()
    for step in range(1, 150):
        run.training.progress.step = step
        with torch.no_grad():
            first.fill_(float(step))
        run.save()
    done.set()
    reader.join()
    assert not wrong and reads[0] > 5


def test_a_manifest_that_stays_without_its_file_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut(tmp_path / "run")
    (tmp_path / "run" / manifest(tmp_path / "run")["files"]["model"]).unlink()
    real, tries = checkpoint._read, []
    monkeypatch.setattr(checkpoint, "_read", lambda *given: (tries.append(1), real(*given))[1])
    with pytest.raises(RunError, match="is missing"):
        RunFolder(tmp_path / "run").read()
    assert len(tries) == 1


def test_saving_what_is_saved_already_writes_nothing(tmp_path: Path) -> None:
    run = cut(tmp_path / "run")
    before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "run").iterdir() if p.name != "lock"}
    run.save()
    assert {p.name: p.stat().st_mtime_ns for p in (tmp_path / "run").iterdir() if p.name != "lock"} == before


def test_an_edited_description_is_not_blessed_by_the_next_save(tmp_path: Path) -> None:
    run = cut(tmp_path / "run")
    config = tmp_path / "run" / "config.toml"
    config.write_text(config.read_text() + "# mine\n")
    assert run.training is not None
    run.training.step()
    run.save()
    with pytest.raises(RunError, match="was changed or damaged"):
        load(tmp_path / "run")


# runs of format 1, made by the version before


def test_an_old_run_loads_goes_on_and_becomes_a_new_one(tmp_path: Path) -> None:
    part, whole = old("cut", tmp_path), old("whole", tmp_path)
    wanted = load(whole)
    with pytest.warns(RunWarning, match="kept no digest of its corpus"):
        run = resume(part, TEXT)
    assert run.training is not None and run.training.progress.step == 5
    assert run.settings.patience == 5
    run.fit()
    for a, b in zip(run.model.parameters(), wanted.model.parameters()):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)  # versions may round otherwise
    assert (
        manifest(part)["format"] == 2
        and manifest(part)["corpus"]["tokens"] == 2520
        and not (part / "model.safetensors").exists()
    )
    assert weights(part) and resume(part, TEXT).training.finished  # type: ignore[union-attr]


def test_an_old_run_that_has_ended_adds_nothing(tmp_path: Path) -> None:
    whole = old("whole", tmp_path)
    before = contents(whole)
    with pytest.warns(RunWarning):
        resume(whole, TEXT).fit()
    assert contents(whole) == before


def test_an_old_run_refuses_a_text_of_another_alphabet(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="its alphabet is another"):
        resume(old("cut", tmp_path), Text.of("to be or not " * 200))


@pytest.mark.parametrize("moved", [[], ["model.safetensors"], ["model.safetensors", "state.safetensors"]])
def test_an_old_checkpoint_that_had_not_moved_up_is_read(tmp_path: Path, moved: list[str]) -> None:
    part, whole = old("cut", tmp_path), old("whole", tmp_path)
    pending = part / "pending"
    pending.mkdir()
    for name in ("model.safetensors", "state.safetensors", "manifest.json"):
        shutil.copy(whole / name, pending / name)
    for name in moved:
        os.replace(pending / name, part / name)
    with pytest.warns(RunWarning):
        run = resume(part, TEXT)
    assert run.training is not None and run.training.progress.step == 12
    run.close()
    with pytest.warns(RunWarning):
        resume(part, TEXT, steps=3).fit()
    assert not pending.exists() and json.loads((part / "manifest.json").read_text())["step"] == 15


# runs of format 2 with a flat config.toml


def test_a_run_with_flat_settings_loads_and_goes_on(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    part, whole = old("cut2", tmp_path), old("whole2", tmp_path)
    wanted = load(whole)
    assert wanted.settings.cell == "gru" and wanted.settings.dropout == 0.2 and wanted.settings.vocabulary == 7
    run = resume(part, TEXT)
    assert run.training is not None and run.training.progress.step == 5 and len(run.training.record.rows) == 7
    run.fit()
    for a, b in zip(run.model.parameters(), wanted.model.parameters()):
        torch.testing.assert_close(a, b)
    assert manifest(part)["format"] == 2 and manifest(part)["step"] == 12
    before = contents(whole)
    resume(whole, TEXT).fit()
    assert contents(whole) == before and not list(recwarn)
