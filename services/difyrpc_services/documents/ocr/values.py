"""Pictures of text, the words in them, and what is to be done with pages that are such pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Raster:
    """A picture in shades of grey."""

    width: int
    height: int
    dpi: float
    """Pixels an inch."""
    pixels: bytes
    """One byte a pixel, 0 = black; rows from the top, without padding."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OcrWord:
    """A recognised word, or a whole line where the engine knows no words; pixels from the top left."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    confidence: float
    """0 to 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OcrLine:
    """Words that stand beside each other, from the left."""

    words: Sequence[OcrWord]
    size: float = 0.0
    """Of its font, in pixels; 0 = it is guessed from the height of its words."""


@dataclass(frozen=True, kw_only=True)
class OcrPlan:
    """How the scans of a document are read."""

    engine: str
    """A name out of `ENGINES`."""
    languages: tuple[str, ...] = ()
    """As the engine calls them, the likeliest first."""
    dpi: float = 300.0
    """Pixels an inch at which pages are looked at."""
    every_page: bool = False
    """The file's own text is not used."""
    here: bool = False
    """Recognised where the document is parsed; else it is passed on."""


class PassedOn(Exception):
    """The document has a page that must be recognised, which cannot be done in this process."""


class NotRecognised(Exception):
    """A page that the engine could not read."""


class Engine(Protocol):
    """Reads pictures of text."""

    def recognise(self, raster: Raster) -> list[OcrLine]:
        """Answers the printed lines of a picture; NotRecognised with the cause."""


class Scans(Protocol):
    """What is done with pages that are pictures of text."""

    @property
    def every_page(self) -> bool:
        """Whether pages that have text of their own are recognised, too."""

    @property
    def dpi(self) -> float:
        """Pixels an inch at which pages are looked at."""

    def lines(self, rasterise: Callable[[], Raster]) -> list[OcrLine]:
        """Answers the printed lines of a picture; PassedOn before it is made, NotRecognised."""
