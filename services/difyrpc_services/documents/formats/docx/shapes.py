"""What the tags of pictures and drawings in a Word document do."""

from __future__ import annotations

from difyrpc_services.documents.elements import Element
from difyrpc_services.documents.formats.docx.body import Body, Handler
from difyrpc_services.documents.formats.docx.markup import attribute, text_of
from difyrpc_services.documents.formats.docx.paragraphs import Drawing, described


def begin_drawing(body: Body, own: bytes, data: bytes, place: int) -> None:
    """Begins a picture or drawing."""
    if body.paragraph is not None:
        body.paragraph.drawing = Drawing()


def end_drawing(body: Body, own: bytes, data: bytes, place: int) -> None:
    """Ends a picture or drawing; it is a figure if it shows something of its own."""
    if body.paragraph is not None and body.paragraph.drawing is not None:
        figure = described(body.paragraph.drawing)
        if figure is not None:
            body.paragraph.after.append(figure)
        body.paragraph.drawing = None


def describe_drawing(name: str) -> Handler:
    """Makes a handler that takes the text which describes a drawing, out of an attribute."""

    def act(body: Body, own: bytes, data: bytes, place: int) -> None:
        drawing = body.paragraph.drawing if body.paragraph is not None else None
        if drawing is not None and not drawing.alternative:
            drawing.alternative = attribute(own, name) or ""

    return act


def picture(body: Body, own: bytes, data: bytes, place: int) -> None:
    """Takes notice of a picture."""
    if body.paragraph is not None and body.paragraph.drawing is not None:
        body.paragraph.drawing.picture = True


def _written(body: Body, elements: list[Element]) -> None:
    if body.paragraph is not None and elements:
        body.paragraph.after += elements
        if body.paragraph.drawing is not None:
            body.paragraph.drawing.written = True


def word_art(body: Body, own: bytes, data: bytes, place: int) -> None:
    """Takes text that is drawn as a picture."""
    text = (attribute(own, "string") or "").strip()
    _written(body, [Element(id="", kind="paragraph", text=text)] if text else [])


def drawn_text(body: Body, own: bytes, data: bytes, place: int) -> None:
    """Takes text that stands in a drawing."""
    text = text_of(data[place : data.find(b"<", place)]).strip()
    _written(body, [Element(id="", kind="paragraph", text=text)] if text else [])


def drawn(relation: str) -> Handler:
    """Makes a handler that takes what a chart or diagram says, by the attribute that names it."""

    def act(body: Body, own: bytes, data: bytes, place: int) -> None:
        _written(body, body.surroundings.drawn(attribute(own, relation) or ""))

    return act
