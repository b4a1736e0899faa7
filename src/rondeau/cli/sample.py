"""``rondeau sample``: let a trained network write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rondeau.cli import complete
from rondeau.cli.outcome import about

if TYPE_CHECKING:
    from torch import Tensor

    from rondeau.data import Tokenizer


def command(
    run: Annotated[Path, typer.Argument(help="The run folder.", autocompletion=complete.runs)],
    prompt: Annotated[str | None, typer.Option(help="What the text begins with, at the start of a line.")] = None,
    length: Annotated[int, typer.Option(help="Tokens to write.")] = 500,
    temperature: Annotated[float, typer.Option(help="Below 1: safer; above: bolder; 0: always the most likely.")] = 0.8,
    top_k: Annotated[int | None, typer.Option(help="Only the k most likely tokens take part.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Only the most likely tokens up to this probability take part.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the randomness; another text each time if not given.")] = None,
    count: Annotated[int, typer.Option(help="How many texts.")] = 1,
) -> None:
    """Let a trained network write, token after token.

    Example: rondeau sample runs/shakespeare --prompt "ROMEO." --temperature 0.7
    """
    import torch

    from rondeau.errors import InputError
    from rondeau.models import generate
    from rondeau.train import load

    if count < 1:
        raise InputError(f"count is at least 1, not {count}")
    if prompt == "":
        raise InputError("--prompt is empty; leave it out to begin on a new line")
    made = load(run)
    opening = (prompt or "").replace("\\n", "\n")
    with about("--prompt"):
        tokens = _opening_tokens(made.tokenizer, opening)
    source = torch.Generator()
    source.manual_seed(seed % 2**64) if seed is not None else source.seed()
    for number in range(count):
        written = generate(made.model, tokens, length, temperature=temperature, top_k=top_k, top_p=top_p, generator=source)
        print(opening, end="", flush=True)
        for piece in _pieces(made.tokenizer, written):
            print(piece, end="", flush=True)
        print("\n" + "-" * 20 if number < count - 1 else "")


def _opening_tokens(tokenizer: Tokenizer, opening: str) -> Tensor:
    """The tokens of what a text begins with, at the start of a line: a network has seen few texts begin, but many lines."""
    import torch

    from rondeau.models import beginning

    tokens = tokenizer.encode(opening)
    before = beginning(tokenizer) if not opening or not tokenizer.unknowns("\n") else tokens[:0]
    return torch.cat([before, tokens])


def _pieces(tokenizer: Tokenizer, tokens: Iterator[int]) -> Iterator[str]:
    """The text of tokens as they come; of bytes a character when it is whole."""
    import codecs

    import torch

    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for token in tokens:
        yield decoder.decode(bytes([token])) if tokenizer.kind == "bytes" else tokenizer.decode(torch.tensor([token]))
