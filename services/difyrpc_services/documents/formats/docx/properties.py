"""Properties of paragraphs, runs, rows and cells, each distinct set of them read once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from difyrpc_services.documents.formats.docx.markup import attribute, slices, switched, value, whole
from difyrpc_services.documents.formats.docx.numbering import Numbering
from difyrpc_services.documents.formats.docx.styles import Style, Styles, first_line, own_properties

MOST_KEPT: Final = 20_000  # distinct sets; a document has some hundreds
_MONO: Final = ("courier", "consolas", "menlo", "monaco", "lucida console", "mono")


@dataclass(frozen=True, slots=True)
class ParagraphLook:
    """What a paragraph states and inherits."""

    style: Style
    heading: int
    """From 1; 0 = running text."""
    centred: bool
    indent: float
    """Points of its first line."""
    indented: bool
    """It states that indent itself."""
    list_id: str
    """Empty = it is in no list."""
    list_level: int
    goes_on: bool
    """A tracked change takes its end away: it goes on in the next paragraph."""


@dataclass(frozen=True, slots=True)
class RunLook:
    """What a run states and inherits from its own style."""

    bold: bool | None = None
    """None = as its paragraph's style says."""
    size: float = 0.0
    """Points; 0 = not stated."""
    hidden: bool = False
    font: str = ""
    """Font of signs such as Wingdings, for its characters that are in no alphabet."""
    mono: bool = False
    """Its font is one of program text."""


PLAIN: Final = RunLook()


@dataclass(frozen=True, slots=True)
class RowLook:
    """What a row states."""

    header: bool = False
    before: int = 0
    """Columns that are left out before its first cell."""
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class CellLook:
    """What a cell states."""

    width: int = 1
    """Columns."""
    below: bool = False
    """It goes on the cell above it."""
    beside: bool = False
    """It goes on the cell before it."""


class Properties:
    """Reads properties by their bytes: a document repeats a few sets of them."""

    def __init__(self, styles: Styles, numbering: Numbering) -> None:
        self._styles = styles
        self._numbering = numbering
        self._paragraphs: dict[bytes, ParagraphLook] = {}
        self._runs: dict[bytes, RunLook] = {}
        self._cells: dict[bytes, CellLook] = {}

    def paragraph(self, data: bytes) -> ParagraphLook:
        """Answers the look of a paragraph from the content of its w:pPr."""
        found = self._paragraphs.get(data)
        if found is None:
            found = self._paragraph(data)
            if len(self._paragraphs) < MOST_KEPT:
                self._paragraphs[data] = found
        return found

    def run(self, data: bytes) -> RunLook:
        """Answers the look of a run from the content of its w:rPr."""
        found = self._runs.get(data)
        if found is None:
            found = self._run(data)
            if len(self._runs) < MOST_KEPT:
                self._runs[data] = found
        return found

    def cell(self, data: bytes) -> CellLook:
        """Answers the look of a cell from the content of its w:tcPr."""
        found = self._cells.get(data)
        if found is None:
            found = _cell(data)
            if len(self._cells) < MOST_KEPT:
                self._cells[data] = found
        return found

    def _paragraph(self, data: bytes) -> ParagraphLook:
        own = own_properties(data)
        style = self._styles.get(value(own, "w:pStyle"))
        outline = whole(value(own, "w:outlineLvl"))
        indent = first_line(own)
        list_id, level = self._list(own, style)
        return ParagraphLook(
            style=style,
            heading=0 if style.contents else outline + 1 if outline is not None and outline < 9 else style.heading,
            centred=(value(own, "w:jc") or ("center" if style.centred else "")) == "center",
            indent=style.indent if indent is None else indent,
            indented=indent is not None,
            list_id=list_id,
            list_level=level,
            goes_on=_mark_deleted(data),
        )

    def _list(self, own: bytes, style: Style) -> tuple[str, int]:
        """Answers the list and the level, stated by the paragraph or by its style."""
        stated = next((content for _, content in slices(own, b"w:numPr")), b"")
        list_id = value(stated, "w:numId")
        level = whole(value(stated, "w:ilvl"))
        if list_id is None:
            list_id = style.list_id
            if level is None:
                level = style.list_level
            if level is None and list_id is not None:
                level = self._numbering.level_of_style(list_id, style.id)
        return ("" if list_id in (None, "0") else str(list_id)), level or 0

    def _run(self, data: bytes) -> RunLook:
        data = data.partition(b"<w:rPrChange")[0]
        bold, hidden = switched(data, "w:b"), switched(data, "w:vanish")
        named = value(data, "w:rStyle")
        if named is not None:
            style = self._styles.get(named)
            bold = style.bold or None if bold is None else bold
            hidden = style.hidden if hidden is None else hidden
        fonts = next((own for own, _ in slices(data, b"w:rFonts")), b"")
        font = attribute(fonts, "w:ascii") or attribute(fonts, "w:hAnsi") or attribute(fonts, "w:eastAsia") or ""
        return RunLook(
            bold=bold,
            size=(whole(value(data, "w:sz")) or 0) / 2,
            hidden=bool(hidden),
            font=font,
            mono=any(name in font.lower() for name in _MONO),
        )


def row(data: bytes) -> RowLook:
    """Answers the look of a row from the content of its w:trPr."""
    data = data.partition(b"<w:trPrChange")[0]
    return RowLook(
        header=bool(switched(data, "w:tblHeader")),
        before=max(0, whole(value(data, "w:gridBefore")) or 0),
        deleted=switched(data, "w:del") is not None,
    )


def _cell(data: bytes) -> CellLook:
    data = data.partition(b"<w:tcPrChange")[0]
    return CellLook(
        width=max(1, whole(value(data, "w:gridSpan")) or 1),
        below=_goes_on(data, "w:vMerge"),
        beside=_goes_on(data, "w:hMerge"),
    )


def _goes_on(data: bytes, name: str) -> bool:
    return switched(data, name) is not None and (value(data, name) or "continue") == "continue"


def _mark_deleted(data: bytes) -> bool:
    """Answers whether a tracked change deletes the paragraph's end."""
    return any(switched(run, "w:del") is not None for _, run in slices(data, b"w:rPr")) if b"<w:del" in data else False
