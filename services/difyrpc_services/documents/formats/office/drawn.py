"""Text of DrawingML, which presentations, sheets and charts share."""

from __future__ import annotations

import re
from typing import Final

from lxml import etree

from difyrpc_services.documents.formats.docx.mathematics import formula

A: Final = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
C: Final = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
M: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
MC: Final = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
POINT: Final = 12_700  # English metric units
_SKIPPED: Final = frozenset((A + "pPr", A + "rPr", A + "endParaRPr", M + "rPr", M + "ctrlPr"))
_TEXTS: Final = frozenset((A + "t", M + "t"))
_NO_WORDS: Final = re.compile(
    r".{1,200}\.(?:png|jpe?g|gif|bmp|tiff?|emf|wmf|svg|webp|ico)|"
    r"(?:picture|graphics?|image|grafik|bild|object|shape|图片|圖片|图像|図)\s*\d+",
    re.IGNORECASE,
)


def paragraph_text(paragraph: etree._Element) -> str:
    """Answers the characters of a paragraph; a line break is a newline."""
    parts: list[str] = []
    stack = list(reversed(paragraph))
    while stack:
        element = stack.pop()
        name = element.tag
        if name in _TEXTS:
            parts.append(element.text or "")
        elif name == M + "oMath":
            parts.append(formula(etree.tostring(element, with_tail=False)))
        elif name == A + "br":
            parts.append("\n")
        elif name == MC + "AlternateContent":
            stack.extend(reversed(chosen(element)))
        elif name not in _SKIPPED:
            stack.extend(reversed(element))
    text = "".join(parts).replace("\v", "\n").replace("_x000B_", "\n").replace("\xa0", " ").replace("\r", "\n")
    return "\n".join(line.strip() for line in text.split("\n")).strip()


def body_text(body: etree._Element) -> str:
    """Answers the paragraphs of a text body, each on a line."""
    return "\n".join(text for paragraph in body.iterfind(A + "p") if (text := paragraph_text(paragraph)))


def chosen(alternate: etree._Element) -> list[etree._Element]:
    """Answers what stands in the first choice of an mc:AlternateContent, or in its fallback where that is empty."""
    for name in ("Choice", "Fallback"):
        found = alternate.find(MC + name)
        if found is not None and len(found):
            return list(found)
    return []


def alternative_text(properties: etree._Element | None) -> str:
    """Answers what a picture's author says of it; a file's name and a counted `Picture 3` say nothing."""
    if properties is None:
        return ""
    text = " ".join((properties.get("descr") or properties.get("title") or "").split())
    return "" if _NO_WORDS.fullmatch(text) else text
