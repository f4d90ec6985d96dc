"""Shows numbers as a spreadsheet shows them: by their format's code."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Final

from difyrpc_services.documents.formats.sheets.dates import date_text, is_date

LONGEST_CODE: Final = 1_000  # characters; Excel's own limit is 255
MOST_DECIMALS: Final = 30
Show = Callable[[float], str]

# ECMA-376, 18.8.30. Those that follow the reader's locale (14, 22) are shown by ISO 8601.
BUILT_IN: Final[dict[int, str]] = {
    1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 5: '"$"#,##0;-"$"#,##0', 6: '"$"#,##0;-"$"#,##0',
    7: '"$"#,##0.00;-"$"#,##0.00', 8: '"$"#,##0.00;-"$"#,##0.00', 9: "0%", 10: "0.00%", 11: "0.00E+00",
    12: "# ?/?", 13: "# ??/??", 14: "yyyy-mm-dd", 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm AM/PM",
    19: "h:mm:ss AM/PM", 20: "h:mm", 21: "h:mm:ss", 22: "yyyy-mm-dd h:mm", 27: 'yyyy"年"m"月"', 28: 'm"月"d"日"',
    29: 'm"月"d"日"', 30: "m-d-yy", 31: 'yyyy"年"m"月"d"日"', 32: 'h"时"mm"分"', 33: 'h"时"mm"分"ss"秒"',
    34: '上午/下午h"时"mm"分"', 35: '上午/下午h"时"mm"分"ss"秒"', 36: 'yyyy"年"m"月"', 37: "#,##0;-#,##0",
    38: "#,##0;-#,##0", 39: "#,##0.00;-#,##0.00", 40: "#,##0.00;-#,##0.00", 41: '#,##0;-#,##0;"-"',
    42: '"$"#,##0;-"$"#,##0;"$-"', 43: '#,##0.00;-#,##0.00;"-"', 44: '"$"#,##0.00;-"$"#,##0.00;"$-"', 45: "mm:ss",
    46: "[h]:mm:ss", 47: "mm:ss.0", 48: "##0.0E+0", 50: 'yyyy"年"m"月"', 51: 'm"月"d"日"', 52: 'yyyy"年"m"月"',
    53: 'm"月"d"日"', 54: 'm"月"d"日"', 55: '上午/下午h"时"mm"分"', 56: '上午/下午h"时"mm"分"ss"秒"',
    57: 'yyyy"年"m"月"', 58: 'm"月"d"日"',
}  # fmt: skip
_SECTION: Final = re.compile(r'"[^"]*"?|\\.|_.|\*.|\[[^\]]*\]?|;|[^;"\\_*\[]+', re.DOTALL)
_PIECE: Final = re.compile(
    r'"(?P<quoted>[^"]*)"?|\\(?P<escaped>.)|(?P<space>_.)|\*.|\[(?P<bracket>[^\]]*)\]?|(?P<general>General)|'
    r"(?P<exponent>[eE][+-])|(?P<digit>[0#?])|(?P<sign>[.,%/])|(?P<plain>.)",
    re.DOTALL | re.IGNORECASE,
)
_CONDITION: Final = re.compile(r"\[(<=|>=|<>|<|>|=)\s*(-?\d+(?:\.\d+)?)\]")
_ABOUT_DOUBLE: Final = 5e-16  # of a number: what its sixteenth digit is worth, which no spreadsheet shows


def general(value: float) -> str:
    """Answers a number without a format: up to 15 digits, no exponent where that can be avoided."""
    if value == int(value) if math.isfinite(value) else False:
        return str(int(value)) if abs(value) < 1e15 else f"{value:.15g}".upper()
    text = f"{value:.15g}"
    if "e" in text and 1e-9 < abs(value) < 1:
        return f"{value:.20f}".rstrip("0") if len(text) < 12 else text.upper()
    return text.upper()


@lru_cache(maxsize=2_000)
def shown(code: str, epoch_1904: bool = False) -> Show | None:
    """Answers how a format's code shows numbers; None where it shows them as they are."""
    if not code or code.lower() in ("general", "@", "standard") or len(code) > LONGEST_CODE:
        return None
    sections = [_made(text, epoch_1904=epoch_1904) for text in _split(code)[:4]]
    chosen = _Chosen(sections[:3] if len(sections) > 3 else sections)
    return chosen.show


def _split(code: str) -> list[str]:
    """Cuts a code at its semicolons, those in quotes not."""
    sections = [""]
    for piece in _SECTION.findall(code):
        if piece == ";":
            sections.append("")
        else:
            sections[-1] += piece
    return sections


@dataclass(frozen=True, slots=True)
class _Section:
    """One of a code's sections."""

    show: Show
    holds: Callable[[float], bool] | None
    """Its own condition; None = by its place."""
    date: bool
    empty: bool


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The sections of a code: above zero, below zero, zero, or by conditions."""

    sections: list[_Section]

    def show(self, value: float) -> str:
        """Answers the number as the section that fits shows it; never nothing for something."""
        sections = self.sections
        first = sections[0]
        if not math.isfinite(value):
            return general(value)
        if first.date:
            return first.show(value) or general(value)
        if any(section.holds for section in sections):
            text = self._by_condition(value)
        elif len(sections) == 1 or value > 0 or (value == 0 and len(sections) == 2):
            text = ("-" if value < 0 and not first.empty else "") + first.show(abs(value))
            text = text.lstrip("-") if value < 0 and not any("1" <= sign <= "9" for sign in text) else text
        else:
            text = sections[1 if value < 0 else 2].show(abs(value))
        return text.strip() or general(value)

    def _by_condition(self, value: float) -> str:
        for section in self.sections:
            if section.holds is None or section.holds(value):
                sign = "-" if value < 0 and section.holds is None and not section.date else ""
                return sign + section.show(value if section.date else abs(value))
        return general(value)


def _made(text: str, *, epoch_1904: bool) -> _Section:
    condition = _CONDITION.search(text)
    holds = _holds(condition.group(1), float(condition.group(2))) if condition else None
    if is_date(text):
        return _Section(date_text(text, epoch_1904=epoch_1904), holds, date=True, empty=False)
    pattern = _Pattern(_CONDITION.sub("", text))
    return _Section(pattern.show, holds, date=False, empty=not text)


def _holds(sign: str, limit: float) -> Callable[[float], bool]:
    return {
        "<": lambda value: value < limit,
        ">": lambda value: value > limit,
        "<=": lambda value: value <= limit,
        ">=": lambda value: value >= limit,
        "=": lambda value: value == limit,
        "<>": lambda value: value != limit,
    }[sign]


class _Pattern:
    """A section for numbers: digits with what stands around and between them."""

    def __init__(self, text: str) -> None:
        self._items: list[str | int] = []
        """Literal texts, and for each run of digits how many it has."""
        self._whole = self._decimals = self._exponent = ""
        self._scale = 1.0
        self._thousands = self._point = self._general = False
        self._below: str | None = None
        """Digits under the line of a fraction."""
        self._pending = 0
        """Commas that scale unless a digit follows."""
        for match in _PIECE.finditer(text):
            self._take(match.lastgroup or "", match)
        self._scale /= 1000.0 ** min(self._pending, 20)

    def _take(self, kind: str, match: re.Match[str]) -> None:
        piece = match.group()
        if kind == "digit":
            self._thousands |= self._pending > 0 and not self._point
            self._pending = 0
            self._digit(piece)
        elif piece == "," and kind == "sign":
            self._pending += bool(self._whole)
        elif piece == "." and kind == "sign":
            self._point = True
            self._slot(0)
        elif kind == "exponent":
            self._exponent = piece
        elif piece == "/" and kind == "sign" and self._whole and self._below is None:
            self._below = ""
        elif kind == "general":
            self._general = True
            self._slot(0)
        else:
            self._literal(kind, match)

    def _literal(self, kind: str, match: re.Match[str]) -> None:
        piece = match.group()
        if piece == "%":
            self._scale *= 100.0
            self._items.append("%")
        elif kind == "bracket":
            self._items.append(_currency(match.group("bracket")))
        elif kind == "space":
            self._items.append(" ")
        elif kind == "plain" and self._below is not None and piece.isdigit():
            self._below += piece
        elif kind in ("quoted", "escaped", "plain", "sign") and piece not in ("@", " "):
            self._items.append(match.group(kind))
        elif piece == " " and not (self._whole and self._below is None):
            self._items.append(" ")
        elif piece == " ":
            self._whole += " "
            self._items.append(" ")

    def _digit(self, piece: str) -> None:
        if self._exponent:
            self._exponent += piece
        elif self._below is not None:
            self._below += piece
        elif self._point:
            self._decimals += piece
        else:
            self._whole += piece
            self._slot(1)

    def _slot(self, digits: int) -> None:
        if self._items and isinstance(self._items[-1], int):
            self._items[-1] += digits
        else:
            self._items.append(digits)

    def show(self, value: float) -> str:
        """Answers a number that is not below zero."""
        if not self._whole and not self._decimals and not self._general:
            return "".join(item for item in self._items if isinstance(item, str))
        value *= self._scale
        if self._general or not math.isfinite(value) or value >= 1e21:
            return self._around(general(value))
        if self._exponent:
            return self._around(self._scientific(value))
        if self._below is not None:
            return _as_fraction(value, self._below, mixed=" " in self._whole.strip())
        return self._around(self._fixed(value))

    def _fixed(self, value: float) -> str:
        places = min(len(self._decimals), MOST_DECIMALS)
        value *= 1 + _ABOUT_DOUBLE  # halves go up, as 2.675 does although no double is that number
        if places == 0:
            value = math.floor(value + 0.5)
        text = f"{value:,.{places}f}" if self._thousands else f"{value:.{places}f}"
        whole, _, decimals = text.partition(".")
        whole = whole.zfill(self._whole.count("0"))
        needed = self._decimals.rfind("0") + 1
        decimals = decimals[:needed] + decimals[needed:].rstrip("0")
        if whole == "0" and not decimals and "0" not in self._whole + self._decimals:
            return ""
        return f"{whole}.{decimals}" if decimals else whole

    def _scientific(self, value: float) -> str:
        mantissa, _, power = f"{value:.{min(len(self._decimals), MOST_DECIMALS)}e}".partition("e")
        exponent = int(power)
        digits = str(abs(exponent)).zfill(self._exponent.count("0"))
        sign = "-" if exponent < 0 else "+" if "+" in self._exponent else ""
        return f"{mantissa}E{sign}{digits}"

    def _around(self, number: str) -> str:
        """Answers the number among the literals; digits that literals interrupt are dealt out from the right."""
        whole, point, decimals = number.partition(".")
        slots = [place for place, item in enumerate(self._items) if isinstance(item, int)]
        dealt: dict[int, str] = {}
        for place in reversed(slots[1:]):
            share = min(int(self._items[place]), len(whole))
            dealt[place], whole = whole[len(whole) - share :], whole[: len(whole) - share]
        if slots:
            dealt[slots[0]] = whole
            dealt[slots[-1]] += point + decimals
        return "".join(dealt[place] if isinstance(item, int) else item for place, item in enumerate(self._items))


def _currency(bracket: str) -> str:
    """Answers the sign of `[$€-407]`; colours and locales are not shown."""
    return bracket[1:].partition("-")[0] if bracket.startswith("$") else ""


def _as_fraction(value: float, below: str, *, mixed: bool) -> str:
    stated = int(below) if below.isdigit() else 0
    base = int(value) if mixed else 0
    if stated:
        top, bottom = round((value - base) * stated), stated
    else:
        near = Fraction(value - base).limit_denominator(10 ** min(max(1, len(below)), 4) - 1)
        top, bottom = near.numerator, near.denominator
    if mixed and top == bottom:
        base, top = base + 1, 0
    if mixed and not top:
        return str(base)
    return f"{base} {top}/{bottom}" if base else f"{top}/{bottom}"
