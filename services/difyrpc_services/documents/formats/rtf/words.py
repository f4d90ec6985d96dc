"""What each control word of RTF does."""

from __future__ import annotations

from typing import Any, Final

from difyrpc_services.documents.formats.rtf.charsets import Font
from difyrpc_services.documents.formats.rtf.states import Style
from difyrpc_services.documents.formats.rtf.tables import RowLook
from difyrpc_services.documents.formats.rtf.text import Action, TextReader

_SKIPPED: Final = (
    "colortbl", "listtable", "listoverridetable", "rsidtbl", "revtbl", "filetbl", "generator", "pict", "nonshppict",
    "objdata", "objclass", "objname", "shprslt", "xe", "tc", "tcn", "bkmkstart", "bkmkend", "pntxta", "pntxtb",
    "pnseclvl", "themedata", "colorschememapping", "latentstyles", "datastore", "xmlnstbl", "mmathPict", "sp",
    "template", "private", "nonesttables", "formfield", "ftnsep", "ftnsepc", "ftncn", "aftnsep", "aftnsepc", "aftncn",
    "atnid", "atnauthor", "atntime", "atnref", "atndate", "atnparent", "atrfstart", "atrfend", "background",
    "listpicture", "passwordhash", "protusertbl", "userprops", "datafield", "panose", "falt", "fontemb", "keycode",
    "mctrlPr", "pgdsctbl", "comment", "doccomm", "docvar", "wgrffmtfilter", "svb", "ebcstart", "ebcend", "levelnumbers",
    "leveltext", "fldtype", "picprop", "blipuid", "hlinkbase", "printim", "buptim", "password", "nesttblprops",
)  # fmt: skip
_TEXTS: Final = {
    "tab": "\t", "line": "\n", "lbr": "\n", "page": "\n", "column": "\n", "emdash": "—", "endash": "–", "emspace": " ",
    "enspace": " ", "qmspace": " ", "bullet": "•", "lquote": "‘", "rquote": "’", "ldblquote": "“", "rdblquote": "”",
    "zwj": "\u200d", "zwnj": "\u200c", "zwbo": "", "softline": "", "ltrmark": "", "rtlmark": "",
}  # fmt: skip
_METADATA: Final = {
    "title": "title",
    "author": "author",
    "subject": "subject",
    "keywords": "keywords",
    "operator": "last_modified_by",
    "category": "category",
}


def _skip(reader: TextReader, number: int | None) -> int:
    return reader.skip_group()


def _text(text: str) -> Action:
    return lambda reader, number: reader.add(text)


def _place(place: str) -> Action:
    def act(reader: TextReader, number: int | None) -> None:
        reader.state.place = place

    return act


def _flow(kind: str) -> Action:
    return lambda reader, number: reader.open_flow(kind)


def _set(name: str) -> Action:
    """Makes an action that keeps the number of the word, 0 without one."""

    def act(reader: TextReader, number: int | None) -> None:
        setattr(reader.state, name, number or 0)

    return act


def _switch(name: str) -> Action:
    """Makes an action for a word that is on without a number and off with 0."""

    def act(reader: TextReader, number: int | None) -> None:
        setattr(reader.state, name, number != 0)

    return act


def _font(reader: TextReader, number: int | None) -> None:
    reader.state.font = number or 0
    if reader.state.place == "font":
        reader.fonts.table.setdefault(number or 0, Font())
        reader.fonts.changed()


def _of_font(name: str) -> Action:
    def act(reader: TextReader, number: int | None) -> None:
        font = reader.fonts.table.get(reader.state.font)
        if font is not None and reader.state.place == "font":
            setattr(font, name, number)
            reader.fonts.changed()

    return act


def _default_font(reader: TextReader, number: int | None) -> None:
    reader.fonts.default = reader.state.font = number or 0


def _code_page(page: int | None = None) -> Action:
    def act(reader: TextReader, number: int | None) -> None:
        reader.fonts.code_page = page or number or 1252
        reader.fonts.changed()

    return act


def _style_of(name: str, made: Any) -> Action:
    """Makes an action that describes a style inside the style sheet and the text outside of it."""

    def act(reader: TextReader, number: int | None) -> None:
        value = made(number)
        if reader.state.place != "style":
            setattr(reader.state, name, value)
        elif reader.state.style in reader.styles:
            setattr(reader.styles[reader.state.style], name, value)

    return act


def _style(reader: TextReader, number: int | None) -> None:
    reader.state.style = number or 0
    if reader.state.place == "style":
        reader.styles[number or 0] = Style()


def _other_style(reader: TextReader, number: int | None) -> int | None:
    return reader.skip_group() if reader.state.place == "style" else None


def _style_sheet(reader: TextReader, number: int | None) -> None:
    reader.state.place = "style"
    reader.state.style = 0
    reader.styles[0] = Style()


def _plain(reader: TextReader, number: int | None) -> None:
    if reader.state.place != "style":
        reader.state.reset_letters(reader.fonts.default)


def _begin_paragraph(reader: TextReader, number: int | None) -> None:
    if reader.state.place != "style":
        reader.state.reset_paragraph()


def _end_paragraph(reader: TextReader, number: int | None) -> None:
    reader.end_paragraph()


def _number(reader: TextReader, number: int | None) -> None:
    if reader.state.place == "text":
        reader.state.place = "number"
        reader.flow.paragraph.numbered = True
        reader.flow.paragraph.number.clear()


def _deleted(reader: TextReader, number: int | None) -> None:
    reader.state.deleted = number != 0
    reader.deletions += reader.state.deleted


def _comment(reader: TextReader, number: int | None) -> int:
    reader.comments += 1
    return reader.skip_group()


def _end_note(reader: TextReader, number: int | None) -> None:
    reader.flow.end = reader.flow.kind == "footnote"


def _result(reader: TextReader, number: int | None) -> None:
    reader.begin_contents()


def _either(reader: TextReader, number: int | None) -> None:
    """Leaves out the first of two ways to say the same; the second one is in Unicode."""
    reader.leave_next = True


def _begin_row(reader: TextReader, number: int | None) -> None:
    reader.flow.row = RowLook()
    if reader.state.place == "text":
        reader.flow.row_open = True


def _end_cell(reader: TextReader, number: int | None) -> None:
    flow = reader.flow
    flow.nest(1)
    flow.end_paragraph(reader.state, reader.style())
    flow.tables[-1].end_cell()


def _end_row(reader: TextReader, number: int | None) -> None:
    flow = reader.flow
    flow.nest(1)
    flow.tables[-1].end_row(flow.row)
    flow.row_open = False


def _end_inner_cell(reader: TextReader, number: int | None) -> None:
    flow = reader.flow
    flow.nest(max(2, reader.depth()))
    flow.end_paragraph(reader.state, reader.style())
    flow.tables[-1].end_cell()


def _end_inner_row(reader: TextReader, number: int | None) -> None:
    flow = reader.flow
    if len(flow.tables) > 1:
        flow.tables[-1].end_row(flow.row)
    if flow.outer_row is not None:
        flow.row, flow.outer_row = flow.outer_row, None


def _row(name: str) -> Action:
    def act(reader: TextReader, number: int | None) -> None:
        setattr(reader.flow.row, name, True if name == "header" else number or 0)

    return act


def _next_cell(name: str) -> Action:
    def act(reader: TextReader, number: int | None) -> None:
        setattr(reader.flow.row.next_cell, name, True)

    return act


def _cell_edge(reader: TextReader, number: int | None) -> None:
    reader.flow.row.close_cell(number or 0)


def _inner_row_look(reader: TextReader, number: int | None) -> None:
    reader.state.place = "none"
    reader.flow.outer_row = reader.flow.row


def _time(kind: int) -> Action:
    def act(reader: TextReader, number: int | None) -> None:
        reader.state.place = "time"
        reader.times = {"kind": kind}

    return act


def _of_time(name: str) -> Action:
    def act(reader: TextReader, number: int | None) -> None:
        if reader.state.place == "time":
            reader.times[name] = abs(number or 0) % 10_000

    return act


def words() -> dict[str, Action]:
    """Answers the table of actions."""
    table: dict[str, Action] = dict.fromkeys(_SKIPPED, _skip)
    table.update({word: _text(text) for word, text in _TEXTS.items()})
    table.update({word: _place(place) for word, place in _METADATA.items()})
    table.update({f"header{side}": _flow("header") for side in ("", "l", "r", "f")})
    table.update({f"footer{side}": _flow("footer") for side in ("", "l", "r", "f")})
    table.update({name: _of_time(name) for name in ("yr", "mo", "dy", "hr", "min")})
    table.update(
        {
            "ansicpg": _code_page(),
            "mac": _code_page(10000),
            "pc": _code_page(437),
            "pca": _code_page(850),
            "deff": _default_font,
            "fonttbl": _place("font"),
            "f": _font,
            "fcharset": _of_font("charset"),
            "cpg": _of_font("code_page"),
            "stylesheet": _style_sheet,
            "s": _style,
            "cs": _other_style,
            "ds": _other_style,
            "ts": _other_style,
            "uc": _set("unicode_skip"),
            "plain": _plain,
            "b": _style_of("bold", lambda number: number != 0),
            "v": _switch("hidden"),
            "deleted": _deleted,
            "fs": _style_of("size", lambda number: (number or 0) / 2),
            "pard": _begin_paragraph,
            "qc": _style_of("centred", lambda number: True),
            "ql": _style_of("centred", lambda number: False),
            "qj": _style_of("centred", lambda number: False),
            "qr": _style_of("centred", lambda number: False),
            "outlinelevel": _style_of("outline", lambda number: number),
            "li": _set("indent"),
            "fi": _set("first"),
            "intbl": _switch("in_table"),
            "itap": _set("depth"),
            "ilvl": _set("level"),
            "par": _end_paragraph,
            "sect": _end_paragraph,
            "listtext": _number,
            "pntext": _number,
            "fldinst": _place("instruction"),
            "fldrslt": _result,
            "footnote": _flow("footnote"),
            "ftnalt": _end_note,
            "annotation": _comment,
            "shptxt": _flow("box"),
            "upr": _either,
            "trowd": _begin_row,
            "trhdr": _row("header"),
            "trleft": _row("left"),
            "clmgf": lambda reader, number: None,
            "clmrg": _next_cell("beside"),
            "clvmrg": _next_cell("below"),
            "cellx": _cell_edge,
            "cell": _end_cell,
            "row": _end_row,
            "nestcell": _end_inner_cell,
            "nestrow": _end_inner_row,
            "nesttableprops": _inner_row_look,
            "creatim": _time(1),
            "revtim": _time(2),
            **dict.fromkeys(("ud", "shpinst", "shp", "moMath", "moMathPara", "mmath", "info", "shppict"), _nothing),
        }
    )
    return table


def _nothing(reader: TextReader, number: int | None) -> None:
    """Enters a group that is marked as one to leave out if it is not known."""
