"""Reads a picture frame by frame, each laid out as a page of a scanned PDF is."""

from __future__ import annotations

from collections.abc import Iterator

from PIL.ImageFile import ImageFile

from difyrpc_services.documents.formats.image.opened import dpi_of, frame_count, opened, raster_of, select
from difyrpc_services.documents.formats.pdf.page import PageContent
from difyrpc_services.documents.formats.pdf.read import laid_out
from difyrpc_services.documents.formats.pdf.scanned import recognised
from difyrpc_services.documents.formats.reading import Opened, ReadPart, ReadRequest, chosen_pages
from difyrpc_services.documents.ocr.values import NotRecognised, Raster, Scans
from difyrpc_services.runtime.errors import FailedPrecondition


def read(content: memoryview, request: ReadRequest) -> Iterator[Opened | ReadPart]:
    """Reads a picture; CORRUPT, PAGE_NOT_FOUND, TOO_LARGE, NEEDS_OCR."""
    with opened(content) as image:
        if request.scans is None:
            raise _needs_ocr(image)
        count = frame_count(image)
        pages = chosen_pages(request, count)
        yield Opened(page_count=count, pages_asked=len(pages))
        yield from laid_out(_contents(image, pages, request.scans), len(pages), request)


def _needs_ocr(image: ImageFile) -> FailedPrecondition:
    return FailedPrecondition(
        "NEEDS_OCR",
        "a picture ({cause}) has no text of its own; it needs optical character recognition",
        cause=str(image.format),
    )


def _contents(image: ImageFile, pages: list[int], scans: Scans) -> Iterator[PageContent]:
    for number in pages:
        select(image, number)
        yield _content(image, number, scans)


def _content(image: ImageFile, number: int, scans: Scans) -> PageContent:
    """Recognises the frame that is selected."""
    dpi = dpi_of(image)
    rasters: list[Raster] = []

    def rasterise() -> Raster:
        rasters.append(raster_of(image, dpi, scans.dpi))
        return rasters[0]

    try:
        lines = scans.lines(rasterise)
    except NotRecognised as error:
        page = recognised(number, *_points(rasters[0]), (), 1.0)
        page.unread = str(error)
        return page
    return recognised(number, *_points(rasters[0]), lines, 72 / rasters[0].dpi)


def _points(raster: Raster) -> tuple[float, float]:
    """Answers the width and height of the page."""
    return raster.width * 72 / raster.dpi, raster.height * 72 / raster.dpi
