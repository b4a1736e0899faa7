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
    assert "not there" in rondeau("report", "run", "--out", "no/such/folder/r.html").line


def test_a_fitted_run_is_reported_on_what_was_held_out(rondeau, place: Path) -> None:
    words = [("my phone very good", "pos"), ("so bad", "neg"), ("quite fine", "pos"), ("not <i>bad</i>", "neg")]
    lines = [f"{text} {number},{label}" for number in range(12) for text, label in words]
    (place / "said.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    small = ("--epochs", "2", "--hidden", "4", "--members", "1")
    fitted = rondeau("fit", "classify", "said.csv", "--run", "said", *small)
    assert fitted.status == 0, fitted.err
    done = rondeau("report", "said")
    assert done.status == 0, done.err
    text = (place / "said" / "report.html").read_text(encoding="utf-8")
    for what in ("Held-out score", "Classes", "Worst cases", "Learning curves", "Settings", "most frequent class"):
        assert what in text
    accuracy = fitted.out.split("SequenceClassifier")[-1].split()[0]
    assert f"an accuracy of {accuracy}" in text
    assert "<i>" not in text
    (place / "more.csv").write_text("text,label\nso good,pos\nso bad,neg\nwhat,maybe\n")
    refused = rondeau("report", "said", "more.csv", "--out", "more.html")
    assert "maybe" in refused.line and not (place / "more.html").exists()


def test_a_report_does_not_replace_what_is_there(rondeau, place: Path) -> None:
    (place / "mine.html").write_text("mine")
    assert "exists already" in rondeau("report", "run", "--out", "mine.html").line
    assert "let it end in .html or .htm" in rondeau("report", "run", "--out", "mine.csv").line
    assert (place / "mine.html").read_text() == "mine"
    assert rondeau("report", "run", "--out", "mine.html", "--overwrite").status == 0
