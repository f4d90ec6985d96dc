from __future__ import annotations

import io
import zipfile

import made_documents as made
import pytest

from difyrpc_services.documents.detection import detect
from difyrpc_services.documents.formats import FORMATS
from difyrpc_services.documents.language import language_of
from difyrpc_services.documents.pipeline import parse, render
from difyrpc_services.documents.values import (
    ClausePart,
    Finished,
    Limits,
    ParseOptions,
    ParseTask,
    RenderTask,
    TextPart,
)
from difyrpc_services.runtime.errors import InvalidArgument


def zipped(**parts: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, text in parts.items():
            file.writestr(name, text)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "name", "found"),
    [
        (b"junk before\n%PDF-1.4\n", "", "pdf"),
        (made.bare_word("<w:p/>"), "", "docx"),
        (b"<!DOCTYPE html><p>x", "", "html"),
        (b"\n<!-- hi --><html><p>x", "", "html"),
        (b"<p>part of a page</p>", "page.html", "html"),
        (b"# Head", "readme.md", "markdown"),
        (b"# Head", "", "text"),
        (b"words", "notes.txt", "text"),
        ("合同".encode("gb18030"), "", "text"),
        ("text".encode("utf-16"), "", "text"),
    ],
)
def test_the_content_tells_the_format(content, name, found):
    assert detect(memoryview(content), name=name).format == found


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (zipped(a=""), "zip"),
        (b"\x7fELF" + bytes(200), None),
        (bytes(range(256)) * 4, None),
    ],
)
def test_what_cannot_be_read_is_named(content, kind):
    with pytest.raises(InvalidArgument) as caught:
        detect(memoryview(content))
    assert caught.value.reason == "UNSUPPORTED_TYPE"
    if kind:
        assert caught.value.metadata["type"] == kind
    assert "pdf" in caught.value.metadata["formats"]


TYPES = '<Types><Override ContentType="application/vnd.openxmlformats-officedocument.{}.main+xml"/></Types>'
MAIL = "From: a@b.c\nTo: d@e.f\nSubject: s\nMIME-Version: 1.0\n"
CONTENTS = {
    "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj",
    "docx": zipped(**{"[Content_Types].xml": TYPES.format("wordprocessingml.document"), "any/main.xml": ""}),
    "xlsx": zipped(**{"[Content_Types].xml": TYPES.format("spreadsheetml.sheet"), "word/x.xml": ""}),
    "pptx": zipped(**{"[Content_Types].xml": TYPES.format("presentationml.presentation"), "ppt/p.xml": ""}),
    "odt": zipped(mimetype="application/vnd.oasis.opendocument.text-template"),
    "epub": zipped(mimetype="application/epub+zip\n"),
    "rtf": b"{\\rtf1\\ansi text}",
    "html": b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- x -->\n<!DOCTYPE html PUBLIC 'x'>\n<html><p>x",
    "eml": f"{MAIL}\nbody \xff\x00".encode("latin-1"),
    "mhtml": f"{MAIL}Snapshot-Content-Location: x\nContent-Type: multipart/related\n\n--b".encode(),
    "png": b"\x89PNG\r\n\x1a\n" + bytes(50),
    "jpeg": b"\xff\xd8\xff\xe0" + bytes(50),
    "webp": b"RIFF\x00\x00\x00\x00WEBPVP8 " + bytes(50),
    "gif": b"GIF89a" + bytes(50),
}


@pytest.mark.parametrize("format_name", sorted(CONTENTS.keys() & FORMATS.keys()))
def test_no_name_changes_what_the_content_is(format_name):
    for name in (f"file.{ending}" for format_ in FORMATS.values() for ending in format_.extensions):
        detected = detect(memoryview(CONTENTS[format_name]), name=name)
        assert detected.format == format_name
        agrees = name.partition(".")[2] in FORMATS[format_name].extensions
        assert [notice.reason for notice in detected.notices] == ([] if agrees else ["TYPE_DISAGREES"])


PLAIN = "Some words, and a line\nbelow them.\n"
JSON = '{"a": [1, 2, {"b": "words"}]}'
XML = '<?xml version="1.0"?><invoice><p>12</p></invoice>'
CUES = "WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n"
NOTEBOOK = '{"cells": [{"cell_type": "markdown", "source": "x"}], "nbformat": 4}'


@pytest.mark.parametrize(
    ("text", "name", "found", "agrees"),
    [
        (PLAIN, "a.txt", "text", True),
        (PLAIN, "a.md", "markdown", True),
        (PLAIN, "a.py", "code", True),
        (PLAIN, "a.pdf", "text", False),
        (PLAIN, "a.docx", "text", False),
        (PLAIN, "a.eml", "text", False),
        (PLAIN, "a.vtt", "text", False),
        (PLAIN, "a.html", "text", False),
        (PLAIN, "", "text", True),
        (JSON, "", "code", True),
        (JSON, "a.json", "code", True),
        (JSON, "a.txt", "text", True),
        (JSON, "a.png", "code", False),
        (XML, "", "code", True),
        (XML, "a.xml", "code", True),
        (XML, "a.docx", "code", False),
        ("<feed><entry>x</entry></feed>", "", "code", True),
        ("<p>a <b>piece</b> of a page</p>", "", "html", True),
        ("<div>a piece</div>", "a.md", "markdown", True),
        (CUES, "", "subtitles", True),
        (CUES, "a.vtt", "subtitles", True),
        ("1\n00:00:01,000 --> 00:00:02,000\nHello\n", "a.bin", "subtitles", True),
        (NOTEBOOK, "", "notebook", True),
        (NOTEBOOK, "a.json", "notebook", False),
        ("The mark of such files is\n%PDF\nand no other.", "", "text", True),
        ("Note that a file begins with %PDF-1.4 and ends with EOF.", "", "text", True),
        ("From: me\nTo: you\n\nA note that is no mail.", "", "text", True),
        ("BMW and other words", "", "text", True),
        ("RIFF is a word", "", "text", True),
        ("a < b and c > d", "", "text", True),
        ("{not json", "", "text", True),
        ("[1] First reference\n[2] Second", "", "text", True),
    ],
)
def test_texts_are_told_apart(text, name, found, agrees):
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        detected = detect(memoryview(text.encode(encoding)), name=name)
        assert detected.format == found
        assert (detected.notices == ()) is agrees


@pytest.mark.parametrize("name", ["a.pdf", "a.zip", "a.epub", "a.docx"])
def test_a_pdf_that_is_a_container_too_is_a_pdf(name):
    content = CONTENTS["pdf"] + b"\nendobj\n" + CONTENTS["epub"]
    assert detect(memoryview(content), name=name).format == "pdf"


def test_a_pdf_with_junk_before_it_is_one():
    assert detect(memoryview(b"HTTP/1.1 200 OK\r\n\r\n" + CONTENTS["pdf"])).format == "pdf"


def test_a_name_that_disagrees_gives_a_warning():
    (notice,) = detect(memoryview(b"%PDF-1.4"), name="contract.docx").notices
    assert notice.reason == "TYPE_DISAGREES"
    assert detect(memoryview(b"%PDF-1.4"), name="contract.pdf").notices == ()
    assert detect(memoryview(b"%PDF-1.4"), name="contract").notices == ()
    assert detect(memoryview(b"%PDF-1.4"), media_type="text/html; charset=x").notices != ()


def test_no_bytes_are_refused():
    with pytest.raises(InvalidArgument) as caught:
        detect(memoryview(b""))
    assert caught.value.reason == "EMPTY_CONTENT"


def test_a_picture_is_a_format_of_its_own():
    assert detect(memoryview(b"\x89PNG\r\n\x1a\n" + bytes(50))).format == "png"


def test_an_encrypted_office_file_is_named_so():
    content = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le")
    with pytest.raises(InvalidArgument) as caught:
        detect(memoryview(content), name="a.docx")
    assert caught.value.reason == "ENCRYPTED"


def test_a_truncated_container_is_corrupt():
    with pytest.raises(InvalidArgument) as caught:
        detect(memoryview(made.bare_word("<w:p/>")[:60]))
    assert caught.value.reason == "CORRUPT"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("本合同由正文和附件组成。" * 5, "zh"),
        ("この契約は日本国の法律に基づいて解釈されます。" * 4, "ja"),
        ("이 계약은 대한민국의 법률에 따라 해석된다." * 5, "ko"),
        ("The parties agree that the goods are delivered to the place that the order names. " * 5, "en"),
        ("Die Parteien vereinbaren, dass die Waren an den Ort geliefert werden, den die Bestellung nennt. " * 5, "de"),
        ("1234 5678", ""),
    ],
)
def test_the_language_of_a_text_is_found(text, language):
    assert language_of(text) == language


def test_pages_that_cannot_be_rendered_are_named_with_those_that_can():
    with pytest.raises(InvalidArgument) as caught:
        render(memoryview(made.bare_word("<w:p/>")), RenderTask())
    assert caught.value.reason == "UNSUPPORTED_TYPE"
    assert caught.value.message == "pages of docx documents cannot be rendered; those of pdf can"


@pytest.mark.parametrize(("name", "kind"), [("", "ole"), ("letter.doc", "doc"), ("prices.xls", "xls")])
def test_an_old_office_file_is_called_so(name, kind):
    with pytest.raises(InvalidArgument) as caught:
        detect(memoryview(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)), name=name)
    assert caught.value.reason == "UNSUPPORTED_TYPE"
    assert caught.value.metadata["type"] == kind
    assert "old Office files (.doc, .xls, .ppt" in caught.value.message
    assert "save it as .docx" in caught.value.message


def test_a_disagreement_says_who_says_what():
    (by_name,) = detect(memoryview(made.bare_word("<w:p/>")), name="renamed.pdf").notices
    assert by_name.message == "the content is docx, the name says pdf"
    (by_type,) = detect(memoryview(b"%PDF-1.4"), name="contract", media_type="text/html").notices
    assert by_type.message == "the content is pdf, the media type says html"


CONTRACT = "采购合同\n第一条 标的物\n甲方向乙方采购设备一台。"


@pytest.mark.parametrize("text", [CONTRACT, "合同", "甲方: ACME"])
def test_few_chinese_signs_are_chinese(text):
    assert language_of(text) == "zh"


@pytest.mark.parametrize("text", ["契約のこと", "계약 合同", "字", "Purchase of the 设备 from Acme"])
def test_few_signs_of_other_scripts_are_not_chinese(text):
    assert language_of(text) == ""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "gb18030"])
def test_a_short_chinese_contract_is_read_in_any_encoding(encoding):
    limits = Limits(content_bytes=1_000, pages=1, seconds=1, expanded_bytes=1_000)
    task = ParseTask(name="", media_type="", options=ParseOptions(limits=limits))
    parts = list(parse(memoryview(CONTRACT.encode(encoding)), task))
    (text,) = (part.text for part in parts if isinstance(part, TextPart))
    (clause,) = (clause for part in parts if isinstance(part, ClausePart) for clause in part.clauses)
    (finished,) = (part for part in parts if isinstance(part, Finished))
    assert text.split() == CONTRACT.split()
    assert text.count("\n") >= 2
    assert (clause.number, clause.title) == ("第一条", "标的物")
    assert finished.language == "zh"
