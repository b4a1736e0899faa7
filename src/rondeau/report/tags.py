"""Tagged examples, as text: every token with its tag under it, the wrong ones marked."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from rondeau.report.page import Section, paragraph


def tagged(tokens: Sequence[object], predicted: Sequence[object], truth: Sequence[object] | None = None) -> str:
    """One sequence as HTML.

    Args:
        tokens: what was read, (steps,).
        predicted: tags (steps,).
        truth: tags (steps,), if they are known; None among them where one is not.

    Example:
        >>> tagged(["a"], ["DT"])
        '<p><span class="tag">a<small>DT</small></span></p>'
    """
    known = [None] * len(tokens) if truth is None else truth
    return "<p>" + "".join(map(_token, tokens, predicted, known)) + "</p>"


def _token(token: object, predicted: object, truth: object) -> str:
    wrong = truth is not None and truth != predicted
    under = f"{predicted}, not {truth}" if wrong else f"{predicted}"
    return f'<span class="tag{" bad" * wrong}">{escape(str(token))}<small>{escape(under)}</small></span>'


def examples(title: str, said: str, rows: Sequence[str]) -> Section:
    """A section of tagged sequences, each as `tagged` makes it.

    Args:
        title: its heading.
        said: a sentence about which they are.
        rows: the sequences.
    """
    return Section(title, (paragraph(said, "faint"), *rows))
