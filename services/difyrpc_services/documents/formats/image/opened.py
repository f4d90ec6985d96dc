"""Opens pictures and turns frames into shades of grey, refusing what is too large before it is decoded."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, cast

from PIL import (  # noqa: F401  # the readers register themselves; else all that there are would be imported
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageFile,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from difyrpc_services.documents.formats.reading import corrupt, too_large
from difyrpc_services.documents.ocr.values import Raster

MOST_PIXELS: Final = 75_000_000  # of one frame as its file declares them: A3 at 600 dpi
MOST_LOOKED_AT: Final = 25_000_000  # of one frame as it is recognised
LARGEST: Final = 2.5  # times a small picture is made larger; letters under 20 pixels are hard to read
SCREEN_DPI: Final = 96.0
SCREEN_PIXELS: Final = 2_600  # on the long side; a picture beyond it that states no dpi is taken for a sheet
SHEET_INCHES: Final = 11.69  # the long side of A4
LEAST_STATED: Final = 90.0  # dpi; less is what cameras write for want of a value
SHEETS: Final = (2.0, 50.0)  # inches that the long side of a page may have
KINDS: Final = ("PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP")
_ON_THE_SIDE: Final = frozenset({5, 6, 7, 8})  # EXIF orientations that swap width and height
_BROKEN: Final = (
    OSError, ValueError, SyntaxError, EOFError, TypeError, KeyError, IndexError, AttributeError, OverflowError,
    ZeroDivisionError, AssertionError, RuntimeError, struct.error, zlib.error,
)  # fmt: skip
"""What Pillow's readers raise over broken files."""

Image.MAX_IMAGE_PIXELS = None  # MOST_PIXELS holds instead, for each frame


@contextmanager
def opened(content: memoryview) -> Iterator[ImageFile.ImageFile]:
    """Opens a picture; CORRUPT, TOO_LARGE."""
    with reading():
        image = Image.open(io.BytesIO(content), formats=KINDS)
    with image:
        check_size(image)
        yield image


@contextmanager
def reading() -> Iterator[None]:
    """Makes what Pillow raises CORRUPT; what it warns of are oddities that it copes with."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except _BROKEN as error:
        raise corrupt("image", "it is broken or truncated") from error


def check_size(image: Image.Image) -> None:
    """Refuses a frame of too many pixels, or of none, by what its file declares; TOO_LARGE, CORRUPT."""
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise too_large("pixels", MOST_PIXELS)
    if not width * height:
        raise corrupt("image", "it has no pixels")


def frame_count(image: ImageFile.ImageFile) -> int:
    """Answers how many frames there are."""
    with reading():
        return int(getattr(image, "n_frames", 1))


def select(image: ImageFile.ImageFile, number: int) -> None:
    """Goes to a frame by its number from 1; CORRUPT, TOO_LARGE."""
    with reading():
        image.seek(number - 1)
    check_size(image)


def dpi_of(image: Image.Image) -> float:
    """Answers pixels an inch: as stated, if that makes a page of a likely size, else as on a screen or a sheet."""
    long = max(image.size)
    stated = image.info.get("dpi", (0.0, 0.0))
    try:
        dpi = float(max(stated))
    except (TypeError, ValueError, ZeroDivisionError):
        dpi = 0.0
    if dpi >= LEAST_STATED and SHEETS[0] <= long / dpi <= SHEETS[1]:
        return dpi
    return SCREEN_DPI if long <= SCREEN_PIXELS else long / SHEET_INCHES


def raster_of(image: ImageFile.ImageFile, dpi: float, wanted_dpi: float) -> Raster:
    """Answers the frame that is selected, upright and in grey, at about `wanted_dpi`; CORRUPT."""
    scale = min(wanted_dpi / dpi, LARGEST, (MOST_LOOKED_AT / (image.width * image.height)) ** 0.5)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    with reading():
        image.draft("L", size)
        if image.getexif().get(ExifTags.Base.Orientation) in _ON_THE_SIDE:
            size = size[::-1]
        grey = grey_of(ImageOps.exif_transpose(image))
        if grey.size != size:
            grey = grey.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    return Raster(width=grey.width, height=grey.height, dpi=dpi * scale, pixels=grey.tobytes())


def grey_of(image: Image.Image) -> Image.Image:
    """Answers a picture in 8 bits of grey; what is transparent is white."""
    if image.mode.startswith("I") or image.mode == "F":
        return _stretched(image)
    if "transparency" in image.info or image.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        layer = image.convert("LA")
        white = Image.new("L", layer.size, 255)
        white.paste(layer.getchannel("L"), mask=layer.getchannel("A"))
        return white
    return image if image.mode == "L" else image.convert("L")


def _stretched(image: Image.Image) -> Image.Image:
    """Answers a picture of 16 or 32 bits a pixel with its own darkest and lightest as black and white."""
    wide = image.convert("F")
    low, high = cast(tuple[float, float], wide.getextrema())
    scale = 255.0 / (high - low) if high > low else 0.0
    return wide.point(lambda value: value * scale - low * scale).convert("L")
