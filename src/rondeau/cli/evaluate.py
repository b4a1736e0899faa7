"""``rondeau evaluate``: score a text with a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    run: Annotated[Path, typer.Argument(help="The run folder.")],
    text: Annotated[str, typer.Argument(help="A file, a folder, a glob pattern, or a corpus name.")],
    encoding: Annotated[str, typer.Option(help="Of the text files.")] = "utf-8",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Score a text: nats and bits per token and per byte, perplexity, tokens and unknowns."""
    import json as writer
    import math

    from rondeau.data import load_text
    from rondeau.train import bits, evaluate, load

    made = load(run)
    corpus = load_text(text, encoding)
    tokens = made.tokenizer.encode(corpus.text)
    nats = evaluate(made.model, tokens, streams=1)
    figures = {
        "nats_per_token": nats,
        "bits_per_token": bits(nats),
        "bits_per_byte": bits(nats) * len(tokens) / corpus.bytes,
        "bits_per_character": bits(nats) * len(tokens) / len(corpus.text),
        "perplexity": math.exp(nats) if nats < 700 else math.inf,
        "tokens": len(tokens),
        "unknowns": made.tokenizer.unknowns(corpus.text),
    }
    if json:
        print(writer.dumps(figures))
        return
    for name, value in figures.items():
        print(
            f"{name.replace('_', ' '):<20}{value:>14,}"
            if isinstance(value, int)
            else f"{name.replace('_', ' '):<20}{value:>14.4f}"
        )
