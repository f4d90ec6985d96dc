"""Finds the format of a document from its content; a name is a hint where the content does not tell."""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

import olefile
import puremagic

from difyrpc_services.documents.formats import FORMATS
from difyrpc_services.documents.formats.charset import decoded, wide_without_mark
from difyrpc_services.documents.formats.reading import Notice, corrupt
from difyrpc_services.documents.text_types import mail_type, text_type
from difyrpc_services.runtime.errors import InvalidArgument

HEAD: Final = 1024  # bytes in which a PDF's mark may stand (PDF 32000-1, annex H)
TAIL: Final = 2048  # bytes in which a PDF's end stands
SAMPLE: Final = 16 * 1024  # bytes that tell text from other content
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PACKAGE: Final = "EncryptedPackage".encode("utf-16-le")
_PDF: Final = re.compile(rb"%PDF-\d\.\d")
_MAIL: Final = re.compile(rb">?From \S|[A-Za-z][A-Za-z0-9-]{1,40}:")
_HEADERS_END: Final = re.compile(rb"\r?\n\r?\n")
_CONTROLS: Final = bytes(code for code in range(32) if code not in b"\t\n\r\f\x1b\x0b")
_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")  # of UTF-16 and UTF-32
_PICTURES: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"BM", "image/bmp"),
    (b"RIFF", "image/webp"),
)
_OLD_OFFICE: Final = {"doc": "WordDocument", "xls": "Workbook", "ppt": "PowerPoint Document"}  # their main streams
_OLE_STREAMS: Final = (  # main streams of compound files; a broken mail may hold the others, so it is looked for first
    ("__properties_version1.0", "msg"),
    ("WordDocument", "doc"),
    ("PowerPoint Document", "ppt"),
    ("Workbook", "xls"),
    ("Book", "xls"),
)
_CONTENT_TYPES: Final = (  # main parts of Open XML packages
    (b"wordprocessingml.document.main+xml", "docx"),
    (b"wordprocessingml.template.main+xml", "docx"),
    (b"ms-word.document.macroEnabled.main+xml", "docx"),
    (b"ms-word.template.macroEnabledTemplate.main+xml", "docx"),
    (b"spreadsheetml.sheet.main+xml", "xlsx"),
    (b"spreadsheetml.template.main+xml", "xlsx"),
    (b"ms-excel.sheet.macroEnabled.main+xml", "xlsx"),
    (b"ms-excel.template.macroEnabled.main+xml", "xlsx"),
    (b"ms-excel.sheet.binary.macroEnabled.main", "xlsb"),
    (b"presentationml.presentation.main+xml", "pptx"),
    (b"presentationml.slideshow.main+xml", "pptx"),
    (b"presentationml.template.main+xml", "pptx"),
    (b"ms-powerpoint.presentation.macroEnabled.main+xml", "pptx"),
    (b"ms-powerpoint.slideshow.macroEnabled.main+xml", "pptx"),
)
_OFFICE: Final = (("word/", "docx"), ("xl/", "xlsx"), ("ppt/", "pptx"))
_MIMETYPES: Final = (  # beginnings of what the first entry of a container says
    ("application/epub+zip", "epub"),
    ("application/vnd.oasis.opendocument.text", "odt"),
    ("application/vnd.oasis.opendocument.spreadsheet", "ods"),
    ("application/vnd.oasis.opendocument.presentation", "odp"),
)
_SHEETS: Final = frozenset(("xls", "xlsx", "ods"))  # names under which programs also write separated values
_UNREAD: Final = frozenset(("doc", "xls", "xlsx", "xlsb", "ppt", "pptx", "rtf", "odt", "ods", "odp", "epub", "eml",
                            "msg", "csv", "zip"))  # fmt: skip
"""Endings of names that are compared with the content although their formats may not be read here."""


@dataclass(frozen=True, kw_only=True)
class Detected:
    """The format of a document."""

    format: str
    """A name out of FORMATS."""
    notices: tuple[Notice, ...] = ()


def detect(content: memoryview, *, name: str = "", media_type: str = "") -> Detected:
    """Answers the format; EMPTY_CONTENT, UNSUPPORTED_TYPE, CORRUPT, ENCRYPTED."""
    if not content:
        raise InvalidArgument("EMPTY_CONTENT", "the document has no bytes", field="content")
    hinted = _hinted(name, media_type)
    found = _by_content(content, hinted)
    if found not in FORMATS:
        raise _unsupported(found, hinted)
    return Detected(format=found, notices=_disagreement(found, hinted, by="name" if _ending(name) else "media type"))


def not_renderable(format_name: str) -> InvalidArgument:
    """Answers the error for a format whose pages cannot be rendered."""
    return InvalidArgument(
        "UNSUPPORTED_TYPE",
        "pages of {type} documents cannot be rendered; those of {formats} can",
        field="content",
        type=format_name,
        formats=", ".join(format_.name for format_ in FORMATS.values() if format_.renderable),
    )


def _unsupported(kind: str, hinted: str) -> InvalidArgument:
    """Answers the error for a type that cannot be read."""
    message = "documents of the type {type} cannot be read here; {formats} can"
    if kind in _OLD_OFFICE or kind == "ole":
        message = "old Office files (.doc, .xls, .ppt; this one: {type}) cannot be read here; save it as .docx or .pdf"
        kind = hinted if kind == "ole" and hinted in _OLD_OFFICE else kind
    return InvalidArgument("UNSUPPORTED_TYPE", message, field="content", type=kind, formats=", ".join(FORMATS))


def _by_content(content: memoryview, hinted: str) -> str:
    head = bytes(content[:SAMPLE])
    if _is_pdf(head, content):
        return "pdf"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _in_zip(content)
    if head.startswith(_OLE):
        return _in_ole(content)
    if head.startswith(b"{\\rtf"):
        return "rtf"
    picture = _picture(head)
    if picture:
        return picture.removeprefix("image/")
    mail = _mail(head, hinted)
    if mail:
        return mail
    text = _as_text(head)
    if text is None:
        return _foreign(head)
    if hinted in _SHEETS and not text.lstrip().startswith("<"):
        hinted = "csv"
    found = text_type(text, hinted)
    return found if found in FORMATS or found not in ("code", "subtitles", "notebook", "csv", "mhtml") else "text"


def _mail(head: bytes, hinted: str) -> str:
    """Answers `eml` or `mhtml` for headers of a mail, whatever bytes its body has; empty for anything else."""
    start = head.lstrip(b"\xef\xbb\xbf\r\n ")
    if not _MAIL.match(start):
        return ""
    block = _HEADERS_END.split(start, maxsplit=1)[0].decode("latin-1").replace("\r\n", "\n")
    return mail_type(block + "\n", sure=hinted in ("eml", "mhtml"))


def _is_pdf(head: bytes, content: memoryview) -> bool:
    """Answers whether it is a PDF, which may have junk before its mark; a text that tells of the mark is none."""
    mark = _PDF.search(head[: HEAD + 8])
    if mark is None:
        return False
    if not head[: mark.start()].strip(b"\xef\xbb\xbf \t\r\n\x00"):
        return True
    at_line = head[mark.start() - 1 : mark.start()] in (b"\n", b"\r")
    return at_line or b" obj" in head[mark.end() :] or b"startxref" in bytes(content[-TAIL:])


def _picture(head: bytes) -> str:
    """Answers the media type of a picture; empty for anything else."""
    for mark, kind in _PICTURES:
        if head.startswith(mark):
            if mark == b"BM" and b"\x00" not in head[:64]:
                continue
            if mark == b"RIFF" and head[8:12] != b"WEBP":
                continue
            return kind
    brand = head[8:12] if head[4:8] == b"ftyp" else b""
    if brand in (b"heic", b"heix", b"mif1", b"avif"):
        return "image/avif" if brand == b"avif" else "image/heic"
    return "image/jp2" if head.startswith(b"\x00\x00\x00\x0cjP  \r\n\x87\n") else ""


def _as_text(head: bytes) -> str | None:
    """Answers the sample as text; None if it is none."""
    wide = head.startswith(_MARKS) or bool(wide_without_mark(head))
    if not wide and head.count(0) * 500 > len(head):
        return None
    text, _ = decoded(head)
    odd = len(head) - len(head.translate(None, _CONTROLS)) if not wide else 0
    return text if text and (odd + text.count("\ufffd")) * 50 <= len(text) else None


def _in_zip(content: memoryview) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as container:
            names = container.namelist()
            kind = _entry(container, "mimetype", 200) if "mimetype" in names else b""
            types = _entry(container, _TYPES, 256 * 1024) if _TYPES in names else b""
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, RuntimeError, zlib.error, EOFError) as error:
        raise corrupt("zip", "the container is broken or truncated") from error
    if kind:
        stated = kind.decode("ascii", "replace").strip()
        return next((name for start, name in _MIMETYPES if stated.startswith(start)), stated)
    for mark, name in _CONTENT_TYPES:
        if mark in types:
            return name
    for folder, name in _OFFICE:
        if any(entry.startswith(folder) for entry in names):
            return name
    return _by_entries(names)


def _by_entries(names: list[str]) -> str:
    """Answers what a container is that does not say it."""
    if "META-INF/container.xml" in names:
        return "epub"
    if "content.xml" in names and "META-INF/manifest.xml" in names:
        return "odt"
    return "zip"


_TYPES: Final = "[Content_Types].xml"


def _entry(container: zipfile.ZipFile, name: str, most: int) -> bytes:
    with container.open(name) as file:
        return file.read(most)


def _in_ole(content: memoryview) -> str:
    """Answers the kind of an old Office file; an encrypted new one is wrapped so, too."""
    data = bytes(content)
    if _PACKAGE in data:
        raise InvalidArgument(
            "ENCRYPTED",
            "the Office document is encrypted and cannot be opened with a password here; save it without one",
            field="content",
            format="ooxml",
        )
    streams = _streams(content)
    for stream, kind in _OLE_STREAMS:
        if stream in streams if streams else stream.encode("utf-16-le") in data:
            return kind
    return "ole"


def _streams(content: memoryview) -> frozenset[str]:
    """Answers the streams at the top of a compound file, not those of files in it; empty for a broken one."""
    try:
        with olefile.OleFileIO(io.BytesIO(content)) as file:
            return frozenset(path[0] for path in file.listdir() if len(path) == 1)
    except (OSError, ValueError, IndexError, TypeError, struct.error, AttributeError, RecursionError):
        return frozenset()


def _foreign(head: bytes) -> str:
    """Answers what a type that is not ours is called."""
    try:
        return str(puremagic.from_string(head, mime=True)) or "unknown"
    except (puremagic.PureError, ValueError):
        return "unknown"


def _hinted(name: str, media_type: str) -> str:
    """Answers the format that the name or the media type states; empty without a known one."""
    ending = _ending(name)
    kind = media_type.partition(";")[0].strip().lower()
    for format_ in FORMATS.values():
        if (ending and ending in format_.extensions) or (kind and not ending and kind in format_.media_types):
            return format_.name
    return ending if ending in _UNREAD else ""


def _ending(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).suffix.lower().lstrip(".")


def _disagreement(found: str, hinted: str, *, by: str) -> tuple[Notice, ...]:
    if not hinted or hinted == found:
        return ()
    return (Notice(reason="TYPE_DISAGREES", message=f"the content is {found}, the {by} says {hinted}"),)
