"""Reads what an EPUB says of itself: its package, the order of its chapters, its table of contents, its encryption."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from lxml import etree

from difyrpc_services.documents.formats.reading import corrupt
from difyrpc_services.documents.formats.zipped import Container

_FONTS: Final = frozenset(("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"))
_TYPES: Final = frozenset(("application/xhtml+xml", "text/html", "application/x-dtbook+xml", "text/x-oeb1-document"))
_NAMES: Final = {
    "title": "title", "creator": "author", "language": "language", "publisher": "publisher", "date": "created",
    "description": "description", "subject": "subject", "identifier": "identifier", "rights": "rights",
}  # fmt: skip
MOST_CHAPTERS: Final = 10_000


@dataclass(frozen=True)
class Chapter:
    """One document of the reading order."""

    path: str
    """Name of its part."""
    contents: bool
    """It is the table of contents."""


@dataclass(frozen=True)
class Package:
    """What the package document says."""

    metadata: dict[str, str]
    chapters: list[Chapter]
    titles: dict[str, list[tuple[int, str]]]
    """Depth, from 1, and title of each entry of the table of contents by the part that it points to."""


def package_of(container: Container) -> Package:
    """Reads the package of an EPUB; CORRUPT."""
    path = _package_path(container)
    root = _xml(container.read(path))
    items: dict[str, tuple[str, str, str]] = {}
    for item in _named(root, "item"):
        href = posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(item.get("href", ""))))
        items[item.get("id", "")] = (href, item.get("media-type", ""), item.get("properties", ""))
    spine = next(_named(root, "spine"), None)
    chapters: list[Chapter] = []
    for reference in _named(spine, "itemref") if spine is not None else ():
        href, kind, properties = items.get(reference.get("idref", ""), ("", "", ""))
        if href and (kind in _TYPES or href.lower().endswith((".xhtml", ".html", ".htm", ".xml"))):
            chapters.append(Chapter(href, "nav" in properties.split()))
    if not chapters:
        chapters = [
            Chapter(href, "nav" in properties.split()) for href, kind, properties in items.values() if kind in _TYPES
        ]
    titles = _titles(container, items, spine.get("toc", "") if spine is not None else "")
    return Package(_metadata(root), chapters[:MOST_CHAPTERS], titles)


def locked(container: Container) -> frozenset[str]:
    """Answers the parts that are encrypted; fonts that are only made hard to copy are none."""
    if "META-INF/encryption.xml" not in container:
        return frozenset()
    found: set[str] = set()
    for data in _named(_xml(container.read("META-INF/encryption.xml")), "EncryptedData"):
        method = next(_named(data, "EncryptionMethod"), None)
        if method is None or method.get("Algorithm", "") not in _FONTS:
            found.update(unquote(one.get("URI", "")) for one in _named(data, "CipherReference"))
    return frozenset(found)


def _package_path(container: Container) -> str:
    if "META-INF/container.xml" in container:
        for file in _named(_xml(container.read("META-INF/container.xml")), "rootfile"):
            path = unquote(file.get("full-path", ""))
            if path in container:
                return path
    path = next((name for name in container.names() if name.endswith(".opf")), "")
    if not path:
        raise corrupt("epub", "it has no package document")
    return path


def _metadata(root: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for element in root.iter():
        name = _name(element)
        text = " ".join("".join(element.itertext()).split())[:1000] if name in _NAMES or name == "meta" else ""
        if name in _NAMES and text:
            key = _NAMES[name]
            found[key] = (
                f"{found[key]}, {text}" if key in ("author", "subject") and key in found else found.get(key, text)
            )
        elif name == "meta" and element.get("property") == "dcterms:modified" and text:
            found["modified"] = text
        elif name == "manifest":
            break
    return found


def _titles(container: Container, items: dict[str, tuple[str, str, str]], toc: str) -> dict[str, list[tuple[int, str]]]:
    """Answers the entries of the NCX or of the navigation document."""
    found: dict[str, list[tuple[int, str]]] = {}
    navigation = next((item for item in items.values() if "nav" in item[2].split()), None)
    ncx = items.get(toc) or next((item for item in items.values() if item[1] == "application/x-dtbncx+xml"), None)
    source = navigation or ncx
    if source is None or source[0] not in container:
        return found
    root = _xml(container.read(source[0]))
    entries = _navigation(root) if navigation else _ncx(root)
    for depth, href, title in entries:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source[0]), unquote(href.partition("#")[0])))
        if title:
            found.setdefault(path, []).append((depth, title))
    return found


def _ncx(root: Any) -> Iterator[tuple[int, str, str]]:
    for point in _named(root, "navPoint"):
        label = next(_named(point, "text"), None)
        content = next(_named(point, "content"), None)
        if label is not None and content is not None:
            depth = sum(1 for above in point.iterancestors() if _name(above) == "navPoint") + 1
            yield depth, content.get("src", ""), " ".join("".join(label.itertext()).split())


def _navigation(root: Any) -> Iterator[tuple[int, str, str]]:
    for nav in _named(root, "nav"):
        kind = nav.get("{http://www.idpf.org/2007/ops}type", "toc")
        for link in _named(nav, "a") if "toc" in kind.split() else ():
            depth = sum(1 for above in link.iterancestors() if _name(above) == "ol")
            yield max(1, depth), link.get("href", ""), " ".join("".join(link.itertext()).split())


def _xml(data: bytes) -> Any:
    """Parses XML that may be slightly wrong; entities are not resolved. CORRUPT."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=True)
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise corrupt("epub", "its XML is broken") from error
    if root is None:
        raise corrupt("epub", "its XML is broken")
    return root


def _named(root: Any, name: str) -> Iterator[Any]:
    return root.iter(f"{{*}}{name}") if root is not None else iter(())


def _name(element: Any) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
