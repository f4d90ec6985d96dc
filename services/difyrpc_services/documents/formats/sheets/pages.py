"""Hands out a sheet's elements in parts of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from difyrpc_services.documents.elements import Element
from difyrpc_services.documents.formats.reading import ReadPart, too_large

BATCH: Final = 100  # elements of one part
MOST_TEXT: Final = 64 * 1024 * 1024
"""Characters of a document: cells may share one long text, so that a small file can hold a large one."""


class Budget:
    """How much text a document may still come to."""

    def __init__(self, limit: int = MOST_TEXT) -> None:
        self._limit = self._left = limit

    def take(self, characters: int) -> None:
        """Counts text; TOO_LARGE."""
        self._left -= characters
        if self._left < 0:
            raise too_large("characters", self._limit)


def parts_of(elements: Iterable[Element], budget: Budget, *, page: int = 0) -> Iterator[ReadPart]:
    """Answers the elements of a page, at least one part; a table ends a part."""
    held: list[Element] = []
    waiting: ReadPart | None = None
    for element in elements:
        budget.take(len(element.text))
        held.append(replace(element, page=page) if page else element)
        if element.kind == "table" or len(held) >= BATCH:
            if waiting is not None:
                yield waiting
            waiting = ReadPart(page=page, elements=held, goes_on=True)
            held = []
    if waiting is not None and held:
        yield waiting
    elif waiting is not None:
        held = list(waiting.elements)
    yield ReadPart(page=page, elements=held)


def under(title: Element, elements: Iterable[Element]) -> Iterator[Element]:
    """Answers the elements under a title; nothing for none."""
    elements = iter(elements)
    first = next(elements, None)
    if first is not None:
        yield title
        yield first
        yield from elements
