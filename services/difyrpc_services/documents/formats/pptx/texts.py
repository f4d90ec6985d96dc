"""The paragraphs of a text body as elements: titles, items with bullets and numbers, running text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from difyrpc_services.documents.elements import Element
from difyrpc_services.documents.formats.docx.numerals import written
from difyrpc_services.documents.formats.office.drawn import A, paragraph_text
from difyrpc_services.documents.formats.office.parts import is_on, whole
from difyrpc_services.documents.formats.pptx.inherited import TITLES, Holder, bullet_of

LONGEST_SUBTITLE: Final = 150  # characters
RUNNING: Final = frozenset(("dt", "ftr", "sldNum", "hdr"))
_SCHEME: Final = re.compile(
    r"(arabic(?:Db)?|alphaLc|alphaUc|romanLc|romanUc|circleNum\w*|ea1\w+?)"
    r"(Period|ParenR|ParenBoth|Plain|Minus)$"
)
_FORMATS: Final = {
    "alphaLc": "lowerLetter",
    "alphaUc": "upperLetter",
    "romanLc": "lowerRoman",
    "romanUc": "upperRoman",
}


def body_elements(body: etree._Element, holder: Holder | None, styles: list[etree._Element]) -> list[Element]:
    """Answers the elements of a text body; `styles` are the list styles that hold for it."""
    kind = "" if holder is None else holder.type
    if kind in TITLES:
        return _title(body)
    counters = _Counters()
    found = []
    for paragraph in body.iterfind(A + "p"):
        text = paragraph_text(paragraph)
        if not text:
            continue
        if kind in RUNNING:
            found.append(Element(id="", kind="header" if kind == "hdr" else "footer", text=text))
        else:
            found.append(_paragraph(paragraph, text, counters, styles))
    if kind == "subTitle" and len(found) == 1 and len(found[0].text) <= LONGEST_SUBTITLE:
        return [Element(id="", kind="title", text=found[0].text, level=2)]
    return found


def _title(body: etree._Element) -> list[Element]:
    texts = [text for paragraph in body.iterfind(A + "p") if (text := paragraph_text(paragraph))]
    return [Element(id="", kind="title", text="\n".join(texts), level=1)] if texts else []


def _paragraph(paragraph: etree._Element, text: str, counters: _Counters, styles: list[etree._Element]) -> Element:
    properties = paragraph.find(A + "pPr")
    level = min(8, max(0, whole(None if properties is None else properties.get("lvl"))))
    bullet = bullet_of(properties, level, styles)
    number = counters.next(level, bullet)
    bold = _is_bold(paragraph)
    if bullet is None:
        return Element(id="", kind="paragraph", text=text, bold=bold)
    return Element(
        id="",
        kind="list_item",
        text=text,
        level=level + 1,
        number=number,
        number_level=level if number else None,
        bold=bold,
    )


def _is_bold(paragraph: etree._Element) -> bool:
    runs = [run for run in paragraph.iterfind(A + "r") if (run.findtext(A + "t") or "").strip()]
    bold = [run for run in runs if (look := run.find(A + "rPr")) is not None and is_on(look.get("b"))]
    return bool(runs) and len(bold) == len(runs)


@dataclass(slots=True)
class _Counters:
    """How far the automatic numbers of a text body have come, by level."""

    counts: dict[int, tuple[str, int]] = field(default_factory=dict)

    def next(self, level: int, bullet: etree._Element | None) -> str:
        """Counts a paragraph; empty for one without a number, which ends the numbers of its level."""
        for deeper in [one for one in self.counts if one > level]:
            del self.counts[deeper]
        if bullet is None or bullet.tag != A + "buAutoNum":
            self.counts.pop(level, None)
            return ""
        scheme, start = bullet.get("type", "arabicPeriod"), whole(bullet.get("startAt"), 1)
        key = f"{scheme} {start}"
        before = self.counts.get(level)
        number = before[1] + 1 if before is not None and before[0] == key else start
        self.counts[level] = (key, number)
        return _numbered(number, scheme)


def _numbered(number: int, scheme: str) -> str:
    match = _SCHEME.match(scheme)
    kind, around = (match.group(1), match.group(2)) if match else ("arabic", "Period")
    if kind.startswith("circleNum"):
        text = written(number, "decimalEnclosedCircle")
    elif kind.startswith("ea1"):
        text = written(number, "chineseCounting")
    else:
        text = written(number, _FORMATS.get(kind, "decimal"))
    return {"Period": f"{text}.", "ParenR": f"{text})", "ParenBoth": f"({text})", "Minus": f"- {text} -"}.get(
        around, text
    )
