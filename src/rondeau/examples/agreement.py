"""The cat ... is, the cats ... are: the verb agrees with its subject over a growing gap.

Between subject and verb stand words that say nothing of the number, and other nouns that have one of their own. A network reads
a sentence up to the verb and says there whether it is "is" or "are": one answer at the last of many steps, and so the loss is
on that step alone. Learned at one gap, the answer has to find its way back over all of it, and the longer that is the fewer
cells learn anything. Learned from short gaps too, the same cells keep the number as long as they are asked to.

After Linzen, Dupoux & Goldberg 2016, arXiv:1611.01368.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from rondeau.examples.outcome import Outcome, drawing, saved
from rondeau.models import ManyToMany, SequenceEncoder, Tokens, recurrent_layers
from rondeau.models.losses import cross_entropy
from rondeau.train import Training, TrainingSettings, optimizer
from rondeau.train.tagging import Tagged, Tagging, outputs_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOUNS = ["cat", "dog", "boy", "teacher", "car", "picture"]
SINGULAR, PLURAL = [f"{noun}" for noun in NOUNS], [f"{noun}s" for noun in NOUNS]
BETWEEN = ["that", "near", "often", "with", "old", "behind", "saw", "yesterday", "which", "ate"]
WORDS = ["the", *SINGULAR, *PLURAL, *BETWEEN]
GAPS = (2, 4, 8, 16, 32, 64)
SHORT = 16  # what learns from gaps of many lengths sees none that is longer
CELLS = ("elman", "lstm", "gru")


def sentence(draw: np.random.Generator, gap: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A sentence up to its verb, and the verb behind each word: 0 is, 1 are, -1 none. A quarter of the gap is nouns."""
    plural = int(draw.integers(2))
    words = ["the", draw.choice(PLURAL if plural else SINGULAR)]
    words += [draw.choice(SINGULAR + PLURAL if draw.random() < 0.25 else BETWEEN) for _ in range(gap)]
    verbs = torch.full((len(words),), -1)
    verbs[-1] = plural
    return torch.tensor([WORDS.index(word) for word in words]), verbs


def sentences(draw: np.random.Generator, gaps: list[int]) -> Tagged:
    """A sentence for each gap."""
    items, verbs = zip(*(sentence(draw, gap) for gap in gaps))
    return Tagged(items, verbs, torch.ones(len(items)))


def learned(cell: str, part: Tagged, seed: int, steps: int) -> ManyToMany:
    """A network that has learned which verb stands at the last step."""
    torch.manual_seed(seed)
    reader = Tokens(len(WORDS), 16)
    model = ManyToMany(SequenceEncoder(reader, recurrent_layers(cell, reader.width, 48)), 2)
    settings = TrainingSettings(steps=steps, learning_rate=0.005, clip_norm=1.0, seed=seed)
    task = Tagging(part, None, cross_entropy(2), classes=np.array(["is", "are"]), batch=64, steps=(-1, -1), seed=seed)
    Training(model, task, optimizer(model, settings), settings=settings).run()
    return model.eval()


def nearest_noun(item: torch.Tensor) -> int:
    """The number of the last noun before the verb: what one says who forgets the subject."""
    nouns = [WORDS[i] for i in item.tolist() if WORDS[i] in SINGULAR + PLURAL]
    return int(nouns[-1] in PLURAL)


def right(model: ManyToMany, part: Tagged) -> float:
    """The share of verbs that are right."""
    count = 0
    for places, outputs, lengths in outputs_of(model, part.sequences):
        ends = outputs[torch.arange(len(places)), lengths - 1].argmax(-1)
        count += sum(int(end) == int(part.targets[place][-1]) for place, end in zip(places, ends))
    return count / len(part.sequences)


def recipe(out: Path, seed: int = 1, effort: float = 1.0) -> Outcome:
    """Learns with several cells at each gap alone, and with each from short gaps, and asks all over every gap."""
    draw = np.random.default_rng(seed)
    steps, count, asked = max(2, int(300 * effort)), max(64, int(4000 * effort)), max(20, int(400 * effort))
    tests = {gap: sentences(draw, [gap] * asked) for gap in GAPS}
    at_each = {gap: sentences(draw, [gap] * count) for gap in GAPS}
    short = sentences(draw, draw.integers(0, SHORT + 1, count).tolist())
    curves = {}
    for cell in CELLS:
        curves[cell] = [right(learned(cell, at_each[gap], seed, steps), tests[gap]) for gap in GAPS]
        model = learned(cell, short, seed, steps)
        curves[f"{cell}, from gaps up to {SHORT}"] = [right(model, tests[gap]) for gap in GAPS]
    nearest = [
        float(np.mean([nearest_noun(item) == int(verb[-1]) for item, verb in zip(part.sequences, part.targets)]))
        for part in tests.values()
    ]
    picture = saved(drawn({**curves, "the nearest noun": nearest}), out, "agreement")
    floors = {"the nearest noun": float(np.mean(nearest)), "always is": 0.5}
    unit = f"verbs right over gaps of {GAPS[0]} to {GAPS[-1]} words, learned at each alone unless said otherwise"
    return Outcome(unit, {name: float(np.mean(curve)) for name, curve in curves.items()}, floors, picture)


def drawn(curves: dict[str, list[float]]) -> Figure:
    """Verbs right against the gap."""
    figure, (axes,) = drawing()
    for name, curve in curves.items():
        cell = name.partition(",")[0]
        colour = f"C{CELLS.index(cell)}" if cell in CELLS else "black"
        axes.plot(GAPS, curve, "o-" if name == cell else "o--", label=name, color=colour)
    axes.set_xscale("log", base=2)
    axes.set_xticks(GAPS, map(str, GAPS))
    axes.set(xlabel="words between subject and verb", ylabel="verbs right", title="the cat ... is, the cats ... are")
    axes.legend()
    return figure
