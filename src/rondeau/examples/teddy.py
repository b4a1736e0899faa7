"""Teddy bears are on sale, Teddy Roosevelt was a president: who reads left to right alone cannot tell at "Teddy".

A network marks the names of persons in sentences, a tag for each word. Whether "Teddy" begins a name is decided by the word
behind it, which a network that runs forward has not read yet, and one that runs both ways has.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from rondeau.data import bio_follows
from rondeau.examples.outcome import Outcome, drawing, saved
from rondeau.models import CRF, ManyToMany, SequenceEncoder, Tokens, recurrent_layers
from rondeau.models.losses import cross_entropy
from rondeau.train import Training, TrainingSettings, optimizer
from rondeau.train.tagging import Tagged, Tagging, outputs_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TAGS = ["B-PER", "I-PER", "O"]
FIRST, LAST = ["Teddy", "Rose", "Bill", "Mark", "Grace"], ["Roosevelt", "Stone", "Fisher", "King", "Woods"]
THINGS = ["bears", "gardens", "payments", "sheets", "notes"]
BEGIN = [["he", "said"], ["they", "say"], ["we", "know"], ["today"], ["people", "think"], []]
OF_PERSONS = [["was", "a", "president"], ["is", "here"], ["likes", "music"]]
OF_THINGS = [["are", "on", "sale"], ["were", "sold"], ["are", "new"]]
WORDS = sorted({*FIRST, *LAST, *THINGS, *chain(*BEGIN, *OF_PERSONS, *OF_THINGS)})
SHOWN = (["he", "said", "Teddy", "bears", "are", "on", "sale"], ["he", "said", "Teddy", "Roosevelt", "was", "a", "president"])


def pick(draw: np.random.Generator, choices: list) -> list[str]:
    """One of several."""
    chosen = choices[draw.integers(len(choices))]
    return chosen if isinstance(chosen, list) else [chosen]


def sentence(draw: np.random.Generator) -> tuple[list[str], list[str]]:
    """Words and their tags; in one of two sentences the first name is one."""
    begin, first = pick(draw, BEGIN), pick(draw, FIRST)
    if draw.random() < 0.5:
        end = pick(draw, OF_PERSONS)
        return begin + first + pick(draw, LAST) + end, ["O"] * len(begin) + ["B-PER", "I-PER"] + ["O"] * len(end)
    words = begin + first + pick(draw, THINGS) + pick(draw, OF_THINGS)
    return words, ["O"] * len(words)


def sentences(draw: np.random.Generator, count: int) -> Tagged:
    """So many of them, as numbers."""
    pairs = [sentence(draw) for _ in range(count)]
    tags = [torch.tensor([TAGS.index(tag) for tag in tags]) for _, tags in pairs]
    return Tagged([numbers(words) for words, _ in pairs], tags, torch.ones(count))


def numbers(words: list[str]) -> torch.Tensor:
    """Words by their numbers."""
    return torch.tensor([WORDS.index(word) for word in words])


def learned(part: Tagged, bidirectional: bool, seed: int, steps: int) -> ManyToMany:
    """A tagger, with a chain of tags above it where it has the whole sentence."""
    torch.manual_seed(seed)
    body = recurrent_layers("gru", 16, 24, bidirectional=bidirectional)
    crf = CRF(len(TAGS), bio_follows(TAGS)) if bidirectional else None
    model = ManyToMany(SequenceEncoder(Tokens(len(WORDS), 16), body), len(TAGS), crf=crf)
    settings = TrainingSettings(steps=steps, learning_rate=0.01, seed=seed)
    task = Tagging(part, None, cross_entropy(len(TAGS)), classes=np.array(TAGS), batch=32, seed=seed)
    Training(model, task, optimizer(model, settings), settings=settings).run()
    return model.eval()


def at_names(model: ManyToMany, part: Tagged) -> float:
    """The share of words such as "Teddy" whose tag is right."""
    names, right = {WORDS.index(name) for name in FIRST}, []
    for places, outputs, lengths in outputs_of(model, part.sequences):
        for place, tags in zip(places, model.decode(outputs, lengths)):
            item, true = part.sequences[place], part.targets[place]
            right += [bool(tags[i] == true[i]) for i in range(len(item)) if int(item[i]) in names]
    return float(np.mean(right))


def recipe(out: Path, seed: int = 1, effort: float = 1.0) -> Outcome:
    """Learns from left to right, and both ways."""
    draw = np.random.default_rng(seed)
    train, test = sentences(draw, max(40, int(1500 * effort))), sentences(draw, max(20, int(500 * effort)))
    steps = max(2, int(300 * effort))
    models = {name: learned(train, both, seed, steps) for name, both in (("left to right", False), ("both ways", True))}
    named = float(np.mean([bool((tags == TAGS.index("B-PER")).any()) for tags in test.targets]))
    picture = saved(drawn(models), out, "teddy")
    scores = {name: at_names(model, test) for name, model in models.items()}
    return Outcome("tags right at words such as Teddy", scores, {"the more frequent tag": max(named, 1 - named)}, picture)


def drawn(models: dict[str, ManyToMany]) -> Figure:
    """How sure each network is at every word that it belongs to a person's name."""
    figure, panels = drawing(1, len(SHOWN), wide=9.0, high=3.2)
    for axes, words in zip(panels, SHOWN):
        for name, model in models.items():
            with torch.no_grad():
                sure = 1 - model.probabilities(model(numbers(words)[None]))[0, :, TAGS.index("O")]
            axes.plot(sure.numpy(), "o-", label=name)
        axes.set_xticks(range(len(words)), words, rotation=45, ha="right")
        axes.set(ylim=(-0.05, 1.05), ylabel="part of a person's name")
    panels[0].legend()
    return figure
