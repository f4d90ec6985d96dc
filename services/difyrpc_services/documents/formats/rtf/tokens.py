"""Cuts RTF into words, bytes and braces."""

from __future__ import annotations

import re
from typing import Final

TOKEN: Final = re.compile(
    rb"\\([a-zA-Z]{1,40})(-?\d{1,10})? ?"  # 1 word, 2 its number
    rb"|\\'([0-9a-fA-F]{2})"  # 3 a byte
    rb"|([^\\{}\r\n\x00]+)"  # 4 characters
    rb"|([{}])"  # 5
    rb"|\\([^a-zA-Z'])",  # 6 a sign
    re.DOTALL,
)
_SKIPPED: Final = re.compile(rb"\\bin(\d{1,10}) ?|\\[^b]|[{}]", re.DOTALL)


def group_end(data: bytes, place: int) -> int:
    """Answers where the group that is open at `place` ends: before its brace; the end of the file without one."""
    depth = 0
    while True:
        for match in _SKIPPED.finditer(data, place):
            sign = data[match.start()]
            if sign == ord("{"):
                depth += 1
            elif sign == ord("}"):
                if not depth:
                    return match.start()
                depth -= 1
            elif match[1] is not None:
                place = match.end() + int(match[1])  # raw bytes, braces among them
                break
        else:
            return len(data)
