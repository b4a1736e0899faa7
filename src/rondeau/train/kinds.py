"""What kind of model a run holds, as ``model.json`` says it, and the texts that a run of that kind has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rondeau.errors import InputError, RunError
from rondeau.train.manifest import ALWAYS, MOST_TEXTS, TEXT
from rondeau.train.settings import Settings, TrainingSettings

NAME, CONFIG = ALWAYS
LONGEST_NAME = 40


@dataclass(frozen=True)
class Kind:
    """A kind of run: its name, the texts that one has beside ``model.json`` and ``config.toml``, and the class of the settings
    in ``config.toml``. A kind is a value: nothing needs to know of it but who keeps, resumes and loads such runs.

    Example:
        >>> Kind("sums", ("units.json",)).to_json()
        '{"kind": "sums"}\\n'
    """

    name: str
    texts: tuple[str, ...] = ()
    settings: type[TrainingSettings] = TrainingSettings

    def __post_init__(self) -> None:
        if not (0 < len(self.name) <= LONGEST_NAME and self.name.isprintable()):
            raise InputError(f"a kind of run is named by 1 to {LONGEST_NAME} printable characters, not {self.name[:99]!r}")
        for text in self.texts:
            if not TEXT.match(text) or text in ALWAYS:
                raise InputError(
                    "a text of a run has a name in small letters that ends in .json, .toml or .txt, other than "
                    f"{NAME}, {CONFIG} and manifest.json; not {text[:99]!r}"
                )
        if len({*self.texts, *ALWAYS}) > MOST_TEXTS:
            raise InputError(f"a run has at most {MOST_TEXTS - len(ALWAYS)} texts of its own, not {len(self.texts)}; join some")

    def to_json(self) -> str:
        """The text of ``model.json``."""
        return json.dumps({"kind": self.name}) + "\n"

    def check(self, texts: Mapping[str, str], where: Path) -> None:
        """Refuses a run of another kind, or without a text that this kind needs.

        Raises:
            RunError: it is of another kind, does not say of which, or lacks a text.
        """
        name = kind_name(texts, where)
        if name != self.name:
            raise RunError(f"{where} holds a {name!r}, but what is asked for needs a {self.name!r}; give the folder of one")
        missing = [text for text in self.texts if text not in texts]
        if missing:
            raise RunError(
                f"{where} is not a whole run folder: its manifest does not name {missing[0]}; restore it from a copy"
            )


LANGUAGE_MODEL = Kind("language model", ("cell.json", "tokenizer.json"), Settings)


def kind_name(texts: Mapping[str, str], where: Path) -> str:
    """The name of the kind of run that has these texts; one of an earlier version does not name it and is a language model.

    Raises:
        RunError: it does not say.
    """
    try:
        name = json.loads(texts[NAME])["kind"] if NAME in texts else LANGUAGE_MODEL.name
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunError(f"{where}: {NAME} does not say what kind of model this is; restore it from a copy") from error
    return str(name)[:LONGEST_NAME]
