"""The lines of a text file, decoded as they are asked for, with the place of whatever cannot be decoded."""

from __future__ import annotations

import codecs
import stat
from collections import deque
from collections.abc import Iterable, Iterator
from io import StringIO
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, Union

from rondeau.errors import DataError

Source = Union[str, Path, BinaryIO]
"""A file by its path, or a stream of bytes such as ``sys.stdin.buffer``."""

BLOCK = 1 << 20
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Lines:
    """The lines of a text, each with its ``\\n``, one after another; the first can be looked at before they are taken.

    The text is UTF-8, with or without a byte-order mark, or UTF-16 with one. Where it has no ``\\n``, lines end with ``\\r``.
    Only a block of it is held at a time.

    Args:
        source: a path, or a stream of bytes.

    Raises:
        DataError: nothing is there, it is no plain file, is binary, or is in another encoding; the message names the line.
    """

    def __init__(self, source: Source) -> None:
        self.name = name_of(source)
        self._rest = _lines(_texts(_blocks(source), self.name), self.name)
        self._ahead: deque[str] = deque()

    def head(self, count: int = 50) -> list[str]:
        """The next ``count`` lines, or as many as there are, without taking them."""
        self._ahead.extend(islice(self._rest, max(0, count - len(self._ahead))))
        return list(islice(self._ahead, count))

    def __iter__(self) -> Iterator[str]:
        while self._ahead:
            yield self._ahead.popleft()
        yield from self._rest


def name_of(source: Source) -> str:
    """What messages call a source."""
    return str(source) if isinstance(source, (str, Path)) else "the input"


def _blocks(source: Source) -> Iterator[bytes]:
    """The bytes of a source, in blocks."""
    if not isinstance(source, (str, Path)):
        yield from iter(lambda: source.read(BLOCK), b"")
        return
    try:
        if not stat.S_ISREG(Path(source).stat().st_mode):
            raise DataError(
                f"{source} is a folder, a FIFO or a device, not a file; give a file, or its bytes on standard input"
            )
        with Path(source).open("rb") as file:
            yield from iter(lambda: file.read(BLOCK), b"")
    except (OSError, ValueError) as error:  # a NUL in a name is a ValueError
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{source} cannot be read: {reason or error}; check its name and permissions") from error


def _texts(blocks: Iterable[bytes], name: str) -> Iterator[str]:
    """What the blocks say, block by block."""
    decoder: codecs.IncrementalDecoder | None = None
    lines = offset = 0  # of what has been decoded
    old_mac = False
    for block in chain(blocks, [b""]):
        if decoder is None:
            decoder = codecs.getincrementaldecoder("utf-16" if block.startswith(_UTF_16) else "utf-8-sig")()
        pending = len(decoder.getstate()[0])
        try:
            text = decoder.decode(block, not block)
        except UnicodeDecodeError as error:
            raise DataError(_undecodable(error, name, lines, offset - pending)) from error
        old_mac = old_mac or (not offset and "\r" in text and "\n" not in text)
        text = text.replace("\r", "\n") if old_mac else text
        lines += text.count("\n")
        offset += len(block)
        yield text


def _undecodable(error: UnicodeDecodeError, name: str, lines: int, offset: int) -> str:
    before = error.object[: error.start].decode(error.encoding, "ignore").count("\n")
    encoding, byte = error.encoding.upper().removesuffix("-LE").removesuffix("-BE"), error.object[error.start]
    return (
        f"{name}, line {lines + before + 1}: byte 0x{byte:02x} at offset {offset + error.start:,} is not {encoding}; "
        "convert the file to UTF-8, for instance with iconv -f latin1 -t utf-8"
    )


def _lines(texts: Iterable[str], name: str) -> Iterator[str]:
    """The lines, each with its end; the last one may have none."""
    number, begun = 0, [""]
    for text in texts:
        _refuse_binary(text, name, number + 1)
        found = list(StringIO(text, newline="\n"))
        last = found.pop() if found and not text.endswith("\n") else ""
        if found:
            found[0] = "".join([*begun, found[0]])
            begun = []
        number += len(found)
        yield from found
        begun.append(last)
    if any(begun):
        yield "".join(begun)


def _refuse_binary(text: str, name: str, line: int) -> None:
    place = text.find("\0")
    if place >= 0:
        line += text.count("\n", 0, place)
        raise DataError(f"{name}, line {line} holds a NUL, so it is a binary file or UTF-16 without its mark; give UTF-8 text")
