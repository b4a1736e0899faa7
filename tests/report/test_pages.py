"""Pages and their drawings: whole by themselves, safe with a stranger's text, the same for the same data."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from rondeau.errors import InputError
from rondeau.report import classes, forecasts, numbers, tags, training
from rondeau.report.page import Section, page, table

ROWS = [
    {"step": i, "steps": 1, "epoch": i / 4, "seconds": 1.0 * i, "loss": 1 / i, "gradient_norm": 1.0, "learning_rate": 0.1}
    for i in range(1, 9)
] + [{"step": 8, "held_out": 0.3, "accuracy": 0.5}]
NAMES = ("first", "second", "third")
EVIL = "<script>alert(1)</script>"


class Balance(HTMLParser):
    """Which elements stand open; what an end tag does not match is a fault."""

    VOID = ("meta", "br", "img")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def sections(name: str) -> list[Section]:
    """One of every section, about something with the name ``name``."""
    draw = np.random.default_rng(0)
    truth = draw.integers(0, 3, 50)
    probabilities = draw.dirichlet(np.ones(3), 50)
    names, shown, values = [name, "b", "c"], (lambda places: [name] * len(places)), draw.normal(size=50)
    ahead = draw.normal(size=(2, 4))
    items = [forecasts.Forecast(name, values, row, row + 1, row - 1, row + 2) for row in ahead]
    return [
        training.learning(ROWS),
        classes.by_class(classes.confusion(truth, probabilities.argmax(1), names), names),
        classes.worst(truth, probabilities, names, shown),
        numbers.closeness(values, values + 0.1, name),
        numbers.worst(values, values + 0.1, shown),
        tags.examples(name, name, [tags.tagged([name, "x"], [name, "y"], ["z", "y"])]),
        forecasts.forecasts(name, items, 0.8),
        forecasts.quality(ahead, ahead + 1, ahead - 1, ahead + 2, 0.8),
    ]


def test_a_page_is_whole_and_refers_to_nothing_outside() -> None:
    text = page("a run", ["said"], sections("plain"))
    found = Balance()
    found.feed(text)
    assert not found.open
    assert {"svg", "table", "figure", "section"} <= found.seen
    assert not {"script", "link", "img", "iframe"} & found.seen
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!#|data:)""", text)
    assert not re.search(r"@import|url\((?!#)", text)


def test_a_strangers_text_stays_text() -> None:
    text = page(EVIL, [EVIL], sections(EVIL))
    assert "<script" not in text
    assert text.count("&lt;script") > 10


def test_the_same_data_is_the_same_page() -> None:
    assert page("a", [], sections("x")) == page("a", [], sections("x"))


def test_drawings_take_the_colour_of_the_page() -> None:
    text = sections("x")[0].html()
    assert "currentColor" in text
    assert "#010203" not in text


def test_the_confusion_matrix_counts_rows_of_the_truth() -> None:
    counts = classes.confusion(np.array([0, 0, 1, 2]), np.array([0, 2, 1, 2]), "abc")
    assert counts.tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 1]]
    text = classes.by_class(counts, "abc").html()
    assert "3 of 4 sequences right" in text
    assert "0.6667" in text  # the F1 of a: one hit, one missed


def test_the_surest_mistake_comes_first_and_what_is_right_is_left_out() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    text = classes.worst(np.array([1, 1, 1]), probabilities, "ab", lambda places: [NAMES[i] for i in places]).html()
    assert text.index("first") < text.index("second")
    assert "third" not in text
    assert "No sequence" in classes.worst(np.array([0]), probabilities[:1], "ab", lambda places: ["x"]).html()


def test_coverage_leaves_out_what_is_not_known() -> None:
    truth = np.array([[0.0, np.nan, 9.0, 0.5]])
    zero = np.zeros((1, 4))
    text = forecasts.quality(truth, zero, zero - 1, zero + 1, 0.8).html()
    assert "66.7 % of what came" in text
    assert "nothing to compare" in forecasts.quality(zero * np.nan, zero, None, None, 0.8).html()


def test_a_wrong_tag_is_marked_and_an_unknown_truth_is_not() -> None:
    text = tags.tagged(["a", "b", "c"], ["X", "Y", "Z"], ["X", "W", None])
    assert text.count("bad") == 1
    assert "Y, not W" in text


def test_a_record_without_rows_is_said() -> None:
    assert "no rows" in training.learning([]).html()


def test_without_matplotlib_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match=r"rondeau\[figures\]"):
        training.learning(ROWS)


def test_numbers_of_a_table_stand_to_the_right() -> None:
    text = table(["a", "b"], [["x", 1.23456], ["y", None]])
    assert text.count('class="number"') == 3
    assert "1.235" in text
    assert '<td class="number">-</td>' in text
