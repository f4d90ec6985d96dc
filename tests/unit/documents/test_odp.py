from __future__ import annotations

import io
import zipfile

import pytest

from difyrpc_services.documents.detection import detect
from difyrpc_services.documents.formats.odp import read
from difyrpc_services.documents.formats.reading import ReadRequest
from difyrpc_services.runtime.errors import InvalidArgument

SPACES = {"draw": "drawing", "svg": "svg-compatible"}
NAMES = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{SPACES.get(name, name)}:1.0"'
    for name in ("office", "table", "text", "draw", "svg", "presentation")
)


def slides(*pages):
    content = f"<office:document-content {NAMES}><office:body>{''.join(pages)}</office:body></office:document-content>"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as container:
        container.writestr("mimetype", "application/vnd.oasis.opendocument.presentation")
        container.writestr("content.xml", content)
    return file.getvalue()


def frame(content, *, kind="", left="1in", top="1in"):
    return (
        f'<draw:frame presentation:class="{kind}" svg:x="{left}" svg:y="{top}" svg:width="2in" svg:height="72pt">'
        f"{content}</draw:frame>"
    )


def box(text, **places):
    return frame(f"<draw:text-box>{text}</draw:text-box>", **places)


LIST = "<text:list><text:list-item><text:p>a</text:p><text:list><text:list-item><text:p>b</text:p></text:list-item></text:list></text:list-item></text:list>"  # noqa: E501
TABLE = (
    '<table:table><table:table-row><table:table-cell table:number-columns-spanned="2"><text:p>wide</text:p>'
    "</table:table-cell><table:covered-table-cell/></table:table-row><table:table-row><table:table-cell><text:p>l"
    "</text:p></table:table-cell><table:table-cell><text:p>r</text:p></table:table-cell></table:table-row></table:table>"
)


def test_slides_have_titles_items_tables_figures_and_notes(elements):
    notes = f"<presentation:notes>{box('<text:p>Say it.</text:p>')}</presentation:notes>"
    figure = frame("<draw:image/><svg:desc>A cat</svg:desc>", top="6in")
    title = box("<text:p>Title</text:p>", kind="title", top="0.5in")
    content = slides(
        f"<draw:page>{figure}{box(LIST, top='3in')}{title}{notes}</draw:page>",
        f"<draw:page><draw:g>{frame(TABLE)}</draw:g></draw:page>",
    )
    assert detect(memoryview(content)).format == "odp"
    found = elements("odp", content)
    assert [(element.page, element.kind, element.level, element.text) for element in found] == [
        (1, "title", 1, "Title"),
        (1, "list_item", 1, "a"),
        (1, "list_item", 2, "b"),
        (1, "figure", 0, "A cat"),
        (1, "footnote", 0, "Say it."),
        (2, "table", 0, "wide\t\nl\tr"),
    ]
    assert found[-1].table.cells[0].column_span == 2
    first = found[0].boxes[0]
    assert (first.left, first.top, first.right, first.bottom) == (72.0, 36.0, 216.0, 108.0)


def test_pages_can_be_chosen():
    content = slides(*(f"<draw:page>{box(f'<text:p>{number}</text:p>')}</draw:page>" for number in range(1, 4)))
    opened, *parts = read(memoryview(content), ReadRequest(pages=((2, 2),)))
    assert (opened.page_count, opened.pages_asked) == (3, 1)
    assert [(part.page, part.elements[0].text) for part in parts] == [(2, "2")]


def test_broken_xml_is_corrupt():
    with pytest.raises(InvalidArgument) as raised:
        list(read(memoryview(slides("<draw:page>")), ReadRequest()))
    assert raised.value.reason == "CORRUPT"
