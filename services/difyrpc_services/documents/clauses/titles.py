"""Finds the heading of a clause: on its own line, run into the text, in brackets, or on the next line."""

from __future__ import annotations

import re
from collections.abc import Sequence

from difyrpc_services.documents.clauses.chinese import definition_term as chinese_term
from difyrpc_services.documents.clauses.english import definition_term as english_term
from difyrpc_services.documents.clauses.free import reads_as_heading
from difyrpc_services.documents.clauses.markers import FREE, RANKS, Marker
from difyrpc_services.documents.clauses.numbering import folded
from difyrpc_services.documents.clauses.rows import Row

_RUN_IN = re.compile(r"(?P<title>[^.;:\n]{2,110}?)(?:\.\s*[—–-]+|[.:]|\s[—–-])(?:\s+|$)(?=[A-Z(\"“\[\d]|$)")
_BRACKETED = re.compile(
    r"\s*(?:【(?P<a>[^】]{1,40})】|［(?P<b>[^］]{1,40})］|\[(?P<c>[^\]]{1,40})\]|〔(?P<d>[^〕]{1,40})〕)"
)
_IN_PARENTHESES = re.compile(r"[(（](?P<title>[^()（）]{2,30})[)）]\s*(?=[\u4e00-\u9fff]|$)")
_SPACED = re.compile(r"(?P<title>[\u4e00-\u9fff、（）()]{2,16})(?:[\s\u3000]+(?=[\u4e00-\u9fff])|[:：])(?=\S)")
_LED = re.compile(r"(?P<title>[\u4e00-\u9fff、（）()]{2,12})[:：]")
_PARTY = re.compile(r"(?:[甲乙丙丁双各]方|买方|卖方)$")
_LEADS_IN = re.compile(r"下列|如下|以下|前列|左列|修改为|修正为|修訂為|改为|作为|[的为為者]$")
"""Before a colon, the beginning of a list and no heading."""
_SEPARATORS = " \t\u3000:：、.．—–-|"
_CJK = re.compile(r"[\u4e00-\u9fff]")
_SENTENCE = re.compile(r"[。；;，,！？!?]")
_LEADERS = re.compile(r"[\s.…·]{4,}\d*$")


def title_of(marker: Marker, rows: Sequence[Row], language: str, *, next_is_free: bool) -> str:
    """Answers the heading of the clause that `marker` begins in the first of `rows`; empty without one.

    `next_is_free` says that no clause begins in the second of `rows`, which may then be the heading.
    """
    if marker.style == "definition":
        term = chinese_term if language == "zh" else english_term
        return term(folded(rows[0].written))
    first = rows[0]
    rest = first.written[marker.end : marker.end + 400].strip(_SEPARATORS + ("" if language == "zh" else " "))
    if not rest:
        takes_next = marker.rank < FREE or (marker.dotted and len(marker.steps) == 1)
        return _next_row(rows[1:], language) if takes_next and next_is_free else ""
    if language == "zh" and _CJK.search(rest[:20]):
        return _chinese(rest, marker, first.written, whole=_is_whole(rows))
    return _english(rest, rows, marker)


def _is_whole(rows: Sequence[Row]) -> bool:
    """Whether the paragraph ends with the first row."""
    return len(rows) < 2 or rows[1].begins >= 0


def _next_row(rows: Sequence[Row], language: str) -> str:
    if not rows:
        return ""
    text = rows[0].text.strip()
    if language == "zh":
        return text if len(text) <= 25 and not _SENTENCE.search(text) and not text.endswith(("。", "：", ":")) else ""
    if not reads_as_heading(text) or len(text) > 90:
        return ""
    if (
        text.isupper()
        and len(rows) > 1
        and rows[1].text.isupper()
        and reads_as_heading(rows[1].text)
        and rows[1].begins < 2
    ):
        text = f"{text} {rows[1].text.strip()}"
    return text.rstrip(".: ")


def _chinese(rest: str, marker: Marker, first: str, *, whole: bool) -> str:
    bracketed = _BRACKETED.match(rest)
    if bracketed:
        return next(group for group in bracketed.groups() if group).strip()
    if marker.rank < RANKS["unit"]:
        return _LEADERS.sub("", rest).strip() if len(rest) <= 60 else ""
    enclosed = _IN_PARENTHESES.match(rest)
    if enclosed and marker.rank == RANKS["unit"]:
        return enclosed["title"].strip()
    if (
        whole
        and len(rest) <= (30 if marker.rank < FREE else 20)
        and not _SENTENCE.search(rest)
        and rest[-1] not in "。：:"
    ):
        return "" if _LEADS_IN.search(rest) and first.rstrip().endswith((":", "：")) else rest
    led = (_SPACED if marker.rank < FREE else _LED).match(rest)
    title = led["title"].strip("、：: ") if led else ""
    return "" if _PARTY.match(title) or _LEADS_IN.search(title) else title


def _english(rest: str, rows: Sequence[Row], marker: Marker) -> str:
    if marker.rank == RANKS["definition"]:
        return ""
    joined = rest
    for row in rows[1:3]:
        if row.begins > 0 or len(joined) > 160:
            break
        joined = f"{joined} {row.text}"
    match = _RUN_IN.match(joined)
    if match and reads_as_heading(match["title"]) and not _inside_sentence(match["title"]):
        return match["title"].strip().strip('"“”_*')
    if reads_as_heading(joined) and joined[-1] not in ";,":
        return joined.rstrip(".: ").strip('"“”')
    if marker.rank < RANKS["unit"] and reads_as_heading(rest):
        return rest.rstrip(".: ")
    quoted = re.match(r"[\"“]([^\"“”]{1,80})[\"”]", rest)
    return quoted[1].strip(" ,") if quoted and english_term(folded(joined)) else ""


def _inside_sentence(title: str) -> bool:
    words = title.split()
    return len(words) > 14 or any(word.casefold() in ("shall", "means", "hereby") for word in words)
