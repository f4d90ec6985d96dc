"""Recognises with the program tesseract, which runs beside the worker."""

from __future__ import annotations

import html
import re
from statistics import median
from typing import Final

from difyrpc_services.documents.formats.words import is_cjk
from difyrpc_services.documents.ocr.values import NotRecognised, OcrLine, OcrWord, Raster
from difyrpc_services.runtime.workers import ProgramFailed, programs

PROGRAM: Final = "tesseract"
ENVIRONMENT: Final = {"OMP_THREAD_LIMIT": "1", "LC_ALL": "C"}
_LINE: Final = re.compile(
    r"<span class='(?:ocr_line|ocr_header|ocr_caption|ocr_textfloat)'[^>]*?title=\"bbox (?P<box>[\d ]+)"
    r"(?:; textangle (?P<angle>[\d.]+))?(?:; baseline (?P<slope>[-\d.e]+) (?P<offset>[-\d.e]+))?"
    r"(?:; x_size (?P<size>[\d.]+))?[^>]*>"
)
_WORD: Final = re.compile(
    r"<span class='ocrx_word'[^>]*?title='bbox (\d+) (\d+) (\d+) (\d+); x_wconf (\d+)[^>]*>(.*?)</span>"
)
_TAG: Final = re.compile(r"<[^>]*>")
SURE: Final = 0.86  # mean confidence of a page that was read in its own language
FEW: Final = 0.02  # of the letters
MOST: Final = 0.6
_CJK: Final = frozenset({"chi_sim", "chi_tra", "jpn", "kor"})
BELOW: Final = 0.22  # of the height of letters: how far they reach under the line that they stand on
BELOW_HAN: Final = 0.03
EM: Final = 1.11  # times the height from the highest to the lowest letter: the size of their font
EM_HAN: Final = 0.84  # tesseract adds room for ascenders that Chinese signs do not have


class Tesseract:
    """Runs tesseract once a page.

    Each further language costs half as much again, so a page is first read in the script of the page before it, and
    again in all languages if that went badly.
    """

    def __init__(self, languages: tuple[str, ...]) -> None:
        """Takes codes of installed languages: `chi_sim`, `eng`."""
        self._all = languages
        self._likely = languages

    def recognise(self, raster: Raster) -> list[OcrLine]:
        """Answers the printed lines of a picture."""
        lines = self._read(raster, self._likely)
        if self._likely != self._all and sureness(lines) < SURE:
            lines = self._read(raster, self._all)
        if lines:
            self._likely = languages_in(lines, self._all)
        return lines

    def _read(self, raster: Raster, languages: tuple[str, ...]) -> list[OcrLine]:
        dpi = str(round(raster.dpi))
        arguments = ["stdin", "stdout", "-l", "+".join(languages), "--dpi", dpi, "--psm", "3", "hocr"]
        header = f"P5\n{raster.width} {raster.height}\n255\n".encode()
        try:
            found = programs.run(PROGRAM, arguments, [header, raster.pixels])
        except ProgramFailed as error:
            raise NotRecognised(str(error)) from error
        return lines_of(found.decode("utf-8", "replace"))


def sureness(lines: list[OcrLine]) -> float:
    """Answers the mean confidence of the words; 0 without any."""
    words = [word.confidence for line in lines for word in line.words]
    return sum(words) / len(words) if words else 0.0


def languages_in(lines: list[OcrLine], languages: tuple[str, ...]) -> tuple[str, ...]:
    """Answers the languages that a page like this one may be written in, by the script of its letters."""
    letters = [sign for line in lines for word in line.words for sign in word.text if sign.isalpha()]
    han = sum(map(is_cjk, letters))
    if sureness(lines) < SURE or FEW * len(letters) < han < MOST * len(letters):
        return languages
    return tuple(code for code in languages if (code in _CJK) == (han > FEW * len(letters))) or languages


def lines_of(hocr: str) -> list[OcrLine]:
    """Reads the lines and words of an hOCR document."""
    heads = list(_LINE.finditer(hocr))
    found = []
    for place, head in enumerate(heads):
        end = heads[place + 1].start() if place + 1 < len(heads) else len(hocr)
        words = [word for word in map(_word, _WORD.finditer(hocr, head.end(), end)) if word is not None]
        if words and not float(head["angle"] or 0):
            found.append(_line(words, head))
    return found


def _word(match: re.Match[str]) -> OcrWord | None:
    left, top, right, bottom, confidence = map(int, match.groups()[:5])
    text = html.unescape(_TAG.sub("", match[6])).strip()
    if not text:
        return None
    return OcrWord(text=text, left=left, top=top, right=right, bottom=bottom, confidence=confidence / 100)


def _line(words: list[OcrWord], head: re.Match[str]) -> OcrLine:
    """Makes a line whose words reach from the height of its letters to just under its baseline.

    The boxes of words follow their letters, `on` lower than `of` and `go`; lines that are told apart by distances need
    an even ground.
    """
    han = sum(is_cjk(word.text[0]) for word in words) * 2 > len(words)
    tall = max(float(head["size"] or 0), median(word.bottom - word.top for word in words))
    size = tall * (EM_HAN if han else EM)
    if head["offset"] is None:
        return OcrLine(words=words, size=size)
    left, _, _, bottom = map(int, head["box"].split())
    slope, offset = float(head["slope"]), float(head["offset"])
    below = tall * (BELOW_HAN if han else BELOW)
    even = []
    for word in words:
        ground = bottom + offset + slope * ((word.left + word.right) / 2 - left) + below
        even.append(
            OcrWord(
                text=word.text,
                left=word.left,
                top=max(0.0, ground - tall),
                right=word.right,
                bottom=ground,
                confidence=word.confidence,
            )
        )
    return OcrLine(words=even, size=size)
