"""``rondeau report`` of a language model."""

from __future__ import annotations

from pathlib import Path


def test_a_report_is_written_into_the_run_folder(rondeau, place: Path) -> None:
    done = rondeau("report", "run")
    assert done.status == 0, done.err
    text = (place / "run" / "report.html").read_text(encoding="utf-8")
    assert all(f"<h2>{title}</h2>" in text for title in ("Settings", "Learning curves", "What it writes"))
    assert "Surprise" not in text
    assert rondeau("evaluate", "run", "text.txt").status == 0  # the folder is still a run


def test_a_report_shows_what_surprises_the_model(rondeau, place: Path) -> None:
    (place / "seen.txt").write_text("to be or not to be @ to question. ")
    assert rondeau("report", "run", "seen.txt", "--out", "r.html").status == 0
    text = (place / "r.html").read_text(encoding="utf-8")
    assert "<h2>Most surprising</h2>" in text
    assert "@" not in text.split("</style>")[1]


def test_a_report_of_nothing_is_one_line_and_no_file(rondeau, place: Path) -> None:
    assert "no run folder" in rondeau("report", "nothing").line
    assert "nothing.txt" in rondeau("report", "run", "nothing.txt", "--out", "none.html").line
    (place / "short.txt").write_text("t")
    assert "fewer than two tokens" in rondeau("report", "run", "short.txt", "--out", "none.html").line
    assert not (place / "none.html").exists()
    assert "cannot be written" in rondeau("report", "run", "--out", "no/such/folder/r.html").line
