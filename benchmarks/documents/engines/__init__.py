"""The engines that are compared, each imported in its own process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.documents.cases import Grid

OFFICE = frozenset({"docx", "pptx", "xlsx"})
TEXTS = frozenset({"txt", "md", "csv", "html"})
ALL = OFFICE | TEXTS | {"pdf", "xls", "epub", "eml", "rtf", "odt"}


@dataclass(frozen=True, kw_only=True)
class Output:
    """What an engine makes of a file."""

    text: str
    tables: Sequence[Grid] | None = None
    """None where the engine knows no tables."""
    clauses: dict[str, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Reader:
    """An engine that is loaded."""

    read: Callable[[Path], Any]
    """Does what is measured, and all of it."""
    output: Callable[[Any], Output]
    """Brings what `read` answers into the form that is compared; not measured."""
    clauses: Callable[[Path], dict[str, int]] | None = None
    """Counts the clauses by kind; not measured."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """One engine."""

    module: str
    load: str
    """The function of the module that answers the Reader."""
    kinds: frozenset[str]
    packages: Sequence[str] = ()
    family: str = ""
    """Engines of one family have one voice in the consensus; empty = its own name."""
    options: dict[str, Any] = field(default_factory=dict)

    def reader(self) -> Reader:
        """Imports the engine."""
        module = import_module(f"benchmarks.documents.engines.{self.module}")
        made: Reader = getattr(module, self.load)(**self.options)
        return made


ENGINES = {
    "ours": Engine(module="ours", load="ours", kinds=ALL | {"doc", "ppt", "png", "jpg", "tif"}, family="ours"),
    "ours-text": Engine(
        module="ours", load="ours", kinds=ALL, family="ours", options={"outputs": ("text",), "tables": "aligned"}
    ),
    "pypdfium2": Engine(module="pdf", load="pypdfium2", kinds=frozenset({"pdf"}), packages=("pypdfium2",)),
    "pypdf": Engine(module="pdf", load="pypdf", kinds=frozenset({"pdf"}), packages=("pypdf",)),
    "docling-parse": Engine(module="pdf", load="docling", kinds=frozenset({"pdf"}), packages=("docling-parse",)),
    "kreuzberg": Engine(module="converters", load="kreuzberg", kinds=ALL, packages=("kreuzberg",)),
    "markitdown": Engine(module="converters", load="markitdown", kinds=ALL - {"odt"}, packages=("markitdown",)),
    "pandoc": Engine(
        module="converters",
        load="pandoc",
        kinds=frozenset({"docx", "html", "epub", "odt", "rtf", "md", "csv"}),
        packages=("pypandoc-binary",),
    ),
    "python-docx": Engine(module="office", load="word", kinds=frozenset({"docx"}), packages=("python-docx",)),
    "python-pptx": Engine(module="office", load="slides", kinds=frozenset({"pptx"}), packages=("python-pptx",)),
    "openpyxl": Engine(module="office", load="sheets", kinds=frozenset({"xlsx"}), packages=("openpyxl",)),
    "xlrd": Engine(module="office", load="old_sheets", kinds=frozenset({"xls"}), packages=("xlrd",)),
    "striprtf": Engine(module="office", load="rich_text", kinds=frozenset({"rtf"}), packages=("striprtf",)),
    "email": Engine(module="office", load="mail", kinds=frozenset({"eml"})),
}


def family(name: str) -> str:
    """Answers whose voice an engine's is."""
    return ENGINES[name].family or name
