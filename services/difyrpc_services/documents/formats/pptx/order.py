"""Puts what stands on a slide into the order in which people read it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from difyrpc_services.documents.elements import Element

MOST_CUTS: Final = 40  # rows in columns in rows …
_OVERLAP: Final = 0.08  # of a shape's side that may lie over another one: frames are larger than their text
_MOST_OVERLAP: Final = 10.0  # points
_SAME_LINE: Final = 6.0  # points


@dataclass(slots=True)
class Placed:
    """A shape with its elements, or a group of shapes."""

    left: float
    top: float
    right: float
    bottom: float
    elements: list[Element] = field(default_factory=list)
    inside: list[Placed] = field(default_factory=list)
    title: bool = False
    place: int = 0
    """In the file, which is also from back to front."""

    @property
    def is_silent(self) -> bool:
        """Whether it has no text: a picture that nobody has described."""
        return not any(element.text for element in self.elements) and all(one.is_silent for one in self.inside)


def in_order(shapes: Sequence[Placed]) -> list[Element]:
    """Answers the elements: titles, then the shapes with text as they are read, then pictures without words."""
    for place, shape in enumerate(shapes):
        shape.place = place
    spoken = [shape for shape in shapes if not shape.is_silent]
    titles = [shape for shape in spoken if shape.title]
    rest = [shape for shape in spoken if not shape.title]
    silent = [shape for shape in shapes if shape.is_silent]
    ordered = [*sorted(titles, key=lambda shape: (shape.top, shape.place)), *_ordered(rest, 0), *silent]
    found: list[Element] = []
    for shape in ordered:
        found += shape.elements
        if shape.inside:
            found += in_order(shape.inside)
    return found


def _ordered(shapes: list[Placed], depth: int) -> list[Placed]:
    if len(shapes) < 2:
        return shapes
    rows = _cut(shapes, lambda shape: (shape.top, shape.bottom))
    columns = _cut(shapes, lambda shape: (shape.left, shape.right))
    groups = _chosen(rows, columns)
    if len(groups) < 2 or depth > MOST_CUTS:
        return sorted(shapes, key=lambda shape: (round(shape.top / _SAME_LINE), shape.left, shape.place))
    return [shape for group in groups for shape in _ordered(group, depth + 1)]


def _cut(shapes: Iterable[Placed], span: Callable[[Placed], tuple[float, float]]) -> list[list[Placed]]:
    """Cuts shapes into groups between which a line can be drawn without crossing one."""
    groups: list[list[Placed]] = []
    end = 0.0
    for shape in sorted(shapes, key=lambda shape: span(shape)[0]):
        first, last = span(shape)
        spare = min((last - first) * _OVERLAP, _MOST_OVERLAP)
        if groups and first + spare < end:
            groups[-1].append(shape)
            end = max(end, last - spare)
        else:
            groups.append([shape])
            end = last - spare
    return groups


def _chosen(rows: list[list[Placed]], columns: list[list[Placed]]) -> list[list[Placed]]:
    """Answers rows or columns: the ones that agree with the order in which the author made the shapes."""
    if len(columns) < 2 or len(rows) < 2:
        return rows if len(columns) < 2 else columns
    return columns if _disorder(columns) < _disorder(rows) else rows


def _disorder(groups: list[list[Placed]]) -> int:
    """Answers how many neighbours would change places."""
    places = [place for group in groups for place in sorted(shape.place for shape in group)]
    return sum(before > after for before, after in pairwise(places))
