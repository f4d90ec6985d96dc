"""Writes XHTML so that a browser's rules for HTML read it as what it is."""

from __future__ import annotations

import html
import re
from typing import Final

from difyrpc_services.documents.formats.html.kinds import VOID

_XHTML: Final = re.compile(r"\s*<\?xml\b|<html\b[^>]{0,500}http://www\.w3\.org/1999/xhtml", re.IGNORECASE)
_EMPTY: Final = re.compile(r"<([A-Za-z][\w:.-]*)([^<>]*)/>")
_DATA: Final = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
HEAD: Final = 2_000  # characters in which XHTML says what it is


def as_html(text: str) -> str:
    """Answers XHTML as HTML: empty elements get their ends, character data its references; HTML as it is."""
    if not _XHTML.search(text[:HEAD]):
        return text
    if "/>" in text:
        text = _EMPTY.sub(_closed, text)
    if "<![CDATA[" in text:
        text = _DATA.sub(lambda match: html.escape(match.group(1), quote=False), text)
    return text


def _closed(match: re.Match[str]) -> str:
    name, written = match.groups()
    return match.group() if name.lower() in VOID else f"<{name}{written}></{name}>"
