"""`rondeau recipe`: what it lists, runs and refuses."""

from __future__ import annotations

import ast

import pytest

from rondeau.cli.recipe import beginning_with, names


def test_without_a_name_all_are_listed_with_what_they_show(rondeau) -> None:
    lines = rondeau("recipe").out.splitlines()
    assert [line.split()[0] for line in lines] == names() and all(len(line) > 30 for line in lines)
    assert beginning_with("ted") == ["teddy"]


def test_one_runs_and_says_where_its_picture_is(rondeau, tmp_path) -> None:
    done = rondeau("recipe", "teddy", "--out", str(tmp_path), "--effort", "0.01")
    assert done.status == 0 and "both ways" in done.out and (tmp_path / "teddy.png").is_file()


def test_the_file_of_one_is_printed_to_be_changed(rondeau) -> None:
    done = rondeau("recipe", "word-order", "--show")
    assert ast.get_docstring(ast.parse(done.out)).startswith("This phone is very fast")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "there is no recipe 'nothing'; there are agreement"),
        (["outcome"], "there is no recipe"),
        (["teddy", "--effort", "0"], "--effort"),
        (["teddy", "--effort", "nan"], "--effort"),
        (["teddy", "--seed", "-1"], "--seed"),
        (["word_order", "--data", "nowhere"], "pip download --no-deps --no-binary :all: -d nowhere vaderSentiment==3.3.2"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(rondeau, arguments: list[str], message: str) -> None:
    assert message in rondeau("recipe", *arguments).line
