"""Goes through an RTF file word by word and makes elements of its text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from difyrpc_services.documents.elements import Element, ElementKind
from difyrpc_services.documents.formats.docx.symbols import symbol
from difyrpc_services.documents.formats.reading import too_large
from difyrpc_services.documents.formats.rtf.charsets import Fonts
from difyrpc_services.documents.formats.rtf.states import PLAIN_STYLE, Flow, State, Style
from difyrpc_services.documents.formats.rtf.tokens import TOKEN, group_end

MOST_DEPTH: Final = 2_000  # groups inside each other
BATCH: Final = 100  # elements that are handed on together

Action = Callable[["TextReader", int | None], int | None]
"""What a control word does with its number; answers where to go on if that is not behind it."""


class TextReader:
    """Reads one file."""

    def __init__(self, data: bytes, words: Mapping[str, Action]) -> None:
        """Takes the file, and what each control word does."""
        self.metadata: dict[str, str] = {}
        self.comments = 0
        self.deletions = 0
        self.truncated = False
        self.fonts = Fonts()
        self.styles: dict[int, Style] = {}
        self.state = State()
        self.flow = Flow()
        self.instruction = ""
        self.times: dict[str, int] = {}
        self._data = data
        self._words = words
        self._place = 0
        self._states: list[State] = []
        self._flows: list[Flow] = []
        self._bytes = bytearray()
        self._skip = 0
        self._starred = False
        self.leave_next = False
        """The next group says what another one says better."""
        self._notes = 0
        self._endnotes: list[Element] = []
        self._running: list[Element] = []
        self._contents_depth = 0

    def elements(self) -> Iterator[Element]:
        """Answers headers, the text with its footnotes, endnotes, footers; TOO_LARGE."""
        place: int | None = 0
        while place is not None:
            begin, place = place, None
            for match in TOKEN.finditer(self._data, begin):
                kind = match.lastindex
                if kind == 4:
                    self._characters(match[4])
                elif kind in (1, 2):
                    self._place = match.end()
                    place = self._word(match[1].decode(), match[2])
                elif kind == 3:
                    self._characters(bytes((int(match[3], 16),)))
                elif kind == 5:
                    self._place = match.end()
                    place = self._brace(match[5])
                else:
                    place = self._sign(match[6], match.end())
                if len(self.flow.elements) > BATCH and not self._flows and not self.flow.tables:
                    yield from self.flow.elements
                    self.flow.elements = []
                if place is not None:
                    break
        yield from self._rest()

    def _rest(self) -> list[Element]:
        self.flush()
        self.truncated = bool(self._states)
        while self._flows:
            self._close_flow()
        return [*self.flow.rest(self.state, self.style()), *self._endnotes, *self._running]

    def style(self) -> Style:
        """Answers the style of the paragraph."""
        return self.styles.get(self.state.style, PLAIN_STYLE)

    # Groups

    def _brace(self, brace: bytes) -> int | None:
        self.flush()
        self._skip = 0
        self._starred = False
        if brace == b"{":
            if len(self._states) >= MOST_DEPTH:
                raise too_large("nesting", MOST_DEPTH)
            self._states.append(self.state)
            self.state = self.state.copy()
            if self.leave_next:
                self.leave_next = False
                return group_end(self._data, self._place)
        elif self._states:
            self._end_group()
            if not self._states:
                return len(self._data)  # what stands behind the file's own group is no part of it
        return None

    def _end_group(self) -> None:
        ended, self.state = self.state, self._states.pop()
        if ended.opened:
            self._close_flow()
        if ended.place != self.state.place and ended.place == "time":
            self._end_time()
        if self._contents_depth > len(self._states):
            self._contents_depth = 0

    def skip_group(self) -> int:
        """Leaves out the rest of the group; answers where it ends."""
        return group_end(self._data, self._place)

    def open_flow(self, kind: str) -> None:
        """Begins a text of its own inside the group."""
        self.flush()
        self._flows.append(self.flow)
        self.flow = Flow(kind=kind)
        if kind == "footnote":
            self._notes += 1
            self.flow.number = str(self._notes)
        self.state.opened = True
        self.state.place = "text"
        self.state.reset_paragraph()

    def _close_flow(self) -> None:
        self.flush()
        ended = self.flow
        elements = ended.rest(self.state, self.style())
        self.flow = self._flows.pop()
        if ended.kind == "box":
            self.flow.paragraph.after += elements
            return
        texts = [text for element in elements if (text := element.written)]
        if not texts:
            return
        if ended.kind == "footnote":
            note = Element(id="", kind="footnote", text="\n".join(texts), number=ended.number)
            (self._endnotes if ended.end else self.flow.paragraph.after).append(note)
        else:
            self._run(ended.kind, texts)

    def _run(self, kind: str, texts: list[str]) -> None:
        """Takes the texts of a header or footer, each once."""
        place: ElementKind = "header" if kind == "header" else "footer"
        known = {element.text for element in self._running}
        self._running += [Element(id="", kind=place, text=text) for text in dict.fromkeys(texts) if text not in known]

    # Characters

    def _characters(self, raw: bytes) -> None:
        if self._skip:
            count = min(self._skip, len(raw))
            self._skip -= count
            raw = raw[count:]
        self._bytes += raw

    def flush(self) -> None:
        """Decodes the bytes that were gathered."""
        if not self._bytes:
            return
        raw, self._bytes = bytes(self._bytes), bytearray()
        if raw.isascii() and not self.state.font:
            self.add(raw.decode("ascii"))
            return
        name, signs = self.fonts.look(self.state.font)
        if signs:
            self.add("".join(symbol(code, signs) if code > 0x7F or signs != "symbol" else chr(code) for code in raw))
        else:
            self.add(raw.decode(name, "replace"))

    def add(self, text: str) -> None:
        """Takes characters, to where the group says they belong."""
        state = self.state
        if state.place == "text":
            if state.hidden or state.deleted:
                return
            paragraph = self.flow.paragraph
            paragraph.parts.append(text)
            count = len(text)
            paragraph.letters += count
            if state.bold or self.style().bold:
                paragraph.bold_letters += count
            if self._contents_depth:
                paragraph.contents_letters += count
            paragraph.size = max(paragraph.size, state.size)
        elif state.place == "number":
            self.flow.paragraph.number.append(text)
        elif state.place == "instruction":
            self.instruction = (self.instruction + text)[:200]
        elif state.place == "style":
            self._name_style(text)
        elif state.place == "font":
            font = self.fonts.table.get(state.font)
            if font is not None:
                font.name = (font.name + text).rstrip(";")
        elif state.place not in ("none", "time"):
            self.metadata[state.place] = (self.metadata.get(state.place, "") + text)[:1000]

    def _name_style(self, text: str) -> None:
        style = self.styles.get(self.state.style)
        if style is not None and not style.name.endswith(";"):
            style.name += text
            if style.name.endswith(";"):
                style.name = style.name.rstrip(";")
                self.state.place = "none"

    def unicode(self, number: int) -> None:
        """Takes a character by its number; what stands for it in other programs is left out."""
        self.flush()
        number = number + 0x10000 if number < 0 else number
        _, signs = self.fonts.look(self.state.font)
        if 0xF000 <= number <= 0xF0FF:
            self.add(symbol(number, signs))
        elif 0 < number < 0x110000:
            self.add(chr(number))
        self._skip = self.state.unicode_skip

    # Words

    def _word(self, word: str, digits: bytes | None) -> int | None:
        number = int(digits) if digits else None
        if self._skip and word != "u":
            self._skip -= 1
            if word != "bin":
                return None
        if word == "bin":
            return self._place + max(0, number or 0)
        if word == "u":
            self.unicode(number or 0)
            return None
        starred, self._starred = self._starred, False
        act = self._words.get(word)
        if act is not None:
            self.flush()
            return act(self, number)
        return self.skip_group() if starred else None

    def _sign(self, sign: bytes, end: int) -> int | None:
        if sign == b"*":
            self._starred = True
            return None
        if self._skip:
            self._skip -= 1
            return None
        if sign in (b"\\", b"{", b"}"):
            self._bytes += sign
        elif sign in _SIGNS:
            self.flush()
            self.add(_SIGNS[sign])
        elif sign in b"\r\n":
            self.flush()
            self.end_paragraph()
        return None

    def end_paragraph(self) -> None:
        """Ends a paragraph, in a cell or in the text."""
        if self.state.place == "text":
            flow = self.flow
            flow.nest(self.depth())
            flow.end_paragraph(self.state, self.style())

    def depth(self) -> int:
        """Answers how many tables the paragraph stands in."""
        if self.state.depth > 0:
            return min(self.state.depth, 50)
        return 1 if self.state.in_table or self.flow.row_open else 0

    def begin_contents(self) -> None:
        """Takes the result of a field that is a table of contents."""
        if self.instruction.split()[:1] == ["TOC"]:
            self._contents_depth = len(self._states)
        self.instruction = ""

    def _end_time(self) -> None:
        times, self.times = self.times, {}
        kind = "created" if times.pop("kind", 0) == 1 else "modified"
        if times.get("yr"):
            self.metadata[kind] = (
                f"{times['yr']:04d}-{times.get('mo', 1):02d}-{times.get('dy', 1):02d}"
                f"T{times.get('hr', 0):02d}:{times.get('min', 0):02d}:00"
            )


_SIGNS: Final = {b"~": " ", b"_": "-", b"-": "", b"\t": "\t"}
