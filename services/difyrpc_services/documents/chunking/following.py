"""Makes passages that follow legal clauses: one begins wherever a clause does; what stands in no clause is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from difyrpc_services.documents.chunking.passages import Tidy, part_of, passage_of
from difyrpc_services.documents.chunking.sheets import Passage, Path
from difyrpc_services.documents.elements import Clause, Element

_WHOLE: Final = frozenset({"part", "subpart", "chapter", "section", "article", "exhibit", "schedule", "preamble"})
"""Kinds that begin a chunk wherever they stand; others join the clause that they belong to."""
_HEAD: Final = 24  # signs of a clause that tell where it begins
_SLACK: Final = 4  # signs, such as colons, that a clause of a mere title may have beside number and title


def following(elements: Sequence[Element], clauses: Sequence[Clause], tidy: Tidy) -> Iterator[Passage]:
    """Answers the passages of elements, cut where clauses begin; each bears its clause and the titles above that."""
    outline = _Outline(clauses)
    before: Clause | None = None
    titles = False
    for element in elements:
        passage = passage_of(element, tidy)
        if passage is None:
            continue
        for part, clause, begun in _parts(passage, outline, element.id):
            if clause is None:
                yield replace(part, begins=element.kind == "title" and not titles)
            else:
                yield outline.marked(part, clause, begins=begun and outline.begins(clause, before))
            before, titles = clause, clause is None and element.kind == "title"


def _parts(passage: Passage, outline: _Outline, element: str) -> Iterator[tuple[Passage, Clause | None, bool]]:
    """Answers the parts of an element's text, their clauses, and whether these begin there."""
    begun = outline.begun.get(element, ())
    offsets = _beginnings(passage.text, begun)
    first = offsets[0] if offsets else len(passage.text)
    if first:
        yield part_of(passage, 0, first), outline.held.get(element), False
    for clause, start, end in zip(begun, offsets, [*offsets, len(passage.text)][1:], strict=True):
        if end > start:
            yield part_of(passage, start, end), clause, True


def _beginnings(text: str, clauses: Sequence[Clause]) -> list[int]:
    """Answers where in the text each of the clauses begins; spaces and line breaks need not agree."""
    if not clauses:
        return []
    places = [place for place, sign in enumerate(text) if not sign.isspace()]
    signs = "".join(text.split())
    found: list[int] = []
    after = 0
    for clause in clauses:
        head = "".join(clause.text.split())[:_HEAD]
        place = signs.find(head, after)
        if place < 0:
            place = signs.find("".join(clause.number.split()), after) if clause.number else after
        after = max(place, after)
        found.append(places[after])
    return found


@dataclass(slots=True)
class _Outline:
    """The clauses by where they stand."""

    clauses: Sequence[Clause]
    begun: dict[str, list[Clause]] = field(default_factory=dict)
    """By the element in which they begin."""
    held: dict[str, Clause] = field(default_factory=dict)
    """By the element with which they go on."""
    _paths: dict[str, Path] = field(default_factory=dict)
    _parents: dict[str, Clause] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = {clause.id: clause for clause in self.clauses}
        for clause in self.clauses:
            for place, element in enumerate(clause.element_ids):
                if place:
                    self.held[element] = clause
                else:
                    self.begun.setdefault(element, []).append(clause)
            parent = known.get(clause.parent_id)
            if parent is not None:
                self._parents[parent.id] = parent
                self._paths[clause.id] = (*self._paths.get(parent.id, ()), _name(parent))

    def begins(self, clause: Clause, before: Clause | None) -> bool:
        """Answers whether a chunk begins with a clause: not under a mere title, not among others of a list."""
        if before is None:
            return True
        if self._is_title(before):
            return False
        return clause.kind in _WHOLE or (not clause.parent_id and clause.kind != before.kind)

    def marked(self, passage: Passage, clause: Clause, *, begins: bool) -> Passage:
        """Answers the passage with its clause."""
        above = self._paths.get(clause.id, ())
        title = self._is_title(clause)
        headings = (*above, _name(clause)) if title else above
        marks = tuple(replace(mark, clause=clause.id, headings=headings, above=above) for mark in passage.marks)
        return replace(passage, marks=marks, begins=begins, keeps=title)

    def _is_title(self, clause: Clause) -> bool:
        """Answers whether a clause is nothing but the title of those that belong to it."""
        return clause.id in self._parents and _signs(clause.text) <= _signs(clause.number + clause.title) + _SLACK


def _name(clause: Clause) -> str:
    return f"{clause.number} {clause.title}".strip()


def _signs(text: str) -> int:
    return len("".join(text.split()))
