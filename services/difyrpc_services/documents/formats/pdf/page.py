"""One page: its fragments, tables and pictures, put together into elements in reading order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from difyrpc_services.documents.elements import Box, Element
from difyrpc_services.documents.formats.pdf.aligned import aligned_tables
from difyrpc_services.documents.formats.pdf.columns import PrintedLine, block_of, zones_of
from difyrpc_services.documents.formats.pdf.drawing import drawing_of
from difyrpc_services.documents.formats.pdf.paragraphs import Style, elements_of
from difyrpc_services.documents.formats.pdf.running import Margin, Place
from difyrpc_services.documents.formats.pdf.tables import FoundTable, rows_of, ruled_tables
from difyrpc_services.documents.formats.pdf.text import Fragment, PageText, garbled_share
from difyrpc_services.documents.formats.reading import Tables
from difyrpc_services.documents.formats.words import joined

SIGN: Final = "\ufffc"  # stands for a table or picture among the fragments
SMALLEST_PICTURE: Final = 0.02  # of the page; smaller ones are logos and bullets
WHOLE_PAGE: Final = 0.8  # of the page; with text on it, a picture as large is its background
GARBLED: Final = 0.3  # of the letters


@dataclass(slots=True)
class PageContent:
    """What was taken out of one page, before its neighbours are known."""

    number: int
    width: float
    height: float
    fragments: list[Fragment]
    things: dict[int, FoundTable | tuple[float, float, float, float]] = field(default_factory=dict)
    """Tables and pictures by the `start` of the fragment that stands for each."""
    sizes: Counter[float] = field(default_factory=Counter)
    """Characters by font size."""
    has_text: bool = False
    garbled: bool = False
    drawn: bool = False
    """Holds pictures or drawings."""
    margin: Margin | None = None


def content_of(page: Any, number: int, tables: Tables) -> PageContent:
    """Takes everything out of a pypdfium2 page that is needed after it is closed."""
    with PageText(page) as text:
        fragments = text.fragments()
        drawing = drawing_of(page, text.view)
        found = PageContent(number, text.view.width, text.view.height, fragments)
        whole = "".join(fragment.text for fragment in fragments)
        found.garbled = garbled_share(whole) > GARBLED
        found.has_text = bool(whole.strip()) and not found.garbled
        found.drawn = bool(drawing.pictures) or drawing.paths > 0
        for fragment in fragments:
            found.sizes[round(fragment.size * 2) / 2] += len(fragment.text)
        found.margin = Margin(fragments, found.height)
        if tables != "none":
            in_tables, found.fragments = ruled_tables(drawing, fragments, text.split_at)
            for table in in_tables:
                _add(found, table, (table.left, table.top, table.right, table.bottom), table.size)
    for place in _pictures(found, drawing.pictures):
        _add(found, place, place, 0.0)
    return found


def elements_on(page: PageContent, running: dict[int, Place], style: Style, tables: Tables) -> list[Element]:
    """Answers the elements of a page: headers, body in reading order, footers."""
    body = [fragment for fragment in page.fragments if id(fragment) not in running]
    found = _running(page, running, "header")
    for zone in zones_of(body):
        found += _zone(page, zone, style, tables)
    return found + _running(page, running, "footer")


def _zone(page: PageContent, zone: list[Fragment], style: Style, tables: Tables) -> list[Element]:
    if tables == "aligned":
        things = [fragment for fragment in zone if fragment.text == SIGN]
        in_tables, rest = aligned_tables([fragment for fragment in zone if fragment.text != SIGN])
        zone = rest + things
        for table in in_tables:
            place = (table.left, table.top, table.right, table.bottom)
            _add(page, table, place, table.size)
            zone.append(page.fragments.pop())
    block = block_of(zone)
    found: list[Element] = []
    lines: list[PrintedLine] = []
    for line in [*block.lines, None]:
        thing = _thing(page, line)
        if line is not None and thing is None:
            lines.append(line)
            continue
        if lines:
            block.lines = lines
            found += elements_of(block, page.number, page.height, style)
            lines = []
        if thing is not None:
            found.append(thing)
    return found


def _thing(page: PageContent, line: PrintedLine | None) -> Element | None:
    """Answers the table or picture that a line stands for."""
    if line is None:
        return None
    for fragment in line.fragments:
        thing = page.things.get(fragment.start) if fragment.text == SIGN else None
        if isinstance(thing, FoundTable):
            text = "\n".join("\t".join(" ".join(cell.split("\n")) for cell in row) for row in thing.table.grid())
            return Element(
                id="",
                kind="table",
                text=text,
                page=page.number,
                boxes=(fragment.box(page.number),),
                table=thing.table,
                confidence=thing.confidence,
            )
        if thing is not None:
            return Element(id="", kind="figure", text="", page=page.number, boxes=(fragment.box(page.number),))
    return None


def _running(page: PageContent, running: dict[int, Place], place: Place) -> list[Element]:
    some = [fragment for fragment in page.fragments if running.get(id(fragment)) == place]
    found = []
    for row in rows_of(some):
        box = Box(
            page=page.number,
            left=round(row[0].left, 2),
            top=round(min(f.top for f in row), 2),
            right=round(max(f.right for f in row), 2),
            bottom=round(max(f.bottom for f in row), 2),
        )
        text = joined([fragment.text for fragment in row])
        found.append(Element(id="", kind=place, text=text, page=page.number, boxes=(box,)))
    return found


def _add(
    page: PageContent,
    thing: FoundTable | tuple[float, float, float, float],
    place: tuple[float, float, float, float],
    size: float,
) -> None:
    """Puts a fragment in the place of a table or picture."""
    start = -1 - len(page.things)
    page.things[start] = thing
    page.fragments.append(Fragment(SIGN, *place, size, False, start, 0))


def _pictures(
    page: PageContent, places: list[tuple[float, float, float, float]]
) -> list[tuple[float, float, float, float]]:
    area = max(1.0, page.width * page.height)
    found = []
    for left, top, right, bottom in places[:200]:
        place = (max(0.0, left), max(0.0, top), min(page.width, right), min(page.height, bottom))
        share = max(0.0, place[2] - place[0]) * max(0.0, place[3] - place[1]) / area
        if share >= SMALLEST_PICTURE and not (share >= WHOLE_PAGE and page.has_text) and place not in found:
            found.append(place)
    return found
