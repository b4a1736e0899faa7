"""``rondeau evaluate``: score a text with a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rondeau.cli import complete

if TYPE_CHECKING:
    from rondeau.data import Text
    from rondeau.train import Run


def command(
    run: Annotated[Path, typer.Argument(help="The run folder.", autocompletion=complete.runs)],
    text: Annotated[
        str, typer.Argument(help="A file, a folder, a glob pattern, or a corpus name.", autocompletion=complete.corpora)
    ],
    encoding: Annotated[str, typer.Option(help="Of the text files.")] = "utf-8",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Score a text: nats and bits per token and per byte, perplexity, tokens and unknowns.

    Characters that the network never learned are left out and counted; words that it never learned are scored as its
    token for unknown words.

    Example: rondeau evaluate runs/shakespeare my.txt
    """
    import json as writer

    from rondeau.data import load_text
    from rondeau.errors import InputError
    from rondeau.train import load

    if not text:
        raise InputError("TEXT is empty; give a file, a folder, a glob pattern or a corpus name")
    made = load(run)
    figures = _figures(made, load_text(text, encoding))
    if json:
        print(writer.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):<20}{_shown(value):>14}")
    if figures["unknowns"]:
        print(_note(figures))


def _figures(run: Run, corpus: Text) -> dict[str, Any]:
    """What there is to say of a text, all of it over the tokens that are scored.

    None stands where there is nothing to say: how many bytes a word has that is scored as unknown is not in the score.
    """
    import math

    from rondeau.data import Text
    from rondeau.errors import InputError
    from rondeau.train import bits, evaluate

    unknowns = run.tokenizer.unknowns(corpus.text)
    left_out = unknowns if run.tokenizer.kind == "characters" else 0
    scored = Text.of(run.tokenizer.encodable(corpus.text)) if left_out else corpus
    tokens = run.tokenizer.encode(scored.text)
    if len(tokens) < 2:
        raise InputError(f"{corpus.name} has fewer than two tokens that the network knows; give more text, or another")
    nats = evaluate(run.model, tokens, streams=1)
    whole = bits(nats) * len(tokens) if unknowns == left_out else None
    return {
        "nats_per_token": nats,
        "bits_per_token": bits(nats),
        "bits_per_byte": whole and whole / scored.bytes,
        "bits_per_character": whole and whole / len(scored.text),
        "perplexity": math.exp(nats) if nats < 700 else None,
        "tokens": len(tokens),
        "unknowns": unknowns,
        "left_out": left_out,
    }


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def _note(figures: dict[str, Any]) -> str:
    """How the unknowns were scored."""
    if figures["left_out"]:
        return "Unknown characters were left out; all figures are of the others."
    return "Unknown words were scored as <unk>, which has no bytes and no characters."
