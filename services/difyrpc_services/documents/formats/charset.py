"""Decodes text of any encoding: byte order mark, strict UTF-8, a stated encoding, then a guess."""

from __future__ import annotations

import codecs
from typing import Final

from resiliparse.parse.encoding import detect_encoding

from difyrpc_services.documents.formats.reading import Notice

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_BY_SCRIPT: Final = (  # encodings that their script gives away: kana and Hangul fill such texts
    ("cp949", "\uac00", "\ud7a3", 0.85),
    ("cp932", "\u3041", "\u30fe", 0.3),
    ("euc_jp", "\u3041", "\u30fe", 0.3),
)
SAMPLE: Final = 256 * 1024  # bytes that a guess looks at


def decoded(data: bytes, *, stated: str = "") -> tuple[str, tuple[Notice, ...]]:
    """Answers the text, and a notice if its encoding was guessed; line ends become newlines."""
    text, guessed = _decoded(data, stated)
    notices: tuple[Notice, ...] = ()
    if guessed:
        notices = (Notice(reason="ENCODING_GUESSED", message=f"the text was read as {guessed}"),)
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", ""), notices


def _decoded(data: bytes, stated: str) -> tuple[str, str]:
    for mark, name in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(name, errors="replace"), ""
    try:
        return data.decode("utf-8"), ""
    except UnicodeDecodeError as error:
        if error.start > len(data) - 4 and error.start > 0:  # cut in the middle of a character
            return data.decode("utf-8", errors="ignore"), ""
    if (utf16 := utf16_without_mark(data)) is not None:
        return data.decode(utf16, errors="replace"), utf16
    for name in (stated, _guess(data)):
        if name:
            try:
                return data.decode(name), name
            except (UnicodeDecodeError, LookupError):
                continue
    name = _guess(data) or "cp1252"
    return data.decode(name, errors="replace"), name


def _guess(data: bytes) -> str:
    """Answers the likeliest encoding by its Python name; GB18030 stands for its subsets."""
    for east, first, last, least in _BY_SCRIPT:
        if _share(data[:SAMPLE], east, first, last) >= least:
            return east
    name = (detect_encoding(data[:SAMPLE]) or "").lower().replace("_", "-")
    if name in ("gbk", "gb2312", "gb18030", "x-gbk"):
        return "gb18030"
    if name in ("iso-8859-1", "windows-1252", "ascii", "us-ascii") and _is_gb18030(data[:SAMPLE]):
        return "gb18030"
    try:
        return codecs.lookup(name).name if name else ""
    except LookupError:
        return ""


def _share(data: bytes, encoding: str, first: str, last: str) -> float:
    """Answers which part of the letters beyond ASCII a decoding puts into a script; 0 where it cannot decode."""
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if error.start < len(data) - 4:
            return 0.0
        text = data[: error.start].decode(encoding)
    letters = [character for character in text if character > "\x7f" and character.isalpha()]
    return sum(first <= character <= last for character in letters) / len(letters) if len(letters) > 3 else 0.0


def _is_gb18030(data: bytes) -> bool:
    """Answers whether bytes are mostly two-byte Chinese characters of the common range."""
    high = sum(byte >= 0x80 for byte in data)
    try:
        text = data.decode("gb18030")
    except UnicodeDecodeError as error:
        if error.start < len(data) - 4:
            return False
        text = data[: error.start].decode("gb18030")
    common = sum("\u4e00" <= character <= "\u9fff" or "\u3000" <= character <= "\u303f" for character in text)
    return high > 3 and common * 2 >= high * 0.8


def utf16_without_mark(data: bytes) -> str | None:
    """Answers the byte order of UTF-16 that begins with no mark; None for anything else."""
    sample = data[:4096]
    if len(sample) < 4 or b"\x00" not in sample:
        return None
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if odd > len(sample) * 0.2 and even < odd / 4:
        return "utf-16-le"
    if even > len(sample) * 0.2 and odd < even / 4:
        return "utf-16-be"
    orders = ("utf-16-le", "utf-16-be")  # Chinese has few zeros: in line ends, figures and U+4E00
    return next((order for order in orders if _is_chinese(sample.decode(order, errors="replace"))), None)


def _is_chinese(text: str) -> bool:
    """Answers whether a text is of common Chinese characters, their punctuation and ASCII."""
    han = sum("\u4e00" <= character <= "\u9fff" for character in text)
    known = sum(
        character < "\x7f" or "\u3000" <= character <= "\u303f" or "\uff00" <= character <= "\uffef"
        for character in text
    )
    return "\ufffd" not in text and han * 2 >= len(text) and (han + known) * 20 >= len(text) * 19
