"""What the tags of a page mean for its text."""

from __future__ import annotations

import re
from typing import Final

from difyrpc_services.documents.elements import ElementKind

SKIPPED: Final = frozenset(
    ("template", "svg", "iframe", "object", "embed", "head", "canvas", "audio", "video", "datalist", "noscript",
     "applet", "frameset", "noframes")
)  # fmt: skip
INLINE: Final = frozenset(
    ("a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins",
     "kbd", "label", "mark", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u",
     "var", "wbr", "ruby", "rb", "rp", "rt", "rtc", "nobr", "button", "output", "meter", "progress", "picture", "slot",
      "basefont", "mi", "mn", "mo", "mtext", "ms", "mrow", "msup", "msub", "mfrac", "semantics", "math", "option")
)  # fmt: skip
VOID: Final = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr")
)
BOLD: Final = frozenset(("b", "strong"))
LISTS: Final = frozenset(("ul", "ol", "dl", "menu", "dir"))
KEPT: Final = frozenset(("pre", "textarea", "xmp", "listing", "plaintext"))  # white space counts in them
HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
_HIDDEN: Final = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_CONSENT: Final = re.compile(
    r"cookie[-_ ]?(?:banner|consent|notice|bar|popup|law|message|policy-banner|modal|overlay|dialog|alert|warning)|"
    r"\b(?:onetrust|cybotcookie|didomi|usercentrics|cmpbox|cookiefirst|cookieyes|cky-consent|cc-window|"
    r"gdpr-(?:banner|consent|notice|popup)|consent-(?:banner|popup|manager|modal))",
    re.IGNORECASE,
)
_ROLES: Final[dict[str, ElementKind]] = {
    "navigation": "header", "contentinfo": "footer", "doc-footnote": "footnote", "doc-endnote": "footnote",
}  # fmt: skip
_NOTES: Final = frozenset(("footnote", "endnote", "rearnote", "footnotes", "endnotes", "rearnotes"))
SECTIONS: Final = frozenset(("article", "section", "main", "blockquote", "figure"))


def place_of(tag: str, found: dict[str, str], *, inside: bool) -> ElementKind | None:
    """Answers what a tag makes of all in it: `header` and `footer` frame a page, menus and notices; None for text.

    `inside` says that it stands in a part of the page: the foot of an article is text, that of the page is not.
    """
    if tag == "nav":
        return "header"
    role = found.get("role", "")
    if role in _ROLES:
        return _ROLES[role]
    if "epub:type" in found and not _NOTES.isdisjoint(found["epub:type"].split()):
        return "footnote"
    if tag == "footer" and not inside:
        return "footer"
    named = f"{found.get('id', '')} {found.get('class', '')}"
    return "footer" if len(named) > 1 and tag not in ("body", "html") and _CONSENT.search(named) else None


def is_hidden(tag: str, written: str, found: dict[str, str]) -> bool:
    """Answers whether a browser shows nothing of an element; small pieces that are hidden from readers are signs."""
    if "hidden" in written and (
        ("hidden" in found and found["hidden"] != "until-found")
        or (tag in INLINE and found.get("aria-hidden") == "true")
        or (tag == "input" and found.get("type") == "hidden")
    ):
        return True
    if tag == "dialog" and "open" not in found:
        return True
    style = found.get("style", "")
    return bool(style) and _HIDDEN.search(style) is not None
