"""Goes through the shapes of a slide: text, tables, charts, diagrams, pictures, groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from lxml import etree

from difyrpc_services.documents.elements import Box, Element
from difyrpc_services.documents.formats.office.charts import CX, chart_elements
from difyrpc_services.documents.formats.office.diagrams import DGM, diagram_elements, drawn_elements
from difyrpc_services.documents.formats.office.drawn import MC, POINT, A, C, alternative_text, chosen
from difyrpc_services.documents.formats.office.parts import Package, R, whole
from difyrpc_services.documents.formats.pptx.inherited import (
    Above,
    P,
    Rectangle,
    holder_of,
    rectangle_in,
    rectangle_of,
)
from difyrpc_services.documents.formats.pptx.order import Placed
from difyrpc_services.documents.formats.pptx.tables import table_element
from difyrpc_services.documents.formats.pptx.texts import body_elements
from difyrpc_services.documents.formats.reading import too_large

MOST_DEPTH: Final = 30  # groups in groups
MOST_SHAPES: Final = 20_000  # of a slide
_PROPERTIES: Final = {P + "sp": "nvSpPr", P + "pic": "nvPicPr", P + "graphicFrame": "nvGraphicFramePr"}


@dataclass(frozen=True, slots=True)
class _Space:
    """How places inside a group become places on the slide."""

    left: float = 0.0
    top: float = 0.0
    width: float = 1.0
    height: float = 1.0

    def placed(self, inner: Rectangle) -> Rectangle:
        """Answers a rectangle on the slide."""
        left, top, right, bottom = inner
        return (
            self.left + left * self.width,
            self.top + top * self.height,
            self.left + right * self.width,
            self.top + bottom * self.height,
        )


class Shapes:
    """Reads the shapes of one slide."""

    def __init__(self, package: Package, part: str, above: Above, *, page: int) -> None:
        self._package = package
        self._relations = package.relations(part)
        self._above = above
        self._page = page
        self._count = 0

    def read(self, tree: etree._Element) -> list[Placed]:
        """Answers the shapes that have something to read; TOO_LARGE."""
        return list(self._inside(tree, _Space(), 0))

    def _inside(self, parent: Sequence[etree._Element], space: _Space, depth: int) -> Iterator[Placed]:
        for shape in parent:
            self._count += 1
            if self._count > MOST_SHAPES:
                raise too_large("shapes", MOST_SHAPES)
            if shape.tag == MC + "AlternateContent":
                if depth < MOST_DEPTH:
                    yield from self._inside(chosen(shape), space, depth + 1)
            elif shape.tag == P + "grpSp":
                if depth < MOST_DEPTH:
                    yield from self._group(shape, space, depth)
            elif shape.tag in _PROPERTIES:
                elements = list(self._elements(shape))
                if elements:
                    yield self._placed(shape, elements, space)

    def _group(self, shape: etree._Element, space: _Space, depth: int) -> Iterator[Placed]:
        frame = shape.find(f"{P}grpSpPr/{A}xfrm")
        inner = _inner_space(frame, space) if frame is not None else space
        inside = list(self._inside(shape, inner, depth + 1))
        if inside:
            yield Placed(
                left=min(one.left for one in inside),
                top=min(one.top for one in inside),
                right=max(one.right for one in inside),
                bottom=max(one.bottom for one in inside),
                inside=inside,
                title=any(one.title for one in inside),
            )

    def _placed(self, shape: etree._Element, elements: list[Element], space: _Space) -> Placed:
        left, top, right, bottom = space.placed(self._rectangle(shape))
        box = Box(page=self._page, left=left, top=top, right=max(left, right), bottom=max(top, bottom))
        boxed = [replace(element, boxes=(box,)) for element in elements]
        title = any(element.kind == "title" and element.level == 1 for element in elements)
        return Placed(left=left, top=top, right=box.right, bottom=box.bottom, elements=boxed, title=title)

    def _rectangle(self, shape: etree._Element) -> Rectangle:
        frame = shape.find(P + "xfrm")
        found = rectangle_in(frame) if frame is not None else rectangle_of(shape.find(P + "spPr"))
        if found is None:
            holder = holder_of(shape)
            found = self._above.rectangle(holder) if holder is not None else None
        return found or (0.0, 0.0, 0.0, 0.0)

    def _elements(self, shape: etree._Element) -> Iterator[Element]:
        if shape.tag == P + "graphicFrame":
            yield from self._framed(shape)
            return
        body = shape.find(P + "txBody")
        holder = holder_of(shape)
        found: list[Element] = []
        if body is not None:
            found = body_elements(body, holder, self._above.list_styles(shape, holder))
            yield from found
        text = alternative_text(_properties(shape))
        if shape.tag == P + "pic" or (text and not found):
            yield Element(id="", kind="figure", text=text)

    def _framed(self, shape: etree._Element) -> Iterator[Element]:
        """Answers a table, a chart, a diagram, or the picture of an embedded object."""
        data = shape.find(f"{A}graphic/{A}graphicData")
        text = alternative_text(_properties(shape))
        found: list[Element] = []
        for child in () if data is None else data:
            if child.tag == A + "tbl":
                table = table_element(child)
                found += [] if table is None else [table]
            elif child.tag in (C + "chart", CX + "chart"):
                relation = self._relations.get(child.get(R + "id", ""))
                found += [] if relation is None else chart_elements(self._package.beside(relation.part))
            elif child.tag == DGM + "relIds":
                found += self._diagram(child)
        if text or not found:
            yield Element(id="", kind="figure", text=text)
        yield from found

    def _diagram(self, references: etree._Element) -> list[Element]:
        relation = self._relations.get(references.get(R + "dm", ""))
        found = [] if relation is None else diagram_elements(self._package.beside(relation.part))
        if found:
            return found
        drawings = [one.part for one in self._relations.values() if one.kind == "diagramDrawing"]
        return [element for part in drawings for element in drawn_elements(self._package.beside(part))]


def _properties(shape: etree._Element) -> etree._Element | None:
    holder = shape.find(P + _PROPERTIES[str(shape.tag)])
    return None if holder is None else holder.find(P + "cNvPr")


def _inner_space(frame: etree._Element, outer: _Space) -> _Space:
    """Answers the space of a group's children, out of a:off, a:ext, a:chOff and a:chExt."""
    placed = rectangle_in(frame)
    offset, size = frame.find(A + "chOff"), frame.find(A + "chExt")
    if placed is None or offset is None or size is None:
        return outer
    left, top, right, bottom = outer.placed(placed)
    width, height = whole(size.get("cx")) / POINT, whole(size.get("cy")) / POINT
    across = (right - left) / width if width else outer.width
    down = (bottom - top) / height if height else outer.height
    return _Space(
        left - whole(offset.get("x")) / POINT * across, top - whole(offset.get("y")) / POINT * down, across, down
    )
