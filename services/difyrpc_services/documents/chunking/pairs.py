"""Finds the questions and answers that a document holds as such: two columns of a table, or texts marked Q and A."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from difyrpc_services.documents.chunking.passages import Tidy, mark_of, passage_of
from difyrpc_services.documents.chunking.sheets import Mark, Passage
from difyrpc_services.documents.elements import Element, Table

_QUESTION: Final = re.compile(r"questions?|q|faqs?|prompt|query|问题|問題|问|問|提问|提問|问句", re.IGNORECASE)
_ANSWER: Final = re.compile(r"answers?|a|reply|response|答案|回答|答|答复|答覆|回复|回覆|解答", re.IGNORECASE)
_MARKED: Final = re.compile(
    r"^[ \t]*(?:(?P<question>Q|Question|问题?|問題?|提问)|A|Answer|答案?|回答)[ \t]*\d{0,4}[ \t]*[:：]",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(slots=True)
class Pair:
    """One question with its answer."""

    question: str
    answers: list[str]
    """Its answer's parts, one a paragraph or row."""
    marks: list[Mark]

    @property
    def answer(self) -> str:
        """The whole answer."""
        return "\n".join(part for part in self.answers if part)


class Pairs:
    """The pairs of a document."""

    def __init__(self, elements: Iterable[Element], tidy: Tidy) -> None:
        """Finds them."""
        self.found: list[Pair] = []
        self.outside = 0
        """Elements with text, titles left out, that stand in no pair."""
        self._tidy = tidy
        self._columns = (0, 1)
        self._open = False
        for element in elements:
            self._add(element)

    def _add(self, element: Element) -> None:
        if element.table is not None and element.table.columns > 1:
            self._open = False
            self._add_rows(element.table, mark_of(element))
        elif element.kind == "title":
            self._open = False
        elif (passage := passage_of(element, self._tidy)) is not None:
            self._add_text(passage)

    def _add_text(self, passage: Passage) -> None:
        """Takes texts such as `Q: …`; what follows an answer without a mark goes on with it, up to a title."""
        marked = list(_marked(passage.text))
        used = False
        for asks, text in marked or [(False, passage.text)]:
            if asks:
                self.found.append(Pair(text, [], []))
                self._open = True
            elif self._open:
                self.found[-1].answers.append(text)
            used = used or self._open
        if used:
            self.found[-1].marks += passage.marks
        else:
            self.outside += 1

    def _add_rows(self, table: Table, mark: Mark) -> None:
        """Takes a pair a row; a row without a question goes on with the answer above it."""
        rows = [[self._tidy(text).strip() for text in row] for row in table.grid()]
        headers = table.header_rows
        names = _named(rows[max(0, headers - 1)]) if rows else None
        if names is not None:
            self._columns, headers = names, max(1, headers)
        elif max(self._columns) >= table.columns:
            self._columns = (0, 1)
        asked, answered = self._columns
        first = len(self.found)
        for row in rows[headers:]:
            if row[asked]:
                self.found.append(Pair(row[asked], [row[answered]], [mark]))
            elif row[answered] and len(self.found) > first:
                self.found[-1].answers.append(row[answered])
            elif row[answered]:
                self.outside += 1


def _named(row: Sequence[str]) -> tuple[int, int] | None:
    """Answers the columns of questions and answers if a row names them."""
    asked = next((place for place, text in enumerate(row) if _QUESTION.fullmatch(text)), None)
    answered = next((place for place, text in enumerate(row) if _ANSWER.fullmatch(text)), None)
    return None if asked is None or answered is None else (asked, answered)


def _marked(text: str) -> Iterator[tuple[bool, str]]:
    """Answers the marked parts of a text, and whether each asks; nothing if the text begins without a mark."""
    matches = list(_MARKED.finditer(text))
    if not matches or matches[0].start():
        return
    ends = [match.start() for match in matches[1:]] + [len(text)]
    for match, end in zip(matches, ends, strict=True):
        yield match["question"] is not None, text[match.end() : end].strip()
