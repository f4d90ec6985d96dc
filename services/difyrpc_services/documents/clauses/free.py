"""Reads the markers that both languages share: 1., 2.1, (a), (iv), A., ①, 3)."""

from __future__ import annotations

import re
from functools import lru_cache

from difyrpc_services.documents.clauses.markers import CONTRADICTED, FREE, Marker
from difyrpc_services.documents.clauses.numbering import Step, letter_number, roman_number, sign_number

_DOTTED = re.compile(
    r"(?P<number>\d{1,3}(?:\s?\.\s?\d{1,3}){1,5}|\d{1,4})(?P<letter>[A-Z](?=[\s.]))?(?P<sign>\s?[.、:](?!\d)|(?=\s|$))\s*"
)
_DATE = re.compile(r"(?:19|20)\d\d\s?[.年/-]\s?\d{1,2}\b|\d{1,2}\s?[./-]\s?\d{1,2}\s?[./-]\s?(?:19|20)\d\d\b")
_ENCLOSED = re.compile(r"(?P<open>[(\[])\s?(?P<label>[a-z]{1,6}|[A-Z]{1,6}|\d{1,3})\s?(?P<close>[)\]])\s*")
_HALF_ENCLOSED = re.compile(r"(?P<label>[a-z]{1,4}|[A-Z]{1,4}|\d{1,3})\)\s+")
_LETTERED = re.compile(r"(?P<label>[a-z]|[A-Z]|[ivx]{2,5}|[IVX]{2,5})\.\s+")
_CIRCLED = re.compile(r"(?P<label>[①-⑳㈠-㈩])\s*[、.]?\s*")
_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_AMOUNT = re.compile(
    rf"(?:million|billion|thousand|hundred|trillion|per\s?cent|percent|times|(?:{_MONTHS})\b|(?:(?:calendar|business|working|Business)\s)?"
    r"(?:[dD]ays?|weeks?|months?|years?|hours?|minutes?|shares?|units?|copies|pages?|miles?|feet|acres?)\b|[%‰$€£¥°/×x*+=<>]|"
    r"(?:[条款项章节编條項節編]|万|亿|元|倍|米|吨|公里|千克|公斤|厘米|毫米|年|月|日|天|个|号|时|分|秒|周|人|名|份|台|套|件|次|层|幢|栋|室|楼|kg|km|mm|cm)|"
    r"[ap]\.?m\b|o'clock|st\b|nd\b|rd\b|th\b)"
)
_STREET = re.compile(
    r"(?:[A-Z][\w.'-]*\s){1,4}(?:Street|St\.|Avenue|Ave\.?|Road|Rd\.?|Boulevard|Blvd\.?|Drive|Lane|Plaza|Way|Floor)\b"
)
_COLUMNS = re.compile(r"\S(?:\s{3,}|\t+)\S.*?(?:\s{3,}|\t+)\S")
_AMOUNT_COLUMN = re.compile(r"\S(?:\s{3,}|\t+)[$€£¥]?\d[\d.,%]*$")
_REFERENCE_WORDS = re.compile(
    r"(?:of|and|or|to|through|thru|above|below|hereof|herein|hereto|hereunder|shall|will|is|are|was|were|may|must|"
    r"applies|apply|provides|requires|sets|contains|refers|does|do|has|have|which|that|as|by|in|for|if|with|from|"
    r"not|only|, )\b"
)
_ENCLOSED_REFERENCE = re.compile(
    r"(?:[,;.)）:、，。；]|(?:and|or|and/or|through|to)\s?[(\[]|(?:above|below|hereof|thereof|inclusive)\b|(?:of|under)\s(?:this|the\s(?:preceding|"
    r"foregoing|definition)|Section|Article|paragraph|Clause|clause)|(?:and|or)\b|[至到和与及或]\s?[(（]|[项項款]|中|所|的|之)"
)


def free_markers(text: str, *, automatic: bool = False) -> list[Marker]:
    """Answers every reading of a marker without a word at the start of the folded text."""
    return (
        dotted_markers(text, automatic=automatic)
        or _enclosed(text)
        or _half_enclosed(text)
        or _lettered(text, automatic=automatic)
        or _circled(text)
    )


def dotted_markers(text: str, *, automatic: bool = False) -> list[Marker]:
    """Answers the reading of `1.`, `2.1`, `3.2.1` and of a bare `4` before a heading."""
    match = _DOTTED.match(text)
    if not match or _DATE.match(text):
        return []
    figures = [int(part) for part in re.split(r"\s?\.\s?", match["number"])]
    if figures[0] > 300 or (len(figures) > 1 and figures[0] == 0):
        return []
    sign = match["sign"].strip()
    if len(figures) == 2 and figures[1] == 0:
        figures.pop()  # 3.0 is the heading of 3.1
        sign = "."
    inserted = ord(match["letter"]) - ord("A") + 1 if match["letter"] else 0
    steps = (*(Step(figure) for figure in figures[:-1]), Step(figures[-1], inserted))
    rest = text[match.end() :]
    weight = _dotted_weight(rest, len(figures), sign=sign, automatic=automatic)
    written = match["number"] + (match["letter"] or "")
    style = f"dotted{len(figures)}"
    heading = reads_as_heading(rest) or runs_in(rest)
    return [Marker(style, FREE, steps, written, match.end(), weight, heading=heading)]


def _dotted_weight(rest: str, depth: int, *, sign: str, automatic: bool) -> float:
    if automatic:
        return 1.0
    weight = 0.0 if depth == 1 else 0.5
    bare = depth == 1 and not sign
    if bare:
        weight -= 2.0
        if (
            not rest
            or not (reads_as_heading(rest) and rest[0].isalpha())
            or _COLUMNS.search(rest)
            or rest[-1].isdigit()
        ):
            return CONTRADICTED
    if not rest:
        return weight - 1.0
    if _AMOUNT.match(rest) and not (sign and depth == 1):
        return CONTRADICTED
    if rest[0] in ",;)），。；、%-~" or (rest[0].isdigit() and depth == 1):
        return CONTRADICTED
    if _AMOUNT_COLUMN.search(rest):
        return CONTRADICTED + 0.5  # a row of a table, but it may be a line of a table of contents, which must be seen
    if _COLUMNS.search(rest) or _STREET.match(rest):
        weight -= 3.0
    if _REFERENCE_WORDS.match(rest) and not sign:
        return CONTRADICTED
    if rest[0].islower():
        weight -= 4.0 if depth > 1 and not sign else 1.0
    elif reads_as_heading(rest):
        weight += 1.0
    return weight


def _enclosed(text: str) -> list[Marker]:
    match = _ENCLOSED.match(text)
    if not match or (match["open"] == "[") != (match["close"] == "]"):
        return []
    weight = -0.5 if match["open"] == "(" else -2.5
    rest = text[match.end() :]
    if _ENCLOSED_REFERENCE.match(rest):
        weight = CONTRADICTED if rest[0] not in "ao" else -5.0
    return _labelled(match["label"], "({})" if match["open"] == "(" else "[{}]", match.end(), weight, rest)


def _half_enclosed(text: str) -> list[Marker]:
    match = _HALF_ENCLOSED.match(text)
    if not match:
        return []
    return _labelled(match["label"], "{})", match.end(), -1.0, text[match.end() :])


def _lettered(text: str, *, automatic: bool) -> list[Marker]:
    match = _LETTERED.match(text) or (automatic and re.match(r"(?P<label>[a-zA-Z]|[ivxIVX]{2,5})\s*$", text)) or None
    if not match:
        return []
    rest = text[match.end() :]
    weight = -1.5 if not re.match(r"[A-Z]\.", rest) else CONTRADICTED
    return _labelled(match["label"], "{}.", match.end(), weight, rest)


def _circled(text: str) -> list[Marker]:
    match = _CIRCLED.match(text)
    value = sign_number(match["label"]) if match else None
    if not match or value is None:
        return []
    style = "(一)" if match["label"] > "⓿" else "①"
    return [Marker(style, FREE, (Step(value),), match["label"], match.end(), 0.0)]


def _labelled(label: str, shape: str, end: int, weight: float, rest: str) -> list[Marker]:
    """Answers both readings of an (i), one of all others; none of a word such as (the)."""
    readings: list[tuple[str, int]] = []
    if label.isdigit():
        readings.append(("1", int(label)))
    else:
        letter, roman = letter_number(label), roman_number(label)
        upper = label.isupper()
        if letter is not None and letter <= 26 * 3:
            readings.append(("A" if upper else "a", letter))
        if roman is not None and roman <= 60 and not set(label.upper()) & set("CDM"):
            readings.append(("I" if upper else "i", roman))
    heading = reads_as_heading(rest)
    return [
        Marker(shape.format(name), FREE, (Step(value),), shape.format(label), end, weight, heading=heading)
        for name, value in readings
    ]


def runs_in(rest: str) -> bool:
    """Whether the text begins with a heading that ends with a full stop before the sentence: `Term. This …`."""
    heading, stop, _ = rest.partition(". ")
    return bool(stop) and reads_as_heading(heading)


_GOES_ON = re.compile(r"(?:[;,]\s*(?:and|or)|[;,])$")
_SMALL_WORDS = """
    a an and as at but by for from if in into of on or nor over per s that the their this its our your to under
    upon v vs via with within without
"""
_SMALL = frozenset(_SMALL_WORDS.split())
_HAN = re.compile("[\u4e00-\u9fff]")
_WORD = re.compile(r"[A-Za-z][A-Za-z'’-]*")


@lru_cache(maxsize=256)
def reads_as_heading(text: str) -> bool:
    """Whether the text is nothing, a short line of words with capitals, or short Chinese without a sentence."""
    text = text.strip().rstrip(".:")
    if not text:
        return True
    if len(text) > 110 or _GOES_ON.search(text[-8:]) or text[-1] in ",;，；。、":
        return False
    if _HAN.search(text, 0, 12):
        return len(text) <= 30 and not re.search(r"[。；，！？]", text)
    if ". " in text:
        return False
    words = _WORD.findall(text)
    if len(words) > 16:
        return False
    large = [word for word in words if word.casefold() not in _SMALL]
    return bool(large) and all(word[0].isupper() for word in large)
