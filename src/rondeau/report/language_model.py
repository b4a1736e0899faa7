"""What a report says of a language model: what it writes, and what surprises it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import torch

from rondeau.data import Text, Tokenizer
from rondeau.errors import InputError
from rondeau.models import beginning, generate
from rondeau.report.page import Section, paragraph, table, verbatim
from rondeau.train import Run, bits

TEMPERATURES = (0.5, 0.8, 1.0)
WRITTEN = 400  # tokens of a sample
READ = 3000  # tokens of a text that are shown with their surprise
WORST = 12


def samples(run: Run) -> Section:
    """The section of what a model writes at several temperatures, the same each time."""
    opening = beginning(run.tokenizer)
    parts = []
    for temperature in TEMPERATURES:
        draw = torch.Generator().manual_seed(0)
        tokens = list(generate(run.model, opening, WRITTEN, temperature=temperature, generator=draw))
        parts += [paragraph(f"temperature {temperature:g}", "faint"), verbatim(run.tokenizer.decode(torch.tensor(tokens)))]
    return Section("What it writes", tuple(parts))


def surprises(run: Run, text: Text) -> list[Section]:
    """The sections of a text that is read: how surprising each token is, and the most surprising of them.

    Args:
        run: a language model.
        text: what it reads; the first `READ` tokens of it.

    Raises:
        InputError: the model knows fewer than two tokens of it.
    """
    tokens = run.tokenizer.encode(run.tokenizer.encodable(text.text))[:READ]
    if len(tokens) < 2:
        raise InputError(f"{text.name} has fewer than two tokens that the network knows; give more text, or another")
    nats = -run.model.log_probability(tokens)
    written = [piece(run.tokenizer, token) for token in tokens.tolist()]
    mean = f"{nats.mean():.4f} nats, {bits(float(nats.mean())):.4f} bits per token over {len(tokens):,} tokens of {text.name}."
    worst = np.argsort(-nats, kind="stable")[:WORST]
    rows = [["".join(written[max(0, i - 30) : i]), repr(written[i]), float(np.exp(-nats[i]))] for i in worst]
    marked = Section(
        "Surprise", (paragraph(mean), paragraph("The redder, the less expected.", "faint"), _marked(written, nats))
    )
    return [marked, Section("Most surprising", (table(["after", "came", "with probability"], rows),))]


def piece(tokenizer: Tokenizer, token: int) -> str:
    """One token as text, whatever part of a character it is."""
    return tokenizer.decode(torch.tensor([token]))


def _marked(written: Sequence[str], nats: np.ndarray) -> str:
    shares = np.clip(nats / 8.0, 0.0, 1.0)
    spans = (
        f'<span style="background:rgba(214,69,46,{share:.2f})">{escape(text)}</span>' for text, share in zip(written, shares)
    )
    return f"<pre>{''.join(spans)}</pre>"
