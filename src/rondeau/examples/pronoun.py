"""Mary was late, so ... she: the gender of the subject, kept by the gates until the pronoun asks for it.

Sentences in which a subject, told by a name, is followed by other words, an object that is a name too, and a place where a
pronoun of the subject stands: "she" or "he", and behind it a verb, singular or plural ("they"). When another subject comes, the
old one has to be forgotten. A network reads word after word, and says before each pronoun which it is. The picture shows the
gates of an LSTM while it reads: those of the units in which the gender lies.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from rondeau.examples.outcome import Outcome, drawing, saved
from rondeau.models import ManyToMany, SequenceEncoder, Tokens, recurrent_layers
from rondeau.models.losses import cross_entropy
from rondeau.train import Training, TrainingSettings, optimizer
from rondeau.train.tagging import Tagged, Tagging

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUBJECTS = {
    "she": ["Mary", "Ann", "Eve", "Jane", "Rose"],
    "he": ["John", "Paul", "Mark", "Luke", "Carl"],
    "they": ["twins", "guests", "boys", "girls", "actors"],
}
PRONOUNS = list(SUBJECTS)
NAMES = [name for names in SUBJECTS.values() for name in names]
VERBS, THINGS = ["met", "saw", "called", "thanked"], ["yesterday", "late", "again", "there", "quietly", "often"]
WORDS = ["then", "because", ".", *NAMES, *VERBS, *THINGS]
SHOWN = "then Mary met John late again because . then Paul saw Ann there because"


def clause(draw: np.random.Generator) -> tuple[list[str], list[int]]:
    """A clause, and the pronoun that comes after each of its words, -1 where none does."""
    which = int(draw.integers(len(PRONOUNS)))
    others = draw.choice(THINGS, draw.integers(0, 6)).tolist()
    words = ["then", draw.choice(SUBJECTS[PRONOUNS[which]]), draw.choice(VERBS), draw.choice(NAMES), *others, "because", "."]
    return words, [-1] * (len(words) - 2) + [which, -1]


def stories(draw: np.random.Generator, count: int) -> tuple[Tagged, list[list[str]]]:
    """Stories of two to four clauses."""
    texts, answers = [], []
    for _ in range(count):
        words, asked = zip(*(clause(draw) for _ in range(draw.integers(2, 5))))
        texts.append(list(chain(*words)))
        answers.append(torch.tensor(list(chain(*asked))))
    return Tagged([numbers(text) for text in texts], answers, torch.ones(count)), texts


def numbers(words: list[str]) -> torch.Tensor:
    """Words by their numbers."""
    return torch.tensor([WORDS.index(word) for word in words])


def last_name(part: Tagged, texts: list[list[str]]) -> float:
    """How often the pronoun of the last name is right: that of the object."""
    right = []
    for words, answers in zip(texts, part.targets):
        for step in (answers >= 0).nonzero().flatten().tolist():
            name = next(word for word in reversed(words[:step]) if word in NAMES)
            right.append(name in SUBJECTS[PRONOUNS[int(answers[step])]])
    return float(np.mean(right))


def gates(model: ManyToMany, words: list[str]) -> dict[str, np.ndarray]:
    """The gates and the memory of the units in which the subject lies, a mean over these, (steps,) each.

    They are the eight units whose output differs most between the pronouns, at the words where one is asked for.
    """
    names = ("f", "i", "o", "c")
    with torch.no_grad():
        paths = tuple(f"body.0.{name}" for name in names)
        y, _, traced = model.encoder(numbers(words)[None], trace=paths)
        asks = [step for step, word in enumerate(words) if word == "because"]
        apart = (y[0, asks[0]] - y[0, asks[-1]]).abs().topk(8).indices
    return {name: traced[path][0][:, apart].abs().mean(1).numpy() for name, path in zip(names, paths)}


def recipe(out: Path, seed: int = 1, effort: float = 1.0) -> Outcome:
    """Learns with an LSTM which pronoun the subject has, and looks at its gates."""
    draw = np.random.default_rng(seed)
    (train, _), (test, texts) = stories(draw, max(40, int(4000 * effort))), stories(draw, max(20, int(500 * effort)))
    torch.manual_seed(seed)
    model = ManyToMany(SequenceEncoder(Tokens(len(WORDS), 16), recurrent_layers("lstm", 16, 48)), len(PRONOUNS))
    settings = TrainingSettings(steps=max(2, int(500 * effort)), learning_rate=0.005, clip_norm=1.0, seed=seed)
    task = Tagging(train, test, cross_entropy(len(PRONOUNS)), classes=np.array(PRONOUNS), batch=64, seed=seed)
    Training(model, task, optimizer(model, settings), settings=settings).run()
    words = SHOWN.split()
    picture = saved(drawn(words, gates(model.eval(), words)), out, "pronoun")
    floors = {"the last name's pronoun": last_name(test, texts), "always the same": 1 / len(PRONOUNS)}
    return Outcome("pronouns right", {"lstm": task.evaluate(model)["accuracy"]}, floors, picture)


def drawn(words: list[str], values: dict[str, np.ndarray]) -> Figure:
    """A row for each gate, a column for each word."""
    titles = {"f": "forget gate", "i": "input gate", "o": "output gate", "c": "memory"}
    figure, (axes,) = drawing(wide=9.0, high=2.8)
    rows = [values[name] / (values[name].max() if name == "c" else 1.0) for name in titles]
    axes.imshow(rows, aspect="auto", cmap="Blues", vmin=0, vmax=1)
    axes.set_yticks(range(len(titles)), list(titles.values()))
    axes.set_xticks(range(len(words)), words, rotation=45, ha="right")
    axes.set_title("units that know the subject: they let it in, keep it, and drop it for the next")
    return figure
