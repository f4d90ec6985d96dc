"""The formats that can be read, a module each, imported on use."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Final, cast

from difyrpc_services.documents.formats.languages import LANGUAGES
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
    needs_ocr: bool = False
    """It is a picture, whose text must be recognised."""


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
            name="xlsx",
            module=f"{_HERE}.xlsx",
            media_types=(
                "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
                "application/vnd.ms-excel.sheet.macroenabled.12",
                "application/vnd.openxmlformats-officedocument.spreadsheetml.template",
                "application/vnd.ms-excel.template.macroenabled.12",
            ),
            extensions=("xlsx", "xlsm", "xltx", "xltm"),
            paged=True,
        ),
        Format(
            name="xls",
            module=f"{_HERE}.xls",
            media_types=("application/vnd.ms-excel",),
            extensions=("xls", "xlt"),
            paged=True,
        ),
        Format(
            name="ods",
            module=f"{_HERE}.ods",
            media_types=("application/vnd.oasis.opendocument.spreadsheet",),
            extensions=("ods", "ots"),
            paged=True,
        ),
        Format(
            name="odp",
            module=f"{_HERE}.odp",
            media_types=("application/vnd.oasis.opendocument.presentation",),
            extensions=("odp", "otp"),
            paged=True,
            boxes=True,
        ),
        Format(
            name="csv",
            module=f"{_HERE}.csv",
            media_types=("text/csv", "text/tab-separated-values", "application/csv"),
            extensions=("csv", "tsv", "tab"),
        ),
        Format(
            name="pptx",
            module=f"{_HERE}.pptx",
            media_types=(
                "application/vnd.openxmlformats-officedocument.presentationml.presentation",
                "application/vnd.openxmlformats-officedocument.presentationml.slideshow",
                "application/vnd.openxmlformats-officedocument.presentationml.template",
                "application/vnd.ms-powerpoint.presentation.macroenabled.12",
                "application/vnd.ms-powerpoint.slideshow.macroenabled.12",
            ),
            extensions=("pptx", "pptm", "ppsx", "ppsm", "potx", "potm"),
            paged=True,
            boxes=True,
        ),
        Format(
            name="odt",
            module=f"{_HERE}.odt",
            media_types=(
                "application/vnd.oasis.opendocument.text",
                "application/vnd.oasis.opendocument.text-template",
            ),
            extensions=("odt", "ott"),
        ),
        Format(
            name="rtf",
            module=f"{_HERE}.rtf",
            media_types=("application/rtf", "text/rtf"),
            extensions=("rtf",),
        ),
        Format(
            name="html",
            module=f"{_HERE}.html",
            media_types=("text/html", "application/xhtml+xml"),
            extensions=("html", "htm", "xhtml", "xht", "shtml"),
        ),
        Format(
            name="markdown",
            module=f"{_HERE}.markdown",
            media_types=("text/markdown", "text/x-markdown"),
            extensions=("md", "markdown", "mkd", "mdx", "mdown"),
        ),
        Format(name="epub", module=f"{_HERE}.epub", media_types=("application/epub+zip",), extensions=("epub",)),
        Format(
            name="eml",
            module=f"{_HERE}.eml",
            media_types=("message/rfc822", "application/mbox"),
            extensions=("eml", "mbox"),
        ),
        Format(name="msg", module=f"{_HERE}.msg", media_types=("application/vnd.ms-outlook",), extensions=("msg",)),
        Format(
            name="mhtml",
            module=f"{_HERE}.mhtml",
            media_types=("multipart/related", "application/x-mimearchive"),
            extensions=("mhtml", "mht"),
        ),
        *(
            Format(
                name=name,
                module=f"{_HERE}.image",
                media_types=media_types,
                extensions=extensions,
                paged=True,
                boxes=True,
                needs_ocr=True,
            )
            for name, media_types, extensions in (
                ("png", ("image/png", "image/apng"), ("png", "apng")),
                ("jpeg", ("image/jpeg", "image/jpg", "image/pjpeg"), ("jpg", "jpeg", "jpe", "jfif")),
                ("tiff", ("image/tiff",), ("tif", "tiff")),
                ("webp", ("image/webp",), ("webp",)),
                ("gif", ("image/gif",), ("gif",)),
                ("bmp", ("image/bmp", "image/x-ms-bmp", "image/x-bmp"), ("bmp", "dib")),
            )
        ),
        Format(
            name="subtitles",
            module=f"{_HERE}.subtitles",
            media_types=("text/vtt", "application/x-subrip"),
            extensions=("vtt", "srt"),
        ),
        Format(
            name="notebook",
            module=f"{_HERE}.notebook",
            media_types=("application/x-ipynb+json",),
            extensions=("ipynb",),
        ),
        Format(
            name="code",
            module=f"{_HERE}.code",
            media_types=("text/x-source", "application/xml", "text/xml", "application/json", "application/yaml"),
            extensions=tuple(LANGUAGES),
        ),
        Format(name="text", module=f"{_HERE}.text", media_types=("text/plain",), extensions=("txt", "text", "log")),
    )
}


def reader(name: str) -> Read:
    """Imports the `read` function of a format."""
    return cast(Read, import_module(FORMATS[name].module).read)
