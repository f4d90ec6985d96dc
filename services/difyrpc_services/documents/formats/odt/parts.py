"""The parts of an OpenDocument file: styles with headers and footers, content, metadata."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from difyrpc_services.documents.elements import Element, ElementKind
from difyrpc_services.documents.formats.odt.styles import StyleReader, Styles
from difyrpc_services.documents.formats.odt.text import TextReader

LONGEST_VALUE: Final = 1_000  # characters of a piece of metadata
_RUNNING: Final[dict[str, ElementKind]] = {
    "style:header": "header",
    "style:header-left": "header",
    "style:header-first": "header",
    "style:footer": "footer",
    "style:footer-left": "footer",
    "style:footer-first": "footer",
}
_METADATA: Final = {
    "dc:title": "title",
    "meta:initial-creator": "author",
    "dc:creator": "last_modified_by",
    "dc:subject": "subject",
    "dc:description": "description",
    "meta:keyword": "keywords",
    "meta:creation-date": "created",
    "dc:date": "modified",
    "meta:generator": "producer",
}


class StylesPart:
    """Takes the events of styles.xml."""

    def __init__(self) -> None:
        self.chosen = Styles()
        """The styles that people choose from."""
        self.running: dict[ElementKind, list[Element]] = {"header": [], "footer": []}
        self._all = Styles()
        self._styles = StyleReader(self._all)
        self._text: TextReader | None = None

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        """Takes the beginning of an element."""
        if self._text is not None:
            self._text.begin(name, attributes)
        elif name in _RUNNING and attributes.get("style:display") != "false":
            self._text = TextReader(self._all, _no_formula)
        else:
            self._styles.begin(name, attributes)

    def end(self, name: str) -> None:
        """Takes the end of an element."""
        if self._text is not None and name in _RUNNING:
            self.running[_RUNNING[name]] += self._text.rest()
            self._text = None
        elif self._text is not None:
            self._text.end(name)
        else:
            self._styles.end(name)
            if name == "office:styles":
                self._styles.choose()
                self.chosen = Styles(known=dict(self._all.known), lists=dict(self._all.lists))

    def text(self, text: str) -> None:
        """Takes characters."""
        if self._text is not None:
            self._text.text(text)


class ContentPart:
    """Takes the events of content.xml: its own styles first, then the text."""

    def __init__(self, styles: Styles, formula: Callable[[str], str]) -> None:
        self.reader = TextReader(styles, formula)
        self.found = False
        """Whether it has a text."""
        self._styles = StyleReader(styles)

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        """Takes the beginning of an element."""
        if self.found:
            self.reader.begin(name, attributes)
        elif name == "office:text":
            self.found = True
        else:
            self._styles.begin(name, attributes)

    def end(self, name: str) -> None:
        """Takes the end of an element."""
        (self.reader if self.found else self._styles).end(name)

    def text(self, text: str) -> None:
        """Takes characters."""
        if self.found:
            self.reader.text(text)


class MetadataPart:
    """Takes the events of meta.xml."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self._name = ""

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        """Takes the beginning of an element."""
        self._name = _METADATA.get(name, "")
        if self._name == "keywords" and "keywords" in self.found:
            self.found["keywords"] += ", "

    def end(self, name: str) -> None:
        """Takes the end of an element."""
        self._name = ""

    def text(self, text: str) -> None:
        """Takes characters."""
        if self._name and text.strip():
            self.found[self._name] = (self.found.get(self._name, "") + text)[:LONGEST_VALUE]


class ManifestPart:
    """Takes the events of the manifest."""

    def __init__(self) -> None:
        self.encrypted = False

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        """Takes the beginning of an element."""
        self.encrypted = self.encrypted or name == "manifest:encryption-data"

    def end(self, name: str) -> None:
        """Takes the end of an element."""

    def text(self, text: str) -> None:
        """Takes characters."""


def _no_formula(_: str) -> str:
    return ""
