"""Turns HTML into a flat row of tags and texts, after a browser's rules have put its tree in order.

Nothing here or behind it is recursive: nesting may be as deep as it likes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from resiliparse.parse.html import HTMLTree

_TAGS: Final = re.compile(
    r"<(?:!--.*?-->|!doctype[^>]*>|(?:script|style|iframe|noembed|noframes)\b[^>]*>.*?</(?:script|style|iframe|noembed|noframes)>|"
    r"(/?[a-z][^\s>/]*)([^>\"]*(?:\"[^\"]*\"[^>\"]*)*)>)",
    re.DOTALL | re.IGNORECASE,
)
_ATTRIBUTE: Final = re.compile(r"([^\s=\"]+)(?:=\"([^\"]*)\")?")


class Tokens:
    """A page as `texts[0] tags[0] texts[1] tags[1] …`; a closing tag begins with a slash, every one has its opening."""

    def __init__(self, html: str) -> None:
        """Takes a page or a piece of one, however broken."""
        pieces = _TAGS.split(str(HTMLTree.parse(html)))
        self.texts: list[str] = pieces[0::3]
        self.tags: list[str | None] = pieces[1::3]
        """None for a comment or a script."""
        self.attributes: list[str | None] = pieces[2::3]
        """As they are written, between the tag's name and its end."""

    def __len__(self) -> int:
        return len(self.tags)

    def end(self, place: int) -> int:
        """Answers the place of the tag that closes the one at `place`; that of the last tag if none does."""
        name = self.tags[place]
        closing = f"/{name}"
        depth = 0
        for at in range(place, len(self.tags)):
            tag = self.tags[at]
            if tag == name:
                depth += 1
            elif tag == closing:
                depth -= 1
                if not depth:
                    return at
        return len(self.tags) - 1

    def find(self, name: str) -> int:
        """Answers the place of the first tag of a name; -1 without one."""
        return self.tags.index(name) if name in self.tags else -1


def attributes(written: str | None) -> dict[str, str]:
    """Answers the attributes of a tag; one without a value is empty."""
    if not written:
        return {}
    return {match.group(1): unescaped(match.group(2) or "") for match in _ATTRIBUTE.finditer(written)}


def unescaped(text: str) -> str:
    """Answers a text without the references that a serialised tree has."""
    if "&" not in text:
        return text
    text = text.replace("&nbsp;", "\xa0").replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"')
    return text.replace("&amp;", "&")


def metadata(tokens: Tokens) -> Iterator[tuple[str, str]]:
    """Answers what the head of a page says of it, the title first."""
    for place in range(len(tokens)):
        tag = tokens.tags[place]
        if tag == "title":
            yield "title", unescaped(tokens.texts[place + 1])
        elif tag == "meta":
            found = attributes(tokens.attributes[place])
            yield (
                (found.get("name") or found.get("property") or found.get("itemprop", "")).lower(),
                found.get("content", ""),
            )
        elif tag == "html":
            yield "language", attributes(tokens.attributes[place]).get("lang", "")
        elif tag == "body":
            return
