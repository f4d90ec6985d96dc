"""Reads the numbers of legal texts: 第一百二十三条之一, ARTICLE IV, (iv), (bb), 2.1, １２."""

from __future__ import annotations

import re
from typing import NamedTuple

_DIGITS = {
    sign: value
    for signs in ("零一二三四五六七八九", "〇壹贰叁肆伍陆柒捌玖", "○ 貳參  陸")
    for value, sign in enumerate(signs)
    if sign != " "
} | {"两": 2, "兩": 2}
_UNITS = {"十": 10, "拾": 10, "百": 100, "佰": 100, "千": 1000, "仟": 1000}
_TENS = {"廿": 20, "卅": 30}
CHINESE_DIGITS = "".join(_DIGITS) + "".join(_UNITS) + "".join(_TENS) + "万萬"
"""Every sign that a Chinese numeral may hold, for use in a character class."""

_ROMAN = re.compile(r"^M{0,3}(CM|CD|D?C{0,3})(XC|XL|L?X{0,3})(IX|IV|V?I{0,3})$")
_ROMAN_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_CIRCLED = "①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳"
_IDEOGRAPH_IN_PARENTHESES = "㈠㈡㈢㈣㈤㈥㈦㈧㈨㈩"
_CARDINALS = """
    ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT NINE TEN ELEVEN TWELVE THIRTEEN FOURTEEN FIFTEEN SIXTEEN SEVENTEEN EIGHTEEN
    NINETEEN TWENTY
"""
_ORDINALS = """
    FIRST SECOND THIRD FOURTH FIFTH SIXTH SEVENTH EIGHTH NINTH TENTH ELEVENTH TWELFTH THIRTEENTH FOURTEENTH FIFTEENTH
    SIXTEENTH SEVENTEENTH EIGHTEENTH NINETEENTH TWENTIETH
"""
_WORDS = {word: value for words in (_CARDINALS, _ORDINALS) for value, word in enumerate(words.split(), start=1)}
LARGEST = 99_999
"""No clause has a greater number; what is greater is an amount or a code."""


class Step(NamedTuple):
    """One figure of a number: 123 of 第一百二十三条之一 with 1 inserted, 5 of Section 5A with 1 inserted."""

    value: int
    inserted: int = 0
    """之一 is 1, the letter A is 1; 0 for a plain number."""

    def follows(self, other: Step) -> bool:
        """Whether this is one of the numbers that may stand right after `other`."""
        if self.value == other.value:
            return self.inserted == other.inserted + 1
        return self.value == other.value + 1 and self.inserted <= 1

    def above(self, other: Step) -> bool:
        """Whether this stands anywhere after `other`."""
        return self > other


def folded(text: str) -> str:
    """Answers the text with full-width letters, digits and signs as their half-width twins, length unchanged."""
    return text if text.isascii() else text.translate(_HALF_WIDTH)


_HALF_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20, 0xA0: 0x20, 0x2002: 0x20,
                                                                         0x2003: 0x20, 0x2009: 0x20}  # fmt: skip


def chinese_number(text: str) -> int | None:
    """Answers the value of 一百二十三, 二〇, 廿三, 12 or １２; None if it is no number."""
    text = folded(text).replace(" ", "")
    if text.isascii() and text.isdigit():
        return int(text) if len(text) <= 5 else None
    if not text or len(text) > 12:
        return None
    if all(sign in _DIGITS for sign in text):
        return int("".join(str(_DIGITS[sign]) for sign in text)) if len(text) <= 5 else None
    return _with_units(text)


def _with_units(text: str) -> int | None:
    total = section = digit = 0
    for sign in text:
        if sign in _DIGITS:
            digit = _DIGITS[sign]
        elif sign in _TENS:
            section += _TENS[sign]
            digit = 0
        elif sign in _UNITS:
            section += (digit or 1) * _UNITS[sign]
            digit = 0
        elif sign in "万萬":
            total, section, digit = (section + digit) * 10_000, 0, 0
        else:
            return None
    value = total + section + digit
    return value if 0 < value <= LARGEST else None


def roman_number(text: str) -> int | None:
    """Answers the value of a Roman numeral in either case, of one case throughout; None if it is none."""
    upper = text.upper()
    if not text or len(text) > 12 or text not in (upper, text.lower()) or not _ROMAN.match(upper):
        return None
    total = 0
    for sign, following in zip(upper, [*upper[1:], ""], strict=True):
        value = _ROMAN_VALUES[sign]
        total += -value if value < _ROMAN_VALUES.get(following, 0) else value
    return total


def letter_number(text: str) -> int | None:
    """Answers 1 for a or A, 26 for z, 27 for aa, 28 for bb; None for other texts."""
    lower = text.lower()
    if not lower.isascii() or not lower.isalpha() or len(lower) > 3 or len(set(lower)) != 1:
        return None
    return ord(lower[0]) - ord("a") + 1 + 26 * (len(lower) - 1)


def word_number(text: str) -> int | None:
    """Answers the value of ONE … TWENTY and FIRST … TWENTIETH in any case; None for other words."""
    return _WORDS.get(text.upper())


def sign_number(sign: str) -> int | None:
    """Answers the value of one sign such as ③ or ㈢; None for others."""
    for signs in (_CIRCLED, _IDEOGRAPH_IN_PARENTHESES):
        if len(sign) == 1 and sign in signs:
            return signs.index(sign) + 1
    return None
