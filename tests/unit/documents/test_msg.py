"""Outlook's own mails, in compound files written here by hand (MS-CFB, MS-OXMSG)."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difyrpc_services.documents.detection import detect
from difyrpc_services.documents.pipeline import parse
from difyrpc_services.documents.values import Finished, Info, Limits, PagePart, ParseOptions, ParseTask, TextPart
from difyrpc_services.runtime.errors import ServiceError

SECTOR = 512
END, FREE = 0xFFFFFFFE, 0xFFFFFFFF
Tree = dict[str, "bytes | Tree"]


def compound(tree: Tree) -> bytes:
    """A compound file of storages and streams; streams are padded, so that no small ones need packing."""
    entries: list[list] = [["Root Entry", 5, FREE, FREE, b""]]

    def add(children: Tree) -> int:
        first, before = FREE, None
        for name, content in children.items():
            number = len(entries)
            storage = isinstance(content, dict)
            entries.append([name, 1 if storage else 2, FREE, FREE, b"" if storage else content.ljust(4096, b"\0")])
            if storage:
                entries[number][3] = add(content)
            if before is None:
                first = number
            else:
                entries[before][2] = number
            before = number
        return first

    entries[0][3] = add(tree)
    sectors: list[bytes] = []
    chain: list[int] = []

    def store(data: bytes) -> int:
        begin = len(chain)
        pieces = [data[place : place + SECTOR].ljust(SECTOR, b"\0") for place in range(0, len(data), SECTOR)]
        sectors.extend(pieces)
        chain.extend([*range(begin + 1, begin + len(pieces)), END])
        return begin

    directory = b""
    for name, kind, following, child, data in entries:
        written = name.encode("utf-16-le")
        begin = store(data) if data else END if kind == 5 else 0
        directory += written.ljust(64, b"\0") + struct.pack(
            "<HBBIII", len(written) + 2, kind, 1, FREE, following, child
        )
        directory += bytes(36) + struct.pack("<IQ", begin, len(data))
    start = store(directory)
    blocks = (len(chain) + 128) // 127 + 1
    fat = [*chain, *[0xFFFFFFFD] * blocks]
    table = struct.pack(f"<{len(fat)}I", *fat).ljust(blocks * SECTOR, b"\xff")
    places = [len(chain) + block for block in range(blocks)]
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    header += struct.pack("<IIIIIIIII", 0, blocks, start, 0, 4096, END, 0, END, 0)
    header += struct.pack("<109I", *places, *[FREE] * (109 - blocks))
    return header + b"".join(sectors) + table


def wide(text: str) -> bytes:
    return text.encode("utf-16-le")


def mail(subject: str, head: int = 32, **more: bytes | Tree) -> Tree:
    time = struct.pack("<HHIQ", 0x40, 0x39, 6, 133_540_704_000_000_000)  # 2024-03-05
    page = struct.pack("<HHIQ", 0x03, 0x3FFD, 6, 936)
    return {
        "__properties_version1.0": bytes(head) + time + page + bytes(4096 - head - 32),
        "__substg1.0_0037001F": wide(subject),
        "__substg1.0_0C1A001F": wide("Ada"),
        "__substg1.0_5D01001F": wide("ada@example.com"),
        "__substg1.0_0E04001F": wide("Bo"),
        **{name.replace("x", "__substg1.0_", 1) if name.startswith("x") else name: one for name, one in more.items()},
    }


def attached(name: str, content: bytes) -> Tree:
    return {"__substg1.0_3707001F": wide(name), "__substg1.0_37010102": content}


def read(tree: Tree):
    options = ParseOptions(
        outputs=("text", "elements"), limits=Limits(content_bytes=1, pages=9, seconds=9, expanded_bytes=10**7)
    )
    return list(parse(memoryview(compound(tree)), ParseTask(name="", media_type="", options=options)))


def words(parts) -> list[str]:
    return "".join(part.text for part in parts if isinstance(part, TextPart)).split("\n\n")


def test_a_mail_is_its_subject_its_headers_and_its_text():
    parts = read(mail("合同", x1000001F=wide("Dear Bo,\r\n\r\nwe offer.")))
    assert words(parts)[0] == "合同"
    assert words(parts)[1].startswith("From: Ada <ada@example.com>\nTo: Bo\nDate: ")
    assert words(parts)[2:] == ["Dear Bo,", "we offer."]
    assert parts[0].format == "msg"
    assert parts[0].metadata["title"] == "合同"
    assert parts[0].metadata["created"].startswith("2024-03-0")


def test_the_page_is_read_once_in_its_code_page():
    parts = read(mail("s", x1000001F=wide("plain"), x10130102="<p>第一条 交付</p>".encode("gb18030").ljust(4096)))
    assert words(parts)[2:] == ["第一条 交付"]


def test_texts_of_code_pages_are_decoded():
    tree = mail("s", x1000001E="正文如下".encode("gb18030"))
    assert words(read(tree))[2:] == ["正文如下"]


def test_files_and_mails_in_a_mail_are_read():
    inner = mail("inner", head=24, x1000001F=wide("inner text"))
    tree = mail("outer", x1000001F=wide("outer text"))
    tree["__attach_version1.0_#00000000"] = attached("note.txt", b"words of a file".ljust(4096))
    tree["__attach_version1.0_#00000001"] = {"__substg1.0_3701000D": inner}
    parts = read(tree)
    (finished,) = (part for part in parts if isinstance(part, Finished))
    assert [(one.name, one.parsed) for one in finished.attachments] == [("note.txt", True)]
    found = words(parts)
    assert found[2:5] == ["outer text", "note.txt", "words of a file"]
    assert found[5] == "inner"
    assert found[-1] == "inner text"
    elements = [element for part in parts if isinstance(part, PagePart) for element in part.elements]
    assert [element.attachment_id for element in elements if element.text == "words of a file"] == ["a1"]


def test_a_document_that_holds_a_mail_is_no_mail():
    tree: Tree = {"WordDocument": b"x", "ObjectPool": {"_1": mail("inner")}}
    with pytest.raises(ServiceError) as caught:
        detect(memoryview(compound(tree)), name="letter.msg")
    assert caught.value.metadata["type"] == "doc"


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 20_000), st.binary(min_size=1, max_size=64))
def test_a_broken_mail_is_read_or_refused(place, junk):
    content = bytearray(compound(mail("s", x1000001F=wide("text"))))
    content[8 + place : 8 + place + len(junk)] = junk
    options = ParseOptions(limits=Limits(content_bytes=1, pages=9, seconds=9, expanded_bytes=10**6))
    task = ParseTask(name="a.msg", media_type="", options=options)
    assert answered(bytes(content), task) in ("msg", "doc", "CORRUPT", "UNSUPPORTED_TYPE", "ENCRYPTED", "TOO_LARGE")


def answered(content: bytes, task: ParseTask) -> str:
    try:
        return next(part.format for part in list(parse(memoryview(content), task)) if isinstance(part, Info))
    except ServiceError as error:
        return error.reason
