"""Training: what it learns, what it writes, and going on exactly where it was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from tiny_runs import TEXT, tiny, weights

from rondeau import InputError, RunError, tanh
from rondeau.train import Settings, evaluate, load, resume, start

TIED = {"tied": True, "embedding": 12, "layers": 2}


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
    for _ in range(run.training.task.batches.count - 1):
        run.training.step()
    assert run.training.task.batches.next().start


def test_a_run_leaves_a_folder_that_loads(tmp_path: Path) -> None:
    from rondeau import cell, input, state, weight

    @cell(source="of one's own")
    def own(x=input(), h=state(), W=weight("hidden", "input"), U=weight("hidden", "hidden")):
        h = tanh(W @ x + U @ h) * 0.5 + 0.5 * h
        return h

    run = start(tiny(), TEXT, cell=own, folder=tmp_path / "run").fit()
    names = {
        "model.json",
        "config.toml",
        "cell.json",
        "tokenizer.json",
        "metrics.jsonl",
        "manifest.json",
        "lock",
        *json.loads((tmp_path / "run" / "manifest.json").read_text())["files"].values(),
    }
    assert names == {p.name for p in (tmp_path / "run").iterdir()} and len(names) == 9
    again = load(tmp_path / "run")
    assert again.cell == own and again.settings == run.settings
    assert all(torch.equal(a, b) for a, b in zip(again.model.parameters(), run.model.parameters()))
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert {"step", "loss", "bits", "gradient_norm", "tokens_per_second", "learning_rate"} <= {
        key for row in rows for key in row
    }


def test_resuming_is_exact(tmp_path: Path) -> None:
    for options in ({}, {"dropout": 0.3, "layers": 2}, {"cell": "zoneout_lstm"}, {"patience": 5}, TIED):
        shutil.rmtree(tmp_path)
        whole = start(tiny(**options), TEXT, folder=tmp_path / "a").fit()
        part = start(tiny(**options), TEXT, folder=tmp_path / "b")
        assert part.training is not None and whole.training is not None
        for _ in range(5):
            part.training.step()
        part.save()
        part.close()
        again = resume(tmp_path / "b", TEXT)
        assert again.training is not None and again.training.progress.step == 5
        again.fit()
        assert weights(tmp_path / "a") == weights(tmp_path / "b")


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_state(tmp_path: Path) -> None:
    run = start(tiny(learning_rate=1e30, clip_norm=None, cell="elman_relu", steps=50), TEXT, folder=tmp_path / "run")
    with pytest.raises(RunError, match=r"the loss is (nan|inf) at step \d+; the last saved state is sound") as caught:
        run.fit()
    assert "Lower the setting learning_rate" in str(caught.value) and "--" not in str(caught.value)
    assert all(torch.isfinite(p).all() for p in load(tmp_path / "run").model.parameters())


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
        {"threads": 100_000},
        {"steps": 10**400},
        {"weight_decay": float("inf")},
        {"save_every": 0.0},
        {"warmup": 1.5},
    ):
        with pytest.raises(InputError):
            tiny(**changed).checked()
    with pytest.raises(InputError, match="is not TOML"):
        Settings.toml("hidden = ")
