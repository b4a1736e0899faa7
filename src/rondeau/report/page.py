"""One HTML file without outside references: sections of text, tables and drawings, light or dark as the reader's system is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

STYLE = """
:root { color-scheme: light dark; --ink: #1d2328; --paper: #ffffff; --faint: #6a737b; --line: #d9dee2;
  --good: #1f7a4d; --bad: #b3382c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8eb; --paper: #15191c; --faint: #98a2aa; --line: #343c42;
  --good: #63c795; --bad: #f0887c; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 58rem; padding: 1.5rem 1rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
p { margin: .4rem 0; } .faint { color: var(--faint); } .bad { color: var(--bad); } .good { color: var(--good); }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .9rem; }
th, td { padding: .25rem .8rem .25rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th { font-weight: 600; } td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td { overflow-wrap: normal; } td:first-child { min-width: 9rem; }
figure { margin: .6rem 0 1.2rem; overflow-x: auto; } figure svg { width: 100%; min-width: 30rem; height: auto; display: block; }
figcaption { color: var(--faint); font-size: .9rem; } pre { white-space: pre-wrap; font: .9rem/1.45 ui-monospace, monospace; }
.tag { display: inline-block; margin: 0 .45rem .35rem 0; text-align: center; line-height: 1.25; }
.tag small { display: block; color: var(--faint); font-size: .72rem; } .tag.bad small { color: var(--bad); }
"""


class Html(str):
    """Text that is HTML already, for a cell of a table."""


@dataclass(frozen=True)
class Section:
    """A part of a page: a heading and what stands under it, as HTML."""

    title: str
    parts: tuple[str, ...]

    def html(self) -> str:
        """The section as HTML."""
        return f"<section>\n<h2>{escape(self.title)}</h2>\n" + "\n".join(self.parts) + "\n</section>"


def page(title: str, introduction: Sequence[str], sections: Iterable[Section]) -> str:
    """A whole HTML document.

    Args:
        title: what stands above everything, and on the tab.
        introduction: plain sentences under it.
        sections: the rest.
    """
    above = "\n".join(paragraph(line, "faint") for line in introduction)
    body = "\n".join(each.html() for each in sections)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n{above}\n{body}\n</body>\n</html>\n"
    )


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text; ``kind`` is a class of the style sheet: faint, good or bad."""
    return f"<p{_class(kind)}>{escape(text)}</p>"


def verbatim(text: str) -> str:
    """Text as it is, line by line."""
    return f"<pre>{escape(text)}</pre>"


def figure(svg: str, caption: str) -> str:
    """A drawing with a caption."""
    return f"<figure>\n{svg}\n<figcaption>{escape(caption)}</figcaption>\n</figure>"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; numbers are aligned to the right, floats have four digits.

    Example:
        >>> print(table(["class", "count"], [["reel", 3]]))
        <div class="wide"><table>
        <tr><th>class</th><th class="number">count</th></tr>
        <tr><td>reel</td><td class="number">3</td></tr>
        </table></div>
    """
    lines = [list(row) for row in rows]
    numeric = [bool(lines) and all(_is_number(row[place]) for row in lines) for place in range(len(header))]
    head = "".join(f"<th{_class('number' * right)}>{escape(name)}</th>" for name, right in zip(header, numeric))
    body = "\n".join(
        "<tr>" + "".join(f"<td{_class('number' * right)}>{_cell(value)}</td>" for value, right in zip(row, numeric)) + "</tr>"
        for row in lines
    )
    return f'<div class="wide"><table>\n<tr>{head}</tr>\n{body}\n</table></div>'


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Html):
        return value
    return f"{value:,}" if type(value) is int else escape(str(value))
