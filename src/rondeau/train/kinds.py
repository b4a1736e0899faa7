"""What kind of model a run holds, as ``model.json`` says it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from rondeau.errors import RunError

NAME = "model.json"
LANGUAGE_MODEL = "language model"


def to_json(kind: str) -> str:
    """The text of ``model.json``."""
    return json.dumps({"kind": kind}) + "\n"


def check(texts: Mapping[str, str], wanted: str, needed: Iterable[str], where: Path) -> None:
    """Refuses a run of another kind, or without a text that its kind needs; one of an earlier version does not name its kind
    and is a language model.

    Raises:
        RunError: it is of another kind, does not say of which, or lacks a text.
    """
    try:
        kind = json.loads(texts[NAME])["kind"] if NAME in texts else LANGUAGE_MODEL
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunError(f"{where}: {NAME} does not say what kind of model this is; restore it from a copy") from error
    if kind != wanted:
        raise RunError(f"{where} holds a {str(kind)[:40]!r}, but what is asked for needs a {wanted!r}; give the folder of one")
    missing = [name for name in needed if name not in texts]
    if missing:
        raise RunError(f"{where} is not a whole run folder: its manifest does not name {missing[0]}; restore it from a copy")
