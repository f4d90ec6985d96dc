"""The text of a paragraph out of its runs, and what hangs in it: notes, text boxes, pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from difyrpc_services.documents.formats.docx.names import MC, WP, M, W, switched, whole

_SKIPPED: Final = frozenset(
    W + name
    for name in ("del", "moveFrom", "instrText", "delText", "delInstrText", "pPr", "rPr", "sdtPr", "sdtEndPr", "rt")
)
_TEXTS: Final = frozenset({W + "t", M + "t"})
_SIGNS: Final = {
    W + "tab": "\t",
    W + "ptab": "\t",
    W + "cr": "\n",
    W + "noBreakHyphen": "-",
    W + "softHyphen": "",
}


@dataclass(slots=True)
class Runs:
    """What one paragraph holds."""

    text: str = ""
    letters: int = 0
    bold_letters: int = 0
    size: float = 0.0
    """Points of its largest run that states a size; 0 = none does."""
    notes: list[tuple[str, str]] = field(default_factory=list)
    """`footnote` or `endnote`, and id."""
    boxes: list[etree._Element] = field(default_factory=list)
    """Text boxes (w:txbxContent)."""
    pictures: list[str] = field(default_factory=list)
    """Alternative texts."""


def runs_of(paragraph: etree._Element, *, bold: bool) -> Runs:
    """Reads a paragraph; `bold` is what its style says."""
    found = Runs()
    parts: list[str] = []
    stack: list[etree._Element] = list(reversed(paragraph))
    run_bold = bold
    visible = True
    while stack:
        element = stack.pop()
        name = element.tag
        if name in _SKIPPED:
            continue
        if name == W + "r":
            run_bold, visible = _look(element, found, bold=bold)
        if name in _TEXTS:
            if visible and element.text:
                parts.append(element.text)
                found.letters += len(element.text)
                found.bold_letters += len(element.text) if run_bold else 0
        elif name in _SIGNS:
            parts.append(_SIGNS[name])
        elif (act := _ACTIONS.get(name)) is not None:
            act(element, found, parts)
        elif name == MC + "AlternateContent":
            chosen = element.find(MC + "Choice")
            stack.extend(reversed(chosen if chosen is not None else element.find(MC + "Fallback") or ()))
        else:
            stack.extend(reversed(element))
    found.text = _tidy("".join(parts))
    return found


def _look(run: etree._Element, found: Runs, *, bold: bool) -> tuple[bool, bool]:
    """Answers whether a run is bold and whether it is visible; notes its size."""
    properties = run.find(W + "rPr")
    if properties is None:
        return bold, True
    size = properties.find(W + "sz")
    if size is not None:
        found.size = max(found.size, (whole(size.get(W + "val")) or 0) / 2)
    stated = switched(properties, "b")
    return (bold if stated is None else stated), not switched(properties, "vanish")


def _break(element: etree._Element, found: Runs, parts: list[str]) -> None:
    if element.get(W + "type") not in ("page", "column"):
        parts.append("\n")


def _symbol(element: etree._Element, found: Runs, parts: list[str]) -> None:
    code = element.get(W + "char", "")
    try:
        number = int(code, 16)
    except ValueError:
        return
    parts.append(
        {0xF0FE: "☑", 0xF0A8: "☐", 0xF06F: "☐", 0xF0B7: "•"}.get(number, "" if number >= 0xF000 else chr(number))
    )


def _note(element: etree._Element, found: Runs, parts: list[str]) -> None:
    kind = "footnote" if element.tag == W + "footnoteReference" else "endnote"
    found.notes.append((kind, element.get(W + "id", "")))


def _drawing(element: etree._Element, found: Runs, parts: list[str]) -> None:
    boxes = list(element.iter(W + "txbxContent"))
    found.boxes.extend(box for box in boxes if not any(a.tag == W + "txbxContent" for a in box.iterancestors()))
    if not boxes:
        properties = next(element.iter(WP + "docPr"), None)
        found.pictures.append("" if properties is None else properties.get("descr", ""))


_ACTIONS: Final[dict[str, Callable[[etree._Element, Runs, list[str]], None]]] = {
    W + "br": _break,
    W + "sym": _symbol,
    W + "footnoteReference": _note,
    W + "endnoteReference": _note,
    W + "drawing": _drawing,
    W + "pict": _drawing,
    W + "object": _drawing,
}


def _tidy(text: str) -> str:
    lines = (line.strip(" \xa0\u3000") for line in text.replace("\xa0", " ").split("\n"))
    return "\n".join(lines).strip("\n").strip()
