"""Charts: their titles, and the values that they were drawn from, as a table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lxml import etree

from difyrpc_services.documents.elements import Element, GridCells, Table
from difyrpc_services.documents.formats.office.drawn import A, C, body_text, paragraph_text
from difyrpc_services.documents.formats.office.parts import whole
from difyrpc_services.documents.formats.sheets.number_formats import general, shown
from difyrpc_services.documents.formats.sheets.tables import line

MOST_POINTS: Final = 10_000  # of a series
MOST_SERIES: Final = 500
CX: Final = "{http://schemas.microsoft.com/office/drawing/2014/chartex}"
_AXES: Final = ("catAx", "valAx", "dateAx", "serAx")


@dataclass(frozen=True, slots=True)
class _Series:
    """One row of values."""

    name: str
    categories: dict[int, str]
    values: dict[int, str]


def chart_elements(root: etree._Element, *, values: bool = True) -> list[Element]:
    """Answers a figure with the titles of a chart, and its values as a table."""
    if root.tag == CX + "chartSpace":
        titles, series = _modern_titles(root), _modern_series(root)
    else:
        titles, series = _titles(root), [_series(element) for element in _all_series(root)]
    found = [Element(id="", kind="figure", text="\n".join(dict.fromkeys(titles)), style="chart")]
    if values:
        found += [table for group in _groups(series) if (table := _table(group)) is not None]
    return found


def _titles(root: etree._Element) -> list[str]:
    """Answers the titles of a chart and of its axes."""
    chart = root.find(C + "chart")
    area = None if chart is None else chart.find(C + "plotArea")
    holders = [chart, *(axis for name in _AXES for axis in area.iterfind(C + name))] if area is not None else [chart]
    texts = (_title(holder) for holder in holders if holder is not None)
    return [text for text in texts if text]


def _title(holder: etree._Element) -> str:
    title = holder.find(f"{C}title/{C}tx")
    if title is None:
        return ""
    rich = title.find(C + "rich")
    if rich is not None:
        return " ".join(body_text(rich).split("\n"))
    return " ".join(_points(title).values())


def _all_series(root: etree._Element) -> list[etree._Element]:
    area = root.find(f"{C}chart/{C}plotArea")
    return [] if area is None else list(area.iter(C + "ser"))[:MOST_SERIES]


def _series(element: etree._Element) -> _Series:
    name = element.find(C + "tx")
    categories = _first(element, ("cat", "xVal"))
    values = _first(element, ("val", "yVal"))
    return _Series(
        " ".join(_points(name).values()) if name is not None else "",
        _points(categories) if categories is not None else {},
        _points(values) if values is not None else {},
    )


def _first(element: etree._Element, names: Iterable[str]) -> etree._Element | None:
    return next((found for name in names if (found := element.find(C + name)) is not None), None)


def _points(holder: etree._Element) -> dict[int, str]:
    """Answers the cached values under an element by their index; levels of categories joined, the outer first."""
    levels = list(holder.iter(C + "lvl")) or [holder]
    code = holder.find(f".//{C}formatCode")
    found: dict[int, str] = {}
    for level in reversed(levels):
        for point in list(level.iter(C + "pt"))[:MOST_POINTS]:
            text = _value(point, code)
            index = whole(point.get("idx"))
            found[index] = f"{found[index]} {text}" if found.get(index) and len(levels) > 1 else text
    if not found and (literal := holder.find(C + "v")) is not None and literal.text:
        return {0: literal.text.strip()}
    return found


def _value(point: etree._Element, code: etree._Element | None) -> str:
    value = point.find(C + "v")
    text = (value.text or "").strip() if value is not None else ""
    stated = point.get("formatCode") or (code.text if code is not None else "")
    return _shown(text, stated or "") if code is not None else text


def _shown(text: str, code: str) -> str:
    try:
        number = float(text)
    except ValueError:
        return text
    show = shown(code)
    return general(number) if show is None else show(number)


def _groups(series: list[_Series]) -> list[list[_Series]]:
    """Puts series together that have the same categories."""
    found: list[list[_Series]] = []
    for one in series:
        if not one.values and not one.categories:
            continue
        same = next((group for group in found if group[0].categories == one.categories), None)
        if same is None:
            found.append([one])
        else:
            same.append(one)
    return found


def _table(group: list[_Series]) -> Element | None:
    indices = sorted({index for one in group for index in (*one.categories, *one.values)})[:MOST_POINTS]
    if not indices:
        return None
    rows = [["", *(one.name for one in group)]]
    rows += [[group[0].categories.get(index, ""), *(one.values.get(index, "") for one in group)] for index in indices]
    headers = int(any(rows[0]))
    rows = rows if headers else rows[1:]
    if not any(row[0] for row in rows):
        rows = [row[1:] for row in rows]
    table = Table(cells=GridCells(rows, headers=headers), rows=len(rows), columns=len(rows[0]))
    return Element(id="", kind="table", text="\n".join(map(line, rows)), table=table, style="chart")


def _modern_titles(root: etree._Element) -> list[str]:
    titles = [paragraph_text(text) for title in root.iter(CX + "title") for text in title.iter(A + "p")]
    return [text for text in titles if text]


def _modern_series(root: etree._Element) -> list[_Series]:
    names = {
        element.find(CX + "dataId").get("val", ""): " ".join(value.text or "" for value in element.iter(CX + "v"))
        for element in root.iter(CX + "series")
        if element.find(CX + "dataId") is not None
    }
    return [
        _Series(names.get(data.get("id", ""), ""), _modern_points(data, "strDim"), _modern_points(data, "numDim"))
        for data in list(root.iter(CX + "data"))[:MOST_SERIES]
    ]


def _modern_points(data: etree._Element, name: str) -> dict[int, str]:
    found: dict[int, str] = {}
    dimension = data.find(CX + name)
    for level in reversed([] if dimension is None else list(dimension.iterfind(CX + "lvl"))):
        for point in list(level.iterfind(CX + "pt"))[:MOST_POINTS]:
            index, text = whole(point.get("idx")), (point.text or "").strip()
            text = _shown(text, level.get("formatCode", "")) if name == "numDim" else text
            found[index] = f"{found[index]} {text}" if found.get(index) else text
    return found
