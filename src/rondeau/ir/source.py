"""Where a cell comes from."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """A publication, and a note on where our form deviates from it.

    A source given as plain text has only a ``note``.
    """

    authors: str = ""
    title: str = ""
    year: int = 0
    venue: str = ""
    url: str = ""
    note: str = ""

    @property
    def key(self) -> str:
        """The BibTeX key: first author's family name, year and first long word of the title."""
        family = re.sub(r"\W", "", _plain(self.authors.split(" and ")[0].split(",")[0])) or "anonymous"
        word = next((w for w in re.findall(r"\w+", _plain(self.title)) if len(w) > 3), "")
        return f"{family.lower()}{self.year or ''}{word.lower()}"

    @property
    def bibtex(self) -> str:
        """The BibTeX entry (``@misc``), or an empty text when there is no publication."""
        if not self.title:
            return ""
        fields = {
            "author": _escaped(self.authors), "title": "{" + _escaped(self.title) + "}", "year": str(self.year or ""),
            "howpublished": _escaped(self.venue), "url": self.url, "note": _escaped(self.note),
        }  # fmt: skip
        lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
        return "\n".join([f"@misc{{{self.key},", *lines, "}"])

    @property
    def short(self) -> str:
        """Who, when and where to read it, in a few words; the note when there is no publication."""
        if not self.authors:
            return self.note
        family = self.authors.split(",")[0] + (" et al." if " and " in self.authors else "")
        return ", ".join(part for part in (f"{family} {self.year or ''}".strip(), self.url) if part)

    def noting(self, note: str) -> Source:
        """The same source with another note."""
        return Source(self.authors, self.title, self.year, self.venue, self.url, note)

    def __str__(self) -> str:
        cited = ", ".join(str(part) for part in (self.authors, self.year, self.title, self.venue, self.url) if part)
        return "; ".join(part for part in (cited, self.note) if part)


def _escaped(text: str) -> str:
    """``text`` with what LaTeX takes for a command made literal."""
    return re.sub(r"([&%$#_{}])", r"\\\1", text)


def _plain(text: str) -> str:
    """``text`` without accents."""
    return "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
