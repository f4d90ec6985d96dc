"""Our parser beside its peers, on the same files: `python -m benchmarks.documents [FOLDER …]`.

Without a folder, files are made from a fixed seed. Each engine reads each file in a process of its own. Rates count
processor time of user and system, of all threads, imports not among it; a PDF counts by pages, anything else as one.
How texts are compared stands in scoring.py, what a folder may hold beside its files in cases.py.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks import machine
from benchmarks.documents import corpus, printing
from benchmarks.documents.cases import Case, cases_in
from benchmarks.documents.engines import ENGINES
from benchmarks.documents.judging import Line, judged
from benchmarks.documents.running import Answer, Running, engine


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.documents", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER", help="files, with truth beside them")
    parser.add_argument("--only", default="", help="kinds, and pieces of names, with commas: pdf,docx,columns")
    parser.add_argument("--engines", default="", help=f"engines, with commas: {','.join(ENGINES)}")
    parser.add_argument("--corpus", type=Path, help="keep the generated files in this folder, and use what it holds")
    parser.add_argument("--seed", type=int, default=4, help="of the generated files (default: 4)")
    parser.add_argument("--make", action="store_true", help="only generate the files")
    parser.add_argument("--times", type=int, default=1, help="how often each file is read (default: once)")
    parser.add_argument("--memory", type=int, default=6_000, help="address space of an engine, MB (default: 6000)")
    parser.add_argument("--seconds", type=float, default=120.0, help="patience for one file (default: 120)")
    parser.add_argument("--texts", type=Path, help="write every engine's text into this folder")
    parser.add_argument("--differences", type=int, default=0, metavar="N", help="show the first N of each text")
    parser.add_argument("--json", type=Path, help="write all figures into this file")
    return parser.parse_args(arguments)


def main() -> None:
    """Measures and prints."""
    options = options_of()
    began = time.monotonic()
    chosen = [name for name in ENGINES if not options.engines or name in options.engines.split(",")]
    with ExitStack() as stack:
        folders = options.folders or [_generated(options, stack)]
        if options.make:
            return
        cases = [case for folder in folders for case in cases_in(folder) if _wanted(case, options.only)]
        print(machine.described(sorted({name for each in chosen for name in ENGINES[each].packages})), flush=True)
        print(f"files    {len(cases)}, {sum(case.pages for case in cases)} pages and documents\n")
        lines = _measured(cases, [name for name in chosen if _is_here(name)], options, stack)
    _summary(lines)
    if options.json:
        options.json.write_text(json.dumps([_record(line) for line in lines], ensure_ascii=False, indent=0))
    print(f"{time.monotonic() - began:.0f} s")


def _generated(options: argparse.Namespace, stack: ExitStack) -> Path:
    folder = options.corpus or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="difyrpc-documents-")))
    for said in corpus.make(folder, seed=options.seed):
        print(said, flush=True)
    return Path(folder)


def _wanted(case: Case, only: str) -> bool:
    return not only or any(part == case.kind or (part not in KINDS and part in case.name) for part in only.split(","))


KINDS = frozenset().union(*(engine.kinds for engine in ENGINES.values()))


def _is_here(name: str) -> bool:
    """Answers whether an engine is installed, and says so if it is not."""
    for package in ENGINES[name].packages:
        try:
            version(package)
        except PackageNotFoundError:
            print(f"{name} is left out: {package} is not installed")
            return False
    return True


def _measured(cases: Sequence[Case], names: Sequence[str], options: argparse.Namespace, stack: ExitStack) -> list[Line]:
    """Takes the engines in turn for each file, so that what disturbs the machine disturbs all alike."""
    running = {
        name: stack.enter_context(engine(name, memory_mb=options.memory, seconds=options.seconds)) for name in names
    }
    lines: list[Line] = []
    print(printing.heading())
    for case in cases:
        answers = {name: _answer(running[name], case, options) for name in names if case.kind in ENGINES[name].kinds}
        if answers:
            lines.extend(found := judged(case, answers))
            print(printing.file_lines(found, differences=options.differences), flush=True)
    return lines


def _answer(running: Running, case: Case, options: argparse.Namespace) -> Answer:
    answer = running.read(case, times=options.times)
    if options.texts and not answer.error:
        options.texts.mkdir(parents=True, exist_ok=True)
        name = f"{case.name.replace('/', '_')}.{running.name}.txt"
        (options.texts / name).write_text(answer.text, encoding="utf-8", errors="replace")
    return answer


def _summary(lines: Sequence[Line]) -> None:
    kinds = sorted({line.case.kind for line in lines}, key=lambda kind: (kind != "pdf", kind))
    for kind in kinds:
        print("\n" + printing.totals([line for line in lines if line.case.kind == kind], f"all {kind}"))
    print("\n" + printing.losses(lines))


def _record(line: Line) -> dict[str, object]:
    return {
        "file": line.case.name,
        "kind": line.case.kind,
        "pages": line.case.pages,
        "engine": line.engine,
        "error": line.answer.error,
        "cpu_seconds": line.answer.cpu,
        "peak_mb": line.answer.peak_mb,
        "score": asdict(line.score) if line.score else None,
        "recall": line.recall,
        "cells": {name: asdict(cells) for name, cells in line.cells.items()},
        "clauses": line.clauses,
    }


if __name__ == "__main__":
    main()
