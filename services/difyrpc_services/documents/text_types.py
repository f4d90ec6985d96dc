"""Tells the formats that are text apart: pages, mails, program text and what has no marks of its own."""

from __future__ import annotations

import json
import re
from typing import Final

SUBTITLES: Final = re.compile(r"\s*WEBVTT(?:[ \t\n]|$)|\s*\d+[ \t]*\n\d{1,2}:\d\d:\d\d[,.]\d{3}[ \t]+-->[ \t]")
_COMMENTS: Final = r"(?:<!--.*?-->\s*|<\?xml[^>]*\?>\s*|<\?xml-stylesheet[^>]*\?>\s*)*"
_PAGE: Final = re.compile(rf"\s*{_COMMENTS}<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL)
_TAGS: Final = re.compile(r"</?(?:p|div|h[1-6]|table|ul|ol|br|span|a|b|font|center)\b[^>]*>", re.IGNORECASE)
_PIECE: Final = re.compile(
    r"\s*<(?:p|div|h[1-6]|table|ul|ol|dl|span|section|article|main|meta|title|center|font)\b[^>]*>", re.IGNORECASE
)
_XML: Final = re.compile(rf"\s*{_COMMENTS}<(?:!DOCTYPE\s+[\w:.-]+|(?P<root>[A-Za-z_][\w:.-]*))[^<]*>", re.DOTALL)
_HEADER: Final = re.compile(r"([A-Za-z][A-Za-z0-9-]{1,40}):[ \t]?[^\n]*(?:\n[ \t]+[^\n]*)*\n", re.ASCII)
_ENVELOPE: Final = re.compile(r"From \S+.*\d{4}\r?\n")  # of an mbox
_SENT: Final = frozenset(("received", "message-id", "mime-version", "return-path", "dkim-signature", "delivered-to",
                          "x-mailer", "content-transfer-encoding", "x-originating-ip"))  # fmt: skip
_WRITTEN: Final = frozenset(("from", "to", "subject", "date", "cc", "reply-to", "sender", "content-type"))
_ARCHIVE: Final = re.compile(r"^(?:snapshot-content-location:|from:\s*<?saved by)", re.IGNORECASE | re.MULTILINE)
_RELATED: Final = re.compile(
    r"^content-type:\s*multipart/related\b[^\n]*(?:\n[ \t][^\n]*)*text/html", re.IGNORECASE | re.MULTILINE
)
PLAIN: Final = frozenset(("text", "markdown", "csv", "code", "subtitles"))
"""Formats that any text may be: their name is believed."""


def text_type(text: str, hinted: str) -> str:
    """Answers the format of a text by its beginning; `hinted` is what its name says, empty for nothing."""
    if _PAGE.match(text):
        return "html"
    if hinted == "html" and _TAGS.search(text):
        return "html"
    if text.startswith("{\\rtf"):
        return "rtf"
    if hinted in PLAIN and not (hinted == "subtitles" and not SUBTITLES.match(text)):
        return _told(text, hinted)
    return _unnamed(text)


def _told(text: str, hinted: str) -> str:
    """Answers the format of a text whose name says one; a notebook and XML are what they are under any name."""
    if hinted == "code" and _is_notebook(text):
        return "notebook"
    return hinted


def _unnamed(text: str) -> str:
    if SUBTITLES.match(text):
        return "subtitles"
    if _PIECE.match(text) and "</" in text:
        return "html"
    if _is_notebook(text):
        return "notebook"
    return "code" if _is_xml(text) or is_json(text) else "text"


def mail_type(text: str, *, sure: bool) -> str:
    """Answers `eml`, `mhtml` or an empty text; `sure` where the name says that it is a mail."""
    start = text.lstrip("\n\r\ufeff ")
    envelope = _ENVELOPE.match(start)
    place = envelope.end() if envelope else 0
    names: set[str] = set()
    while match := _HEADER.match(start, place):
        names.add(match.group(1).lower())
        place = match.end()
    sent, written = len(names & _SENT), len(names & _WRITTEN)
    if not (
        (sent and sent + written >= 3) or (sure and (sent + written >= 1 or envelope)) or (envelope and written >= 2)
    ):
        return ""
    head = start[:place]
    return "mhtml" if _ARCHIVE.search(head) or (_RELATED.search(head) and not names & {"to", "received"}) else "eml"


def _is_xml(text: str) -> bool:
    if text.lstrip().startswith("<?xml"):
        return True
    match = _XML.match(text)
    if match is None:
        return False
    return not match.group("root") or match.group().endswith("/>") or "</" in text[match.end() :]


def is_json(text: str) -> bool:
    """Answers whether a text, or the beginning of one, is an object or a list in JSON."""
    start = text.lstrip()[:1]
    if start not in ("{", "["):
        return False
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return error.pos > len(text) - 300 and error.pos > 100 and len(text) > 4_000  # the sample is cut there
    except RecursionError:
        return True
    return True


def _is_notebook(text: str) -> bool:
    return text.lstrip().startswith("{") and '"cells"' in text and ('"nbformat"' in text or '"cell_type"' in text)
