"""Going on: with the right weights and text, for more, on as many threads, and not at all when there is nothing to do."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from tiny_runs import SMALL, TEXT, contents, cut, manifest, stopped, tiny, weights

from rondeau import InputError, RunError
from rondeau.data import Text
from rondeau.train import OnRow, Run, evaluate, language_modelling, load, resume, start

LOSSES = [2.21, 2.28, 2.55, 2.9, 2.1, 3.0, 3.1, 3.2, 3.3, 3.4, 3.5, 3.6]


def given_losses(monkeypatch: pytest.MonkeyPatch, losses: list[float] = LOSSES) -> None:
    """Lets evaluations find these losses, one after another."""
    found = iter(losses)
    monkeypatch.setattr(language_modelling, "evaluate", lambda model, tokens: next(found))


def same(run: Run, other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in run.model.state_dict().items())


# patience


@pytest.mark.parametrize(("patience", "best_at", "stops_at"), [(2, 4, 12), (8, 20, 24)])
def test_the_best_weights_are_saved_and_used_whether_or_not_it_stopped_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience: int, best_at: int, stops_at: int
) -> None:
    given_losses(monkeypatch)
    wanted: dict[str, torch.Tensor] = {}
    run = start(tiny(patience=patience, steps=24), TEXT, folder=tmp_path / "run")

    def keep(row: dict[str, float]) -> None:
        if row["step"] == best_at and "held_out" in row:
            wanted.update({name: value.clone() for name, value in run.model.state_dict().items()})

    run.fit(keep)
    assert run.training is not None and run.training.progress.step == stops_at and run.training.finished
    assert same(run, wanted) and same(load(tmp_path / "run"), wanted)
    assert run.training.last is not None and not all(torch.equal(run.training.last[n], wanted[n]) for n in run.training.last)


def test_resuming_after_patience_ran_out_adds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given_losses(monkeypatch)
    run = start(tiny(patience=2, steps=24), TEXT, folder=tmp_path / "run").fit()
    before = contents(tmp_path / "run")
    again = resume(tmp_path / "run", TEXT).fit()
    assert contents(tmp_path / "run") == before and same(again, run.model.state_dict())


def test_going_on_after_patience_ran_out_starts_from_the_last_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given_losses(monkeypatch)
    options = {"patience": 2, "schedule": "constant", "warmup": 0.0}
    stopped = start(tiny(**options, steps=24), TEXT, folder=tmp_path / "run").fit()
    assert stopped.training is not None and stopped.training.progress.step == 12
    on = resume(tmp_path / "run", TEXT, steps=5)
    assert on.training is not None
    for _ in range(5):
        on.training.step()
    straight = start(tiny(**options, steps=24), TEXT)
    assert straight.training is not None
    for _ in range(17):
        straight.training.step()
    assert same(on, straight.model.state_dict())


def test_with_patience_an_interrupted_run_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    options = {"patience": 1, "learning_rate": 20.0, "schedule": "constant", "steps": 60}
    whole = start(tiny(**options), TEXT, folder=tmp_path / "whole").fit()
    assert whole.training is not None
    end = whole.training.progress.step
    assert 10 < end < 60
    for after in (3, end // 2, end - 7):
        stopped(tmp_path / f"cut{after}", after, **options)
        assert manifest(tmp_path / f"cut{after}")["step"] == after
        resume(tmp_path / f"cut{after}", TEXT).fit()
        assert weights(tmp_path / f"cut{after}") == weights(tmp_path / "whole")
    kept = load(tmp_path / "whole")
    assert whole.held is not None
    assert evaluate(kept.model, whole.held) == pytest.approx(min(whole.training.record.column("held_out")))


def test_stopping_before_the_first_evaluation_with_patience(tmp_path: Path) -> None:
    stop = stopped(tmp_path / "run", 4, patience=1, steps=600).training
    assert stop is not None and stop.progress.step == 4 and stop.best is None and not stop.finished
    assert resume(tmp_path / "run", TEXT).training.progress.step == 4  # type: ignore[union-attr]


# the corpus


def test_another_text_is_refused(tmp_path: Path) -> None:
    cut(tmp_path / "run")
    before = contents(tmp_path / "run")
    for text, message in (
        (
            Text.of(TEXT.text[:-1] + "e", "edited"),
            "edited is not the text .* it was changed since; give",
        ),
        (Text.of(TEXT.text[:-2], "shorter"), r"shorter is not the text .* it has 2,518 tokens, not 2,520"),
        (Text.of(TEXT.text[:-1] + "?", "asked"), "asked is not the text .* the character '[?]' at position 2519"),
        (Text.of("to be", "short"), "short is not the text .* too few to hold out"),
        (Text.of(TEXT.text[1:] + TEXT.text[0], "turned"), "it was changed since"),
    ):
        with pytest.raises(RunError, match=message):
            resume(tmp_path / "run", text)
    assert contents(tmp_path / "run") == before
    resume(tmp_path / "run", corpus=TEXT).fit()


def test_a_run_on_a_text_from_python_says_so_and_needs_it_again(tmp_path: Path) -> None:
    cut(tmp_path / "run", corpus="shakespeare")
    assert load(tmp_path / "run").settings.corpus == "<text>"
    with pytest.raises(RunError, match=r"made in Python, <text>; .* rondeau.train.resume\('.*', corpus=Text.of\(...\)\)"):
        resume(tmp_path / "run")
    resume(tmp_path / "run", TEXT).fit()


def test_a_file_edited_in_between_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text(TEXT.text, encoding="latin-1")
    run = start(tiny(corpus=str(file), encoding="latin-1"), folder=tmp_path / "run")
    run.close()
    resume(tmp_path / "run").close()
    file.write_text(TEXT.text.replace("question", "noitseuq", 1))
    with pytest.raises(RunError, match="is not the text that this run learned"):
        resume(tmp_path / "run")
    file.write_text("x" * (1 << 20) * 70)
    with pytest.raises(Exception, match="more than the .* bytes that this corpus can have"):
        resume(tmp_path / "run")
    (tmp_path / "moved.txt").write_text(TEXT.text)
    resume(tmp_path / "run", corpus=tmp_path / "moved.txt").fit()


def test_a_text_that_was_read_before_is_found_again(tmp_path: Path) -> None:
    from rondeau.data import load_text

    (tmp_path / "text.txt").write_text(TEXT.text, encoding="utf-16")
    text = load_text(tmp_path / "text.txt", "utf-16")
    start(tiny(), text, folder=tmp_path / "run").close()
    assert load(tmp_path / "run").settings.corpus == str(tmp_path / "text.txt")
    resume(tmp_path / "run").fit()


def test_the_settings_name_the_cell_that_was_used(tmp_path: Path) -> None:
    from rondeau import cells

    assert start(tiny(), TEXT, cell=cells.gru()).settings.cell == "gru"
    assert start(tiny(cell="mine.py:own"), TEXT, cell=cells.gru()).settings.cell == "mine.py:own"


# nothing to do, or more


def test_resuming_a_finished_run_adds_nothing(tmp_path: Path) -> None:
    for options in ({}, {"patience": 3}, {"minutes": 0.002, "steps": None}):
        folder = tmp_path / f"run{len(options)}{'minutes' in options}"
        run = start(tiny(**options), TEXT, folder=folder).fit()
        before = contents(folder)
        again = resume(folder, TEXT)
        assert again.training is not None and again.training.finished
        rows: list[object] = []
        again.fit(rows.append)
        assert not rows and contents(folder) == before and same(again, run.model.state_dict())


def test_a_run_saved_at_its_last_step_still_gets_its_last_evaluation(tmp_path: Path) -> None:
    run = start(tiny(), TEXT, folder=tmp_path / "run")
    assert run.training is not None
    training = run.training
    training.run(OnRow(lambda row: setattr(training, "stopping", row["step"] == 12)))
    assert training.record.rows[-1]["step"] == 12 and "held_out" in training.record.rows[-1]


@pytest.mark.parametrize(("more", "last"), [({"steps": 7}, 19), ({"epochs": 0.5}, 12 + 50), ({"minutes": 0.002}, None)])
def test_more_is_counted_from_where_it_stands(tmp_path: Path, more: dict[str, float], last: int | None) -> None:
    start(tiny(), TEXT, folder=tmp_path / "run").fit()
    on = resume(tmp_path / "run", TEXT, **more)  # type: ignore[arg-type]
    assert on.training is not None
    assert on.training.done == 0 and on.training.rate() < 0.01 * 0.1
    rates = []
    on.fit(lambda row: rates.append(row.get("learning_rate", 0)))
    assert on.training.progress.step == last or last is None
    assert max(rates) <= 0.01 and (last is None or rates[-2] < 0.5 * max(rates))
    assert load(tmp_path / "run").settings == on.settings
    before = contents(tmp_path / "run")
    resume(tmp_path / "run", TEXT).fit()
    assert contents(tmp_path / "run") == before


@pytest.mark.parametrize("after", [0, 3])
def test_an_interrupted_stretch_of_more_goes_on_exactly(tmp_path: Path, after: int) -> None:
    for name in ("whole", "part"):
        start(tiny(), TEXT, folder=tmp_path / name).fit()
    resume(tmp_path / "whole", TEXT, steps=9, learning_rate=0.003).fit()
    part = resume(tmp_path / "part", TEXT, steps=9, learning_rate=0.003)
    assert part.training is not None
    for _ in range(after):
        part.training.step()
    part.save()
    part.close()
    again = resume(tmp_path / "part", TEXT)
    assert again.settings.learning_rate == 0.003 and again.settings.steps == 21
    again.fit()
    assert weights(tmp_path / "part") == weights(tmp_path / "whole")


def test_more_before_the_end_replaces_it(tmp_path: Path) -> None:
    cut(tmp_path / "run", 5)
    assert resume(tmp_path / "run", TEXT, steps=3).fit().training.progress.step == 8  # type: ignore[union-attr]


def test_another_rate_alone_keeps_the_end(tmp_path: Path) -> None:
    cut(tmp_path / "run", 5, schedule="constant")
    on = resume(tmp_path / "run", TEXT, learning_rate=0.001)
    assert on.training is not None and on.training.rate() == 0.001 and on.training.done == 5 / 12
    on.fit()
    assert on.training.progress.step == 12 and load(tmp_path / "run").settings.learning_rate == 0.001
    with pytest.raises(RunError, match="the run has ended, at step 12; say how much more with minutes, epochs or steps"):
        resume(tmp_path / "run", TEXT, learning_rate=0.1)


def test_senseless_requests_for_more_are_refused(tmp_path: Path) -> None:
    cut(tmp_path / "run")
    more: list[tuple[dict[str, float], str]] = [
        ({"steps": 0}, "steps is at least 1"),
        ({"minutes": -1.0}, "minutes is above 0"),
        ({"epochs": math.nan}, "epochs is a finite number"),
        ({"learning_rate": 0.0}, "learning_rate is above 0"),
        ({"steps": 1, "minutes": 1.0}, "give one of"),
    ]
    for asked, message in more:
        with pytest.raises(InputError, match=message):
            resume(tmp_path / "run", TEXT, **asked)  # type: ignore[arg-type]
    resume(tmp_path / "run", TEXT).fit()


# checkpoints by time, threads


@pytest.mark.parametrize("options", [{}, {"dropout": 0.3, "layers": 2}, {"patience": 5}])
def test_checkpoints_by_time_are_exact(tmp_path: Path, options: dict[str, float]) -> None:
    whole = start(tiny(save_every=1e-6, **options), TEXT, folder=tmp_path / "whole")
    steps: list[int] = []
    assert whole.folder is not None
    real = whole.folder.save
    whole.folder.save = lambda *given: (steps.append(given[2].step), real(*given))[1]  # type: ignore[method-assign,func-returns-value]
    whole.fit()
    assert steps == [0, *range(1, 13)]
    for after in (1, 7):
        cut(tmp_path / f"cut{after}", after, **options)
        resume(tmp_path / f"cut{after}", TEXT).fit()
        assert weights(tmp_path / f"cut{after}") == weights(tmp_path / "whole")


def test_a_run_goes_on_with_as_many_threads_as_it_was_started_with(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        cut(tmp_path / "run", **SMALL)
        assert manifest(tmp_path / "run")["threads"] == 3
        torch.set_num_threads(1)
        resume(tmp_path / "run", TEXT).fit()
        assert torch.get_num_threads() == 3 and manifest(tmp_path / "run")["threads"] == 3
    finally:
        torch.set_num_threads(before)


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    run = cut(tmp_path / "run")
    before = contents(tmp_path / "run")
    with torch.no_grad():
        next(run.model.parameters())[0, 0] = math.nan
    with pytest.raises(
        RunError, match="embedding.weight is no longer finite at step 5; the last saved .*[.] Lower the setting"
    ):
        run.save()
    assert contents(tmp_path / "run") == before
