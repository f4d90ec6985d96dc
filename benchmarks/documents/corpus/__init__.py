"""Makes the documents that are measured, out of a fixed seed, each with what it holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from benchmarks.documents.cases import TRUTH
from benchmarks.documents.corpus.programs import Missing
from benchmarks.documents.corpus.story import Made

MAKERS = (
    "reportlab_pages",
    "browser",
    "latex",
    "typst_pages",
    "weasyprint_pages",
    "groff_pages",
    "fpdf_pages",
    "awkward",
    "writer",
    "contracts",
    "word",
    "word_parts",
    "office_files",
    "web",
    "texts",
    "large",
)
"""Modules with `make(seed)`, each a producer; the folder of its files has its name."""


def make(folder: Path, *, seed: int) -> Iterator[str]:
    """Writes the files that are not there; says which producers are missing."""
    for name in MAKERS:
        target = folder / name
        if (target / f".made-{seed}").exists():
            continue
        target.mkdir(parents=True, exist_ok=True)
        try:
            for made in import_module(f"benchmarks.documents.corpus.{name}").make(seed):
                write(target, made)
        except (Missing, ImportError) as error:
            yield f"no files by {name}: {error}"
            continue
        (target / f".made-{seed}").touch()


def write(folder: Path, made: Made) -> None:
    """Writes a file and its truth."""
    (folder / made.name).write_bytes(made.data)
    truth = {key: value for key, value in asdict(made.truth).items() if value not in (None, (), [])}
    (folder / (made.name + TRUTH)).write_text(json.dumps(truth, ensure_ascii=False, indent=1), encoding="utf-8")
