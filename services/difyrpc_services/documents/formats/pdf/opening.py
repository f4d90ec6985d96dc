"""Opens a PDF with pdfium; what is cut off or damaged is repaired first."""

from __future__ import annotations

import logging
import re
from typing import Any, Final

import pypdfium2
import pypdfium2.raw as pdfium

from difyrpc_services.documents.formats.pdf.repair import repaired
from difyrpc_services.documents.formats.reading import Notice, corrupt, encrypted

TAIL: Final = 2_048  # bytes at the end that hold the end mark of a whole file
_END: Final = re.compile(rb"%%EOF|startxref")
TRUNCATED: Final = Notice(
    reason="TRUNCATED_FILE", message="the end of the file is missing or damaged; what was left of it was read"
)


logging.getLogger("pypdfium2").setLevel(logging.ERROR)  # it warns of forms of a kind that it does not know


class OpenedPdf:
    """A document, and whether it is whole. To be closed."""

    def __init__(self, document: pypdfium2.PdfDocument, *, whole: bool) -> None:
        self.document = document
        self.whole = whole

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What is to be said of it."""
        return () if self.whole else (TRUNCATED,)


def open_pdf(content: memoryview, password: str) -> OpenedPdf:
    """Opens a PDF; ENCRYPTED and CORRUPT."""
    data = bytes(content)
    try:
        document = pypdfium2.PdfDocument(data, password=password or None)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == pdfium.FPDF_ERR_PASSWORD:
            raise encrypted("pdf", given=bool(password)) from error
        return OpenedPdf(_repaired(data, error), whole=False)
    if not len(document):
        document.close()
        return OpenedPdf(_repaired(data, None), whole=False)
    return OpenedPdf(document, whole=_END.search(data, max(0, len(data) - TAIL)) is not None)


def _repaired(data: bytes, cause: pypdfium2.PdfiumError | None) -> pypdfium2.PdfDocument:
    mended = repaired(data)
    if mended is None:
        raise corrupt("pdf", "its structure cannot be read" if cause else "it has no pages") from cause
    try:
        document = pypdfium2.PdfDocument(mended)
    except pypdfium2.PdfiumError as error:
        raise corrupt("pdf", "its structure cannot be read") from error
    if not len(document):
        document.close()
        raise corrupt("pdf", "it has no pages")
    return document


def page_of(document: pypdfium2.PdfDocument, number: int) -> Any:
    """Answers a page by its number from 1; CORRUPT."""
    try:
        return document[number - 1]
    except pypdfium2.PdfiumError as error:
        raise corrupt("pdf", f"page {number} cannot be read") from error
