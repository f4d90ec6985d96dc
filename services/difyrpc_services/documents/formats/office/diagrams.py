"""Diagrams (SmartArt): their texts as the tree that they are drawn from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lxml import etree

from difyrpc_services.documents.elements import Element
from difyrpc_services.documents.formats.office.drawn import A, body_text, paragraph_text
from difyrpc_services.documents.formats.office.parts import whole

DGM: Final = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
DSP: Final = "{http://schemas.microsoft.com/office/drawing/2008/diagram}"
MOST_POINTS: Final = 20_000


def diagram_elements(root: etree._Element) -> list[Element]:
    """Answers the items of a diagram's data, each below the one that it belongs to."""
    texts: dict[str, str] = {}
    top: list[str] = []
    for point in list(root.iter(DGM + "pt"))[:MOST_POINTS]:
        identity, kind = point.get("modelId", ""), point.get("type", "node")
        body = point.find(DGM + "t")
        if kind == "doc":
            top.append(identity)
        if kind in ("doc", "node", "asst"):
            texts[identity] = body_text(body) if body is not None else ""
    return [
        Element(id="", kind="list_item", text=texts[identity], level=max(1, depth), style="diagram")
        for identity, depth in _walked(top, _children(root), texts)
        if texts[identity]
    ]


def drawn_elements(root: etree._Element) -> list[Element]:
    """Answers the texts of a diagram's drawing, for one whose data has none."""
    found = []
    for body in root.iter(DSP + "txBody"):
        texts = (paragraph_text(paragraph) for paragraph in body.iterfind(A + "p"))
        found += [Element(id="", kind="list_item", text=text, level=1, style="diagram") for text in texts if text]
    return found


def _children(root: etree._Element) -> dict[str, list[str]]:
    found: dict[str, list[tuple[int, str]]] = {}
    for connection in list(root.iter(DGM + "cxn"))[:MOST_POINTS]:
        if connection.get("type", "parOf") == "parOf":
            place = (whole(connection.get("srcOrd")), connection.get("destId", ""))
            found.setdefault(connection.get("srcId", ""), []).append(place)
    return {above: [identity for _, identity in sorted(below)] for above, below in found.items()}


def _walked(top: list[str], children: dict[str, list[str]], texts: dict[str, str]) -> Iterator[tuple[str, int]]:
    """Answers each point once with its depth: the tree from the top, then what hangs on nothing."""
    seen: set[str] = set()
    stack = [(identity, 0) for identity in reversed(top)]
    while stack:
        identity, depth = stack.pop()
        if identity in seen or identity not in texts:
            continue
        seen.add(identity)
        yield identity, depth
        stack += [(below, depth + 1) for below in reversed(children.get(identity, []))]
    yield from ((identity, 1) for identity in texts if identity not in seen)
