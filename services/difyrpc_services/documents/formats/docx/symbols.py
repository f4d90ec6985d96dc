"""What characters of symbol fonts mean in Unicode."""

from __future__ import annotations

import re
from typing import Final

_SYMBOL: Final = dict(
    zip(
        range(0x20, 0x7F),
        " !∀#∃%&∋()∗+,−./0123456789:;<=>?≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_‾αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}∼",
        strict=True,
    )
) | dict(
    zip(
        (*range(0xA0, 0xBE), *range(0xBF, 0xE6)),
        "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…|↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊〈®©™∑",
        strict=True,
    )
) | {0xF1: "〉", 0xF2: "∫"}  # fmt: skip
_WINGDINGS: Final = {
    **dict(zip(range(0x80, 0x8B), "⓪①②③④⑤⑥⑦⑧⑨⑩", strict=True)),
    **dict(zip(range(0x8B, 0x96), "⓿❶❷❸❹❺❻❼❽❾❿", strict=True)),
    **dict(zip(range(0x5E, 0x6A), "♈♉♊♋♌♍♎♏♐♑♒♓", strict=True)),
    **dict(zip(range(0xDF, 0xE7), "←→↑↓↖↗↙↘", strict=True)),
    **dict(zip(range(0xEF, 0xF5), "⇦⇨⇧⇩⬄⇳", strict=True)),
    0x20: " ", 0x21: "✏", 0x22: "✂", 0x28: "☎", 0x29: "✆", 0x2A: "✉", 0x36: "⌛", 0x3F: "✍", 0x41: "✌", 0x45: "☜",
    0x46: "☞", 0x47: "☝", 0x48: "☟", 0x4A: "☺", 0x4C: "☹", 0x4E: "☠", 0x4F: "⚐", 0x51: "✈", 0x52: "☼", 0x54: "❄",
    0x56: "✞", 0x58: "✠", 0x59: "✡", 0x5A: "☪", 0x5B: "☯", 0x6A: "&", 0x6B: "&", 0x6C: "●", 0x6D: "❍", 0x6E: "■",
    0x6F: "☐", 0x70: "☐", 0x71: "❑", 0x72: "❒", 0x73: "⬧", 0x74: "⧫", 0x75: "◆", 0x76: "❖", 0x77: "⬥", 0x78: "☒",
    0x7A: "⌘", 0x7B: "❀", 0x7C: "✿", 0x9E: "·", 0x9F: "•", 0xA0: "▪", 0xA1: "○", 0xA4: "◉", 0xA5: "◎", 0xA7: "▪",
    0xA8: "☐", 0xAA: "✦", 0xAB: "★", 0xAC: "✶", 0xB6: "✰", 0xD8: "➢", 0xDC: "➲", 0xE8: "➔", 0xF0: "⇨", 0xFB: "✗",
    0xFC: "✓", 0xFD: "☒", 0xFE: "☑",
}  # fmt: skip
_WINGDINGS_2: Final = {0x4F: "✗", 0x50: "✓", 0x51: "☒", 0x52: "☑", 0x53: "☒", 0x54: "☒", 0x95: "●", 0x97: "●",
                       0x98: "•", 0xA3: "☐", 0x2A: "☐", 0x30: "☐"}  # fmt: skip
_WEBDINGS: Final = {0x61: "✓", 0x63: "□", 0x67: "■", 0x6E: "●", 0x72: "✗", 0x3D: "★", 0x20: " "}
_FONTS: Final = {
    "symbol": _SYMBOL,
    "wingdings": _WINGDINGS,
    "wingdings 2": _WINGDINGS_2,
    "webdings": _WEBDINGS,
}
PRIVATE: Final = re.compile("[\uf020-\uf0ff]")


def symbol(code: int, font: str) -> str:
    """Answers what a symbol font prints for a code; empty where nobody knows.

    Fonts for symbols stand at their own 8-bit codes or from U+F000 on.
    """
    known = _FONTS.get(font.strip().lower())
    low = code - 0xF000 if 0xF000 <= code <= 0xF0FF else code
    if known is not None and low < 0x100:
        return known.get(low, "")
    if low != code:
        return _WINGDINGS.get(low, "") if low in (0xA8, 0xFE, 0x6F) else _SYMBOL.get(low, "")
    return chr(code) if 0x20 <= code < 0xD800 or 0xE000 <= code < 0x110000 else ""


def is_symbol_font(font: str) -> bool:
    """Answers whether a font's plain letters are signs."""
    return font.strip().lower() in _FONTS


def shown(text: str, font: str) -> str:
    """Answers text with its private characters as the font prints them."""
    return PRIVATE.sub(lambda match: symbol(ord(match.group()), font), text)
