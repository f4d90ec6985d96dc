"""Finds the format of a document from its content; a name is a hint where the content does not tell."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

import puremagic

from difyrpc_services.documents.formats import FORMATS
from difyrpc_services.documents.formats.charset import decoded, utf16_without_mark
from difyrpc_services.documents.formats.reading import Notice, corrupt
from difyrpc_services.runtime.errors import FailedPrecondition, InvalidArgument

HEAD: Final = 1024  # bytes in which a PDF's mark may stand (PDF 32000-1, annex H)
SAMPLE: Final = 64 * 1024  # bytes that tell text from other content
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PACKAGE: Final = "EncryptedPackage".encode("utf-16-le")
_HTML: Final = re.compile(
    r"\s*(?:<\?xml[^>]*\?>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
_HTML_TAGS: Final = re.compile(r"</?(?:p|div|h[1-6]|table|ul|ol|br|span|a)\b[^>]*>", re.IGNORECASE)
_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")  # of UTF-16 and UTF-32
_PICTURES: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"BM", "image/bmp"),
)
_OLD_OFFICE: Final = {"doc": "WordDocument", "xls": "Workbook", "ppt": "PowerPoint Document"}  # their main streams
_OFFICE: Final = (("word/", "docx"), ("xl/", "xlsx"), ("ppt/", "pptx"))


@dataclass(frozen=True, kw_only=True)
class Detected:
    """The format of a document."""

    format: str
    """A name out of FORMATS."""
    notices: tuple[Notice, ...] = ()


def detect(content: memoryview, *, name: str = "", media_type: str = "") -> Detected:
    """Answers the format; EMPTY_CONTENT, UNSUPPORTED_TYPE, CORRUPT, ENCRYPTED, NEEDS_OCR (a picture)."""
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
    if b"%PDF-" in head[:HEAD]:
        return "pdf"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _in_zip(content)
    if head.startswith(_OLE):
        return _in_ole(content)
    if head.startswith(b"{\\rtf"):
        return "rtf"
    for mark, kind in _PICTURES:
        if head.startswith(mark) and (mark != b"BM" or b"\x00" in head[:64]):
            raise FailedPrecondition(
                "NEEDS_OCR", "a picture ({cause}) has no text of its own; it needs optical character recognition",
                cause=kind,
            )  # fmt: skip
    text = _as_text(head)
    if text is None:
        return _foreign(head)
    return _in_text(text, hinted)


def _in_text(text: str, hinted: str) -> str:
    if _HTML.match(text):
        return "html"
    if hinted == "html" and _HTML_TAGS.search(text):
        return "html"
    return "markdown" if hinted == "markdown" else "text"


def _as_text(head: bytes) -> str | None:
    """Answers the sample as text; None if it is none."""
    if head.count(0) * 500 > len(head) and not head.startswith(_MARKS) and utf16_without_mark(head) is None:
        return None
    text, _ = decoded(head)
    odd = sum(character < " " and character not in "\t\n\f\x1b\x0b" for character in text) + text.count("\ufffd")
    return text if text and odd * 50 <= len(text) else None


def _in_zip(content: memoryview) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as container:
            names = container.namelist()
            kind = _mimetype(container) if "mimetype" in names else ""
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, RuntimeError) as error:
        raise corrupt("zip", "the container is broken or truncated") from error
    if kind:
        return {"application/epub+zip": "epub", "application/vnd.oasis.opendocument.text": "odt"}.get(kind, kind)
    for folder, name in _OFFICE:
        if any(entry.startswith(folder) for entry in names):
            return name
    return "zip"


def _mimetype(container: zipfile.ZipFile) -> str:
    with container.open("mimetype") as file:
        return file.read(200).decode("ascii", errors="replace").strip()


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
    for kind, stream in _OLD_OFFICE.items():
        if stream.encode("utf-16-le") in data:
            return kind
    return "ole"


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
    return ending if ending in ("doc", "xls", "xlsx", "ppt", "pptx", "rtf", "odt", "epub", "png", "jpg", "zip") else ""


def _ending(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).suffix.lower().lstrip(".")


def _disagreement(found: str, hinted: str, *, by: str) -> tuple[Notice, ...]:
    if not hinted or hinted == found:
        return ()
    return (Notice(reason="TYPE_DISAGREES", message=f"the content is {found}, the {by} says {hinted}"),)
