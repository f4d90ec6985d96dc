"""Names of WordprocessingML, and reading of its attributes."""

from __future__ import annotations

from typing import Final

from lxml import etree

W: Final = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
R: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
M: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
MC: Final = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
WP: Final = "{http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing}"
RELATIONS: Final = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
TWIPS: Final = 20  # a point


def value(parent: etree._Element | None, name: str, attribute: str = "val") -> str | None:
    """Answers an attribute of a child: `<w:name w:val="…"/>`; None without the child or the attribute."""
    if parent is None:
        return None
    child = parent.find(W + name)
    return None if child is None else child.get(W + attribute)


def whole(text: str | None) -> int | None:
    """Answers a number; None for what is none."""
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None


def switched(parent: etree._Element | None, name: str) -> bool | None:
    """Answers an on-off property; None where it is not stated."""
    child = None if parent is None else parent.find(W + name)
    if child is None:
        return None
    return child.get(W + "val", "1").lower() not in ("0", "false", "off", "none")
