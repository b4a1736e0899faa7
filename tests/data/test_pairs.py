"""Pairs, symbols and edit distances: what is read, what is refused, and what comes back."""

from __future__ import annotations

from functools import cache
from io import BytesIO
from random import Random

import pytest

from rondeau.data import Symbols, pairs_of, read_pairs
from rondeau.data.edits import edit_distance, error_rate
from rondeau.errors import DataError, InputError, RondeauError


def test_two_columns_are_source_and_target() -> None:
    pairs = read_pairs(BytesIO(b"spelled,spoken\nrobin,R AA B\nwren,R EH N\n"))
    assert pairs.sources.items == ["robin", "wren"] and pairs.targets.items == ["R AA B", "R EH N"]
    assert pairs.describe().endswith("2 pairs\nsources: lengths from 4 to 5, median 4\ntargets: length 6")
    assert pairs.take([1]).sources.items == ["wren"]


def test_columns_are_found_by_name_and_either_may_be_named() -> None:
    text = b"id\ttarget\tsource\n1\tb\ta\n"
    pairs = read_pairs(BytesIO(text), kind="tsv")
    assert (pairs.sources.items, pairs.targets.items) == (["a"], ["b"])
    pairs = read_pairs(BytesIO(b"x,y\na,b\n"), source="y")
    assert (pairs.sources.items, pairs.targets.items) == (["b"], ["a"])
    pairs = read_pairs(BytesIO(b'{"source": "ab", "target": ["A", "B"]}\n'))
    assert (pairs.sources.items, pairs.targets.items) == (["ab"], [["A", "B"]])


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        (b"a,b\nx,y\n,z\n", {}, "line 3, column 'a' is empty; leave the row out or fill it in"),
        (b"a,b\nx,\n", {}, "line 2, column 'b' is empty"),
        (b"a,b,c\n1,2,3\n", {}, "has the columns 'a', 'b', 'c'; say which are source and target"),
        (b"a,b\nx,y\n", {"source": "q"}, "has no column 'q'; its columns are 'a', 'b'"),
        (b"a,b\nx,y\n", {"source": "a", "target": "a"}, "source and target are both 'a'"),
        (b"a,b\n", {}, "has no rows below its head"),
        (b'{"a": [1, 2], "b": "x"}\n', {}, "column 'a' holds numbers"),
        (b'{"a": "x", "b": "y"}\n{"a": ["x"], "b": "y"}\n', {}, "line 2, column 'a'.* is not text"),
        (b"a,b\nx\n", {}, "line 2 has 1 cells and the header has 2"),
    ],
)
def test_a_file_that_is_not_sound_says_where(text: bytes, columns: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_pairs(BytesIO(text), **columns)


def test_lists_are_checked_on_both_sides() -> None:
    for sources, targets, message in [
        (["a", ""], ["b", "c"], "the sources: the one at 1 is empty; leave it out"),
        (["a", "b"], ["c", []], "the targets: the one at 1 is empty"),
        (["a", " "], ["b", "c"], "the sources: .* is an empty text"),
        (["a"], ["b", "c"], "2 targets for 1 sources"),
        ([[1.0, 2.0]], ["a"], "the sources are numbers"),
        ([], [], "the sources: X has no sequences"),
    ]:
        with pytest.raises(InputError, match=message):
            pairs_of(sources, targets)


@pytest.mark.parametrize("unit", ["characters", "words"])
def test_texts_come_back(unit: str) -> None:
    texts = ["In the beginning God created", "the heaven; and (the) earth...", " 1  two\nthree"]
    symbols = Symbols.of(texts, unit)
    assert [symbols.decode(symbols.encode(text)) for text in texts] == texts
    again = Symbols.from_json(symbols.to_json())
    assert again.tokens == symbols.tokens and again.unit == unit and again.size == symbols.size


def test_unknown_tokens_are_zero_and_can_be_written_as_something_else() -> None:
    symbols = Symbols.of([["a", "b", "b"], ["c"]], least=2)
    assert symbols.tokens == ("b",) and symbols.encode(["b", "x"]).tolist() == [2, 0]
    assert symbols.decode([2, 0]) == ["b", "<unk>"] and symbols.decode([0, 2], ["x", "y"]) == ["x", "b"]


def test_symbols_that_do_not_fit_say_so() -> None:
    with pytest.raises(InputError, match="the unit is 'words', and the sequences are lists of tokens; choose tokens"):
        Symbols.of([["a"]], "words")
    with pytest.raises(InputError, match="characters, words or tokens, not 'letters'"):
        Symbols.of(["a"], "letters")
    for text in ["", "[]", '{"unit": "words"}', '{"unit": "words", "tokens": [1]}', '{"unit": 3, "tokens": []}']:
        with pytest.raises(RondeauError):
            Symbols.from_json(text)


def test_edit_distances_are_those_of_the_definition() -> None:
    @cache
    def plain(one: str, other: str) -> int:
        if not one or not other:
            return len(one) + len(other)
        return min(plain(one[1:], other) + 1, plain(one, other[1:]) + 1, plain(one[1:], other[1:]) + (one[0] != other[0]))

    draw = Random(0)
    for _ in range(200):
        one, other = ("".join(draw.choice("abc") for _ in range(draw.randrange(7))) for _ in range(2))
        assert edit_distance(one, other) == plain(one, other)
    assert error_rate(["", "abc"], ["a", "abd"]) == 0.5
