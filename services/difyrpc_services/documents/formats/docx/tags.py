"""What each tag of a Word document does."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Final

from difyrpc_services.documents.formats.docx import properties
from difyrpc_services.documents.formats.docx.body import BROKEN, Body, Handler, Handlers, tokens
from difyrpc_services.documents.formats.docx.fields import check_box, chosen
from difyrpc_services.documents.formats.docx.markup import attribute, text_of
from difyrpc_services.documents.formats.docx.mathematics import formula
from difyrpc_services.documents.formats.docx.paragraphs import Block
from difyrpc_services.documents.formats.docx.properties import PLAIN
from difyrpc_services.documents.formats.docx.shapes import (
    begin_drawing,
    describe_drawing,
    drawn,
    drawn_text,
    end_drawing,
    picture,
    word_art,
)
from difyrpc_services.documents.formats.docx.symbols import symbol
from difyrpc_services.documents.formats.docx.tables import TableBuilder
from difyrpc_services.documents.formats.reading import corrupt

_LETTERS: Final = re.compile(rb"<m:t(?:\s[^>]*)?>([^<]*)</m:t>")
_OPENED: Final = re.compile(rb"<m:oMath[\s>/]")


def _content(data: bytes, place: int, end: bytes) -> tuple[bytes, int]:
    """Answers what stands before an end tag, and where that ends; CORRUPT without it."""
    found = data.find(end, place)
    if found < 0:
        raise corrupt("docx", BROKEN)
    return data[place:found], found + len(end)


@cache
def _tags(name: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"<(/?)" + re.escape(name) + rb"(?=[\s/>])[^>]*>")


def _end_of(data: bytes, place: int, name: bytes) -> int:
    """Answers where an element ends that may stand inside its own kind; CORRUPT without an end."""
    depth = 1
    for match in _tags(name).finditer(data, place):
        if match[1]:
            depth -= 1
            if not depth:
                return match.end()
        elif data[match.end() - 2] != ord("/"):
            depth += 1
    raise corrupt("docx", BROKEN)


def _opens(act: Handler) -> Handler:
    """Makes a handler that does nothing for an element without content."""
    return lambda body, own, data, place: None if own.endswith(b"/") else act(body, own, data, place)


def _sign(text: str) -> Handler:
    return lambda body, own, data, place: body.sign(text)


def _left_out(name: bytes, *, deletion: bool = False) -> Handler:
    def act(body: Body, own: bytes, data: bytes, place: int) -> int:
        body.seen.deletions += deletion
        return _end_of(data, place, name)

    return _opens(act)


# Runs


def _begin_run(body: Body, own: bytes, data: bytes, place: int) -> None:
    body.look = PLAIN


def _describe_run(body: Body, own: bytes, data: bytes, place: int) -> int:
    raw, after = _content(data, place, b"</w:rPr>")
    body.look = body.looks.run(raw)
    return after


def _break(body: Body, own: bytes, data: bytes, place: int) -> None:
    body.sign("\n")


def _symbol(body: Body, own: bytes, data: bytes, place: int) -> None:
    try:
        code = int(attribute(own, "w:char") or "", 16)
    except ValueError:
        return
    body.sign(symbol(code, attribute(own, "w:font") or ""))


def _formula(body: Body, own: bytes, data: bytes, place: int) -> int:
    raw, after = _content(data, place, b"</m:oMath>")
    text = formula(raw) or text_of(b"".join(_LETTERS.findall(raw)))
    if body.paragraph is not None:
        body.paragraph.parts.append(text)
        body.paragraph.letters += len(text)
    return after


def _note(kind: str) -> Handler:
    def act(body: Body, own: bytes, data: bytes, place: int) -> None:
        if body.paragraph is not None and not body.fields.instructing:
            marked = (attribute(own, "w:customMarkFollows") or "0") in ("1", "true", "on")
            identity = attribute(own, "w:id") or ""
            body.paragraph.after += body.surroundings.note(kind, identity, numbered=not marked)

    return act


def _comment(body: Body, own: bytes, data: bytes, place: int) -> None:
    body.seen.comments += 1


# Fields


def _field(body: Body, own: bytes, data: bytes, place: int) -> None:
    body.fields.mark(attribute(own, "w:fldCharType"))


def _simple_field(body: Body, own: bytes, data: bytes, place: int) -> None:
    body.fields.begin_simple(attribute(own, "w:instr") or "")


def _end_simple_field(body: Body, own: bytes, data: bytes, place: int) -> None:
    body.fields.end_simple()


def _instruction(body: Body, own: bytes, data: bytes, place: int) -> None:
    body.fields.instruct(text_of(data[place : data.find(b"<", place)]))


def _form(end: bytes, shown: Callable[[bytes], str]) -> Handler:
    def act(body: Body, own: bytes, data: bytes, place: int) -> int:
        raw, after = _content(data, place, end)
        if body.paragraph is not None:
            body.paragraph.parts.append(shown(raw))
        return after

    return _opens(act)


# Paragraphs, tables, text boxes


def _end_paragraph(body: Body, own: bytes, data: bytes, place: int) -> None:
    body.end_paragraph()


def _begin_table(body: Body, own: bytes, data: bytes, place: int) -> None:
    body.push(TableBuilder())


def _end_table(body: Body, own: bytes, data: bytes, place: int) -> None:
    builder = body.pop(TableBuilder)
    if builder.opened:
        raise corrupt("docx", BROKEN)
    body.block.add(*builder.elements())


def _begin_row(body: Body, own: bytes, data: bytes, place: int) -> None:
    body.builder.begin_row()


def _describe_row(body: Body, own: bytes, data: bytes, place: int) -> int:
    raw, after = _content(data, place, b"</w:trPr>")
    look = properties.row(raw)
    body.builder.describe_row(look)
    body.seen.deletions += look.deleted
    return after


def _end_row(body: Body, own: bytes, data: bytes, place: int) -> None:
    body.builder.end_row()


def _begin_cell(body: Body, own: bytes, data: bytes, place: int) -> None:
    if not body.builder.opened:
        raise corrupt("docx", BROKEN)
    body.builder.begin_cell()
    body.push(Block())


def _describe_cell(body: Body, own: bytes, data: bytes, place: int) -> int:
    raw, after = _content(data, place, b"</w:tcPr>")
    if body.tables:
        body.tables[-1].cell = body.looks.cell(raw)
    return after


def _end_cell(body: Body, own: bytes, data: bytes, place: int) -> None:
    block = body.pop(Block)
    body.builder.end_cell(block.elements)


def _begin_box(body: Body, own: bytes, data: bytes, place: int) -> None:
    body.push(Block())


def _end_box(body: Body, own: bytes, data: bytes, place: int) -> None:
    elements = body.pop(Block).elements
    if body.paragraph is None:
        body.block.add(*elements)
        return
    body.paragraph.after += elements
    if body.paragraph.drawing is not None:
        body.paragraph.drawing.written = True


def _set_in(body: Body, own: bytes, data: bytes, place: int) -> None:
    body.block.add(*body.surroundings.chunk(attribute(own, "r:id") or ""))


# Ways to say the same: the first that is there is taken


def _begin_choices(body: Body, own: bytes, data: bytes, place: int) -> None:
    body.chosen.append(False)


def _end_choices(body: Body, own: bytes, data: bytes, place: int) -> None:
    if body.chosen:
        body.chosen.pop()


def _choice(name: bytes) -> Handler:
    def act(body: Body, own: bytes, data: bytes, place: int) -> int | None:
        if not body.chosen:
            return None
        if body.chosen[-1]:
            return _end_of(data, place, name)
        body.chosen[-1] = True
        return None

    return _opens(act)


_TABLE: Final[dict[bytes, Handler]] = {
    b"w:r": _begin_run,
    b"w:rPr": _opens(_describe_run),
    b"w:tab": _sign("\t"),
    b"w:ptab": _sign("\t"),
    b"w:br": _break,
    b"w:cr": _break,
    b"w:noBreakHyphen": _sign("-"),
    b"w:sym": _symbol,
    b"w:footnoteReference": _note("footnote"),
    b"w:endnoteReference": _note("endnote"),
    b"w:commentReference": _comment,
    b"w:fldChar": _field,
    b"w:fldSimple": _opens(_simple_field),
    b"/w:fldSimple": _end_simple_field,
    b"w:instrText": _opens(_instruction),
    b"w:checkBox": _form(b"</w:checkBox>", check_box),
    b"w:ddList": _form(b"</w:ddList>", chosen),
    b"w:del": _left_out(b"w:del", deletion=True),
    b"w:moveFrom": _left_out(b"w:moveFrom"),
    b"w:rt": _left_out(b"w:rt"),
    b"/w:p": _end_paragraph,
    b"w:tbl": _opens(_begin_table),
    b"/w:tbl": _end_table,
    b"w:tr": _opens(_begin_row),
    b"w:trPr": _opens(_describe_row),
    b"/w:tr": _end_row,
    b"w:tc": _opens(_begin_cell),
    b"w:tcPr": _opens(_describe_cell),
    b"/w:tc": _end_cell,
    b"w:txbxContent": _opens(_begin_box),
    b"/w:txbxContent": _end_box,
    b"w:altChunk": _set_in,
    b"mc:AlternateContent": _opens(_begin_choices),
    b"/mc:AlternateContent": _end_choices,
    b"mc:Choice": _choice(b"mc:Choice"),
    b"mc:Fallback": _choice(b"mc:Fallback"),
    b"m:oMath": _opens(_formula),
    b"w:drawing": begin_drawing,
    b"w:pict": begin_drawing,
    b"w:object": begin_drawing,
    b"/w:drawing": end_drawing,
    b"/w:pict": end_drawing,
    b"/w:object": end_drawing,
    b"wp:docPr": describe_drawing("descr"),
    b"v:shape": describe_drawing("alt"),
    b"v:imagedata": picture,
    b"a:blip": picture,
    b"a:t": _opens(drawn_text),
    b"v:textpath": word_art,
    b"c:chart": drawn("r:id"),
    b"cx:chart": drawn("r:id"),
    b"dgm:relIds": drawn("r:dm"),
}
HANDLERS: Final = Handlers(token=tokens(list(_TABLE)), table=_TABLE)
