"""Gathers the text of a page into elements."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from difyrpc_services.documents.elements import Element, ElementKind
from difyrpc_services.documents.formats.html.kinds import (
    BOLD,
    HEADINGS,
    INLINE,
    KEPT,
    LISTS,
    SECTIONS,
    SKIPPED,
    VOID,
    is_hidden,
    place_of,
)
from difyrpc_services.documents.formats.html.lists import ListNumbers
from difyrpc_services.documents.formats.html.spaces import BREAK, shown
from difyrpc_services.documents.formats.html.tables import Tables, grid_text
from difyrpc_services.documents.formats.html.tokens import Tokens, attributes, unescaped
from difyrpc_services.documents.formats.text import elements_of as text_elements

_LANGUAGE: Final = re.compile(r"(?:^|\s)(?:language-|lang-|highlight-source-|highlight-|brush:\s*)([A-Za-z0-9+#_.-]+)")
_PROSE: Final = re.compile(r"[A-Za-z\u4e00-\u9fff]{2}[,.;:，。；：]?\s+\S")
_PROGRAM: Final = re.compile(r"[{}<>=\[\]_\\|#$@]")
_LEAST_PROSE: Final = 600  # characters


@dataclass(slots=True)
class _State:
    """What holds for the text that is being gathered."""

    kind: ElementKind = "paragraph"
    level: int = 0
    number: str = ""
    language: str = ""
    parts: list[str] = field(default_factory=list)
    letters: int = 0
    bold_letters: int = 0
    bold: bool = False


class Walk:
    """Goes through the tags of a page, or of a part of one."""

    def __init__(self, tokens: Tokens, tables: Tables, *, scripts_off: bool = False) -> None:
        """Takes a page and its tables; `scripts_off` reads what stands for scripts that do not run."""
        self._tokens = tokens
        self._tables = tables
        self._scripts_off = scripts_off
        self._state = _State()
        self._lists = ListNumbers()
        self._bold = 0
        self._keep = 0
        self._place: ElementKind | None = None
        self._place_end = 0
        self._sections = 0
        self._figures = 0
        self._pictures: list[str] = []
        self._ready: list[Element] = []

    def elements(self, first: int, last: int) -> Iterator[Element]:
        """Answers the elements from the tag at `first` to before the one at `last`; the text before `first` too."""
        texts, tags = self._tokens.texts, self._tokens.tags
        place = first
        while place < last:
            if texts[place]:
                self._text(texts[place])
            tag = tags[place]
            if tag is not None:
                if tag[0] == "/":
                    self._leave(tag[1:], place)
                else:
                    place = self._enter(tag, place, last)
            if self._ready:
                yield from self._ready
                self._ready = []
            place += 1
        if place == last and texts[last]:
            self._text(texts[last])
        self._flush()
        self._show_pictures()
        yield from self._ready
        self._ready = []

    def _text(self, text: str) -> None:
        text = unescaped(text)
        state = self._state
        state.parts.append(text)
        count = len(text) if not text.isspace() else 0
        state.letters += count
        if self._bold > 0:
            state.bold_letters += count

    def _enter(self, tag: str, place: int, last: int) -> int:
        """Begins an element; answers the last place that is done with."""
        written = self._tokens.attributes[place] or ""
        if tag in SKIPPED and not (tag == "noscript" and self._scripts_off):
            return self._tokens.end(place)
        found = attributes(written) if written and tag != "a" else {}
        if (found or tag == "dialog") and is_hidden(tag, written, found):
            return place if tag in VOID else self._tokens.end(place)
        if tag in INLINE:
            return self._inline(tag, place, found)
        if tag == "br":
            self._state.parts.append("\n" if self._keep else BREAK)
        elif tag == "img":
            self._picture(found)
        elif tag == "input":
            self._field(found)
        elif tag == "select":
            return self._choice(place)
        elif tag == "table":
            return self._table(place, last)
        else:
            self._block(tag, place, found)
        return place

    def _inline(self, tag: str, place: int, found: dict[str, str]) -> int:
        parts = self._state.parts
        if tag in BOLD:
            self._bold += 1
        elif tag in ("a", "button"):
            if place and self._tokens.tags[place - 1] == f"/{tag}" and not self._tokens.texts[place]:
                parts.append(" ")
        elif tag == "rt":
            if parts and not parts[-1].rstrip().endswith(("(", "（")):
                parts.append("(")
        elif tag == "q":
            parts.append("“")
        elif tag == "code" and self._state.kind == "code":
            self._state.language = self._state.language or _language(found)
        elif tag == "math":
            return self._formula(place)
        return place

    def _formula(self, place: int) -> int:
        """Reads a formula: as TeX if it is noted so, else its signs."""
        end = self._tokens.end(place)
        for at in range(place, end):
            if self._tokens.tags[at] == "annotation" and "tex" in (self._tokens.attributes[at] or ""):
                self._text(self._tokens.texts[at + 1])
                return end
        self._text(" ".join("".join(self._tokens.texts[place + 1 : end + 1]).split()))
        return end

    def _leave(self, tag: str, place: int) -> None:
        if tag in INLINE:
            if tag in BOLD:
                self._bold -= 1
            elif tag == "rt":
                following = self._tokens.tags[place + 1 : place + 2]
                if following != ["rp"]:
                    self._state.parts.append(")")
            elif tag == "q":
                self._state.parts.append("”")
            return
        self._flush()
        if tag in LISTS:
            self._lists.leave()
        elif tag in KEPT:
            self._keep = max(0, self._keep - 1)
            self._state = _State()
        elif tag in ("li", "dd", "dt", "summary") or tag in HEADINGS:
            self._state = _State()
        self._sections -= tag in SECTIONS
        if tag == "figure":
            self._figures -= 1
            self._flush()
        if self._place and place >= self._place_end:
            self._place = None

    def _block(self, tag: str, place: int, found: dict[str, str]) -> None:
        self._flush()
        state = self._state
        self._sections += tag in SECTIONS
        self._figures += tag == "figure"
        if self._place is None:
            self._place = place_of(tag, found, inside=self._sections > 0)
            if self._place is not None:
                self._place_end = self._tokens.end(place)
        if tag in HEADINGS:
            self._state = _State("title", HEADINGS[tag], number=state.number)
        elif found.get("role") == "heading":
            level = found.get("aria-level", "2")
            self._state = _State("title", min(6, max(1, int(level))) if level.isdecimal() else 2)
        elif tag in LISTS:
            self._lists.enter(tag, found)
        elif tag == "li":
            self._state = _State("list_item", self._lists.depth, number=self._lists.next(found))
        elif tag == "dd":
            self._state = _State("list_item", self._lists.depth)
        elif tag in ("dt", "summary"):
            self._state = _State(bold=True)
        elif tag in KEPT:
            self._keep += 1
            self._state = _State("code" if tag != "textarea" else "paragraph", language=_language(found))

    def _picture(self, found: dict[str, str]) -> None:
        alternative = " ".join(found.get("alt", "").split())
        if len(alternative) <= 2:
            self._state.parts.append(alternative)
        elif "math-fallback" not in found.get("class", ""):
            self._pictures.append(alternative)

    def _field(self, found: dict[str, str]) -> None:
        """Reads what a form shows in a field."""
        kind = found.get("type", "text").lower()
        if kind in ("checkbox", "radio"):
            self._state.parts.append("☑ " if "checked" in found else "☐ ")
        elif kind == "image":
            self._picture(found)
        elif kind not in ("password", "file", "hidden", "range", "color") and found.get("value"):
            self._text(f" {found['value']} ")

    def _choice(self, place: int) -> int:
        """Reads what a form shows of a list to choose from: what is chosen."""
        end = self._tokens.end(place)
        for at in range(place, end):
            if self._tokens.tags[at] == "option" and "selected" in attributes(self._tokens.attributes[at]):
                self._text(f" {self._tokens.texts[at + 1]} ")
        return end

    def _table(self, place: int, last: int) -> int:
        """Reads a table; of one that only lays out a page the content is read as blocks."""
        self._flush()
        if not self._tables.is_data(place):
            return place
        end = min(self._tables.end(place), last)
        caption, table = self._tables.read(place, end, self._inner)
        if table is None:
            return place
        if caption:
            self._ready.append(Element(id="", kind=self._place or "paragraph", text=caption))
        self._ready.append(Element(id="", kind="table", text=grid_text(table), table=table))
        return end

    def _inner(self, first: int, last: int) -> str:
        """Answers the text between two tags as a cell has it."""
        if last == first:
            return shown(unescaped(self._tokens.texts[first]))
        walk = Walk(self._tokens, self._tables, scripts_off=self._scripts_off)
        walk._tables = self._tables.inside()
        return "\n".join(element.written for element in walk.elements(first, last))

    def _flush(self) -> None:
        state = self._state
        if state.parts:
            text = "".join(state.parts)
            text = text.strip("\n") if self._keep else shown(text)
            if text and not text.isspace():
                if self._figures > 0:  # a legend may say what the picture's alternative text says
                    self._pictures = [alternative for alternative in self._pictures if alternative != text]
                    self._show_pictures()
                self._ready.extend(self._built(state, text))
                self._state = _State()
            else:
                state.parts.clear()  # nothing yet: a block inside goes on with it
        if self._pictures and self._figures <= 0:
            self._show_pictures()

    def _show_pictures(self) -> None:
        self._ready.extend(Element(id="", kind="figure", text=text) for text in self._pictures)
        self._pictures = []

    def _built(self, state: _State, text: str) -> Iterator[Element]:
        if state.kind == "code" and not state.language and _is_prose(text):
            yield from text_elements(text)
            return
        kind = self._place or state.kind
        yield Element(
            id="",
            kind=kind,
            text=text,
            level=state.level if kind == state.kind else 0,
            number=state.number,
            style=state.language,
            bold=state.bold or (state.letters > 0 and state.bold_letters * 2 > state.letters),
        )


def _language(found: dict[str, str]) -> str:
    """Answers the programming language that a class states; empty without one."""
    stated = found.get("data-lang") or found.get("data-language", "")
    match = None if stated else _LANGUAGE.search(found.get("class", ""))
    return (match.group(1) if match else stated).lower()[:40]


def _is_prose(text: str) -> bool:
    """Answers whether preformatted text is no program: long, of words, nearly without the signs of programs."""
    return len(text) >= _LEAST_PROSE and len(_PROGRAM.findall(text)) * 100 < len(text) and bool(_PROSE.search(text))
