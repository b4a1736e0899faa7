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
        str,
        typer.Argument(
            help="A text: a file, a folder, a glob pattern, or a corpus name; for other models a file with answers, or -.",
            autocompletion=complete.corpora,
        ),
    ],
    encoding: Annotated[str, typer.Option(help="Of text files.")] = "utf-8",
    format: Annotated[str | None, typer.Option(help="csv, tsv, jsonl, ts or conll, where the name does not tell.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Score a model on data that it has not seen.

    Of a language model: nats and bits per token and per byte, perplexity, tokens and unknowns. Characters that the network
    never learned are left out and counted; words that it never learned are scored as its token for unknown words. Of other
    models: how often, or how nearly, they are right.

    Example: rondeau evaluate runs/shakespeare my.txt
    """
    import json as writer

    from rondeau.errors import InputError
    from rondeau.train import open_run
    from rondeau.train.kinds import LANGUAGE_MODEL

    if not text:
        raise InputError("TEXT is empty; give a file, a folder, a glob pattern or a corpus name")
    texts = open_run(run).kind.name == LANGUAGE_MODEL.name
    figures = _of_text(run, text, encoding) if texts else _of_answers(run, text, format or "")
    if json:
        print(writer.dumps(figures))
        return
    wide = max(20, *(len(name) + 2 for name in figures))
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):<{wide}}{_shown(value):>14}")
    if figures.get("unknowns"):
        print(_note(figures))


def _of_answers(run: Path, source: str, format: str) -> dict[str, Any]:
    """The scores of a fitted model on a file with answers."""
    from rondeau.cli.fitted import fitted

    job, model, known = fitted(run)
    return dict(job.figures(model, job.read(known.elsewhere(source, format), model)))


def _of_text(run: Path, text: str, encoding: str) -> dict[str, Any]:
    """The scores of a language model on a text."""
    from rondeau.data import load_text
    from rondeau.train import load

    return _figures(load(run), load_text(text, encoding))


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
