"""Makes elements of the events of an OpenDocument text."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeVar

from difyrpc_services.documents.elements import Element
from difyrpc_services.documents.formats.odt.frames import Block, Drawing, ListState, Note, Paragraph, TableState
from difyrpc_services.documents.formats.odt.styles import LEVELS, Styles
from difyrpc_services.documents.formats.reading import corrupt

Attributes = dict[str, str]
MOST_SPACES: Final = 1_000  # of one text:s
_SPACE: Final = re.compile(r"[ \t\r\n]+")
_SKIPPED: Final = frozenset((
    "text:tracked-changes", "office:forms", "office:scripts", "text:ruby-text", "text:sequence-decls", "text:script",
    "text:variable-decls", "text:user-field-decls", "text:dde-connection-decls", "office:event-listeners",
    "text:alphabetical-index-auto-mark-file", "table:shapes", "form:form", "office:binary-data", "draw:contour-polygon",
))  # fmt: skip
_SHAPES: Final = frozenset((
    "draw:frame", "draw:custom-shape", "draw:rect", "draw:ellipse", "draw:circle", "draw:line", "draw:polygon",
    "draw:polyline", "draw:path", "draw:regular-polygon", "draw:caption", "draw:connector", "draw:measure",
))  # fmt: skip
_Frame = TypeVar("_Frame", Block, Paragraph, TableState, Drawing, Note)


class TextReader:
    """Takes events and keeps the elements that are ready."""

    def __init__(self, styles: Styles, formula: Callable[[str], str]) -> None:
        """Takes the styles, and what answers the text of an embedded formula by its address."""
        self.comments = 0
        self.endnotes: list[Element] = []
        self._styles = styles
        self._formula = formula
        self._root = Block()
        self._stack: list[Block | Paragraph | TableState | Drawing | Note] = [self._root]
        self._blocks = [self._root]
        self._skip = 0
        self._captured: list[str] | None = None
        self._contents = 0
        self._outline = [0] * (LEVELS + 1)
        self._by_id: dict[str, list[int]] = {}
        self._by_style: dict[str, list[int]] = {}

    def take(self) -> list[Element]:
        """Answers the elements that are ready since it was last asked."""
        ready, self._root.elements = self._root.elements, []
        return ready

    def rest(self) -> list[Element]:
        """Answers what is left at the end: program text that was still open, endnotes."""
        self._root.close_code()
        return [*self.take(), *self.endnotes]

    def begin(self, name: str, attributes: Attributes) -> None:
        """Takes the beginning of an element."""
        if self._skip:
            self._skip += 1
        elif self._is_skipped(name, attributes):
            self._skip = 1
        elif name in _SHAPES:
            self._push(Drawing())
            if name != "draw:frame":
                self._push(Block())
        elif (act := _BEGIN.get(name)) is not None:
            act(self, attributes)

    def end(self, name: str) -> None:
        """Takes the end of an element."""
        if self._skip:
            self._skip -= 1
        elif name in _SHAPES:
            self._end_shape(name)
        elif (act := _END.get(name)) is not None:
            act(self)

    def text(self, text: str) -> None:
        """Takes characters."""
        if self._skip:
            return
        if self._captured is not None:
            self._captured.append(text)
            return
        paragraph = self._stack[-1]
        if isinstance(paragraph, Paragraph):
            paragraph.add(_SPACE.sub(" ", text))

    def _is_skipped(self, name: str, attributes: Attributes) -> bool:
        if name in ("office:annotation", "loext:annotation"):
            self.comments += 1
            return True
        hidden = attributes.get("text:is-hidden") == "true" or (
            name == "text:section" and attributes.get("text:display") == "none"
        )
        collapsed = name == "table:table-row" and attributes.get("table:visibility") == "collapse"
        return name in _SKIPPED or hidden or collapsed or (name.startswith("text:") and name.endswith("-source"))

    def _push(self, frame: Block | Paragraph | TableState | Drawing | Note) -> None:
        self._stack.append(frame)
        if isinstance(frame, Block):
            self._blocks.append(frame)

    def _pop(self, kind: type[_Frame]) -> _Frame:
        frame = self._stack.pop() if len(self._stack) > 1 else None
        if not isinstance(frame, kind):
            raise corrupt("odt", "its text is not in order")
        if isinstance(frame, Block):
            self._blocks.pop()
            frame.close_code()
        return frame

    def _put(self, elements: list[Element]) -> None:
        """Adds elements to what is open: behind a paragraph, into a block or into a drawing."""
        frame = self._stack[-1]
        if isinstance(frame, Paragraph):
            frame.after += elements
        elif isinstance(frame, Block):
            frame.add(*elements)
        elif isinstance(frame, Drawing | Note):
            frame.elements += elements

    # Paragraphs

    def _begin_paragraph(self, attributes: Attributes) -> None:
        style = self._styles.get("paragraph", attributes.get("text:style-name", ""))
        self._push(Paragraph(style, 0, contents=self._contents > 0))
        self._numbered(None)

    def _begin_heading(self, attributes: Attributes) -> None:
        style = self._styles.get("paragraph", attributes.get("text:style-name", ""))
        level = min(max(1, _whole(attributes, "text:outline-level")), LEVELS)
        self._push(Paragraph(style, level, contents=self._contents > 0))
        self._numbered(None if attributes.get("text:is-list-header") == "true" else level)
        start = attributes.get("text:start-value")
        if start is not None and attributes.get("text:restart-numbering") == "true":
            self._outline[level] = _whole(attributes, "text:start-value") - 1

    def _numbered(self, heading: int | None) -> None:
        """Counts the open paragraph in its list, or a heading in the outline."""
        paragraph = self._stack[-1]
        assert isinstance(paragraph, Paragraph)
        lists = self._blocks[-1].lists
        if lists and lists[-1].style in self._styles.lists:
            state = lists[-1]
            if state.pending:
                level = min(len(lists), LEVELS)
                self._count(state.counts, level, state.style, state.start)
                state.pending, state.start = False, None
                paragraph.number = self._styles.label(state.style, state.counts, level)
                paragraph.depth = level - 1
        elif lists and lists[-1].pending and heading is None:
            lists[-1].pending = False
            paragraph.number, paragraph.depth = "", len(lists) - 1
        elif heading is not None and paragraph.style.list_style != "":
            self._count(self._outline, heading, "", None)
            paragraph.number = self._styles.label("", self._outline, heading) or None
            paragraph.depth = heading - 1

    def _count(self, counts: list[int], level: int, style: str, start: int | None) -> None:
        if start is not None:
            counts[level] = start
        elif counts[level]:
            counts[level] += 1
        else:
            described = self._styles.lists.get(style, {}).get(level)
            counts[level] = described.start if described else 1
        counts[level + 1 :] = [0] * (LEVELS - level)

    def _end_paragraph(self) -> None:
        paragraph = self._pop(Paragraph)
        block = self._blocks[-1]
        if paragraph.code and not paragraph.after:
            line = "".join(paragraph.parts).rstrip()
            if line or block.code:
                block.code.append(line)
            return
        element = paragraph.element()
        self._put([*([element] if element else []), *paragraph.after])

    def _begin_span(self, attributes: Attributes) -> None:
        if isinstance(self._stack[-1], Paragraph):
            self._stack[-1].spans.append(self._styles.get("text", attributes.get("text:style-name", "")))

    def _end_span(self) -> None:
        if isinstance(self._stack[-1], Paragraph) and self._stack[-1].spans:
            self._stack[-1].spans.pop()

    def _sign(self, text: str) -> None:
        if isinstance(self._stack[-1], Paragraph):
            self._stack[-1].parts.append(text)

    # Lists

    def _begin_list(self, attributes: Attributes) -> None:
        lists = self._blocks[-1].lists
        style = attributes.get("text:style-name") or (lists[-1].style if lists else "")
        state = ListState(style)
        if lists:
            state.counts = lists[-1].counts
        elif (named := attributes.get("text:continue-list")) in self._by_id:
            state.counts = self._by_id[str(named)]
        elif attributes.get("text:continue-numbering") == "true" and style in self._by_style:
            state.counts = self._by_style[style]
        self._by_style[style] = state.counts
        if "xml:id" in attributes:
            self._by_id[attributes["xml:id"]] = state.counts
        lists.append(state)

    def _end_list(self) -> None:
        if self._blocks[-1].lists:
            self._blocks[-1].lists.pop()

    def _begin_item(self, attributes: Attributes) -> None:
        if self._blocks[-1].lists:
            state = self._blocks[-1].lists[-1]
            state.pending = True
            state.start = _whole(attributes, "text:start-value") if "text:start-value" in attributes else None

    def _begin_list_header(self, _: Attributes) -> None:
        if self._blocks[-1].lists:
            self._blocks[-1].lists[-1].pending = False

    # Tables

    def _begin_table(self, _: Attributes) -> None:
        self._push(TableState())

    def _end_table(self) -> None:
        self._put(self._pop(TableState).elements())

    def _table(self) -> TableState:
        if not isinstance(self._stack[-1], TableState):
            raise corrupt("odt", "its text is not in order")
        return self._stack[-1]

    def _begin_header_rows(self, _: Attributes) -> None:
        self._table().in_header = True

    def _end_header_rows(self) -> None:
        self._table().in_header = False

    def _begin_row(self, attributes: Attributes) -> None:
        self._table().begin_row(_whole(attributes, "table:number-rows-repeated"))

    def _end_row(self) -> None:
        self._table().end_row()

    def _begin_cell(self, attributes: Attributes) -> None:
        self._table().begin_cell(
            height=_whole(attributes, "table:number-rows-spanned"),
            width=_whole(attributes, "table:number-columns-spanned"),
            times=_whole(attributes, "table:number-columns-repeated"),
        )
        self._push(Block())

    def _end_cell(self) -> None:
        block = self._pop(Block)
        self._table().end_cell(block.elements)

    def _begin_covered(self, attributes: Attributes) -> None:
        self._table().cover(_whole(attributes, "table:number-columns-repeated"))
        self._push(Block())

    def _end_covered(self) -> None:
        self._pop(Block)

    # Drawings and notes

    def _begin_block(self, _: Attributes) -> None:
        self._push(Block())

    def _end_block(self) -> None:
        self._put(self._pop(Block).elements)

    def _end_shape(self, name: str) -> None:
        if name != "draw:frame":
            self._end_block()
        drawing = self._pop(Drawing)
        alternative = " ".join(drawing.alternative.split())
        if drawing.picture or (alternative and not (drawing.elements or drawing.written)):
            drawing.elements.append(Element(id="", kind="figure", text=alternative))
        self._put(drawing.elements)

    def _picture(self, _: Attributes) -> None:
        drawing = self._stack[-1]
        if isinstance(drawing, Drawing) and not drawing.written:
            drawing.picture = True

    def _object(self, attributes: Attributes) -> None:
        drawing = self._stack[-1]
        text = self._formula(attributes.get("xlink:href", ""))
        if text and isinstance(drawing, Drawing):
            drawing.written = True
            paragraph = self._stack[-2]
            if isinstance(paragraph, Paragraph):
                paragraph.parts.append(text)
                paragraph.letters += len(text)
            else:
                drawing.elements.append(Element(id="", kind="paragraph", text=text))

    def _capture(self, _: Attributes) -> None:
        self._captured = []

    def _captured_text(self) -> str:
        text, self._captured = "".join(self._captured or ()), None
        return text.strip()

    def _end_alternative(self) -> None:
        text, drawing = self._captured_text(), self._stack[-1]
        if isinstance(drawing, Drawing):
            drawing.alternative = text or drawing.alternative

    def _begin_note(self, attributes: Attributes) -> None:
        self._push(Note(end=attributes.get("text:note-class") == "endnote"))

    def _end_citation(self) -> None:
        text, note = self._captured_text(), self._stack[-1]
        if isinstance(note, Note):
            note.citation = text

    def _end_note(self) -> None:
        note = self._pop(Note)
        text = "\n".join(written for element in note.elements if (written := element.written))
        if text:
            element = Element(id="", kind="footnote", text=text, number=note.citation)
            if note.end:
                self.endnotes.append(element)
            else:
                self._put([element])

    def _begin_contents(self, _: Attributes) -> None:
        self._contents += 1

    def _end_contents(self) -> None:
        self._contents -= 1

    def _begin_index_title(self, _: Attributes) -> None:
        self._contents -= 1

    def _end_index_title(self) -> None:
        self._contents += 1


def _whole(attributes: Attributes, name: str) -> int:
    text = attributes.get(name, "")
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 10 else 1


_BEGIN: Final[dict[str, Callable[[TextReader, Attributes], None]]] = {
    "text:p": TextReader._begin_paragraph,
    "text:h": TextReader._begin_heading,
    "text:span": TextReader._begin_span,
    "text:s": lambda reader, attributes: reader._sign(" " * min(_whole(attributes, "text:c"), MOST_SPACES)),
    "text:tab": lambda reader, _: reader._sign("\t"),
    "text:line-break": lambda reader, _: reader._sign("\n"),
    "text:list": TextReader._begin_list,
    "text:list-item": TextReader._begin_item,
    "text:list-header": TextReader._begin_list_header,
    "text:ordered-list": TextReader._begin_list,
    "text:unordered-list": TextReader._begin_list,
    "text:index-body": TextReader._begin_contents,
    "text:index-title": TextReader._begin_index_title,
    "text:note": TextReader._begin_note,
    "text:note-citation": TextReader._capture,
    "text:note-body": TextReader._begin_block,
    "table:table": TextReader._begin_table,
    "table:sub-table": TextReader._begin_table,
    "table:table-header-rows": TextReader._begin_header_rows,
    "table:table-row": TextReader._begin_row,
    "table:table-cell": TextReader._begin_cell,
    "table:covered-table-cell": TextReader._begin_covered,
    "draw:text-box": TextReader._begin_block,
    "draw:image": TextReader._picture,
    "draw:object": TextReader._object,
    "svg:title": TextReader._capture,
    "svg:desc": TextReader._capture,
}
_END: Final[dict[str, Callable[[TextReader], None]]] = {
    "text:p": TextReader._end_paragraph,
    "text:h": TextReader._end_paragraph,
    "text:span": TextReader._end_span,
    "text:list": TextReader._end_list,
    "text:ordered-list": TextReader._end_list,
    "text:unordered-list": TextReader._end_list,
    "text:index-body": TextReader._end_contents,
    "text:index-title": TextReader._end_index_title,
    "text:note": TextReader._end_note,
    "text:note-citation": TextReader._end_citation,
    "text:note-body": TextReader._end_block,
    "table:table": TextReader._end_table,
    "table:sub-table": TextReader._end_table,
    "table:table-header-rows": TextReader._end_header_rows,
    "table:table-row": TextReader._end_row,
    "table:table-cell": TextReader._end_cell,
    "table:covered-table-cell": TextReader._end_covered,
    "draw:text-box": TextReader._end_block,
    "svg:title": TextReader._end_alternative,
    "svg:desc": TextReader._end_alternative,
}
