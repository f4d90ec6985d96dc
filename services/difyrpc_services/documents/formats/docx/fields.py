"""Fields of a Word document: their results are text, their instructions are not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from difyrpc_services.documents.formats.docx.markup import attribute, slices, switched, value, whole

LONGEST_KEPT: Final = 100  # characters of an instruction; its first word says what it is


@dataclass(slots=True)
class _Field:
    """A field that is being read: first its instruction, then its result."""

    instruction: str = ""
    shown: bool = False
    contents: bool = False


class Fields:
    """The fields that are open at one place of the text."""

    def __init__(self) -> None:
        self.instructing = 0
        """How many of them are in their instruction; what stands there is not shown."""
        self.contents = 0
        """How many of them are tables of contents in their result."""
        self._open: list[_Field] = []

    def mark(self, kind: str | None) -> None:
        """Takes a `begin`, `separate` or `end` mark."""
        if kind == "begin":
            self._open.append(_Field())
            self.instructing += 1
        elif kind == "separate" and self._open and not self._open[-1].shown:
            field = self._open[-1]
            field.shown = True
            field.contents = _is_contents(field.instruction)
            self.contents += field.contents
            self.instructing -= 1
        elif kind == "end" and self._open:
            field = self._open.pop()
            self.contents -= field.contents
            self.instructing -= not field.shown

    def begin_simple(self, instruction: str) -> None:
        """Takes a field that stands around its result."""
        contents = _is_contents(instruction)
        self._open.append(_Field(shown=True, contents=contents))
        self.contents += contents

    def end_simple(self) -> None:
        """Ends a field that stands around its result."""
        if self._open:
            self.contents -= self._open.pop().contents

    def instruct(self, text: str) -> None:
        """Takes a piece of an instruction."""
        if self._open and not self._open[-1].shown and len(self._open[-1].instruction) < LONGEST_KEPT:
            self._open[-1].instruction += text

    def end_instructions(self) -> None:
        """Ends instructions that no result followed in their paragraph: what comes next is text again."""
        if self.instructing:
            self._open = [field for field in self._open if field.shown]
            self.instructing = 0


def _is_contents(instruction: str) -> bool:
    return instruction.split()[:1] == ["TOC"]


def check_box(data: bytes) -> str:
    """Answers the sign of a form's check box."""
    stated = switched(data, "w:checked")
    return "☒" if (switched(data, "w:default") if stated is None else stated) else "☐"


def chosen(data: bytes) -> str:
    """Answers the entry that is chosen in a form's list; empty for a list without it."""
    entries = [attribute(entry, "w:val") or "" for entry, _ in slices(data, b"w:listEntry")]
    place = whole(value(data, "w:result")) or whole(value(data, "w:default")) or 0
    return entries[place] if 0 <= place < len(entries) else ""
