"""What the tab key offers. It must answer at once, so nothing here needs torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def cells(incomplete: str) -> list[str]:
    """The names of the zoo that begin so, and files with Python in them."""
    from rondeau.cells import names

    files = [text for text in _paths(incomplete) if text.endswith((".py", "/"))]
    return [name for name in names() if name.startswith(incomplete)] + files


def runs(incomplete: str) -> list[str]:
    """Run folders whose path begins so, also those in ``runs/`` when nothing is typed, and folders on the way to them."""
    below = [text for text in _paths("runs/") if not incomplete and _is_run(text)]
    return [text.rstrip("/") if _is_run(text) else text for text in [*_paths(incomplete), *below] if text.endswith("/")]


def corpora(incomplete: str) -> list[str]:
    """The named corpora that begin so, files and folders."""
    return [name for name in ("shakespeare", "python") if name.startswith(incomplete)] + list(_paths(incomplete))


def _is_run(text: str) -> bool:
    return (Path(text) / "manifest.json").is_file()


def _paths(incomplete: str) -> Iterator[str]:
    """What lies in the folder of a path that is half typed, folders with a slash behind them."""
    begun = incomplete.rpartition("/")[2]
    before = incomplete[: len(incomplete) - len(begun)]
    try:
        items = sorted(Path(before or ".").expanduser().iterdir())
    except (OSError, RuntimeError):
        return
    for item in items:
        if item.name.startswith(begun) and (begun.startswith(".") or not item.name.startswith(".")):
            yield before + item.name + "/" * item.is_dir()
