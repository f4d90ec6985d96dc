"""Reads what Chinese statutes and contracts begin their clauses with: 第一编, 第三章, 第十二条之一, （一）, 附件二."""

from __future__ import annotations

import re

from difyrpc_services.documents.clauses.free import free_markers, reads_as_heading
from difyrpc_services.documents.clauses.markers import CONTRADICTED, FREE, RANKS, Marker
from difyrpc_services.documents.clauses.numbering import CHINESE_DIGITS, Step, chinese_number

_NUMBER = rf"[{CHINESE_DIGITS}\d](?:[{CHINESE_DIGITS}\d ]{{0,14}}[{CHINESE_DIGITS}\d])?"
_STYLES = {
    "编": "part",
    "編": "part",
    "篇": "part",
    "部分": "part",
    "卷": "part",
    "分编": "subpart",
    "分編": "subpart",
    "章": "chapter",
    "节": "group",
    "節": "group",
    "款": "subgroup",
    "项": "subgroup",
    "項": "subgroup",
    "目": "subgroup",
    "条": "unit",
    "條": "unit",
}
_ORDINAL = re.compile(
    rf"第\s?(?P<number>{_NUMBER})(?:\s?[-—]\s?(?P<dashed>\d{{1,2}}))?\s?(?P<word>分[编編]|部分|[编編篇卷章节節条條款项項目])"
    rf"(?:\s?[之の]\s?(?P<inserted>{_NUMBER})(?=[^{CHINESE_DIGITS}]|$))?(?P<space>\s*)"
)
_ENCLOSED = re.compile(rf"\(\s?(?P<number>[{CHINESE_DIGITS}]{{1,5}})\s?\)\s*[、.]?\s*")
_LISTED = re.compile(rf"(?P<number>[{CHINESE_DIGITS}]{{1,5}})\s?[、.](?!\d)\s*")
_ANNEX = re.compile(
    rf"(?P<word>附件|附录|附錄|附表)\s?(?P<number>{_NUMBER}|[A-Z](?![A-Za-z]))?(?P<sign>\s?[:、.]|\s|(?=[(《【])|$)\s*"
)
_RUNS_ON = re.compile(
    r"(?:规定|規定|所(?![有得])|的|和(?!解)|与|與|及(?!时)|或(?!有)|以及|之|约定[的，,]|款(?!项)|项(?!目)|項(?!目)|列明|载明|为准|予以|不适用|以外|"
    r"除外|至|到(?!期|达)|、\s?第|第[^三,。]{1,4}[款项項条條]|[，,。；;)》」”’』.～~]|—\s?第|-\s?第|项下)"
)
_MAY_RUN_ON = re.compile(
    r"(?:中(?![止华華国國央外小介标級级学医])|执行|处理|内容|修改|后增加|仍|外(?![国國商资籍币汇方贸交来])|第|有关|并|均|即|时(?!效)|是指|等|情形|不再|同时|已|应当?按|另有)"
)
"""Goes on after a reference as a rule, but may begin an article whose space got lost."""
_RUNS_ON_AFTER_SPACE = re.compile(
    r"(?:规定的|規定的|所[述列称指]|的规定|和第|与第|與第|及第|或第|或者第|至第|第[^,。]{1,4}[款项項]|项下|[，,。；;)》」”’])"
)
_CLOSING = re.compile(
    r"\(?(?:以下无正文|以下無正文|本页无正文|以下为签署|签署页|签字页|此页无正文)|(?:甲方|买方|卖方|出租方|委托方|发包人|采购方|供应商)\s*\((?:盖章|签章|公章|签字)"
)
_RECITALS = re.compile(r"(?:鉴于|鑒於|鑑於)\s*:?\s*$")
_WHEREAS = re.compile(r"(?:鉴于|鑒於|鑑於)[^:]{4,}")
_AGREED = re.compile(
    r"(?:为此|因此|据此|现)[,，].{0,60}(?:协议|约定|合同|达成|如下)|.{0,60}(?:协议如下|约定如下|合同条款|共同遵守)[:：。.]?$"
)
_PREAMBLE = re.compile(r"(?:序\s*言|前\s*言|序\s*文)\s*$")
_SUPPLEMENT = re.compile(r"附\s*[则則]\s*$")
_DEFINITION = re.compile(
    r"[“「『\"](?P<term>[^”」』\"]{1,30})[”」』\"]\s*(?:\([^)]{1,40}\)\s*)?[,，:]?\s*(?:是指|系指|指|意为|意指|:)"
)


def chinese_markers(text: str, *, automatic: bool = False) -> list[Marker]:
    """Answers every reading of the start of a Chinese row, already folded."""
    for read in (_ordinal, _annex, _opening):
        marker = read(text)
        if marker is not None:
            return [marker]
    return _enumerated(text) or free_markers(text, automatic=automatic)


def _ordinal(text: str) -> Marker | None:
    match = _ORDINAL.match(text)
    value = chinese_number(match["number"]) if match else None
    if not match or value is None:
        return None
    inserted = int(match["dashed"] or 0)
    if match["inserted"]:
        inserted = chinese_number(match["inserted"]) or 0
    style = _STYLES[match["word"]]
    rest = text[match.end() :]
    weigh = _article_weight if style == "unit" else _heading_weight
    weight = weigh(rest, bool(match["space"]))
    if style == "subgroup":
        weight -= 1.0
    name = style if style != "subgroup" else f"subgroup:{match['word'].replace('項', '项')}"
    rank = RANKS[style]
    return Marker(
        name, rank, (Step(value, inserted),), match[0].strip(), match.end(), weight, heading=reads_as_heading(rest)
    )


def _article_weight(rest: str, spaced: bool) -> float:
    if not rest:
        return 1.0
    if rest[0] in "【［[〔" or rest[0] == ":":
        return 2.0
    if rest[0] == "(":
        return 0.5 if spaced or not re.match(rf"\([{CHINESE_DIGITS}\d]+\)", rest) else -3.0
    if (_RUNS_ON_AFTER_SPACE if spaced else _RUNS_ON).match(rest):
        return CONTRADICTED
    if not spaced and _MAY_RUN_ON.match(rest):
        return -3.0
    if rest[0] == "、":
        return 1.0
    return 2.0 if spaced else 0.0


def _heading_weight(rest: str, spaced: bool) -> float:
    if not rest:
        return 0.5
    if _RUNS_ON_AFTER_SPACE.match(rest) if spaced else _RUNS_ON.match(rest) or _MAY_RUN_ON.match(rest):
        return CONTRADICTED
    if len(rest) > 45 or re.search(r"[。；;]", rest):
        return -3.0
    if rest[-1] in "，,":
        return -2.0
    return 2.0 if spaced else 1.0


def _annex(text: str) -> Marker | None:
    match = _ANNEX.match(text)
    if not match:
        return None
    rest = text[match.end() :]
    number = match["number"] or ""
    value = chinese_number(number) or (ord(number) - 64 if number and number.isascii() and number.isalpha() else None)
    steps = (Step(value),) if value else ()
    weight = 0.5 if number else -1.0
    runs_on = _RUNS_ON.match(rest) or _MAY_RUN_ON.match(rest)
    if rest and (runs_on or not reads_as_heading(rest)):
        weight = CONTRADICTED if runs_on else weight - 3.0
    return Marker(
        f"exhibit:{match['word']}",
        RANKS["exhibit"],
        steps,
        (match["word"] + number).strip(),
        match.end(),
        weight,
        heading=True,
    )


def _opening(text: str) -> Marker | None:
    for style, pattern, weight in (
        ("recitals", _RECITALS, 1.0),
        ("whereas", _WHEREAS, 0.0),
        ("preamble", _PREAMBLE, 0.0),
        ("closing", _CLOSING, 1.0),
        ("supplement", _SUPPLEMENT, 1.0),
    ):
        match = pattern.match(text)
        if match:
            return Marker(style, RANKS[style], (), "", match.end() if style != "whereas" else 0, weight, heading=True)
    if _AGREED.match(text):
        return Marker("agreed", RANKS["agreed"], (), "", len(text), 0.5, heading=True)
    if _DEFINITION.match(text):
        return Marker("definition", RANKS["definition"], (), "", 0, 0.5)
    return None


def _enumerated(text: str) -> list[Marker]:
    """Answers the reading of an enclosed （一）, of a listed 一、 or none."""
    for style, pattern, weight in (("(一)", _ENCLOSED, 0.5), ("一、", _LISTED, 0.0)):
        match = pattern.match(text)
        value = chinese_number(match["number"]) if match else None
        if match and value:
            rest = text[match.end() :]
            runs_on = re.match(r"(?:[,，。；;、)]|[项項款]|[至到和与及或]\s?[(（]|中规定|所列|规定|的规定)", rest)
            return [
                Marker(
                    style,
                    FREE,
                    (Step(value),),
                    match[0].strip(" 、."),
                    match.end(),
                    CONTRADICTED if runs_on else weight,
                    heading=reads_as_heading(rest),
                )
            ]
    return []


def definition_term(text: str) -> str:
    """Answers the term that a definition explains; empty if the text is none."""
    match = _DEFINITION.match(text)
    return match["term"].strip() if match else ""
