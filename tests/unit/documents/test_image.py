"""Pictures: frames are pages, what is too large is refused before it is decoded, what is broken is told."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from difyrpc_services.documents.detection import detect
from difyrpc_services.documents.formats import FORMATS, reader
from difyrpc_services.documents.formats.reading import Opened, ReadPart, ReadRequest
from difyrpc_services.documents.ocr import NotRecognised, OcrLine, OcrWord, Raster
from difyrpc_services.runtime.errors import (
    FailedPrecondition,
    InvalidArgument,
    ResourceExhausted,
    ServiceError,
)

ENDINGS = ("png", "jpeg", "tiff", "webp", "gif", "bmp")


class Reader:
    """Recognises one word on each picture, where the picture is darkest, and keeps the pictures."""

    every_page = False
    dpi = 300.0

    def __init__(self, fails_at: int = -1) -> None:
        self.seen: list[Raster] = []
        self._fails_at = fails_at

    def lines(self, rasterise: Callable[[], Raster]) -> list[OcrLine]:
        raster = rasterise()
        self.seen.append(raster)
        if len(self.seen) == self._fails_at:
            raise NotRecognised("the engine ended with SIGSEGV")
        dark = Image.frombytes("L", (raster.width, raster.height), raster.pixels).point(lambda v: 255 if v < 100 else 0)
        box = dark.getbbox()
        if box is None:
            return []
        left, top, right, bottom = box
        word = OcrWord(text="word", left=left, top=top, right=right, bottom=bottom, confidence=0.8)
        return [OcrLine(words=[word])]


def encoded(*frames: Image.Image, kind: str = "png", **options: object) -> bytes:
    file = io.BytesIO()
    more = {"save_all": True, "append_images": frames[1:]} if len(frames) > 1 else {}
    frames[0].save(file, kind, **more, **options)
    return file.getvalue()


def marked(width: int = 400, height: int = 600, mode: str = "RGB") -> Image.Image:
    """A white picture with a dark bar near its top left corner."""
    picture = Image.new("RGB", (width, height), "white")
    picture.paste((10, 10, 10), (40, 60, 240, 90))
    return picture.convert(mode)


def read(content: bytes, scans: Reader | None, **request: object) -> list[Opened | ReadPart]:
    kind = detect(memoryview(content)).format
    return list(reader(kind)(memoryview(content), ReadRequest(scans=scans, **request)))


def reason(content: bytes, scans: Reader | None, **request: object) -> str:
    with pytest.raises(ServiceError) as caught:
        read(content, scans, **request)
    return caught.value.reason


@pytest.mark.parametrize("kind", ENDINGS)
def test_every_kind_of_picture_is_read(kind: str):
    content = encoded(marked(), kind=kind)
    assert detect(memoryview(content), name=f"a.{FORMATS[kind].extensions[0]}").notices == ()
    opened, part = read(content, Reader())
    assert (opened.page_count, part.page) == (1, 1)
    (element,) = part.elements
    assert (element.text, element.source, element.confidence) == ("word", "ocr", 0.8)


@pytest.mark.parametrize("kind", ["tiff", "gif", "webp", "png"])
def test_frames_are_pages(kind: str):
    frames = [marked(), Image.new("RGB", (400, 600), "white"), marked(500, 300)]
    if kind != "tiff":
        frames[2] = marked()
    opened, *parts = read(encoded(*frames, kind=kind), Reader())
    assert (opened.page_count, opened.pages_asked) == (3, 3)
    assert [(part.page, len(part.elements)) for part in parts] == [(1, 1), (2, 0), (3, 1)]
    assert [notice.reason for notice in parts[1].notices] == ["PAGE_WITHOUT_TEXT"]


def test_a_range_of_frames_is_read():
    content = encoded(*[marked()] * 4, kind="tiff")
    scans = Reader()
    _, *parts = read(content, scans, pages=((2, 3),))
    assert [part.page for part in parts] == [2, 3]
    assert len(scans.seen) == 2
    assert reason(content, Reader(), pages=((9, 0),)) == "PAGE_NOT_FOUND"
    assert reason(content, Reader(), max_pages=3) == "TOO_LARGE"


def test_boxes_are_points_of_the_page():
    (_, part) = read(encoded(marked(600, 900), dpi=(144, 144)), Reader())
    (box,) = part.elements[0].boxes
    assert (box.left, box.top, box.right, box.bottom) == pytest.approx((20, 30, 120, 45), abs=0.8)


def test_a_picture_that_states_no_credible_dpi_is_that_of_a_screen_or_a_sheet():
    scans = Reader()
    for width, dpi in ((960, 72), (4800, 72), (4800, 1)):
        read(encoded(marked(width, 480), dpi=(dpi, dpi)), scans)
    widths = [raster.width / raster.dpi for raster in scans.seen]
    assert widths == pytest.approx([10, 11.69, 11.69], abs=0.02)


def test_small_pictures_are_made_larger_and_large_ones_smaller():
    scans = Reader()
    read(encoded(marked(400, 300)), scans)
    read(encoded(marked(2400, 1200), dpi=(600, 600)), scans)
    assert [(raster.width, raster.height) for raster in scans.seen] == [(1000, 750), (1200, 600)]


def test_the_orientation_that_a_camera_noted_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise by a quarter
    scans = Reader()
    (_, part) = read(encoded(marked(600, 400), kind="jpeg", exif=exif, dpi=(300, 300)), scans)
    assert (scans.seen[0].width, scans.seen[0].height) == (400, 600)
    (box,) = part.elements[0].boxes
    assert box.height > box.width


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "LA", "CMYK", "I;16", "I", "F"])
def test_all_modes_of_colour_are_read(mode: str):
    picture = marked(mode="L" if mode in ("I;16", "I", "F") else "RGB" if mode != "CMYK" else "CMYK")
    if mode in ("I;16", "I"):
        picture = picture.convert("I").point(lambda value: value * 250).convert(mode)
    content = encoded(picture.convert(mode), kind="tiff" if mode in ("CMYK", "F", "I") else "png")
    (_, part) = read(content, Reader())
    assert [element.text for element in part.elements] == ["word"]


def test_what_is_transparent_is_white():
    picture = Image.new("RGBA", (400, 300), (0, 0, 0, 0))
    (_, part) = read(encoded(picture), Reader())
    assert part.elements == []


def test_a_picture_without_ocr_needs_it():
    with pytest.raises(FailedPrecondition) as caught:
        read(encoded(marked()), None)
    assert caught.value.reason == "NEEDS_OCR"


def test_a_frame_that_the_engine_cannot_read_is_said():
    _, *parts = read(encoded(*[marked()] * 3, kind="tiff"), Reader(fails_at=2))
    assert [[notice.reason for notice in part.notices] for part in parts] == [
        [],
        ["OCR_FAILED", "PAGE_WITHOUT_TEXT"],
        [],
    ]


def png_of_size(width: int, height: int) -> bytes:
    """A PNG that declares a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")


def test_a_picture_that_declares_too_many_pixels_is_refused_before_it_is_decoded():
    with pytest.raises(ResourceExhausted) as caught:
        read(png_of_size(30_000, 30_000), scans := Reader())
    assert caught.value.metadata["limit"] == "pixels"
    assert scans.seen == []


def test_a_later_frame_that_declares_too_many_pixels_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("difyrpc_services.documents.formats.image.opened.MOST_PIXELS", 200_000)
    content = encoded(marked(300, 300), marked(500, 500), kind="tiff")
    assert reason(content, Reader()) == "TOO_LARGE"


@pytest.mark.parametrize("kind", ENDINGS)
def test_a_picture_cut_off_is_corrupt_or_read_as_far_as_it_goes(kind: str):
    noise = Image.effect_noise((300, 300), 60).convert("RGB")
    content = encoded(noise, kind=kind)
    with pytest.raises(InvalidArgument) as caught:
        read(content[: len(content) // 2], Reader())
    assert caught.value.reason == "CORRUPT"


SEEDS = [encoded(marked(60, 40), kind=kind) for kind in ENDINGS] + [encoded(*[marked(60, 40)] * 3, kind="tiff")]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(0, len(SEEDS) - 1),
    st.lists(st.tuples(st.integers(6, 4000), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_broken_pictures_are_read_or_refused(seed: int, changes: list[tuple[int, int]]):
    broken = bytearray(SEEDS[seed])
    for place, value in changes:
        broken[min(place, len(broken) - 1)] = value
    outcome = "read"
    try:
        read(bytes(broken), Reader(), max_pages=10)
    except ServiceError as error:
        outcome = error.reason
    assert outcome in {"read", "CORRUPT", "TOO_LARGE", "UNSUPPORTED_TYPE"}
