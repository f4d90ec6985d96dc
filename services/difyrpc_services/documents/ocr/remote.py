"""Recognises by asking the server, which asks an operator's endpoint: a worker has no network.

The question is a line of JSON and a PNG; the answer is JSON lines, as the endpoint gave them.
"""

from __future__ import annotations

import io
import json
from typing import Any, Final

from PIL import Image

from difyrpc_services.documents.ocr.values import NotRecognised, OcrLine, OcrWord, Raster
from difyrpc_services.runtime.workers import asking

MOST_PIXELS: Final = 1_000_000  # of a side


class Remote:
    """Sends one picture a page."""

    def __init__(self, languages: tuple[str, ...]) -> None:
        """Takes BCP 47 tags."""
        self._languages = languages

    def recognise(self, raster: Raster) -> list[OcrLine]:
        """Answers the printed lines of a picture."""
        head = json.dumps({"languages": self._languages, "dpi": round(raster.dpi)}).encode()
        try:
            return lines_of(asking.ask(head + b"\n" + png_of(raster)))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise NotRecognised("the endpoint answered something else than lines with text and box") from error


def png_of(raster: Raster) -> bytes:
    """Encodes a picture."""
    file = io.BytesIO()
    image = Image.frombytes("L", (raster.width, raster.height), raster.pixels)
    image.save(file, "PNG", compress_level=1, dpi=(raster.dpi, raster.dpi))
    return file.getvalue()


def lines_of(answer: bytes) -> list[OcrLine]:
    """Reads what an endpoint answered; ValueError and its like for anything else."""
    return [_line(json.loads(line)) for line in answer.decode("utf-8").splitlines() if line.strip()]


def _line(value: dict[str, Any]) -> OcrLine:
    left, top, right, bottom = (float(number) for number in value["box"])
    confidence = min(1.0, max(0.0, float(value.get("confidence", 1.0))))
    word = OcrWord(
        text=str(value["text"]).strip(), left=left, top=top, right=right, bottom=bottom, confidence=confidence
    )
    if not (0 <= left <= right < MOST_PIXELS and 0 <= top <= bottom < MOST_PIXELS):
        raise ValueError("a box that no picture has")
    return OcrLine(words=[word])
