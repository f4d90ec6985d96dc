"""Shows serial numbers as dates and times by a format's code."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable
from typing import Final

MOST_DAYS: Final = 2_958_466  # 10000-01-01, the first day that no spreadsheet shows
_ZERO: Final = 693_594  # ordinal of 1899-12-30
_LEAP_1900: Final = 60  # Lotus 1-2-3 took 1900 for a leap year; spreadsheets keep that day, and 0 January 1900
_SHIFT_1904: Final = 1_462  # days
_PIECE: Final = re.compile(
    r'"(?P<quoted>[^"]*)"?|\\(?P<escaped>.)|_.|\*.|\[(?P<elapsed>h+|m+|s+)\]|\[[^\]]*\]?|'
    r"(?P<half>AM/PM|A/P|上午/下午)|(?P<date>y+|m+|d+|h+|s+|a{3,4}|(?<![eE])e+(?![+-]))|(?P<point>\.0+)|(?P<plain>.)",
    re.DOTALL | re.IGNORECASE,
)
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_CHINESE_DAYS: Final = "一二三四五六日"


def is_date(section: str) -> bool:
    """Answers whether a section of a code shows dates or times."""
    if "general" in section.lower():
        return False
    return any(match.lastgroup in ("elapsed", "half", "date") for match in _PIECE.finditer(section))


def date_text(section: str, *, epoch_1904: bool) -> Callable[[float], str]:
    """Answers how a section shows serial numbers; nothing for those that are no date."""
    pieces = _pieces(section)
    halves = any(kind == "half" for kind, _ in pieces)
    decimals = max((len(text) - 1 for kind, text in pieces if kind == "point"), default=0)
    elapsed = any(kind == "elapsed" for kind, _ in pieces)

    def show(value: float) -> str:
        if not math.isfinite(value) or not (elapsed or 0 <= value < MOST_DAYS) or abs(value) >= MOST_DAYS:
            return ""
        moment = _Moment(value, epoch_1904=epoch_1904, decimals=decimals)
        sign = "-" if value < 0 else ""
        return sign + "".join(moment.text(kind, text, halves=halves) for kind, text in pieces)

    return show


def iso_text(value: float, *, epoch_1904: bool) -> str:
    """Answers a serial number as ISO 8601; nothing for one that is no date."""
    code = "yyyy-mm-dd" if value == math.floor(value) else "yyyy-mm-dd hh:mm:ss"
    return date_text(code, epoch_1904=epoch_1904)(value)


def _pieces(section: str) -> list[tuple[str, str]]:
    """Answers kinds and texts; `m` beside hours or seconds becomes minutes, by the kind `minute`."""
    found: list[tuple[str, str]] = []
    for match in _PIECE.finditer(section):
        kind = match.lastgroup or ""
        text = match.group(kind) if kind else ""
        if kind in ("quoted", "escaped", "plain"):
            found.append(("literal", "" if text in (";", "@") and kind == "plain" else text))
        elif kind in ("date", "elapsed"):
            found.append((kind, text.lower()))
        elif kind:
            found.append((kind, text))
    times = [place for place, (kind, _) in enumerate(found) if kind in ("date", "elapsed")]
    for index, place in enumerate(times):
        if found[place][0] == "date" and found[place][1] in ("m", "mm"):
            before = found[times[index - 1]] if index else ("", "")
            after = found[times[index + 1]] if index + 1 < len(times) else ("", "")
            if before[1].startswith("h") or after[1].startswith("s"):
                found[place] = ("minute", found[place][1])
    return found


class _Moment:
    """One serial number as a date and a time."""

    def __init__(self, value: float, *, epoch_1904: bool, decimals: int) -> None:
        unit = 10 ** min(decimals, 3)
        ticks = round(abs(value) * 86_400 * unit)
        self._seconds, self._ticks = divmod(ticks, unit)
        self._decimals = min(decimals, 3)
        self._serial, self._rest = divmod(self._seconds, 86_400)
        self._odd = "" if epoch_1904 else {0: "0", _LEAP_1900: "29"}.get(self._serial, "")
        days = self._serial + (_SHIFT_1904 if epoch_1904 else 1 if 0 < self._serial < _LEAP_1900 else 0)
        days += 2 if self._odd == "0" else -1 if self._odd else 0
        self._day = datetime.date.fromordinal(min(_ZERO + days, datetime.date.max.toordinal()))

    def text(self, kind: str, text: str, *, halves: bool) -> str:
        """Answers one piece."""
        if kind == "literal":
            return text
        if kind == "minute":
            return str(self._rest // 60 % 60).zfill(len(text))
        if kind == "elapsed":
            total = self._seconds // {"h": 3600, "m": 60, "s": 1}[text[0]]
            return str(total).zfill(len(text))
        if kind == "half":
            return self._half(text)
        if kind == "point":
            return "." + str(self._ticks).zfill(self._decimals)
        return self._part(text, halves=halves)

    def _half(self, text: str) -> str:
        early, _, late = text.partition("/")
        return early if self._rest < 43_200 else late

    def _part(self, text: str, *, halves: bool) -> str:
        hour = self._rest // 3600
        match text[0]:
            case "h":
                return str((hour + 11) % 12 + 1 if halves else hour).zfill(min(len(text), 2))
            case "s":
                return str(self._rest % 60).zfill(min(len(text), 2))
            case "y" | "e":
                return f"{self._day.year:04}" if len(text) > 2 or text[0] == "e" else f"{self._day.year % 100:02}"
            case "m":
                return self._month(len(text))
            case "a":
                return ("星期" if len(text) == 4 else "周") + _CHINESE_DAYS[self._day.weekday()]
        return self._day_text(len(text))

    def _month(self, length: int) -> str:
        name = _MONTHS[self._day.month - 1]
        if length <= 2:
            return str(self._day.month).zfill(length)
        return name[:3] if length == 3 else name[:1] if length == 5 else name

    def _day_text(self, length: int) -> str:
        if length <= 2:
            return (self._odd or str(self._day.day)).zfill(length)
        name = _DAYS[self._day.weekday()]
        return name[:3] if length == 3 else name
