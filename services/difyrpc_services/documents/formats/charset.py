"""Decodes text of any encoding: byte order mark, strict UTF-8, a stated encoding, then the likeliest."""

from __future__ import annotations

import codecs
import re
from functools import lru_cache
from typing import Final

from difyrpc_services.documents.formats.likelihood import Spelled
from difyrpc_services.documents.formats.reading import Notice

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WEST: Final = ("english", "french", "german", "iberian", "italian", "nordic")
_EAST: Final = ("polish", "czech", "hungarian", "romanian", "south_slavic")
_GUESSES: Final = (  # encodings, the scripts that they are used for, and how rare they are, as a logarithm
    ("gb18030", ("simple",), 0.0),
    ("cp1252", _WEST, 0.0),
    ("big5hkscs", ("traditional",), -2.0),
    ("cp932", ("japanese",), -2.0),
    ("euc_jp", ("japanese",), -3.0),
    ("cp949", ("korean",), -2.0),
    ("cp1251", ("russian",), -2.0),
    ("koi8_u", ("russian",), -4.0),
    ("cp866", ("russian",), -6.0),
    ("iso8859_5", ("russian",), -6.0),
    ("mac_cyrillic", ("russian",), -8.0),
    ("cp1250", _EAST, -2.0),
    ("iso8859_2", _EAST, -3.0),
    ("cp1254", ("turkish",), -3.0),
    ("cp1253", ("greek",), -4.0),
    ("cp1255", ("hebrew",), -4.0),
    ("cp1256", ("arabic",), -4.0),
    ("cp874", ("thai",), -7.0),
    ("cp850", _WEST, -5.0),
    ("mac_roman", _WEST, -6.0),
)
for _name, *_ in _GUESSES:
    codecs.lookup(_name)  # loads it where workers are forked from, not in each of them
_WIDE: Final = ("utf-16-le", "utf-16-be")
_WIDE_SCRIPTS: Final = ("simple", "traditional", "japanese", "korean")
_ONE_NAME: Final = {  # names as they are stated, and the superset that texts are really in
    "gb2312": "gb18030", "gbk": "gb18030", "gb_2312-80": "gb18030", "x-gbk": "gb18030", "cp936": "gb18030",
    "windows-936": "gb18030", "csgb2312": "gb18030", "euc-cn": "gb18030", "big5": "big5hkscs",
    "big5-hkscs": "big5hkscs", "x-x-big5": "big5hkscs", "cn-big5": "big5hkscs",
    "shift_jis": "cp932", "shift-jis": "cp932", "sjis": "cp932",
    "x-sjis": "cp932", "windows-31j": "cp932", "ms_kanji": "cp932", "euc-kr": "cp949", "ks_c_5601-1987": "cp949",
    "ks_c_5601": "cp949", "ksc5601": "cp949", "windows-949": "cp949", "iso-8859-1": "cp1252", "iso8859-1": "cp1252",
    "latin1": "cp1252", "latin-1": "cp1252", "us-ascii": "cp1252", "ascii": "cp1252", "iso-8859-9": "cp1254",
    "tis-620": "cp874", "iso-8859-11": "cp874", "iso-8859-8-i": "cp1255", "x-mac-roman": "mac_roman",
    "macintosh": "mac_roman", "iso-2022-jp": "iso2022_jp_ext", "unicode": "utf-16", "utf8": "utf-8", "hz-gb-2312": "hz",
}  # fmt: skip
_NO_TEXT: Final = frozenset(("idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "mbcs", "oem"))
_SEVEN_BITS: Final = frozenset(("iso2022_jp_ext", "iso2022_jp", "iso2022_kr", "hz", "utf-7", "utf7"))
_TWO_LOST: Final = 200  # one broken byte in so many signs makes a text no other than it seems
SAMPLE: Final = 1024  # bytes that a guess looks at
_CERTAIN: Final = -7.6  # likelihood of a sign that only text has in the encoding that it is in
_DENSE: Final = re.compile(rb"[^\n]*[\x80-\xff][^\n]*\n?")  # lines that tell something
_PRINTED: Final = bytes(range(0x20, 0x7F))
_CONTROLS: Final = bytes((*range(9), *range(14, 27), *range(28, 32)))


def decoded(data: bytes, *, stated: str = "") -> tuple[str, tuple[Notice, ...]]:
    """Answers the text, and a notice if its encoding was guessed or bytes were lost; line ends become newlines.

    `stated` is the name of an encoding as a header or a tag has it.
    """
    text, notices = _decoded(data, known(stated))
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return (text.replace("\x00", "") if "\x00" in text else text), notices


def known(name: str) -> str:
    """Answers Python's name of a stated encoding, or of its superset that texts are really in; empty if unknown."""
    name = name.strip(" \t\r\n\"'").lower()
    name = _ONE_NAME.get(name) or _ONE_NAME.get(name.replace("_", "-"), name)
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):
        return ""
    return found.name if found._is_text_encoding and found.name.replace("_", "-") not in _NO_TEXT else ""


def _decoded(data: bytes, stated: str) -> tuple[str, tuple[Notice, ...]]:
    for mark, name in _MARKS:
        if data.startswith(mark):
            return _counted(data[len(mark) :], name)
    certain = _seven_bits(data, stated) or wide_without_mark(data)
    if certain:
        return data.decode(certain, "replace"), () if certain == stated else _guessed(certain)
    try:
        return data.decode("utf-8"), ()
    except UnicodeDecodeError as error:
        if error.start > len(data) - 4 and error.start > 0 and data[: error.start].isascii() is False:
            return data.decode("utf-8", "ignore"), ()  # cut in the middle of a character
    if stated and stated not in ("utf-8", "utf-16", "utf-32"):
        text = data.decode(stated, "replace")
        if text.count("\ufffd") * _TWO_LOST <= len(text):
            return _counted(data, stated)
    if _nearly_utf8(data):
        return _counted(data, "utf-8")
    name = likeliest(data)
    return data.decode(name, "replace"), _guessed(name)


def _guessed(name: str) -> tuple[Notice, ...]:
    return (Notice(reason="ENCODING_GUESSED", message=f"the text was read as {name}"),)


def _counted(data: bytes, name: str) -> tuple[str, tuple[Notice, ...]]:
    """Decodes with replacement; a notice says how much was replaced."""
    text = data.decode(name, "replace")
    lost = text.count("\ufffd") - (data.count(b"\xef\xbf\xbd") if name == "utf-8" else 0)
    if lost <= 0:
        return text, ()
    return text, (Notice(reason="GARBLED_TEXT", message=f"{lost} places are no {name} and were replaced"),)


def _seven_bits(data: bytes, stated: str) -> str:
    """Answers the encoding of text whose bytes look like ASCII and are not; empty for none."""
    if stated in _SEVEN_BITS:
        return stated
    if b"\x1b$" in data:
        name = "iso2022_kr" if b"\x1b$)C" in data else "iso2022_jp_ext"
        return name if _decodes(data, name) else ""
    if b"~{" in data and b"~}" in data and data.isascii() and _decodes(data, "hz"):
        text = data.decode("hz")
        return "hz" if sum(sign > "\x7f" for sign in text) * 5 > len(text) else ""
    return ""


def _decodes(data: bytes, name: str) -> bool:
    try:
        data.decode(name)
    except (UnicodeDecodeError, LookupError):
        return False
    return True


def _nearly_utf8(data: bytes) -> bool:
    """Answers whether most of what is not ASCII is UTF-8; chance makes few sequences of it right."""
    text = data.decode("utf-8", "replace")
    lost = text.count("\ufffd")
    right = len(text) - lost - len(data.translate(None, bytes(range(0x80, 0x100))))
    return right >= 3 * lost


def likeliest(data: bytes) -> str:
    """Answers the likeliest encoding of text that is not UTF-8."""
    return _likeliest(_telling(data), data[:SAMPLE])


@lru_cache(maxsize=4)  # the finding of a type guesses before the reading does
def _likeliest(sample: bytes, start: bytes) -> str:
    if Spelled(_start(sample, "gb18030")).mean("simple") > _CERTAIN:
        return "gb18030"
    best, most = "cp1252", -1e18
    for name, scripts, rare in _GUESSES:
        score = _score(sample, name, scripts) + rare
        if score > most:
            best, most = name, score
    for name in _WIDE:
        score = _score(start, name, _WIDE_SCRIPTS) * len(sample) / len(start) - 6.0
        if score > most:
            best, most = name, score
    return best


def _score(sample: bytes, name: str, scripts: tuple[str, ...]) -> float:
    spelled = Spelled(_start(sample, name))
    return max(map(spelled.likelihood, scripts))


def _telling(data: bytes) -> bytes:
    """Answers different lines with bytes beyond ASCII, up to a sample's length."""
    found: list[bytes] = []
    length = 0
    seen: set[bytes] = set()
    for match in _DENSE.finditer(data):
        line = match.group()[:SAMPLE]
        if line not in seen:
            seen.add(line)
            found.append(line)
            length += len(line)
        if length >= SAMPLE or len(seen) >= SAMPLE:
            break
    return b"".join(found)[:SAMPLE]


def _start(data: bytes, name: str) -> str:
    """Decodes all but a sign that is cut off at the end."""
    return codecs.getincrementaldecoder(name)("replace").decode(data, final=len(data) < SAMPLE)


def wide_without_mark(data: bytes) -> str:
    """Answers the byte order of UTF-16 or UTF-32 that begins with no mark; empty for anything else."""
    sample = data[: SAMPLE // 4 * 4]
    odd_bytes = len(sample) - len(sample.translate(None, _CONTROLS))
    if len(sample) < 4 or not odd_bytes or len(sample.translate(None, _PRINTED)) * 5 < len(sample):
        return ""
    if len(data) % 4 == 0 and sample.count(0) * 2 >= len(sample):
        for name in ("utf-32-le", "utf-32-be"):
            if _plausible(_start(sample, name)):
                return name
    if len(data) % 2 or odd_bytes * 50 < len(sample):
        return ""
    best = max(_WIDE, key=lambda name: _plausibility(_start(sample, name)))
    return best if _plausible(_start(sample, best)) else ""


def _plausible(text: str) -> bool:
    return _plausibility(text) >= 0.95


def _plausibility(text: str) -> float:
    """Answers which part of a text's signs are of living scripts; ASCII and its letters weigh most."""
    return sum(_usual(ord(sign)) for sign in text) / len(text) if text else 0.0


def _usual(code: int) -> bool:
    if code < 0x100:
        return code in (9, 10, 12, 13) or 0x20 <= code < 0x7F or code >= 0xA0
    return (
        code < 0x250
        or 0x370 <= code < 0x530
        or 0x5D0 <= code < 0x700
        or 0xE00 <= code < 0xE60
        or 0x2010 <= code < 0x2030
        or 0x3000 <= code < 0x3100
        or 0x4E00 <= code < 0xA000
        or 0xAC00 <= code < 0xD7A4
        or 0xFF00 <= code < 0xFFEF
    )
