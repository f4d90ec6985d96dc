from __future__ import annotations

import contextlib
import io
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difyrpc_services.documents.detection import detect
from difyrpc_services.documents.formats.ods import read
from difyrpc_services.documents.formats.reading import ReadRequest
from difyrpc_services.runtime.errors import InvalidArgument, ResourceExhausted, ServiceError

NAMES = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text", "draw")
)


def spreadsheet(*sheets, encrypted=False, before=""):
    content = (
        f'{before}<office:document-content {NAMES} xmlns:dc="http://purl.org/dc/elements/1.1/"><office:body>'
        f"<office:spreadsheet>{''.join(sheets)}</office:spreadsheet></office:body></office:document-content>"
    )
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as container:
        container.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        container.writestr("content.xml", content)
        container.writestr("META-INF/manifest.xml", "<x encryption-data=''/>" if encrypted else "<x/>")
    return file.getvalue()


def sheet(name, *rows):
    return f'<table:table table:name="{name}">{"".join(rows)}</table:table>'


def row(*cells, times=1):
    return f'<table:table-row table:number-rows-repeated="{times}">{"".join(cells)}</table:table-row>'


def cell(text="", **attributes):
    stated = "".join(f' table:{name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f"<table:table-cell{stated}>{f'<text:p>{text}</text:p>' if text else ''}</table:table-cell>"


FAR = row(cell(number_columns_repeated=16_384), times=1_000_000)


def test_cells_read_as_they_are_shown_and_each_sheet_is_a_page(elements):
    content = spreadsheet(
        sheet("One &amp; all", row(cell("a<text:s text:c='2'/>b<text:line-break/>c"), cell("$5.00")), row(cell("d"))),
        sheet("Two", FAR, row(cell(number_columns_repeated=16_383), cell("far"))),
    )
    assert detect(memoryview(content)).format == "ods"
    assert next(iter(read(memoryview(content), ReadRequest()))).page_labels == ("One & all", "Two")
    assert [(element.page, element.kind, element.text) for element in elements("ods", content)] == [
        (1, "title", "One & all"),
        (1, "table", "a  b c\t$5.00\nd\t"),
        (2, "title", "Two"),
        (2, "paragraph", "far"),
    ]
    assert [element.text for element in elements("ods", content, pages=((2, 2),))] == ["Two", "far"]


def test_spans_repeated_cells_and_comments_are_read(elements):
    note = cell("x").replace("<text:p>", "<office:annotation><text:p>why?</text:p></office:annotation><text:p>")
    content = spreadsheet(
        sheet(
            "S",
            row(cell("wide", number_columns_spanned=2), "<table:covered-table-cell/>", note),
            row(cell("same", number_columns_repeated=3), times=2),
        )
    )
    found = elements("ods", content)
    assert found[1].table.grid() == [["wide", "", "x"], ["same"] * 3, ["same"] * 3]
    assert found[1].table.cells[0].column_span == 2
    assert found[2].written == "C1 why?"


def test_rows_repeated_without_end_are_too_large():
    with pytest.raises(ResourceExhausted) as raised:
        list(read(memoryview(spreadsheet(sheet("S", row(cell("x"), times=1_048_576)))), ReadRequest()))
    assert raised.value.reason == "TOO_LARGE"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (spreadsheet(sheet("S"), encrypted=True), "ENCRYPTED"),
        (spreadsheet(sheet("S"), before='<!DOCTYPE x [<!ENTITY a "b">]>'), "CORRUPT"),
        (spreadsheet(sheet("S"), "<table:table table:name='T'>"), "CORRUPT"),
    ],
)
def test_what_cannot_be_read_says_why(content, reason):
    with pytest.raises(InvalidArgument) as raised:
        list(read(memoryview(content), ReadRequest()))
    assert raised.value.reason == reason


@given(place=st.floats(0, 1, exclude_max=True), sign=st.text(max_size=4))
@settings(max_examples=60, deadline=None)
def test_damaged_spreadsheets_are_refused_or_read(place, sign):
    whole = sheet("S", row(cell("a"), cell("b", number_columns_spanned=2)), row(cell("c")))
    begin = int(len(whole) * place)
    content = spreadsheet(whole[:begin] + sign.encode("utf-8", "replace").decode() + whole[begin + 3 :])
    with contextlib.suppress(ServiceError):
        assert list(read(memoryview(content), ReadRequest()))
