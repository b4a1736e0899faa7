"""What kind of model a run holds, as ``model.json`` says it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from rondeau.errors import RunError

NAME = "model.json"
LANGUAGE_MODEL = "language model"


def to_json(kind: str) -> str:
    """The text of ``model.json``."""
    return json.dumps({"kind": kind}) + "\n"


def check(texts: Mapping[str, str], wanted: str, where: str) -> None:
    """Refuses a run of another kind; one of an earlier version says nothing and is a language model.

    Raises:
        RunError: it is of another kind, or does not say of which.
    """
    try:
        kind = json.loads(texts[NAME])["kind"] if NAME in texts else LANGUAGE_MODEL
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunError(f"{where}: {NAME} does not say what kind of model this is; restore it from a copy") from error
    if kind != wanted:
        raise RunError(f"{where} holds a {str(kind)[:40]!r}, but what is asked for needs a {wanted!r}; give the folder of one")
