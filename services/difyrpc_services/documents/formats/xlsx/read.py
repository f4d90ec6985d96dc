"""Reads a workbook: its sheets in their order, hidden ones too, each a page under its name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final

from difyrpc_services.documents.elements import Element
from difyrpc_services.documents.formats.office.parts import Package, R, is_on
from difyrpc_services.documents.formats.reading import (
    Notice,
    Opened,
    ReadPart,
    ReadRequest,
    chosen_pages,
    corrupt,
)
from difyrpc_services.documents.formats.sheets.pages import Budget, parts_of, under
from difyrpc_services.documents.formats.xlsx.beside import beside
from difyrpc_services.documents.formats.xlsx.cells import Cells
from difyrpc_services.documents.formats.xlsx.sheet import Sheet
from difyrpc_services.documents.formats.xlsx.styles import Style, X, styles_of
from difyrpc_services.documents.formats.xlsx.texts import shared_strings
from difyrpc_services.documents.formats.zipped import Container

LONGEST_NAME: Final = 255  # characters of a sheet's name; Excel allows 31


def read(content: memoryview, request: ReadRequest) -> Iterator[Opened | ReadPart]:
    """Reads an XLSX; CORRUPT, ENCRYPTED, TOO_LARGE, PAGE_NOT_FOUND."""
    container = Container(content, format_name="xlsx", limit=request.max_expanded_bytes)
    workbook = _Workbook(Package(container, format_name="xlsx"))
    pages = chosen_pages(request, len(workbook.sheets))
    yield Opened(
        page_count=len(workbook.sheets),
        pages_asked=len(pages),
        metadata=workbook.package.metadata(),
        page_labels=tuple(sheet.name for sheet in workbook.sheets),
    )
    budget = Budget()
    for page in pages:
        yield from workbook.page(page, budget)


@dataclass(frozen=True, slots=True)
class _Named:
    """One sheet of the workbook."""

    name: str
    part: str


class _Workbook:
    """The sheets of a workbook, and what they share."""

    def __init__(self, package: Package) -> None:
        self.package = package
        self._main = package.main("xl/workbook.xml")
        root = package.xml(self._main)
        if root.tag != X + "workbook":
            raise corrupt("xlsx", "its main part is no workbook")
        properties = root.find(X + "workbookPr")
        self._epoch_1904 = properties is not None and is_on(properties.get("date1904"))
        relations = package.relations(self._main)
        self.sheets = [
            _Named(
                element.get("name", "")[:LONGEST_NAME],
                relations[identity].part if (identity := element.get(R + "id", "")) in relations else "",
            )
            for element in root.iterfind(f"{X}sheets/{X}sheet")
        ]
        self._shared: tuple[list[str], list[Style]] | None = None

    def page(self, page: int, budget: Budget) -> Iterator[ReadPart]:
        """Answers the parts of one sheet."""
        named = self.sheets[page - 1]
        title = Element(id="", kind="title", text=named.name, level=1)
        if not named.part:
            notice = Notice(reason="SHEET_MISSING", message=f"the sheet {named.name} is not in the file", page=page)
            yield ReadPart(page=page, elements=[title], notices=(notice,))
            return
        cells = Cells(*self._shared_values())
        sheet = Sheet(self.package, named.part, cells)
        elements = chain(sheet.elements(), beside(self.package, named.part), sheet.frame.running())
        for part in parts_of(under(title, elements), budget, page=page):
            if part.goes_on:
                yield part
            else:
                yield _noticed(part, cells.uncalculated, self.package.notices(page=page))

    def _shared_values(self) -> tuple[list[str], list[Style]]:
        if self._shared is None:
            strings = self.package.related(self._main, "sharedStrings")
            styles = self.package.related(self._main, "styles")
            self._shared = (
                shared_strings(self.package.container, strings[0]) if strings else [],
                styles_of(self.package.xml(styles[0]) if styles else None, epoch_1904=self._epoch_1904),
            )
        return self._shared


def _noticed(part: ReadPart, uncalculated: int, notices: tuple[Notice, ...]) -> ReadPart:
    """Answers the last part of a sheet with what was coped with."""
    if uncalculated:
        message = f"{uncalculated} formulas hold no value, for nobody has calculated them; they stand as formulas"
        notices += (Notice(reason="FORMULAS_NOT_CALCULATED", message=message, page=part.page),)
    return replace(part, notices=notices)
