from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from difyrpc_services.documents.detection import detect
from difyrpc_services.documents.formats.csv import AT_ONCE, read, sniffed
from difyrpc_services.documents.formats.reading import ReadRequest
from difyrpc_services.runtime.errors import InvalidArgument, ResourceExhausted


def grid(elements, content):
    found = elements("csv", content)
    assert [element.kind for element in found] == ["table"]
    return found[0].table.grid()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b\n1,2\n", [["a", "b"], ["1", "2"]]),
        ("a;b\n1,5;2,25\n3,5;4,5\n", [["a", "b"], ["1,5", "2,25"], ["3,5", "4,5"]]),
        ("a\tb, c\n1\t2, 3\n", [["a", "b, c"], ["1", "2, 3"]]),
        ("a|b\n1|2\n", [["a", "b"], ["1", "2"]]),
        ("sep=|\na,b|c\n", [["a,b", "c"]]),
        ('a,"b ""q"", c"\n"x\ny",2\n', [["a", 'b "q", c'], ["x\ny", "2"]]),
        ('a,"b \\"q\\", c"\nd,e\n', [["a", 'b "q", c'], ["d", "e"]]),
        ('a, "b, c"\n1, 2\n', [["a", "b, c"], ["1", "2"]]),
        ("a,b\n1\n2,3,4\n\n5,6\n", [["a", "b", ""], ["1", "", ""], ["2", "3", "4"], ["5", "6", ""]]),
        ("one\ntwo\n", [["one"], ["two"]]),
        ("1,2,,3,4\n5,6,,7,8\n", [["1", "2", "", "3", "4"], ["5", "6", "", "7", "8"]]),
        ("\ufeffa,b\r\n1,2\r\n", [["a", "b"], ["1", "2"]]),
    ],
)
def test_values_are_separated_and_quoted_as_the_file_does_it(elements, text, expected):
    assert grid(elements, text.encode()) == expected


@pytest.mark.parametrize(
    ("encoding", "text"), [("gb18030", "名称,数量\n苹果树苗,三百\n"), ("utf-16", "名称,数量\n苹果,三百\n")]
)
def test_any_encoding_is_read(elements, encoding, text):
    expected = [line.split(",") for line in text.strip().split("\n")]
    assert grid(elements, (text * 1).encode(encoding)) == expected


@pytest.mark.parametrize(
    ("text", "headers"),
    [("name,city\nAnn,Rome\n", 1), ("name,age\nAnn,3\n", 1), ("1,2\n3,4\n", 0), ("a,a\nb,c\n", 0), ("a,b\n", 0)],
)
def test_a_first_row_of_different_words_is_the_header(elements, text, headers):
    assert elements("csv", text.encode())[0].table.header_rows == headers


def test_a_quote_that_is_never_closed_loses_nothing():
    parts = list(read(memoryview(b'id,text\n1,"open\n2,b\n3,c\n'), ReadRequest()))
    assert parts[1].elements[0].table.grid() == [["id", "text"], ["1", '"open'], ["2", "b"], ["3", "c"]]
    assert [notice.reason for notice in parts[1].notices] == ["QUOTE_NOT_CLOSED"]


def test_a_large_file_is_read_piece_by_piece_and_whole():
    line = "名称 {0},{0}," + "x" * 2_000 + ",\n"
    lines = [line.format(number) for number in range(AT_ONCE // 2_000)]
    content = ("name,n,k,e\n" + "".join(lines)).encode()
    assert len(content) > AT_ONCE
    parts = list(read(memoryview(content), ReadRequest()))[1:]
    tables = [element.table for part in parts for element in part.elements]
    assert sum(table.rows - table.header_rows for table in tables) == len(lines)
    assert all(table.grid()[0] == ["name", "n", "k", "e"] for table in tables)
    assert tables[-1].grid()[-1][1] == str(len(lines) - 1)


def test_a_line_without_end_is_too_large():
    with pytest.raises(ResourceExhausted) as raised:
        list(read(memoryview(b"a,b\n" + b"x" * (17 * 1024 * 1024)), ReadRequest()))
    assert raised.value.reason == "TOO_LARGE"


def test_separated_values_under_the_name_of_a_workbook_are_known_and_noticed():
    found = detect(memoryview(b"name\tcity\nAnn\tRome\n"), name="list.xls")
    assert (found.format, [notice.reason for notice in found.notices]) == ("csv", ["TYPE_DISAGREES"])


def test_it_has_no_pages():
    with pytest.raises(InvalidArgument) as raised:
        list(read(memoryview(b"a,b"), ReadRequest(pages=((1, 1),))))
    assert raised.value.reason == "NO_PAGES"


CELL = st.text(alphabet=st.sampled_from('ab1,;|"\n 中'), min_size=1, max_size=6).map(str.strip).filter(bool)


@given(rows=st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1, max_size=8))
def test_what_a_writer_quotes_is_read_back(rows):
    text = "".join(",".join('"' + cell.replace('"', '""') + '"' for cell in row) + "\n" for row in rows)
    content = memoryview(text.encode())
    if sniffed(text).delimiter == ",":
        tables = [element.table for part in list(read(content, ReadRequest()))[1:] for element in part.elements]
        assert [row for table in tables for row in table.grid()] == rows


@given(content=st.binary(min_size=1, max_size=200))
def test_any_bytes_are_read(content):
    assert list(read(memoryview(content), ReadRequest()))
