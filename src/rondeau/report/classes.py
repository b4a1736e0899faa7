"""How well classes are told apart: the confusion matrix, each class, and the surest mistakes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rondeau.diagnostics.drawing import INK, panels, svg
from rondeau.report.page import Section, figure, paragraph, table

WORST = 12
Show = Callable[[np.ndarray], Sequence[str]]
DRAWN = 40  # classes of a confusion matrix that can still be read


def confusion(truth: np.ndarray, predicted: np.ndarray, classes: Sequence[object]) -> np.ndarray:
    """How often each class (a row) was taken for each (a column), (classes, classes).

    Args:
        truth: codes (sequences,) that index ``classes``.
        predicted: codes (sequences,).
        classes: the names.

    Example:
        >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), ["a", "b"]).tolist()
        [[1, 1], [0, 1]]
    """
    size = len(classes)
    return np.bincount(truth * size + predicted, minlength=size * size).reshape(size, size)


def by_class(counts: np.ndarray, classes: Sequence[object], what: str = "sequences") -> Section:
    """The section of a confusion matrix: a drawing, and precision, recall and F1 of each class.

    Args:
        counts: those of `confusion`.
        classes: the names.
        what: they are classes of, in the plural.
    """
    right, total = int(counts.trace()), int(counts.sum())
    said = f"{right:,} of {total:,} {what} right, an accuracy of {right / max(total, 1):.4f}."
    parts = [paragraph(said)]
    if len(classes) <= DRAWN:
        parts.append(figure(_drawn(counts, classes), "Rows: what is true; columns: what was predicted; shares of each row."))
    parts.append(table(["class", what, "precision", "recall", "F1"], _figures(counts, classes)))
    return Section("Classes", tuple(parts))


def _figures(counts: np.ndarray, classes: Sequence[object]) -> list[list[object]]:
    hits, true, said = counts.diagonal(), counts.sum(1), counts.sum(0)
    rows: list[list[object]] = []
    for name, hit, t, s in zip(classes, hits.tolist(), true.tolist(), said.tolist()):
        precision, recall = (hit / s if s else None), (hit / t if t else None)
        rows.append([str(name), t, precision, recall, 2 * hit / (s + t) if s + t else None])
    return rows


def _drawn(counts: np.ndarray, classes: Sequence[object]) -> str:
    size = len(classes)
    made, (axes,) = panels(1, min(8.0, 1.6 + 0.32 * size))
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    names = [str(name)[:24] for name in classes]
    axes.set_xticks(range(size), names, rotation=90 if size * max(map(len, names)) > 90 else 0)
    axes.set_yticks(range(size), names)
    axes.set_xlabel("predicted", color=INK)
    axes.set_ylabel("true", color=INK)
    if size <= 20:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                colour = "white" if shares[row, column] > 0.5 else "#1d2328"
                axes.text(column, row, f"{count:,}", ha="center", va="center", fontsize=8, color=colour)
    return svg(made, "confusion matrix")


def worst(truth: np.ndarray, probabilities: np.ndarray, classes: Sequence[object], show: Show) -> Section:
    """The section of the surest mistakes: those sequences whose true class was given the least probability.

    Args:
        truth: codes (sequences,) that index ``classes``.
        probabilities: of each class for each sequence, (sequences, classes).
        classes: the names.
        show: the sequences at some places, each for a cell of a table.
    """
    given = probabilities[np.arange(len(truth)), truth]
    taken = probabilities.argmax(1)
    wrong = np.flatnonzero(taken != truth)
    order = wrong[np.argsort(given[wrong], kind="stable")][:WORST]
    if not len(order):
        return Section("Worst cases", (paragraph("No sequence was given a wrong class.", "good"),))
    rows = [
        [what, str(classes[truth[i]]), str(classes[taken[i]]), float(given[i]), float(probabilities[i, taken[i]])]
        for i, what in zip(order, show(order))
    ]
    header = ["sequence", "true", "predicted", "probability of the true", "of the predicted"]
    return Section("Worst cases", (table(header, rows),))
