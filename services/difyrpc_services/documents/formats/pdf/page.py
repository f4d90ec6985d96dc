"""One page: its fragments, tables and pictures, put together into elements in reading order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from difyrpc_services.documents.elements import Box, Element, enclosing
from difyrpc_services.documents.formats.pdf.aligned import aligned_tables
from difyrpc_services.documents.formats.pdf.columns import PrintedLine, block_of, zones_of
from difyrpc_services.documents.formats.pdf.doubles import without_doubles
from difyrpc_services.documents.formats.pdf.drawing import Drawing, drawing_of
from difyrpc_services.documents.formats.pdf.fragments import Face, Fragment, rows_of
from difyrpc_services.documents.formats.pdf.garbled import is_garbled
from difyrpc_services.documents.formats.pdf.hyphens import Vocabulary, settle
from difyrpc_services.documents.formats.pdf.notes import notes_of
from difyrpc_services.documents.formats.pdf.paragraphs import Style, elements_of
from difyrpc_services.documents.formats.pdf.running import Margin, Place
from difyrpc_services.documents.formats.pdf.tables import FoundTable, ruled_tables
from difyrpc_services.documents.formats.pdf.text import ASLANT, PageText
from difyrpc_services.documents.formats.pdf.view import Place as Rectangle
from difyrpc_services.documents.formats.pdf.view import View
from difyrpc_services.documents.formats.reading import Tables
from difyrpc_services.documents.formats.words import joined

SIGN: Final = "\ufffc"  # stands for a table or picture among the fragments
SMALLEST_PICTURE: Final = 0.01  # of the page; smaller ones are logos and bullets
WHOLE_PAGE: Final = 0.8  # of the page; with text on it, a picture as large is its background
MOST_PICTURES: Final = 200


@dataclass(slots=True)
class PageContent:
    """What was taken out of one page, before its neighbours are known."""

    number: int
    width: float
    height: float
    fragments: list[Fragment]
    shown: View | None = None
    """How a reader sees the page; None = as the fragments stand."""
    view: View | None = None
    """How most of its text stands upright, as the fragments do; None = as shown."""
    sideways: dict[int, list[Fragment]] = field(default_factory=dict)
    """What stands on its side or head, by the degrees to turn the page for it."""
    aslant: list[Fragment] = field(default_factory=list)
    """What stands at no right angle, such as watermarks; places are as shown."""
    remarks: list[Element] = field(default_factory=list)
    """Notes that readers put to the page, in places as seen upright."""
    things: dict[int, FoundTable | Rectangle] = field(default_factory=dict)
    """Tables and pictures by the `start` of the fragment that stands for each."""
    sizes: Counter[float] = field(default_factory=Counter)
    """Characters by font size."""
    mono: int = 0
    """Characters of one width."""
    has_text: bool = False
    garbled: bool = False
    drawn: bool = False
    """Holds pictures or drawings."""
    backdrop: bool = False
    """A picture covers all of it, as scans do."""
    margin: Margin | None = None
    recognised: bool = False
    """Its text was recognised in a picture."""
    confidences: dict[int, float] = field(default_factory=dict)
    """How sure that is, by the `start` of each fragment."""
    unread: str = ""
    """Why it was not recognised although it should have been."""


def content_of(page: Any, number: int, tables: Tables, vocabulary: Vocabulary, form: Any = None) -> PageContent:
    """Takes everything out of a pypdfium2 page that is needed after it is closed; `form` is the document's, if any."""
    shown = View.of(page)
    with PageText(page, shown) as text:
        by_turn = text.fragments()
        garbled = is_garbled(text.whole, text.has_error)
    aslant = by_turn.pop(ASLANT, [])
    main = max(by_turn, key=lambda turn: (_length(by_turn[turn]), turn == 0), default=0)
    view = shown.turned(main) if main else shown
    fragments = without_doubles(by_turn.pop(main, []))
    vocabulary.add(text.whole)
    settle(fragments, vocabulary)
    notes = notes_of(page, form, view, number)
    fragments += notes.typed
    found = PageContent(number, view.width, view.height, fragments, shown, view if main else None)
    found.sideways = by_turn
    found.aslant = aslant
    found.remarks = notes.remarks
    drawing = drawing_of(page, view)
    found.garbled = garbled
    found.has_text = not garbled and any(fragment.text for fragment in (*fragments, *aslant))
    found.backdrop = any(_share(found, place) >= WHOLE_PAGE for place in drawing.pictures[:MOST_PICTURES])
    found.drawn = bool(drawing.pictures) or drawing.paths > 0
    for fragment in fragments:
        found.sizes[round(fragment.face.size * 2) / 2] += len(fragment.text)
        found.mono += len(fragment.text) if fragment.face.mono else 0
    found.margin = Margin(fragments, found.height)
    if not garbled:
        _add_things(found, drawing, tables)
    return found


def _length(fragments: Sequence[Fragment]) -> int:
    return sum(len(fragment.text) for fragment in fragments)


def _add_things(found: PageContent, drawing: Drawing, tables: Tables) -> None:
    if tables != "none":
        in_tables, found.fragments = ruled_tables(drawing, found.fragments)
        for table in in_tables:
            _add(found, table, (table.left, table.top, table.right, table.bottom), table.size)
    for place in _pictures(found, drawing.pictures):
        _add(found, place, place, 0.0)


def elements_on(page: PageContent, running: dict[int, Place], style: Style, tables: Tables) -> list[Element]:
    """Answers the elements of a page: headers, body in reading order, what stands sideways, footers."""
    body = [fragment for fragment in page.fragments if id(fragment) not in running]
    found = _running(page, running, "header")
    for zone in zones_of(body):
        found += _zone(page, zone, style, tables)
    found += page.remarks
    found += _running(page, running, "footer")
    if page.view is not None and page.shown is not None:
        found = [_seen(element, page.view, page.shown) for element in found]
    at = next((i for i, element in enumerate(found) if element.kind == "footer"), len(found))
    return found[:at] + _sideways(page, style) + found[at:]


def _sideways(page: PageContent, style: Style) -> list[Element]:
    found: list[Element] = []
    for turn, fragments in page.sideways.items():
        if fragments and page.shown is not None:
            view = page.shown.turned(turn)
            elements = elements_of(block_of(rows_of(fragments)), page.number, view.height, style)
            found += [
                replace(_seen(element, view, page.shown), kind="paragraph", level=0, lines=()) for element in elements
            ]
    if page.aslant:
        text = joined([fragment.text for fragment in page.aslant])
        boxes = enclosing([fragment.box(page.number) for fragment in page.aslant])
        found.append(Element(id="", kind="paragraph", text=text, page=page.number, boxes=boxes))
    return found


def _seen(element: Element, view: View, shown: View) -> Element:
    """Answers an element with its places as a reader sees the page."""

    def turned(box: Box) -> Box:
        left, top, right, bottom = shown.place(*view.back((box.left, box.top, box.right, box.bottom)))
        return Box(
            page=box.page, left=round(left, 2), top=round(top, 2), right=round(right, 2), bottom=round(bottom, 2)
        )

    lines = tuple(replace(line, box=turned(line.box)) for line in element.lines)
    return replace(element, boxes=tuple(map(turned, element.boxes)), lines=lines)


def _zone(page: PageContent, zone: list[Fragment], style: Style, tables: Tables) -> list[Element]:
    rows = rows_of(zone)
    if tables == "aligned":
        found_tables, taken = aligned_tables([[f for f in row if f.text != SIGN] for row in rows])
        if found_tables:
            rows = rows_of([fragment for fragment in zone if id(fragment) not in taken] + _signs(page, found_tables))
    if not rows:
        return []
    block = block_of(rows)
    found: list[Element] = []
    lines: list[PrintedLine] = []
    for line in [*block.lines, None]:
        signs = [fragment for fragment in line.fragments if fragment.text == SIGN] if line is not None else []
        if line is not None and not signs:
            lines.append(line)
            continue
        if lines:
            block.lines = lines
            found += elements_of(block, page.number, page.height, style)
            lines = []
        if line is not None:
            found += _things(page, line, signs, style)
    return found


def _signs(page: PageContent, tables: list[FoundTable]) -> list[Fragment]:
    """Answers the fragments that stand for tables."""
    for table in tables:
        _add(page, table, (table.left, table.top, table.right, table.bottom), table.size)
    return [page.fragments.pop() for _ in tables]


def _things(page: PageContent, line: PrintedLine, signs: list[Fragment], style: Style) -> list[Element]:
    """Answers the tables and pictures that stand in a row, and the text beside them."""
    found = [_thing(page, sign) for sign in signs]
    beside = [fragment for fragment in line.fragments if fragment.text != SIGN]
    if beside:
        found += elements_of(block_of([beside]), page.number, page.height, style)
    return found


def _thing(page: PageContent, sign: Fragment) -> Element:
    thing = page.things[sign.start]
    boxes = (sign.box(page.number),)
    if isinstance(thing, FoundTable):
        text = "\n".join("\t".join(" ".join(cell.split("\n")) for cell in row) for row in thing.table.grid())
        return Element(
            id="",
            kind="table",
            text=text,
            page=page.number,
            boxes=boxes,
            table=thing.table,
            confidence=thing.confidence,
        )
    return Element(id="", kind="figure", text="", page=page.number, boxes=boxes)


def _running(page: PageContent, running: dict[int, Place], place: Place) -> list[Element]:
    if not running:
        return []
    some = [fragment for fragment in page.fragments if running.get(id(fragment)) == place]
    found = []
    for row in rows_of(some):
        box = Box(
            page=page.number,
            left=round(min(f.left for f in row), 2),
            top=round(min(f.top for f in row), 2),
            right=round(max(f.right for f in row), 2),
            bottom=round(max(f.bottom for f in row), 2),
        )
        text = joined([fragment.text for fragment in row])
        found.append(Element(id="", kind=place, text=text, page=page.number, boxes=(box,)))
    return found


def _add(page: PageContent, thing: FoundTable | Rectangle, place: Rectangle, size: float) -> None:
    """Puts a fragment in the place of a table or picture."""
    start = -1 - len(page.things)
    page.things[start] = thing
    page.fragments.append(Fragment(SIGN, *place, Face(size), start))


def _pictures(page: PageContent, places: list[Rectangle]) -> list[Rectangle]:
    found: list[Rectangle] = []
    for left, top, right, bottom in places[:MOST_PICTURES]:
        place = (max(0.0, left), max(0.0, top), min(page.width, right), min(page.height, bottom))
        share = _share(page, place)
        if share >= SMALLEST_PICTURE and not (share >= WHOLE_PAGE and page.has_text) and place not in found:
            found.append(place)
    return found


def _share(page: PageContent, place: Rectangle) -> float:
    """Answers which part of the page a rectangle covers: 0 to 1."""
    width = min(page.width, place[2]) - max(0.0, place[0])
    height = min(page.height, place[3]) - max(0.0, place[1])
    return max(0.0, width) * max(0.0, height) / max(1.0, page.width * page.height)
