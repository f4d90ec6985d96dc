"""Goes through the text of a Word document, from sign to sign that matters, and makes elements of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from difyrpc_services.documents.elements import Element
from difyrpc_services.documents.formats.docx.fields import Fields
from difyrpc_services.documents.formats.docx.markup import text_of
from difyrpc_services.documents.formats.docx.numbering import Number, Numbering
from difyrpc_services.documents.formats.docx.paragraphs import Block, Paragraph, element_of, tidy
from difyrpc_services.documents.formats.docx.properties import PLAIN, ParagraphLook, Properties
from difyrpc_services.documents.formats.docx.symbols import PRIVATE, shown
from difyrpc_services.documents.formats.docx.tables import TableBuilder
from difyrpc_services.documents.formats.reading import corrupt, too_large

MOST_DEPTH: Final = 150  # tables, cells, text boxes and paragraphs inside each other
BROKEN: Final = "its XML is broken or truncated"

Handler = Callable[["Body", bytes, bytes, int], int | None]
"""Takes the attributes of a tag, the whole XML and where the tag ends; answers where to go on if not there."""
_Frame = TypeVar("_Frame", Paragraph, TableBuilder, Block)


class Surroundings(Protocol):
    """What a text refers to outside of itself."""

    def note(self, kind: str, identity: str, *, numbered: bool) -> list[Element]:
        """Answers the elements that stand where a note is referred to."""

    def drawn(self, relation: str) -> list[Element]:
        """Answers what a chart or a diagram says."""

    def chunk(self, relation: str) -> list[Element]:
        """Answers the elements of another document that is set in."""


@dataclass(slots=True)
class Seen:
    """What was coped with."""

    comments: int = 0
    deletions: int = 0


class Body:
    """Reads one run of text: the body, a note, a header."""

    def __init__(
        self, looks: Properties, numbering: Numbering, surroundings: Surroundings, seen: Seen, handlers: Handlers
    ) -> None:
        """Takes what the text refers to, and what each tag does."""
        self.looks = looks
        self.surroundings = surroundings
        self.seen = seen
        self.fields = Fields()
        self.look = PLAIN
        self.paragraph: Paragraph | None = None
        self.tables: list[TableBuilder] = []
        self.chosen: list[bool] = []
        """Of each pair of ways to say the same that is open, whether one was taken."""
        self._handlers = handlers
        self._numbering = numbering
        self._blocks = [Block()]
        self._stack: list[Paragraph | TableBuilder | Block] = []

    def elements(self, data: bytes) -> Iterator[Element]:
        """Answers the elements of the content of a w:body or its like; CORRUPT, TOO_LARGE."""
        place: int | None = 0
        root = self._blocks[0]
        while place is not None:
            begin, place = place, None
            for match in self._handlers.token.finditer(data, begin):
                index = match.lastindex
                if index == 2:
                    raw = match[1]
                    self.look = PLAIN if raw is None else self.looks.run(raw)
                    self.text(match[2])
                elif index == 5:
                    self.text(match[5])
                elif index == 7:
                    place = self._handlers.table[match[6]](self, match[7], data, match.end())
                    if root.elements and len(self._blocks) == 1:
                        yield from root.elements
                        root.elements = []
                    if place is not None:
                        break
                else:
                    self._begin_paragraph(match[4] or b"")
        if self._stack:
            raise corrupt("docx", BROKEN)
        self._settle(root)
        yield from root.elements

    @property
    def block(self) -> Block:
        """What the next elements stand in."""
        return self._blocks[-1]

    @property
    def builder(self) -> TableBuilder:
        """The table that is being read; CORRUPT for a row or a cell outside of any."""
        found = self._stack[-1] if self._stack else None
        if not isinstance(found, TableBuilder):
            raise corrupt("docx", BROKEN)
        return found

    def push(self, frame: Paragraph | TableBuilder | Block) -> None:
        """Begins what stands inside the current one; TOO_LARGE for what is nested too deeply."""
        if len(self._stack) >= MOST_DEPTH:
            raise too_large("nesting", MOST_DEPTH)
        self._stack.append(frame)
        if isinstance(frame, Block):
            self._blocks.append(frame)
        elif isinstance(frame, TableBuilder):
            self.tables.append(frame)
        self.paragraph = frame if isinstance(frame, Paragraph) else None

    def pop(self, kind: type[_Frame]) -> _Frame:
        """Ends the current one; CORRUPT if it is of another kind."""
        frame = self._stack.pop() if self._stack else None
        if not isinstance(frame, kind):
            raise corrupt("docx", BROKEN)
        if isinstance(frame, Block):
            self._settle(self._blocks.pop())
        elif isinstance(frame, TableBuilder):
            self.tables.pop()
        above = self._stack[-1] if self._stack else None
        self.paragraph = above if isinstance(above, Paragraph) else None
        return frame

    def _settle(self, block: Block) -> None:
        if block.carried is not None:
            carried, block.carried = block.carried, None
            self._finish(carried, block)
        block.close_code()

    def _begin_paragraph(self, stated: bytes) -> None:
        look = self.looks.paragraph(stated)
        block = self._blocks[-1]
        carried = block.carried
        if carried is None:
            self.push(Paragraph(look))
        else:
            block.carried = None
            carried.look = look
            self.push(carried)

    def end_paragraph(self) -> None:
        """Ends a paragraph and makes its elements."""
        paragraph = self.pop(Paragraph)
        self.fields.end_instructions()
        if paragraph.look.goes_on and paragraph.parts:
            self._blocks[-1].carried = paragraph
        else:
            self._finish(paragraph, self._blocks[-1])

    def _finish(self, paragraph: Paragraph, block: Block) -> None:
        number = self._number(paragraph.look)
        if paragraph.look.style.code and not paragraph.after:
            block.add_code("".join(paragraph.parts).rstrip().replace("\xa0", " "))
            return
        text = tidy(paragraph.parts)
        if text:
            block.add(element_of(paragraph, text, number))
        if paragraph.after:
            block.add(*paragraph.after)

    def _number(self, look: ParagraphLook) -> Number | None:
        return self._numbering.next(look.list_id, look.list_level) if look.list_id else None

    def text(self, raw: bytes) -> None:
        """Takes the next characters of the paragraph."""
        paragraph, look = self.paragraph, self.look
        if paragraph is None or look.hidden or self.fields.instructing:
            return
        text = raw.decode("utf-8", "replace")
        if "&" in text or "\n" in text:
            text = text_of(raw).replace("\n", " ")
        if not text.isascii() and PRIVATE.search(text):
            text = shown(text, look.font)
        count = len(text)
        paragraph.parts.append(text)
        paragraph.letters += count
        if look.bold or (look.bold is None and paragraph.look.style.bold):
            paragraph.bold_letters += count
        paragraph.size = max(paragraph.size, look.size)
        if self.fields.contents:
            paragraph.contents_letters += count

    def sign(self, text: str) -> None:
        """Takes a sign that has a tag of its own."""
        if self.paragraph is not None and not self.look.hidden and not self.fields.instructing:
            self.paragraph.parts.append(text)


@dataclass(frozen=True, slots=True)
class Handlers:
    """What each tag does."""

    token: re.Pattern[bytes]
    """Finds the next thing that matters; its groups are those of `tokens`."""
    table: dict[bytes, Handler]


def tokens(names: list[bytes]) -> re.Pattern[bytes]:
    """Answers the pattern of what matters.

    The commonest shapes are one match each: a run of text with its properties (groups 1 and 2), the beginning of a
    paragraph (3 and 4), further text of a run (5); then any tag of `names` (6) with its attributes (7). Nothing is
    looked at twice (`*+`), so that a file without ends takes no longer than any other.
    """
    return re.compile(
        rb"<w:r(?=[\s>])[^>]*>(?:<w:rPr>([^<]*+(?:<(?!/w:rPr>)[^<]*+)*+)</w:rPr>|<w:rPr ?/>)?"
        rb"<w:t(?:\s[^>]*)?>([^<]*)</w:t>"
        rb"|<w:p(?=[\s>])[^>]*(?<!/)>()(?:\s*<w:pPr>([^<]*+(?:<(?!/w:pPr>)[^<]*+)*+)</w:pPr>)?"
        rb"|<w:t(?:\s[^>]*)?>([^<]*)</w:t>"
        rb"|<(" + _either(names) + rb")(?=[\s/>])([^>]*)>"
    )


def _either(names: list[bytes]) -> bytes:
    """Answers a pattern for any of the names that looks at each letter once."""
    rests: dict[bytes, list[bytes]] = {}
    for name in sorted(names, reverse=True):
        rests.setdefault(name[:1], []).append(name[1:])
    parts = [re.escape(first) + (_either(rest) if any(rest) else b"") for first, rest in rests.items()]
    return parts[0] if len(parts) == 1 else b"(?:" + b"|".join(parts) + b")"
