"""EPUB: books of hand-made packages."""

from __future__ import annotations

import io
import zipfile

import pytest

from difyrpc_services.documents.formats import reader
from difyrpc_services.documents.formats.reading import Opened, ReadPart, ReadRequest
from difyrpc_services.documents.messages import info_message
from difyrpc_services.documents.values import Info
from difyrpc_services.runtime.errors import FailedPrecondition, InvalidArgument, ResourceExhausted

CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)
PACKAGE = (
    '<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata '
    'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>红楼梦</dc:title><dc:creator>Cao</dc:creator>'
    "<dc:creator>Gao</dc:creator><dc:date>1791-01-01</dc:date><dc:language>zh</dc:language>"
    '<meta property="dcterms:modified">2020-01-02T03:04:05Z</meta></metadata><manifest>{manifest}</manifest>'
    '<spine toc="ncx">{spine}</spine></package>'
)


def page(body: str) -> str:
    return f'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head><body>{body}</body></html>'


def epub(
    chapters: dict[str, str], order: tuple[str, ...], extra: dict[str, str] | None = None, items: str = ""
) -> bytes:
    buffer = io.BytesIO()
    manifest = "".join(
        f'<item id="{name}" href="{name}.xhtml" media-type="application/xhtml+xml"/>' for name in {*chapters, *order}
    )
    spine = "".join(f'<itemref idref="{name}"/>' for name in order)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        file.writestr("META-INF/container.xml", CONTAINER)
        file.writestr("OEBPS/book.opf", PACKAGE.format(manifest=manifest + items, spine=spine))
        for name, body in chapters.items():
            file.writestr(f"OEBPS/{name}.xhtml", page(body))
        for name, text in (extra or {}).items():
            file.writestr(name, text)
    return buffer.getvalue()


def parts_of(content: bytes, **request: int) -> list[ReadPart]:
    return [part for part in reader("epub")(memoryview(content), ReadRequest(**request)) if isinstance(part, ReadPart)]


def seen(content: bytes) -> list[tuple[str, int, str]]:
    return [(element.kind, element.level, element.text) for part in parts_of(content) for element in part.elements]


def test_chapters_come_in_reading_order_a_part_each():
    content = epub({"b": "<h1>Two</h1><p>second</p>", "a": "<h1>One</h1><p>first</p>"}, ("a", "b"))
    assert [[element.text for element in part.elements] for part in parts_of(content)] == [
        ["One", "first"],
        ["Two", "second"],
    ]


def test_a_book_says_who_wrote_it_and_when():
    opened = next(iter(reader("epub")(memoryview(epub({"a": "<p>x</p>"}, ("a",))), ReadRequest())))
    assert isinstance(opened, Opened)
    message = info_message(Info(format="epub", metadata=opened.metadata))
    assert (message.title, message.author) == ("红楼梦", "Cao, Gao")
    assert message.create_time.ToJsonString() == "1791-01-01T00:00:00Z"
    assert message.update_time.ToJsonString() == "2020-01-02T03:04:05Z"


def test_titles_that_only_the_contents_know_are_titles():
    ncx = (
        '<!DOCTYPE ncx PUBLIC "x" "http://www.daisy.org/ncx.dtd"><ncx '
        'xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap><navPoint><navLabel><text>Part I</text></navLabel>'
        '<content src="a.xhtml"/><navPoint><navLabel><text>Chapter 1</text></navLabel><content src="a.xhtml#x"/>'
        "</navPoint>"
        "</navPoint></navMap></ncx>"
    )
    item = '<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/>'
    content = epub({"a": "<p>PART I</p><p>Chapter 1</p><p>text</p>"}, ("a",), {"OEBPS/toc.ncx": ncx}, item)
    assert seen(content) == [("title", 1, "PART I"), ("title", 2, "Chapter 1"), ("paragraph", 0, "text")]


def test_the_contents_page_is_marked_as_such():
    nav = page(
        '<nav epub:type="toc" xmlns:epub="http://www.idpf.org/2007/ops"><ol>'
        '<li><a href="a.xhtml">One</a></li></ol></nav>'
    )
    item = '<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>'
    content = epub({"a": "<p>One</p><p>x</p>"}, ("nav", "a"), {"OEBPS/nav.xhtml": nav}, item)
    content = content.replace(b'<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml"/>', b"")
    (contents, chapter) = parts_of(content)
    assert all(element.contents_entry for element in contents.elements)
    assert not any(element.contents_entry for element in chapter.elements)


def test_a_chapter_that_is_missing_is_named():
    content = epub({"a": "<p>x</p>"}, ("gone", "a"))
    first, second = parts_of(content)
    assert [notice.reason for notice in first.notices] == ["MISSING_PART"]
    assert "gone.xhtml" in first.notices[0].message
    assert second.elements[0].text == "x"


ENCRYPTION = (
    '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" xmlns:enc="http://www.w3.org/2001/04/xmlenc#">'
    '<enc:EncryptedData><enc:EncryptionMethod Algorithm="{algorithm}"/><enc:CipherData>'
    '<enc:CipherReference URI="{uri}"/>'
    "</enc:CipherData></enc:EncryptedData></encryption>"
)


def test_a_locked_book_is_refused():
    lock = ENCRYPTION.format(algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc", uri="OEBPS/a.xhtml")
    with pytest.raises(InvalidArgument) as caught:
        parts_of(epub({"a": "<p>x</p>"}, ("a",), {"META-INF/encryption.xml": lock}))
    assert caught.value.reason == "ENCRYPTED"


def test_fonts_that_are_hard_to_copy_lock_nothing():
    lock = ENCRYPTION.format(algorithm="http://www.idpf.org/2008/embedding", uri="OEBPS/a.xhtml")
    assert seen(epub({"a": "<p>x</p>"}, ("a",), {"META-INF/encryption.xml": lock})) == [("paragraph", 0, "x")]


def test_a_book_of_pictures_needs_ocr():
    with pytest.raises(FailedPrecondition) as caught:
        parts_of(epub({"a": "<img src='p.jpg' alt='page'/>"}, ("a",)))
    assert caught.value.reason == "NEEDS_OCR"


def test_a_bomb_is_refused():
    with pytest.raises(ResourceExhausted) as caught:
        parts_of(epub({"a": "<p>" + "x" * 2_000_000 + "</p>"}, ("a",)), max_expanded_bytes=1_000_000)
    assert caught.value.reason == "TOO_LARGE"


@pytest.mark.parametrize("package", ["", "<package", "not xml at all", "<package/>"])
def test_a_book_without_a_readable_package_is_corrupt(package):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("mimetype", "application/epub+zip")
        file.writestr("META-INF/container.xml", CONTAINER)
        file.writestr("OEBPS/book.opf", package)
    with pytest.raises((InvalidArgument, FailedPrecondition)) as caught:
        parts_of(buffer.getvalue())
    assert caught.value.reason in ("CORRUPT", "NEEDS_OCR")


def test_entities_of_a_package_are_not_filled_in():
    bomb = '<!DOCTYPE p [<!ENTITY a "lol"><!ENTITY x SYSTEM "file:///etc/passwd">]>'
    content = epub({"a": "<p>x</p>"}, ("a",))
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith(".opf"):
                data = data.replace(b"<package", bomb.encode() + b"<package").replace("红楼梦".encode(), b"&a;&x;T")
            new.writestr(name, data)
    opened = next(iter(reader("epub")(memoryview(buffer.getvalue()), ReadRequest())))
    assert isinstance(opened, Opened)
    assert "lol" not in opened.metadata["title"]
    assert "root" not in opened.metadata["title"]
