"""The manifest of a run folder: which files make the newest checkpoint, and a SHA-256 of all that is in them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rondeau.errors import RunError

FORMAT = 3
KINDLESS = 2  # no model.json: every run was one of a language model
OLD = 1  # fixed names model.safetensors and state.safetensors, no digest of the manifest itself, less said
LONGEST = 1 << 23
TEXTS = {"model.json": 1 << 16, "config.toml": 1 << 20, "cell.json": 1 << 24, "tokenizer.json": 1 << 25}
"""The descriptions of which is known how many bytes each may have. A kind of model has those that it needs, and others."""
LONGEST_TEXT = 1 << 26
MOST_TEXTS = 16
ALWAYS = ("model.json", "config.toml")
KINDLESS_TEXTS = ("config.toml", "cell.json", "tokenizer.json")
PARTS = ("model", "state")
NAME = re.compile(r"(model|state)-[0-9a-f]{16}\.safetensors\Z")
TEXT = re.compile(r"(?!manifest\.)[a-z][a-z0-9_-]{0,40}\.(json|toml|txt)\Z")
"""The names that a description may have."""
_SHA = re.compile(r"[0-9a-f]{64}\Z")
MORE = ("minutes", "epochs", "steps", "learning_rate")


@dataclass(frozen=True)
class Prefix:
    """The first bytes of a file, by their number and hash."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Fingerprint:
    """A corpus as it was learned: its number of tokens, how many of them to learn from, and the hash of them all."""

    tokens: int
    learned: int
    sha256: str


@dataclass(frozen=True)
class Facts:
    """What a checkpoint says beside its tensors.

    ``settings`` are those of MORE that `resume` was given since ``config.toml`` was written.
    """

    step: int = 0
    torch: str = ""
    threads: int | None = None
    corpus: Fingerprint | None = None
    record: Prefix | None = None
    settings: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """Facts, the hash of every text, the file of every part and the hash of every tensor."""

    facts: Facts
    texts: Mapping[str, str]
    files: Mapping[str, str]
    sha256: Mapping[str, Mapping[str, str]]
    format: int = FORMAT

    def to_json(self) -> str:
        """As JSON, which ends with a hash of all before; a run without ``model.json`` keeps the format before that."""
        body = {"format": FORMAT if "model.json" in self.texts else KINDLESS, **asdict(self.facts)}
        body |= {"texts": dict(self.texts), "files": dict(self.files), "sha256": {k: dict(v) for k, v in self.sha256.items()}}
        return json.dumps({**body, "digest": _digest(body)}, indent=1)

    @staticmethod
    def of(raw: bytes, where: str) -> Manifest:
        """The manifest in the bytes of a file, every entry of the type it must have.

        Raises:
            RunError: it is damaged, or from another version.
        """
        try:
            body = json.loads(raw.decode("utf-8"))
            version = body["format"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise RunError(f"{where} is damaged ({_short(error)}); restore it from a copy") from error
        if version not in (OLD, KINDLESS, FORMAT) or type(version) is not int:
            raise RunError(f"{where} has format {_short(version)}, this version reads up to format {FORMAT}; update rondeau")
        try:
            return _old(body) if version == OLD else _new(body)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise RunError(f"{where} is damaged ({_short(error)}); restore it from a copy") from error


def _new(body: dict[str, Any]) -> Manifest:
    said = body.pop("digest")
    if said != _digest(body):
        raise ValueError("it does not have the hash that it ends with")
    corpus, record = body["corpus"], body["record"]
    facts = Facts(
        _count(body["step"]),
        _text(body["torch"]),
        None if body["threads"] is None else _count(body["threads"]),
        None if corpus is None else Fingerprint(_count(corpus["tokens"]), _count(corpus["learned"]), _sha(corpus["sha256"])),
        None if record is None else Prefix(_count(record["bytes"]), _sha(record["sha256"])),
        {_one_of(name, MORE): _number(value) for name, value in body["settings"].items()},
    )
    files = {part: body["files"][part] for part in PARTS}
    for part, name in files.items():
        if not NAME.match(_text(name)) or not name.startswith(part):
            raise ValueError(f"a file {name!r}")
    texts = _hashes(body["texts"], None if body["format"] == FORMAT else KINDLESS_TEXTS)
    if body["format"] == FORMAT and not (
        set(ALWAYS) <= set(texts) and all(map(TEXT.match, texts)) and len(texts) <= MOST_TEXTS
    ):
        raise ValueError(f"hashes of {sorted(texts)[:4]}")
    hashes = {part: _hashes(body["sha256"][part]) for part in PARTS}
    return Manifest(facts, texts, files, hashes, body["format"])


def _old(body: dict[str, Any]) -> Manifest:
    """Format 1, whose facts are nowhere relied upon."""
    texts = _hashes(body["texts"], KINDLESS_TEXTS)
    hashes = {part: _hashes(body["sha256"][part]) for part in PARTS}
    return Manifest(Facts(), texts, {part: f"{part}.safetensors" for part in PARTS}, hashes, OLD)


def _digest(body: dict[str, Any]) -> str:
    return sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode())


def longest(name: str) -> int:
    """How many bytes the description of that name may have."""
    return TEXTS.get(name, LONGEST_TEXT)


def sha256(data: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def _short(value: object) -> str:
    text = str(value) if isinstance(value, Exception) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _hashes(value: Any, names: Iterable[str] | None = None) -> dict[str, str]:
    if names is not None and set(value) != set(names):
        raise ValueError(f"hashes of {sorted(map(str, value))[:4]}")
    return {_text(name): _sha(item) for name, item in value.items()}


def _sha(value: Any) -> str:
    if not _SHA.match(_text(value)):
        raise ValueError(f"a hash {value!r}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text {value!r}")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 53:
        raise ValueError(f"a number {value!r}")
    return value


def _number(value: Any) -> float | None:
    if value is not None and type(value) not in (int, float):
        raise TypeError(f"a number {value!r}")
    return value


def _one_of(value: Any, names: tuple[str, ...]) -> str:
    if value not in names:
        raise ValueError(f"a setting {value!r}")
    return value
