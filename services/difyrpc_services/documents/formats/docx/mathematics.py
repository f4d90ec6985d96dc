"""Formulas (Office MathML) as a line of text: `(a+b)/c`, `x²`, `√(x)`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lxml import etree

from difyrpc_services.documents.formats.docx.markup import NAMESPACES
from difyrpc_services.documents.formats.zipped import parse_xml
from difyrpc_services.runtime.errors import ServiceError

MOST_DEPTH: Final = 60  # formulas inside each other
M: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_W: Final = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_SUPERSCRIPT: Final = {ord(plain): small for plain, small in zip("0123456789+-=()ni", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ", strict=True)}
_SUBSCRIPT: Final = {ord(plain): small for plain, small in zip("0123456789+-=()", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎", strict=True)}
_ROOT: Final = (
    "<x:x "
    + " ".join(
        f'xmlns:{prefix}="{address}"'
        for address, prefix in NAMESPACES.items()
        if prefix != "xml" and "purl.oclc.org" not in address
    )
    + ' xmlns:x="x" xmlns:w14="x" xmlns:w15="x" xmlns:wps="x">'
).encode()


def formula(data: bytes) -> str:
    """Answers the text of the content of an m:oMath."""
    try:
        root = parse_xml(_ROOT + data + b"</x:x>", format_name="docx")
    except ServiceError:  # prefixes of somebody else's: the letters at least
        return ""
    return " ".join(_text(root, 0).split())


def _text(element: etree._Element, depth: int) -> str:
    if depth > MOST_DEPTH:
        return "".join(text.text or "" for text in element.iter(M + "t"))
    if element.tag in (M + "t", _W + "t"):
        return element.text or ""
    if element.tag in (_W + "del", _W + "moveFrom"):
        return ""
    write = _WRITERS.get(element.tag)
    if write is not None:
        return write(element, depth + 1)
    return "".join(_text(child, depth + 1) for child in element)


def _part(element: etree._Element, name: str, depth: int) -> str:
    child = element.find(M + name)
    return "" if child is None else _text(child, depth)


def _grouped(text: str) -> str:
    return text if len(text) <= 1 or text.isalnum() else f"({text})"


def _fraction(element: etree._Element, depth: int) -> str:
    return f"{_grouped(_part(element, 'num', depth))}/{_grouped(_part(element, 'den', depth))}"


def _script(text: str, sign: str, small: dict[int, str]) -> str:
    """Answers an index in small letters where there are such, else behind a sign."""
    if not text:
        return ""
    if all(ord(letter) in small for letter in text):
        return text.translate(small)
    return sign + (text if len(text) == 1 else f"({text})")


def _below(text: str) -> str:
    return _script(text, "_", _SUBSCRIPT)


def _above(text: str) -> str:
    return _script(text, "^", _SUPERSCRIPT)


def _scripts(element: etree._Element, depth: int) -> str:
    text = _part(element, "e", depth)
    below, above = _part(element, "sub", depth), _part(element, "sup", depth)
    if element.tag == M + "sPre":
        text = " " + text
    script = _below(below) + _above(above)
    return script + text if element.tag == M + "sPre" else text + script


def _radical(element: etree._Element, depth: int) -> str:
    degree = _part(element, "deg", depth)
    sign = {"": "√", "2": "√", "3": "∛", "4": "∜"}.get(degree, f"{degree}√")
    return f"{sign}({_part(element, 'e', depth)})"


def _operator(element: etree._Element, depth: int) -> str:
    sign = element.find(f"{M}naryPr/{M}chr")
    text = "∫" if sign is None else sign.get(M + "val", "")
    below, above = _part(element, "sub", depth), _part(element, "sup", depth)
    return f"{text}{_below(below)}{_above(above)} {_part(element, 'e', depth)}"


def _delimited(element: etree._Element, depth: int) -> str:
    signs = []
    for name, usual in (("begChr", "("), ("sepChr", "|"), ("endChr", ")")):
        sign = element.find(f"{M}dPr/{M}{name}")
        signs.append(usual if sign is None else sign.get(M + "val", ""))
    inside = signs[1].join(_text(child, depth) for child in element.iterfind(M + "e"))
    return signs[0] + inside + signs[2]


def _function(element: etree._Element, depth: int) -> str:
    return f"{_part(element, 'fName', depth)} {_part(element, 'e', depth)}"


def _matrix(element: etree._Element, depth: int) -> str:
    rows = (", ".join(_text(cell, depth) for cell in row.iterfind(M + "e")) for row in element.iterfind(M + "mr"))
    return "; ".join(rows)


def _lines(element: etree._Element, depth: int) -> str:
    return "; ".join(_text(line, depth) for line in element.iterfind(M + "e"))


def _limit(element: etree._Element, depth: int) -> str:
    limit = _part(element, "lim", depth)
    return _part(element, "e", depth) + (_below(limit) if element.tag == M + "limLow" else _above(limit))


_WRITERS: Final[dict[str, Callable[[etree._Element, int], str]]] = {
    M + "f": _fraction,
    M + "sSup": _scripts,
    M + "sSub": _scripts,
    M + "sSubSup": _scripts,
    M + "sPre": _scripts,
    M + "rad": _radical,
    M + "nary": _operator,
    M + "d": _delimited,
    M + "func": _function,
    M + "m": _matrix,
    M + "eqArr": _lines,
    M + "limLow": _limit,
    M + "limUpp": _limit,
}
