"""What a placeholder on a slide takes from its layout and master: its place and its bullets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lxml import etree

from difyrpc_services.documents.formats.office.drawn import POINT, A
from difyrpc_services.documents.formats.office.parts import Package, whole

P: Final = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
TITLES: Final = frozenset(("title", "ctrTitle"))
_SAME: Final = {"ctrTitle": "title", "subTitle": "body", "obj": "body", "": "body"}
"""Types that a master has no placeholder of its own for."""
_TEXT_STYLES: Final = {"title": "titleStyle", "body": "bodyStyle"}
_BULLETS: Final = (A + "buNone", A + "buChar", A + "buAutoNum", A + "buBlip")

Rectangle = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Holder:
    """Type and index of a placeholder."""

    type: str
    index: str

    @property
    def usual(self) -> str:
        """The type under which a master has it."""
        return _SAME.get(self.type, self.type)


def holder_of(shape: etree._Element) -> Holder | None:
    """Answers what placeholder a shape is; None for a shape of its own."""
    properties = shape[0].find(P + "nvPr") if len(shape) else None
    found = None if properties is None else properties.find(P + "ph")
    return None if found is None else Holder(found.get("type", "obj"), found.get("idx", "0"))


def rectangle_of(properties: etree._Element | None) -> Rectangle | None:
    """Answers left, top, right and bottom in points of a shape that states its place."""
    frame = None if properties is None else properties.find(A + "xfrm")
    return None if frame is None else rectangle_in(frame)


def rectangle_in(frame: etree._Element) -> Rectangle | None:
    """Answers the rectangle of an a:xfrm or p:xfrm; one that is turned on its side has its sides changed."""
    offset, size = frame.find(A + "off"), frame.find(A + "ext")
    if offset is None or size is None:
        return None
    left, top = whole(offset.get("x")) / POINT, whole(offset.get("y")) / POINT
    width, height = whole(size.get("cx")) / POINT, whole(size.get("cy")) / POINT
    if 45 <= whole(frame.get("rot")) / 60_000 % 180 < 135:
        left, top = left + (width - height) / 2, top + (height - width) / 2
        width, height = height, width
    return left, top, left + width, top + height


class Layouts:
    """The layouts and masters of a presentation, each read once."""

    def __init__(self, package: Package) -> None:
        self._package = package
        self._sheets: dict[str, list[_Sheet]] = {}

    def above(self, slide: str) -> Above:
        """Answers what stands above a slide."""
        layouts = self._package.related(slide, "slideLayout")
        if not layouts:
            return Above([])
        if layouts[0] not in self._sheets:
            masters = self._package.related(layouts[0], "slideMaster")
            self._sheets[layouts[0]] = [_Sheet(self._package.beside(part)) for part in (layouts[0], *masters[:1])]
        return Above(self._sheets[layouts[0]])


class _Sheet:
    """The placeholders of a layout or a master."""

    def __init__(self, root: etree._Element) -> None:
        self.styles = root.find(P + "txStyles")
        self._by_index: dict[str, etree._Element] = {}
        self._by_type: dict[str, etree._Element] = {}
        for shape in root.iterfind(f"{P}cSld/{P}spTree/{P}sp"):
            holder = holder_of(shape)
            if holder is not None:
                self._by_index.setdefault(holder.index, shape)
                self._by_type.setdefault(holder.type, shape)
                self._by_type.setdefault(holder.usual, shape)

    def shape(self, holder: Holder, *, master: bool) -> etree._Element | None:
        """Answers the placeholder that a slide's own one stands for."""
        if not master and holder.index != "0" and holder.index in self._by_index:
            return self._by_index[holder.index]
        return self._by_type.get(holder.type) if not master else self._by_type.get(holder.usual)


class Above:
    """The layout and the master of one slide."""

    def __init__(self, sheets: list[_Sheet]) -> None:
        self._sheets = sheets

    def rectangle(self, holder: Holder) -> Rectangle | None:
        """Answers where a placeholder stands that does not say it itself."""
        for shape in self._shapes(holder):
            found = rectangle_of(shape.find(P + "spPr"))
            if found is not None:
                return found
        return None

    def list_styles(self, shape: etree._Element, holder: Holder | None) -> list[etree._Element]:
        """Answers the list styles that hold for a shape's paragraphs, the nearest first."""
        shapes = [shape, *(self._shapes(holder) if holder is not None else ())]
        styles = [style for one in shapes if (style := one.find(f"{P}txBody/{A}lstStyle")) is not None]
        for sheet in self._sheets:
            if sheet.styles is not None:
                usual = "other" if holder is None else holder.usual
                style = sheet.styles.find(P + _TEXT_STYLES.get(usual, "otherStyle"))
                styles += [] if style is None else [style]
        return styles

    def _shapes(self, holder: Holder) -> Iterator[etree._Element]:
        for depth, sheet in enumerate(self._sheets):
            shape = sheet.shape(holder, master=depth > 0)
            if shape is not None:
                yield shape


def bullet_of(properties: etree._Element | None, level: int, styles: list[etree._Element]) -> etree._Element | None:
    """Answers the bullet of a paragraph: a:buChar, a:buAutoNum, a:buBlip; None for none."""
    stated = _bullet(properties)
    if stated is None:
        for style in styles:
            stated = _bullet(style.find(f"{A}lvl{level + 1}pPr"))
            if stated is not None:
                break
    return None if stated is None or stated.tag == A + "buNone" else stated


def _bullet(properties: etree._Element | None) -> etree._Element | None:
    if properties is None:
        return None
    return next((child for child in properties if child.tag in _BULLETS), None)
