from __future__ import annotations

import contextlib
import datetime
import io
import zipfile

import openpyxl
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.comments import Comment
from openpyxl.styles import Font

from difyrpc_services.documents.formats.reading import Opened, ReadRequest
from difyrpc_services.documents.formats.sheets.number_formats import BUILT_IN, general, shown
from difyrpc_services.documents.formats.xlsx import read
from difyrpc_services.runtime.errors import InvalidArgument, OutOfRange, ResourceExhausted, ServiceError

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def workbook(build):
    book = openpyxl.Workbook()
    build(book, book.active)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def written(build):
    file = io.BytesIO()
    with xlsxwriter.Workbook(file) as book:
        build(book)
    return file.getvalue()


def by_hand(sheet, *, strings="", styles="", name="Hand"):
    """A workbook of one sheet with the XML as given."""
    file = io.BytesIO()
    relations = "http://schemas.openxmlformats.org/package/2006/relationships"
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    parts = {
        "_rels/.rels": f'<Relationships xmlns="{relations}"><Relationship Id="rId1" Type="{kind}/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{kind}"><sheets><sheet name="{name}" sheetId="1" '
        'r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{relations}">'
        f'<Relationship Id="rId1" Type="{kind}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="rId2" Type="{kind}/sharedStrings" Target="sharedStrings.xml"/>'
        f'<Relationship Id="rId3" Type="{kind}/styles" Target="styles.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": sheet,
        "xl/sharedStrings.xml": strings,
        "xl/styles.xml": styles,
    }
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as container:
        for part, text in parts.items():
            if text:
                container.writestr(part, text)
    return file.getvalue()


def sheet_of(rows, tail=""):
    return f'<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData>{tail}</worksheet>'


def opened(content):
    return next(iter(read(memoryview(content), ReadRequest())))


def grids(found):
    return [element.table.grid() for element in found if element.table]


def texts(found):
    return [(element.kind, element.text) for element in found]


@pytest.mark.parametrize(
    ("code", "value", "text"),
    [
        ("0.00", 3.14159, "3.14"),
        ("0.00", 2.675, "2.68"),
        ("#,##0", 1234567, "1,234,567"),
        ("#,##0.00;[Red]-#,##0.00", -5, "-5.00"),
        ("0%", 0.256, "26%"),
        ('"$"#,##0.00', 1234.5, "$1,234.50"),
        ('_("$"* #,##0.00_);_("$"* \\(#,##0.00\\);_("$"* "-"??_);_(@_)', -12.5, "$(12.50)"),
        ('_("$"* #,##0.00_);_("$"* \\(#,##0.00\\);_("$"* "-"??_);_(@_)', 0, "$-"),
        ("#,##0.00\\ [$€-40C]", 1234.5, "1,234.50 €"),
        ("000-00-0000", 123456789, "123-45-6789"),
        ("(000) 000-0000", 5551234567, "(555) 123-4567"),
        ("0.00E+00", 12345, "1.23E+04"),
        ("# ?/?", 1.5, "1 1/2"),
        ('[>=1000]0.0,"K";0', 12345, "12.3K"),
        ('[>=1000]0.0,"K";0', 12, "12"),
        ('0.0,,"M"', 12345678, "12.3M"),
        (";;;", 5, "5"),
        ("yyyy-mm-dd", 45306, "2024-01-15"),
        ("m/d/yyyy h:mm", 45306.5, "1/15/2024 12:00"),
        ("[$-F800]dddd\\,\\ mmmm\\ dd\\,\\ yyyy", 45306, "Monday, January 15, 2024"),
        ("h:mm AM/PM", 0.75, "6:00 PM"),
        ("[h]:mm:ss", 1.5, "36:00:00"),
        ("mm:ss.0", 0.0007, "01:00.5"),
        ('yyyy"年"m"月"d"日"', 45306, "2024年1月15日"),
        ("yyyy/m/d aaaa", 45306, "2024/1/15 星期一"),
        ("yyyy-mm-dd", 60, "1900-02-29"),
        ("yyyy-mm-dd", 1, "1900-01-01"),
        ("yyyy-mm-dd", 1e9, "1000000000"),
    ],
)
def test_numbers_are_shown_as_their_format_says(code, value, text):
    assert shown(code)(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1 + 0.2, "0.3"), (1.0, "1"), (123456789012, "123456789012"), (1e20, "1E+20"), (1e-7, "0.0000001")],
)
def test_numbers_without_a_format_have_fifteen_digits(value, text):
    assert general(value) == text


@given(code=st.text(alphabet='0#?.,%E+-/;"\\_*[]@ymdhsAMP年GenralYt$€ ', max_size=30), value=st.floats(allow_nan=True))
@settings(max_examples=300, deadline=None)
def test_any_format_shows_any_number_as_something(code, value):
    show = shown(code)
    assert show is None or show(value)


def test_every_built_in_format_shows_something():
    assert all(shown(code)(45306.7521) for code in BUILT_IN.values())


def test_cells_read_as_they_are_shown(elements):
    def build(book, sheet):
        sheet.title = "Sales"
        sheet.append(["Name", "When", "Amount", "Share", "Done"])
        sheet.append(["Zoë 中文", datetime.date(2024, 1, 15), 1234.5, 0.256, True])
        sheet["C2"].number_format, sheet["D2"].number_format = '"$"#,##0.00', "0.0%"

    found = elements("xlsx", workbook(build))
    assert texts(found) == [
        ("title", "Sales"),
        ("table", "Name\tWhen\tAmount\tShare\tDone\nZoë 中文\t2024-01-15\t$1,234.50\t25.6%\tTRUE"),
    ]
    assert found[1].table.header_rows == 1


def test_rich_text_errors_and_formulas_read_as_their_values(elements):
    def build(book):
        sheet = book.add_worksheet()
        sheet.write_rich_string("A1", "plain ", book.add_format({"bold": True}), "bold", " end")
        sheet.write_formula("B1", "=1/0", None, "#DIV/0!")
        sheet.write_formula("C1", "=1+1", None, 2)

    assert grids(elements("xlsx", written(build))) == [[["plain bold end", "#DIV/0!", "2"]]]


def test_a_formula_without_a_value_stands_as_it_is_and_is_noticed():
    def build(book, sheet):
        sheet["A1"], sheet["B1"] = "Total", "=SUM(C1:C2)"

    parts = list(read(memoryview(workbook(build)), ReadRequest()))
    assert parts[1].elements[1].text == "Total\t=SUM(C1:C2)"
    assert [notice.reason for notice in parts[1].notices] == ["FORMULAS_NOT_CALCULATED"]


def test_merged_cells_span_and_what_they_cover_is_no_cell(elements):
    def build(book, sheet):
        for row, line in enumerate((["a", "", "b"], ["", "", "c"], ["d", "e", "f"]), start=1):
            for column, text in enumerate(line, start=1):
                sheet.cell(row, column, text or None)
        sheet.merge_cells("A1:B2")

    table = elements("xlsx", workbook(build))[1].table
    assert [(cell.row, cell.column, cell.row_span, cell.column_span, cell.text) for cell in table.cells] == [
        (0, 0, 2, 2, "a"),
        (0, 2, 1, 1, "b"),
        (1, 2, 1, 1, "c"),
        (2, 0, 1, 1, "d"),
        (2, 1, 1, 1, "e"),
        (2, 2, 1, 1, "f"),
    ]


def test_empty_rows_part_tables_and_a_line_above_a_table_is_its_title(elements):
    def build(book, sheet):
        sheet["A1"] = "Report"
        sheet["A1"].font = Font(bold=True)
        for row, line in ((2, ("k", "v")), (3, ("x", 1)), (4, ("y", 2)), (6, ("p", "q")), (7, ("r", "s"))):
            sheet.cell(row, 1, line[0])
            sheet.cell(row, 2, line[1])
        sheet["C9"] = "a remark"

    assert texts(elements("xlsx", workbook(build)))[1:] == [
        ("title", "Report"),
        ("table", "k\tv\nx\t1\ny\t2"),
        ("table", "p\tq\nr\ts"),
        ("paragraph", "a remark"),
    ]


def test_tables_beside_each_other_are_two_and_a_sparse_form_is_one(elements):
    def build(book, sheet):
        for row, line in enumerate((["a", "b", None, None, None], ["c", 1, None, "k", "v"], ["d", 2, None, "x", 3])):
            for column, value in enumerate(line):
                sheet.cell(row + 1, column + 1, value)
        form = book.create_sheet("Form")
        for row in range(1, 4):
            form.cell(row, 1, f"label {row}")
            form.cell(row, 3, f"value {row}")

    assert grids(elements("xlsx", workbook(build))) == [
        [["a", "b"], ["c", "1"], ["d", "2"]],
        [["k", "v"], ["x", "3"]],
        [[f"label {row}", "", f"value {row}"] for row in range(1, 4)],
    ]


def test_merged_cells_without_text_are_neither_columns_nor_a_table(elements):
    def build(book, sheet):
        for line in (["a", "b"], ["c", "d"], ["e", "f"]):
            sheet.append(line)
        sheet.merge_cells("D1:F1")
        sheet.merge_cells("J2:K2")

    assert grids(elements("xlsx", workbook(build))) == [[["a", "b"], ["c", "d"], ["e", "f"]]]


@pytest.mark.parametrize("way", ["declared", "frozen", "bold", "filtered"])
def test_header_rows_are_told_by_what_the_sheet_says_of_them(elements, way):
    def build(book):
        sheet = book.add_worksheet()
        rows = [["a", "b"], ["c", "d"], ["e", "f"]]
        for row, line in enumerate(rows):
            sheet.write_row(row, 0, line, book.add_format({"bold": True}) if way == "bold" and row == 0 else None)
        if way == "declared":
            sheet.add_table("A1:B3", {"columns": [{"header": "a"}, {"header": "b"}]})
        if way == "frozen":
            sheet.freeze_panes(1, 0)
        if way == "filtered":
            sheet.autofilter("A1:B3")

    assert elements("xlsx", written(build))[1].table.header_rows == 1


def test_words_over_words_are_no_header(elements):
    def build(book, sheet):
        sheet.append(["a", "b"])
        sheet.append(["c", "d"])

    assert elements("xlsx", workbook(build))[1].table.header_rows == 0


def test_hidden_sheets_are_read_and_each_sheet_is_a_page_with_its_name():
    def build(book, sheet):
        sheet["A1"] = "seen"
        hidden = book.create_sheet("秘密")
        hidden.sheet_state = "veryHidden"
        hidden["A1"] = "not seen"

    content = workbook(build)
    assert opened(content).page_labels == ("Sheet", "秘密")
    parts = list(read(memoryview(content), ReadRequest(pages=((2, 2),))))
    assert [(part.page, [element.text for element in part.elements]) for part in parts[1:]] == [
        (2, ["秘密", "not seen"])
    ]
    with pytest.raises(OutOfRange):
        list(read(memoryview(content), ReadRequest(pages=((3, 3),))))


def test_what_hangs_beside_the_cells_is_read(elements):
    def build(book):
        sheet = book.add_worksheet("A")
        sheet.write_column(0, 0, [1, 2])
        sheet.write_comment("A2", "check this")
        sheet.insert_textbox("D1", "In a box")
        chart = book.add_chart({"type": "column"})
        chart.add_series({"values": "=A!$A$1:$A$2"})
        chart.set_title({"name": "Growth"})
        chart.set_x_axis({"name": "Years"})
        sheet.insert_chart("D9", chart)
        sheet.set_header("&LLeft &P&CA && B")

    found = elements("xlsx", written(build))
    assert texts(found)[2:] == [
        ("figure", "Growth\nYears"),
        ("paragraph", "In a box"),
        ("footnote", "check this"),
        ("header", "Left A & B"),
    ]
    assert found[4].written == "A2 check this"


def test_a_comment_reads_under_its_cell_without_its_thread_notice(elements):
    def build(book, sheet):
        sheet["A1"] = "x"
        sheet["A1"].comment = Comment("why?", "Ann")

    assert texts(elements("xlsx", workbook(build)))[-1] == ("footnote", "why?")


def test_metadata_of_the_file_is_read():
    def build(book, sheet):
        sheet["A1"] = 1
        book.properties.title, book.properties.creator = "Numbers", "Ann"

    metadata = opened(workbook(build)).metadata
    assert (metadata["title"], metadata["author"]) == ("Numbers", "Ann")


def test_a_cell_at_the_far_end_costs_nothing(elements):
    def build(book, sheet):
        sheet["A1"] = "near"
        sheet["XFD1"] = "beside"
        sheet["XFD1048576"] = "far"

    found = elements("xlsx", workbook(build))
    assert sum(len(element.text) for element in found) < 20_000
    assert [element.text.split() for element in found[1:]] == [["near", "beside"], ["far"]]


def test_a_sparse_diagonal_stays_small(elements):
    rows = "".join(
        f'<row r="{n}"><c r="{openpyxl.utils.get_column_letter(n * 5)}{n}"><v>{n}</v></c></row>' for n in range(1, 3001)
    )
    found = elements("xlsx", by_hand(sheet_of(rows)))
    assert sum(len(element.text) for element in found) < 1_000_000
    assert [int(text) for element in found[1:] for text in element.text.split()] == list(range(1, 3001))


def test_a_large_sheet_comes_in_tables_under_one_header(elements):
    header = "".join(f'<c t="inlineStr"><is><t>h{column}</t></is></c>' for column in range(10))
    rows = "".join(f"<row>{'<c><v>7</v></c>' * 10}</row>" for _ in range(3000))
    parts = list(read(memoryview(by_hand(sheet_of(f"<row>{header}</row>{rows}"))), ReadRequest()))[1:]
    tables = [element for part in parts for element in part.elements if element.table]
    assert len(tables) > 2
    assert all(table.table.header_rows == 1 and table.table.grid()[0][3] == "h3" for table in tables)
    assert "\n".join(table.text for table in tables).count("h3") == 1
    assert sum(table.text.split().count("7") for table in tables) == 30_000
    assert [part.goes_on for part in parts] == [True] * (len(parts) - 1) + [False]


def test_xml_of_other_writers_reads_the_same(elements):
    odd = (
        f'<?xml version="1.0"?><x:worksheet xmlns:x="{MAIN}"><x:sheetData><x:row><!-- <x:c><x:v>9</x:v></x:c> -->'
        "<x:c t='inlineStr'><x:is><x:t>a&amp;b &#20013;_x000A_c</x:t></x:is></x:c><x:c s='0' r='C1'><x:v>2</x:v></x:c>"
        '<x:c t="str"><x:v><![CDATA[1 < 2]]></x:v></x:c></x:row><x:row r="3"/></x:sheetData></x:worksheet>'
    )
    assert grids(elements("xlsx", by_hand(odd))) == [[["a&b 中\nc", "", "2", "1 < 2"]]]
    assert grids(elements("xlsx", by_hand(odd.encode("utf-16")))) == [[["a&b 中\nc", "", "2", "1 < 2"]]]


@pytest.mark.parametrize(
    "sheet",
    [
        f'<!DOCTYPE x [<!ENTITY a "aaaa">]><worksheet xmlns="{MAIN}"><sheetData/></worksheet>',
        f'<worksheet xmlns="{MAIN}"><sheetData><row r="1"><c r="A1"><v>1</v></c></row>',
    ],
)
def test_entities_and_truncated_sheets_are_corrupt(sheet):
    with pytest.raises(InvalidArgument) as raised:
        list(read(memoryview(by_hand(sheet)), ReadRequest()))
    assert raised.value.reason == "CORRUPT"


def test_many_cells_of_one_long_text_are_too_large():
    strings = f'<sst xmlns="{MAIN}"><si><t>{"x" * 32_000}</t></si></sst>'
    rows = ("<row>" + '<c t="s"><v>0</v></c>' * 200 + "</row>") * 20
    with pytest.raises(ResourceExhausted) as raised:
        list(read(memoryview(by_hand(sheet_of(rows), strings=strings)), ReadRequest()))
    assert raised.value.reason == "TOO_LARGE"


def test_what_expands_too_far_is_too_large():
    content = by_hand(sheet_of("<row><c><v>1</v></c></row>" * 100_000))
    with pytest.raises(ResourceExhausted) as raised:
        list(read(memoryview(content), ReadRequest(max_expanded_bytes=1_000_000)))
    assert raised.value.reason == "TOO_LARGE"


def test_a_sheet_that_leads_out_of_the_file_is_missing_and_noticed():
    content = by_hand(sheet_of(""))
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b"worksheets/sheet1.xml", b"../../../../etc/passwd"))
    part = list(read(memoryview(file.getvalue()), ReadRequest()))[1]
    assert [notice.reason for notice in part.notices] == ["SHEET_MISSING"]


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_damaged_workbooks_are_refused_or_read(data):
    rows = '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" s="1"><v>45000</v></c></row>'
    parts = [
        sheet_of(rows, '<mergeCells><mergeCell ref="A1:B2"/></mergeCells>'),
        f'<sst xmlns="{MAIN}"><si><t>word</t></si></sst>',
        f'<styleSheet xmlns="{MAIN}"><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>',
    ]
    chosen = data.draw(st.integers(0, 2))
    place = data.draw(st.integers(0, len(parts[chosen]) - 1))
    length = data.draw(st.integers(0, 20))
    parts[chosen] = parts[chosen][:place] + data.draw(st.text(max_size=5)) + parts[chosen][place + length :]
    content = by_hand(
        parts[0].encode("utf-8", "replace"),
        strings=parts[1].encode("utf-8", "replace"),
        styles=parts[2].encode("utf-8", "replace"),
    )
    with contextlib.suppress(ServiceError):
        assert any(isinstance(part, Opened) for part in list(read(memoryview(content), ReadRequest())))
