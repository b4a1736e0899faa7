"""The page about data: its files are read, and what it prints is what is printed."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
FILES = re.findall(r"^`([\w.]+)`\n\n```\w+\n(.*?)```", PAGE, re.S | re.M)
EXAMPLES = "\n".join(re.findall(r"```pycon\n(.*?)```", PAGE, re.S))


def test_the_page_has_a_file_of_every_kind() -> None:
    assert {Path(name).suffix for name, _ in FILES} == {".csv", ".tsv", ".jsonl", ".ts", ".conll"} and len(FILES) == 8


def test_the_examples_print_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pandas")
    for name, text in FILES:
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    found = doctest.DocTestParser().get_doctest(EXAMPLES, {}, "docs/data.md", None, 0)
    said: list[str] = []
    outcome = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(found, out=said.append)
    assert outcome.attempted >= 15 and not outcome.failed, "".join(said)
