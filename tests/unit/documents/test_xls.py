from __future__ import annotations

import contextlib
import datetime
import io

import pytest
import xlwt
from hypothesis import given, settings
from hypothesis import strategies as st

from difyrpc_services.documents.formats.reading import ReadRequest
from difyrpc_services.documents.formats.xls import read
from difyrpc_services.runtime.errors import InvalidArgument, ServiceError


def workbook(build):
    book = xlwt.Workbook()
    build(book)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def sales(book):
    sheet = book.add_sheet("Sales")
    bold, date = xlwt.easyxf("font: bold on"), xlwt.easyxf(num_format_str="yyyy-mm-dd")
    for column, text in enumerate(("Name", "When", "Share", "Done")):
        sheet.write(0, column, text, bold)
    sheet.write(1, 0, "Zoë 中文")
    sheet.write(1, 1, datetime.date(2024, 1, 15), date)
    sheet.write(1, 2, 0.256, xlwt.easyxf(num_format_str="0.0%"))
    sheet.write(1, 3, True)
    sheet.write_merge(2, 3, 0, 1, "block")
    sheet.write(2, 2, "x")
    sheet.write(3, 2, "y")


def test_cells_read_as_they_are_shown(elements):
    found = elements("xls", workbook(sales))
    assert [(element.kind, element.text) for element in found] == [
        ("title", "Sales"),
        ("table", "Name\tWhen\tShare\tDone\nZoë 中文\t2024-01-15\t25.6%\tTRUE\nblock\t\tx\t\n\t\ty\t"),
    ]
    assert found[1].table.header_rows == 1
    assert [(cell.row, cell.row_span, cell.column_span) for cell in found[1].table.cells if cell.text == "block"] == [
        (2, 2, 2)
    ]


def test_each_sheet_is_a_page_with_its_name_and_a_far_cell_costs_nothing():
    def build(book):
        book.add_sheet("One").write(0, 0, "near")
        book.add_sheet("二").write(65_535, 255, "far")

    opened, *parts = read(memoryview(workbook(build)), ReadRequest())
    assert opened.page_labels == ("One", "二")
    assert [(part.page, [element.text for element in part.elements]) for part in parts] == [
        (1, ["One", "near"]),
        (2, ["二", "far"]),
    ]


def test_an_encrypted_workbook_says_so():
    content = bytearray(workbook(sales))
    place = content.index(b"\x09\x08\x10\x00\x00\x06\x05\x00") + 20  # behind the first record of the workbook
    content[place : place + 2] = b"\x2f\x00"  # FILEPASS
    with pytest.raises(InvalidArgument) as raised:
        list(read(memoryview(content), ReadRequest()))
    assert raised.value.reason == "ENCRYPTED"


@pytest.mark.parametrize("part", [0.05, 0.3, 0.6])
def test_a_truncated_workbook_is_corrupt(part):
    content = workbook(sales)
    with pytest.raises(InvalidArgument) as raised:
        list(read(memoryview(content[: int(len(content) * part)]), ReadRequest()))
    assert raised.value.reason == "CORRUPT"


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_damaged_workbooks_are_refused_or_read(data):
    content = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ServiceError):
        assert list(read(memoryview(content), ReadRequest()))


WHOLE = workbook(sales)
