"""Corpora: a text from a file, a folder, a glob, or a name."""

from __future__ import annotations

import glob
import re
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from rondeau.data import named
from rondeau.errors import DataError

NAMES: dict[str, Callable[[], Iterable[Path]]] = {"shakespeare": named.shakespeare, "python": named.python}
"""Corpora that have a name: each gives its files in order."""

BETWEEN = "\n\n\n"
_START = re.compile(r"\*\*\* ?START OF (?:THE|THIS) PROJECT GUTENBERG[^\n]*\n|\*END\*[^\n]*SMALL PRINT[^\n]*\n", re.I)
_END = re.compile(r"\n[^\n]*\*\*\* ?END OF (?:THE|THIS) PROJECT GUTENBERG|\nEnd of (?:the |this )?Project Gutenberg", re.I)
_CREDIT = re.compile(r"\A\s*(?:produced by|transcribed from|this etext was prepared by)[^\n]*(?:\n[^\n]+)*\n\s*\n", re.I)


@dataclass(frozen=True)
class Text:
    """A corpus in one piece.

    ``bytes`` is its length in UTF-8; ``files`` says how many files it came from; ``source`` and ``encoding`` are what
    `load_text` takes to read it again, the source empty for a text that was made in Python.
    """

    text: str
    name: str
    bytes: int
    files: int = 1
    source: str = ""
    encoding: str = "utf-8"

    @staticmethod
    def of(text: str, name: str = "text") -> Text:
        """A corpus from a string."""
        return Text(text, name, len(text.encode("utf-8", "surrogatepass")))


def load_text(source: str | Path, encoding: str = "utf-8", most: int | None = None) -> Text:
    """The corpus that ``source`` names, with licence texts and transcribers' headers removed.

    Args:
        source: a name of `NAMES`, a file, a folder (all its text files, in the order of their paths), or a glob pattern.
        encoding: of the files; a byte-order mark is dropped, and line ends become ``\\n``.
        most: the most bytes that its files may have together, if there is a bound.

    Raises:
        DataError: nothing is there, it is no text, too long, or a byte does not fit the encoding; the message says which.

    Example:
        >>> load_text("python").name
        'python'
    """
    source = str(source)
    if "\0" in source:
        raise DataError(f"the name of a corpus has no NUL in it, as {source!r} has")
    if source in NAMES and not _found(Path(source)):
        return _joined(_bounded(NAMES[source](), most), source, "utf-8", skip_binary=False)
    path = _at_home(Path(source))
    if _found(path) and path.is_dir():
        items = (item for item in path.rglob("*") if item.is_file() and not _hidden(item, path))
        return _joined(sorted(_bounded(items, most)), source, encoding, skip_binary=True)
    if _found(path):
        return _joined(_bounded([path], most), source, encoding, skip_binary=False)
    if glob.has_magic(source):
        items = (item for item in map(Path, glob.iglob(source, recursive=True)) if item.is_file())
        return _joined(sorted(_bounded(items, most)), source, encoding, skip_binary=True)
    raise DataError(f"there is no file, folder or corpus {source!r}; the named corpora are {', '.join(NAMES)}")


def _at_home(path: Path) -> Path:
    """The path with the home folder in place of ``~``."""
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise DataError(f"{path} begins with the home folder of somebody unknown here; write the path out") from error


def _found(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}; check its name and permissions") from error


def _bounded(files: Iterable[Path], most: int | None) -> list[Path]:
    """The files, as long as they are not too long together."""
    found, size = [], 0
    for path in files:
        size += path.stat().st_size
        if most is not None and size > most:
            raise DataError(f"{path} and what comes before it have more than the {most:,} bytes that this corpus can have")
        found.append(path)
    return found


def _hidden(item: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in item.relative_to(root).parts)


def _joined(files: list[Path], name: str, encoding: str, skip_binary: bool) -> Text:
    texts = [read(path, encoding) for path in files if not (skip_binary and _looks_binary(_bytes(path, 8192)))]
    texts = [text for text in texts if text.strip()]
    if not texts:
        what = "holds no text" if files else "matches no file"
        raise DataError(f"{name!r} {what}; give a file or a folder with text in it")
    whole = BETWEEN.join(texts)
    return Text(whole, name, len(whole.encode("utf-8", "surrogatepass")), len(texts), name, encoding)


def _bytes(path: Path, most: int = -1) -> bytes:
    """The bytes of a plain file, or the first of them. A FIFO would be waited for, a device might never end."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DataError(f"{path} is a FIFO or a device, not a file; write what comes out of it into a file and give that")
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}; check its name and permissions") from error


def _looks_binary(head: bytes) -> bool:
    return b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff"))


def read(path: Path, encoding: str = "utf-8") -> str:
    """One file as text.

    Raises:
        DataError: it cannot be read, is binary, or does not fit the encoding.
    """
    raw = _bytes(path)
    if encoding.lower().replace("-", "") == "utf8" and raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path} begins with the mark of UTF-16; give --encoding utf-16")
    if _looks_binary(raw[:8192]) and not encoding.lower().startswith(("utf-16", "utf-32", "utf16", "utf32")):
        raise DataError(f"{path} is a binary file, not text; give a text file")
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        byte = raw[error.start]
        raise DataError(
            f"{path} is not {encoding}: byte 0x{byte:02x} at offset {error.start}; "
            "name the right one with --encoding, such as --encoding latin-1"
        ) from error
    except (LookupError, ValueError) as error:
        raise DataError(
            f"there is no encoding {encoding!r}; use utf-8, latin-1, utf-16 or another that Python knows"
        ) from error
    return strip_licence(text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"))


def strip_licence(text: str) -> str:
    """``text`` without the licence and the transcriber's lines that Project Gutenberg puts around a work.

    Example:
        >>> strip_licence("x\\n*** START OF THE PROJECT GUTENBERG EBOOK X ***\\nHello\\n*** END OF THE PROJECT GUTENBERG EBOOK")
        'Hello'
    """
    start = list(_START.finditer(text))
    end = _END.search(text, start[-1].end() if start else 0)
    if not start and not end:
        return text
    body = text[start[-1].end() if start else 0 : end.start() if end else len(text)]
    return _CREDIT.sub("", body).strip("\n")
