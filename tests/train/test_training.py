"""Training: what it learns, what it writes, and going on exactly where it was."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from rondeau import InputError, RunError, tanh
from rondeau.data import Text
from rondeau.train import Record, RunFolder, Settings, evaluate, load, resume, start

TEXT = Text.of("to be or not to be, that is the question. " * 60)
TINY = {"hidden": 12, "embedding": 6, "batch": 3, "window": 8, "seed": 5, "learning_rate": 0.01}


def tiny(**changed) -> Settings:
    return Settings(**{**TINY, "steps": 12, **changed})


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_it_learns() -> None:
    run = start(tiny(steps=300, hidden=32), TEXT).fit()
    assert run.training is not None and run.held is not None
    assert run.training.record.column("held_out")[-1] < 0.5
    assert evaluate(run.model, run.held) == pytest.approx(run.training.record.column("held_out")[-1])


@pytest.mark.parametrize(
    "options",
    [
        {"clip_norm": 0.1},
        {"clip_value": 0.01},
        {"clip_step": 0.05},
        {"schedule": "linear"},
        {"dropout": 0.2, "layers": 2},
        {"tokenizer": "words", "vocabulary": 8},
        {"embedding": 0},
        {"cell": "clockwork"},
        {"cell": "projected_lstm"},
        {"epochs": 0.5, "steps": None},
        {"minutes": 0.01, "steps": None},
    ],
)
def test_settings_take_effect(options) -> None:
    run = start(tiny(**options), TEXT).fit()
    assert run.training is not None and run.training.progress.step > 0
    assert all(torch.isfinite(p).all() for p in run.model.parameters())
    if "clip_step" in options:
        assert next(iter(run.model.body)).clip == 0.05


def test_the_state_is_carried_from_window_to_window_and_cut_off() -> None:
    run = start(tiny(), TEXT)
    assert run.training is not None
    run.training.step()
    first = run.training.state
    assert all(not part.requires_grad for layer in first for part in layer) and any(
        part.any() for layer in first for part in layer
    )
    for _ in range(run.training.streams.windows - 1):
        run.training.step()
    assert run.training.streams.next().start


def test_a_run_leaves_a_folder_that_loads(tmp_path: Path) -> None:
    from rondeau import cell, input, state, weight

    @cell(source="of one's own")
    def own(x=input(), h=state(), W=weight("hidden", "input"), U=weight("hidden", "hidden")):
        h = tanh(W @ x + U @ h) * 0.5 + 0.5 * h
        return h

    run = start(tiny(), TEXT, cell=own, folder=tmp_path / "run").fit()
    names = {
        "config.toml",
        "cell.json",
        "tokenizer.json",
        "metrics.jsonl",
        "model.safetensors",
        "state.safetensors",
        "manifest.json",
    }
    assert names == {p.name for p in (tmp_path / "run").iterdir()}
    again = load(tmp_path / "run")
    assert again.cell == own and again.settings == run.settings
    assert all(torch.equal(a, b) for a, b in zip(again.model.parameters(), run.model.parameters()))
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert {"step", "loss", "bits", "gradient_norm", "tokens_per_second", "learning_rate"} <= {
        key for row in rows for key in row
    }


def test_resuming_is_exact(tmp_path: Path) -> None:
    for options in ({}, {"dropout": 0.3, "layers": 2}, {"cell": "zoneout_lstm"}, {"patience": 5}):
        shutil.rmtree(tmp_path)
        whole = start(tiny(**options), TEXT, folder=tmp_path / "a").fit()
        part = start(tiny(**options), TEXT, folder=tmp_path / "b")
        assert part.training is not None and whole.training is not None
        for _ in range(5):
            part.training.step()
        part.save()
        again = resume(tmp_path / "b", TEXT)
        assert again.training is not None and again.training.progress.step == 5
        again.fit()
        assert weights(tmp_path / "a") == weights(tmp_path / "b")


SCRIPT = """
import sys, torch
torch.set_num_threads(1)
from rondeau.data import Text
from rondeau.train import Settings, start, resume
text = Text.of("to be or not to be, that is the question. " * 60)
settings = Settings(hidden=12, embedding=6, batch=3, window=8, seed=5, steps=60, threads=1)
run = resume(sys.argv[1], text) if sys.argv[2] == "resume" else start(settings, text, folder=sys.argv[1])
run.save()
while run.training.done < 1:
    run.training.step()
    run.save()
    print(run.training.progress.step, flush=True)
"""


def test_killed_at_any_moment_it_ends_with_the_same_weights(tmp_path: Path) -> None:
    def go(folder: Path, how: str, after: int | None) -> None:
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(folder), how], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            if after is not None and int(line) >= after:
                time.sleep(0.001 * (after % 4))
                process.kill()
                break
        process.wait()

    go(tmp_path / "whole", "start", None)
    go(tmp_path / "cut", "start", 7)
    go(tmp_path / "cut", "resume", 30)
    go(tmp_path / "cut", "resume", None)
    assert weights(tmp_path / "whole") == weights(tmp_path / "cut")
    assert load(tmp_path / "cut").folder is not None


def test_a_checkpoint_half_moved_up_is_finished(tmp_path: Path, monkeypatch) -> None:
    run = start(tiny(), TEXT, folder=tmp_path / "run").fit()
    before = weights(tmp_path / "run")
    assert run.training is not None
    with torch.no_grad():
        next(run.model.parameters()).add_(1)
    real, moved = os.replace, []

    def stop_after_one(a, b) -> None:
        if Path(a).parent.name == "pending" and not Path(a).name.startswith("."):
            if moved:
                raise KeyboardInterrupt
            moved.append(a)
        real(a, b)

    monkeypatch.setattr(os, "replace", stop_after_one)
    with pytest.raises(KeyboardInterrupt):
        run.save()
    monkeypatch.setattr(os, "replace", real)
    assert (tmp_path / "run" / "pending" / "manifest.json").is_file()
    assert torch.equal(next(load(tmp_path / "run").model.parameters()), next(run.model.parameters()))
    assert resume(tmp_path / "run", TEXT).training is not None
    assert weights(tmp_path / "run") != before and not (tmp_path / "run" / "pending").exists()


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path, monkeypatch) -> None:
    run = start(tiny(), TEXT, folder=tmp_path / "run").fit()
    before = weights(tmp_path / "run")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match="No space left on device; what was saved before is intact"):
        run.save()
    monkeypatch.undo()
    assert weights(tmp_path / "run") == before
    load(tmp_path / "run")


def test_one_flipped_bit_is_found_by_its_hash(tmp_path: Path) -> None:
    start(tiny(), TEXT, folder=tmp_path / "run").fit()
    path = tmp_path / "run" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-9] ^= 4
    path.write_bytes(bytes(data))
    with pytest.raises(RunError, match="the tensor .* is damaged, its hash differs"):
        load(tmp_path / "run")
    path.write_bytes(bytes(data[:-20]))
    with pytest.raises(RunError, match="cut off or damaged"):
        load(tmp_path / "run")


def test_folders_that_are_no_runs_are_explained(tmp_path: Path) -> None:
    for make, message in (
        (lambda: load(tmp_path / "none"), "there is no run folder"),
        (lambda: load(tmp_path), "config.toml is missing"),
    ):
        with pytest.raises(RunError, match=message):
            make()
    start(tiny(), TEXT, folder=tmp_path / "run").fit()
    with pytest.raises(RunError, match="exists already"):
        start(tiny(), TEXT, folder=tmp_path / "run")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(RunError, match="is not a run folder, so it is not overwritten"):
        start(tiny(), TEXT, folder=tmp_path / "mine", overwrite=True)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"
    start(tiny(), TEXT, folder=tmp_path / "run", overwrite=True)
    config = tmp_path / "run" / "config.toml"
    start(tiny(), TEXT, folder=tmp_path / "run", overwrite=True).fit()
    config.write_text(config.read_text().replace("hidden = 12", "hidden = 13"))
    with pytest.raises(RunError, match=r"config\.toml was changed"):
        load(tmp_path / "run")
    manifest = tmp_path / "run" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 9'))
    with pytest.raises(RunError, match="update rondeau"):
        RunFolder.open(tmp_path / "run")
    manifest.write_text("{")
    with pytest.raises(RunError, match="damaged"):
        RunFolder.open(tmp_path / "run")


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_state(tmp_path: Path) -> None:
    run = start(tiny(learning_rate=1e30, clip_norm=None, cell="elman_relu", steps=50), TEXT, folder=tmp_path / "run")
    with pytest.raises(RunError, match=r"the loss is (nan|inf) at step \d+; the last saved state is sound"):
        run.fit()
    assert all(torch.isfinite(p).all() for p in load(tmp_path / "run").model.parameters())


def test_patience_stops_and_keeps_the_best() -> None:
    run = start(tiny(patience=1, learning_rate=0.5, schedule="constant", steps=200), TEXT).fit()
    assert run.training is not None and run.held is not None
    held = run.training.record.column("held_out")
    assert evaluate(run.model, run.held) <= max(held)


def test_settings_and_their_toml() -> None:
    settings = tiny(corpus='a "quoted" name', clip_step=5.0)
    assert Settings.of(Settings.toml(settings.to_toml())) == settings
    for values, message in (
        ({"hiden": 3}, "no setting 'hiden'"),
        ({"hidden": "3"}, "hidden is int"),
        ({"hidden": True}, "hidden is int"),
    ):
        with pytest.raises(InputError, match=message):
            Settings.of(values)
    for changed in (
        {"hidden": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"dropout": 1.0},
        {"schedule": "magic"},
        {"minutes": 1.0},
    ):
        with pytest.raises(InputError):
            tiny(**changed).checked()
    with pytest.raises(InputError, match="is not TOML"):
        Settings.toml("hidden = ")


def test_a_record_survives_a_cut_line(tmp_path: Path) -> None:
    record = Record(tmp_path / "m.jsonl")
    record.add(step=1, loss=2.0)
    record.add(step=2, loss=1.0)
    with (tmp_path / "m.jsonl").open("a") as file:
        file.write('{"step": 3, "lo')
    again = Record.read(tmp_path / "m.jsonl")
    assert again.rows == record.rows
    again.rewind(1)
    assert Record.read(tmp_path / "m.jsonl").column("loss") == [2.0]
    (tmp_path / "m.jsonl").write_text("oops\n{}\n")
    with pytest.raises(RunError, match="line 1 is damaged"):
        Record.read(tmp_path / "m.jsonl")
