"""The page about labels and series: its files are read, its commands run, and what they print is what it says."""

from __future__ import annotations

import doctest
import re
import sys
from pathlib import Path

import pytest

from rondeau.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "labels-and-series.md").read_text(encoding="utf-8")
FILES = re.findall(r"^`([\w.]+)`\n\n```\w+\n(.*?)```", PAGE, re.S | re.M)
BLOCKS = re.findall(r"^```(console|pycon)\n(.*?)```", PAGE, re.S | re.M)
LOOSELY = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def said(command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What a command prints."""
    monkeypatch.setattr(sys, "argv", command.split())
    with pytest.raises(SystemExit):
        main()
    captured = capsys.readouterr()
    return captured.out + captured.err


def test_the_commands_and_examples_print_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in FILES:
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {}
    commands = 0
    for kind, block in BLOCKS:
        if kind == "pycon":
            found = doctest.DocTestParser().get_doctest(block, scope, "the page", None, 0)
            outcome = doctest.DocTestRunner(optionflags=LOOSELY).run(found, clear_globs=False)
            assert not outcome.failed, capsys.readouterr().out
            scope = found.globs
            continue
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, expected = part.partition("\n")
            got = said(command, monkeypatch, capsys)
            assert doctest.OutputChecker().check_output(expected, got, LOOSELY), f"{command}\n{got}"
            commands += 1
    assert len(FILES) == 2 and commands >= 10
