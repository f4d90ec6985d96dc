"""The formats that can be read, a module each, imported on use."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Final, cast

from difyrpc_services.documents.formats.reading import Read


@dataclass(frozen=True, kw_only=True)
class Format:
    """One format."""

    name: str
    module: str
    """Import path of the module with its `read` function."""
    media_types: tuple[str, ...]
    """The usual one first."""
    extensions: tuple[str, ...]
    """Endings of file names without a dot, the usual one first."""
    paged: bool = False
    boxes: bool = False
    renderable: bool = False


_HERE: Final = "difyrpc_services.documents.formats"

FORMATS: Final = {
    format_.name: format_
    for format_ in (
        Format(
            name="pdf",
            module=f"{_HERE}.pdf",
            media_types=("application/pdf",),
            extensions=("pdf",),
            paged=True,
            boxes=True,
            renderable=True,
        ),
        Format(
            name="docx",
            module=f"{_HERE}.docx",
            media_types=(
                "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
                "application/vnd.ms-word.document.macroenabled.12",
            ),
            extensions=("docx", "docm", "dotx"),
        ),
        Format(
            name="html",
            module=f"{_HERE}.html",
            media_types=("text/html", "application/xhtml+xml"),
            extensions=("html", "htm", "xhtml"),
        ),
        Format(
            name="markdown",
            module=f"{_HERE}.markdown",
            media_types=("text/markdown", "text/x-markdown"),
            extensions=("md", "markdown", "mkd"),
        ),
        Format(name="text", module=f"{_HERE}.text", media_types=("text/plain",), extensions=("txt", "text", "log")),
    )
}


def reader(name: str) -> Read:
    """Imports the `read` function of a format."""
    return cast(Read, import_module(FORMATS[name].module).read)
