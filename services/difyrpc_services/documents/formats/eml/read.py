"""Reads mails and mailboxes: headers, the text in its best form once, and the files that came with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from difyrpc_services.documents.elements import Element
from difyrpc_services.documents.formats.charset import decoded
from difyrpc_services.documents.formats.eml.headers import iso_date, text_of
from difyrpc_services.documents.formats.eml.parts import MOST_DEPTH, Part, messages_of, part_of
from difyrpc_services.documents.formats.eml.signed import is_encrypted, signed_content
from difyrpc_services.documents.formats.html import elements_of as html_elements
from difyrpc_services.documents.formats.html import stated_encoding
from difyrpc_services.documents.formats.reading import (
    Enclosed,
    Notice,
    Opened,
    ReadPart,
    ReadRequest,
    Yielded,
    refuse_pages,
)
from difyrpc_services.documents.formats.text import elements_of as text_elements

_SHOWN: Final = ("From", "To", "Cc", "Bcc", "Date")
_KEPT: Final = {
    "message-id": "message_id",
    "in-reply-to": "in_reply_to",
    "to": "to",
    "cc": "cc",
    "reply-to": "reply_to",
}
_SIGNATURES: Final = frozenset(
    ("application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature",
     "application/pgp-encrypted", "application/pgp-keys")
)  # fmt: skip
_ENVELOPES: Final = frozenset(("application/pkcs7-mime", "application/x-pkcs7-mime"))
_TNEF: Final = frozenset(("application/ms-tnef", "application/vnd.ms-tnef"))
_REPORTS: Final = frozenset(("message/delivery-status", "message/disposition-notification", "text/rfc822-headers"))
_TAGS: Final = re.compile(r"<[^<>]{1,200}>")
_WORDS: Final = re.compile(r"[\u3400-\u9fff\uac00-\ud7a3\u3040-\u30ff]|[^\W_]+")
_LEAST: Final = 0.7  # of the words that a mail's plain form has; a page with fewer leaves something out


def read(content: memoryview, request: ReadRequest) -> Iterator[Yielded]:
    """Reads a mail or a mailbox; NO_PAGES. What is wrong with one of its files is a notice."""
    refuse_pages(request)
    first = True
    for data in messages_of(content):
        mail = part_of(data)
        if first:
            yield Opened(metadata=_metadata(mail))
            first = False
        yield ReadPart(elements=_headers(mail))
        yield from _parts(mail, 0)


def _metadata(mail: Part) -> dict[str, str]:
    found = {
        "title": text_of(mail.headers, "subject"),
        "author": text_of(mail.headers, "from"),
        "created": iso_date(mail.headers),
    }
    found.update({key: text_of(mail.headers, name) for name, key in _KEPT.items()})
    return {name: text[:1000] for name, text in found.items() if text}


def _headers(mail: Part) -> list[Element]:
    found: list[Element] = []
    subject = text_of(mail.headers, "subject")
    if subject:
        found.append(Element(id="", kind="title", text=subject, level=1))
    values = ((name, text_of(mail.headers, name)) for name in _SHOWN)
    lines = "\n".join(f"{name}: {value}" for name, value in values if value)
    if lines:
        found.append(Element(id="", kind="paragraph", text=lines))
    return found


def _parts(part: Part, depth: int) -> Iterator[Yielded]:
    """Answers what a part shows, then the files in it."""
    kind = part.kind
    if kind.startswith("multipart/") and depth < MOST_DEPTH:
        children = part.children()
        if children:
            yield from _several(kind, part, children, depth + 1)
            return
        yield from _text(part.content(), part)
    elif kind in _ENVELOPES:
        yield from _envelope(part, depth)
    elif kind in _TNEF or kind in _SIGNATURES:
        yield _enclosed(part, read=False)
        if kind in _TNEF:
            yield _lost(part, "files of Outlook's own packing are not read")
    elif _is_file(part):
        yield _enclosed(part, read=not _is_picture_of_text(part))
    elif kind == "text/html":
        yield from _page(part)
    elif kind in ("text/enriched", "text/richtext"):
        text, notices = decoded(part.content(), stated=part.charset)
        yield ReadPart(elements=list(text_elements(_TAGS.sub("", text.replace("<<", "<")))), notices=notices)
    else:
        yield from _text(part.content(), part)


def _several(kind: str, part: Part, children: list[Part], depth: int) -> Iterator[Yielded]:
    if kind == "multipart/alternative":
        yield from _best(children, depth)
    elif kind == "multipart/related":
        start = part.parameter("start")
        root = next((child for child in children if start and child.headers.get("content-id") == start), children[0])
        for child in (root, *(child for child in children if child is not root)):
            yield from _parts(child, depth)
    elif kind == "multipart/encrypted":
        yield from (_enclosed(child, read=False) for child in children)
        yield _lost(part, "it is encrypted")
    else:
        for child in children:
            yield from _parts(child, depth)


def _best(children: list[Part], depth: int) -> Iterator[Yielded]:
    """Answers one of several forms of the same text: the last and richest, unless it leaves words out."""
    forms = [list(_parts(child, depth)) for child in children]
    words = [_words(form) for form in forms]
    most = max(words, default=0)
    chosen = next((at for at in reversed(range(len(forms))) if words[at] and words[at] >= _LEAST * most), 0)
    for at, form in enumerate(forms):
        yield from (one for one in form if at == chosen or isinstance(one, Enclosed))


def _words(form: list[Yielded]) -> int:
    elements = (element for one in form if isinstance(one, ReadPart) for element in one.elements)
    return sum(len(_WORDS.findall(element.text)) for element in elements)


def _is_file(part: Part) -> bool:
    """Answers whether a part is a file, not text of the mail."""
    kind = part.kind
    if kind in _REPORTS:
        return False
    if part.disposition == "attachment":
        return True
    if kind in ("text/plain", "text/html"):
        return bool(part.name) and part.disposition == "inline"
    return kind not in ("text/enriched", "text/richtext")


def _is_picture_of_text(part: Part) -> bool:
    """Answers whether a part is a picture that the text shows, such as a logo."""
    return part.kind.startswith("image/") and (part.disposition != "attachment" or "content-id" in part.headers)


def _enclosed(part: Part, *, read: bool) -> Enclosed:
    content = part.content()
    kind = part.kind
    name = part.name
    if kind == "message/rfc822" and not name:
        subject = text_of(part_of(content.lstrip()).headers, "subject")
        name = f"{subject or 'message'}.eml"
    if kind == "message/rfc822":
        content = content.lstrip()
    return Enclosed(name=name, content=memoryview(content), media_type=kind, read=read and bool(content))


def _page(part: Part) -> Iterator[ReadPart]:
    data = part.content()
    text, notices = decoded(data, stated=part.charset or stated_encoding(data))
    yield ReadPart(elements=list(html_elements(text)), notices=notices)


def _text(data: bytes, part: Part) -> Iterator[ReadPart]:
    text, notices = decoded(data, stated=part.charset)
    if part.parameter("format").lower() == "flowed":
        text = _unflowed(text, joined=part.parameter("delsp").lower() == "yes")
    yield ReadPart(elements=list(text_elements(text)), notices=notices)


def _unflowed(text: str, *, joined: bool) -> str:
    """Joins the lines that end with a space (RFC 3676); the line of a signature stands alone."""
    found: list[str] = []
    open_ = False
    for line in text.split("\n"):
        marks = len(line) - len(line.lstrip(">"))
        body = line[marks:].removeprefix(" ")
        if open_ and not marks and found:
            found[-1] += body
        else:
            found.append(">" * marks + (" " if marks else "") + body)
        open_ = body.endswith(" ") and body != "-- "
        if open_ and joined:
            found[-1] = found[-1][:-1]
    return "\n".join(found)


def _envelope(part: Part, depth: int) -> Iterator[Yielded]:
    data = part.content()
    inner = signed_content(data) if depth < MOST_DEPTH else None
    if inner is not None:
        yield from _parts(part_of(inner), depth + 1)
        return
    yield _enclosed(part, read=False)
    yield _lost(part, "it is encrypted" if is_encrypted(data) else "its envelope cannot be read")


def _lost(part: Part, cause: str) -> ReadPart:
    name = part.name or part.kind
    return ReadPart(notices=(Notice(reason="ATTACHMENT_NOT_READ", message=f"{name}: {cause}"),))
