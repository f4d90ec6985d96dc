"""Cell styles of a workbook: how each shows its numbers, and whether it is bold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lxml import etree

from difyrpc_services.documents.formats.office.parts import is_on, whole
from difyrpc_services.documents.formats.sheets.number_formats import BUILT_IN, Show, shown

X: Final = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


@dataclass(frozen=True, slots=True)
class Style:
    """What one cell style means for reading."""

    show: Show | None = None
    """None = numbers are shown as they are."""
    bold: bool = False


def styles_of(root: etree._Element | None, *, epoch_1904: bool) -> list[Style]:
    """Answers the cell styles by their index; at least one."""
    if root is None:
        return [Style()]
    codes = {whole(element.get("numFmtId")): element.get("formatCode", "") for element in root.iter(X + "numFmt")}
    fonts = [_is_bold(font) for font in root.iterfind(f"{X}fonts/{X}font")]
    found = []
    for element in root.iterfind(f"{X}cellXfs/{X}xf"):
        number, font = whole(element.get("numFmtId")), whole(element.get("fontId"))
        code = codes.get(number) or BUILT_IN.get(number, "")
        bold = 0 <= font < len(fonts) and fonts[font]
        found.append(Style(shown(code, epoch_1904), bold))
    return found or [Style()]


def _is_bold(font: etree._Element) -> bool:
    mark = font.find(X + "b")
    return mark is not None and is_on(mark.get("val"), default=True)
