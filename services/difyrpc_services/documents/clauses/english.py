"""Reads what English agreements and statutes begin their clauses with: ARTICLE IV, Section 2.1, EXHIBIT A, WHEREAS."""

from __future__ import annotations

import re

from difyrpc_services.documents.clauses.free import free_markers, reads_as_heading, runs_in
from difyrpc_services.documents.clauses.markers import CONTRADICTED, RANKS, Marker
from difyrpc_services.documents.clauses.numbering import Step, letter_number, roman_number, word_number

_STYLES = {
    "part": "part", "book": "part", "title": "part", "division": "part", "subpart": "subpart", "subtitle": "subpart",
    "chapter": "chapter", "subchapter": "chapter", "article": "group", "section": "unit", "sec.": "unit", "§": "unit",
    "§§": "unit", "clause": "unit", "exhibit": "exhibit", "annex": "exhibit", "annexure": "exhibit",
    "appendix": "exhibit", "attachment": "exhibit", "addendum": "exhibit", "schedule": "schedule",
}  # fmt: skip
_WORDED = re.compile(
    r"(?P<word>PART|Part|BOOK|Book|TITLE|Title|DIVISION|Division|SUBPART|Subpart|SUBTITLE|Subtitle|CHAPTER|Chapter|SUBCHAPTER|Subchapter|"
    r"ARTICLE|Article|SECTION|Section|SEC\.|Sec\.|§§?|CLAUSE|Clause|EXHIBIT|Exhibit|ANNEX|Annex|ANNEXURE|Annexure|APPENDIX|Appendix|ATTACHMENT|"
    r"Attachment|ADDENDUM|Addendum|SCHEDULE|Schedule)(?:\s+|(?<=§))[\"“']?"
    r"(?P<number>\d{1,5}(?:\.\d{1,4}){0,4}(?:-\d{1,3})?[A-Za-z]?|[A-Za-z]{1,14}(?:-\d{1,2})?)[\"”']?(?![\w])(?P<sign>\s*[.:—–-]+|\s*[|])?(?P<space>\s*)"
)
_WORDLESS = re.compile(
    r"(?P<word>EXHIBIT|ANNEX|APPENDIX|SCHEDULE|ATTACHMENT|ADDENDUM|Appendix|Annex|Schedule)S?(?P<space>\s*)$"
)
_REFERRED = re.compile(
    r"(?:of|and|or|to|through|thru|above|below|hereof|herein|hereto|hereunder|hereby|thereof|shall|will|is|are|was|were|may|must|"
    r"applies|apply|provides|provided|requires|sets|contains|refers|does|do|has|have|had|which|that|as|by|in|for|if|with|from|"
    r"not|only|also|attached|but|unless|until|upon|when|where|without|on|at|until|survive[sd]?|become[s]?|being|inclusive|"
    r"et\s+seq|can|cannot|would|should|constitutes?|means?|under|pursuant)\b"
)
_RECITALS = re.compile(
    r"(?:THE\s+)?(?:RECITALS?|BACKGROUND|WITNESSETH|W\s?I\s?T\s?N\s?E\s?S\s?S\s?E\s?T\s?H|WHEREAS|INTRODUCTION)\s*[:.]?$",
    re.IGNORECASE,
)
_PREAMBLE = re.compile(r"PREAMBLE\s*[:.]?$", re.IGNORECASE)
_WHEREAS = re.compile(r"WHEREAS\b[,:]?\s+(?=\S)")
_AGREED = re.compile(
    r"(?:NOW,?\s+THEREFORE|AGREED\s+TERMS\s*:?$|(?:IT\s+IS|THE\s+PARTIES)\s+(?:HEREBY\s+)?AGREED?\b|OPERATIVE\s+(?:PROVISIONS|PART)\s*:?$|IN\s+CONSIDERATION\s+OF)",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"(?:IN\s+WITNESS\s+WHEREOF|\[?\(?signature\s+pages?\s+(?:to\s+)?follows?|\[?remainder\s+of\s+(?:this\s+)?page|SIGNATURE\s+PAGE\s*$|EXECUTED\s+(?:as\s+a\s+deed|by\s+the\s+parties)|"
    r"SIGNED\s+(?:by|for\s+and\s+on\s+behalf)\b|AS\s+WITNESS\s+the\s+hands)",
    re.IGNORECASE,
)
_DEFINITION = re.compile(
    r"[\"“](?P<term>[^\"“”]{1,80})[\"”]\s*(?:\([^)]{1,60}\)\s*)?(?:,[^,]{1,60},\s*)?(?:,?\s*or\s+[\"“][^\"“”]{1,60}[\"”]\s*)?"
    r"(?:shall\s+)?(?:means?|has\s+the\s+(?:same\s+)?meaning|have\s+the\s+(?:same\s+)?meaning|refers?\s+to|is\s+defined|includes?|:)"
)


def english_markers(text: str, *, automatic: bool = False) -> list[Marker]:
    """Answers every reading of the start of an English row, already folded."""
    worded = _worded(text)
    if worded is not None:
        return [worded]
    opening = _opening(text)
    if opening is not None:
        return [opening]
    return free_markers(text, automatic=automatic)


def _worded(text: str) -> Marker | None:
    match = _WORDED.match(text)
    if not match:
        alone = _WORDLESS.match(text)
        if not alone:
            return None
        style = _STYLES[alone["word"].lower()]
        return Marker(
            style, RANKS[style], (), alone["word"], alone.end(), 0.0 if alone["word"].isupper() else -2.0, heading=True
        )
    word = match["word"]
    style = _STYLES[word.lower()]
    steps = _steps(match["number"], style)
    if steps is None:
        return None
    written = text[: match.end("number")].rstrip()
    weight = _worded_weight(match, text[match.end() :], style)
    if style in ("exhibit", "schedule"):
        name = f"{style}:{word.lower()}"
    elif style == "unit":
        name = f"unit{len(steps)}"
    else:
        name = f"{style}:{word.lower()}"
    return Marker(
        name, RANKS[style], steps, written, match.end(), weight, heading=reads_as_heading(text[match.end() :])
    )


def _steps(number: str, style: str) -> tuple[Step, ...] | None:
    """Answers the steps of IV, 2.1, 5A, A-1, ONE; None for a word that is no number."""
    match = re.fullmatch(r"(\d+(?:\.\d+)*)(?:-(\d+))?([A-Za-z])?", number)
    if match:
        figures = [int(figure) for figure in match[1].split(".")]
        if len(figures) == 2 and figures[1] == 0:
            figures.pop()  # 3.0 is the heading of 3.1
        inserted = int(match[2] or 0) or (letter_number(match[3]) or 0 if match[3] else 0)
        return (*(Step(figure) for figure in figures[:-1]), Step(figures[-1], inserted))
    base, _, suffix = number.partition("-")
    inserted = int(suffix) if suffix else 0
    roman = roman_number(base) if base.isupper() else None
    letter = letter_number(base) if base.isupper() and len(base) <= 2 else None
    if style in ("exhibit", "schedule", "part") and letter is not None and base not in ("I", "II", "III", "V", "X"):
        return (Step(letter, inserted),)
    value = roman or word_number(base) or letter
    return (Step(value, inserted),) if value else None


def _worded_weight(match: re.Match[str], rest: str, style: str) -> float:
    if match["number"].isupper() is False and match["number"].isalpha() and not word_number(match["number"]):
        return CONTRADICTED
    sign = (match["sign"] or "").strip()
    shouted = match["word"].isupper() and match["word"] != "§"
    weight = 1.0 + (0.5 if shouted else 0.0)
    if not rest:
        ends_sentence = sign == "." and not shouted
        return weight + (-2.0 if ends_sentence else 0.5 if style != "unit" else -0.5)
    if rest[0] in ",;)）]" or (not sign and _REFERRED.match(rest)):
        return CONTRADICTED
    if rest[0] == "(" and not match["space"]:
        return -4.0
    if rest[0] == "(":
        weight -= 1.5
    if rest[0].islower():
        return weight - (4.0 if not sign else 2.5)
    if sign == "." and not shouted and not reads_as_heading(rest) and not runs_in(rest):
        weight -= 0.5
    elif sign or reads_as_heading(rest) or len(match["space"]) > 1:
        weight += 1.0
    return weight - (1.0 if style in ("exhibit", "schedule", "part") and not reads_as_heading(rest) else 0.0)


def _opening(text: str) -> Marker | None:
    """Answers the reading of what opens a part without counting it."""
    for style, pattern, weight in (
        ("recitals", _RECITALS, 1.0),
        ("preamble", _PREAMBLE, 0.0),
        ("whereas", _WHEREAS, 2.0),
        ("agreed", _AGREED, 1.0),
        ("closing", _CLOSING, 1.0),
    ):
        match = pattern.match(text)
        if match:
            return Marker(style, RANKS[style], (), "", match.end() if style != "whereas" else 0, weight, heading=True)
    match = _DEFINITION.match(text)
    if match:
        return Marker("definition", RANKS["definition"], (), "", 0, 0.5)
    return None


def definition_term(text: str) -> str:
    """Answers the term that a definition explains; empty if the text is none."""
    match = _DEFINITION.match(text)
    return match["term"].strip(" ,") if match else ""
