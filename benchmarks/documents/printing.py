"""Prints a line for each engine and file, totals, and where ours is behind."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from statistics import quantiles

from benchmarks.documents import scoring
from benchmarks.documents.engines import ENGINES
from benchmarks.documents.judging import Line, mean
from benchmarks.documents.tables import Cells

HEADS = ("F1", "loose", "order", "CER", "recall", "pages/s", "peak MB", "tables")
BEHIND = 0.005
OURS = "ours"


def heading() -> str:
    """Answers the line above a file's lines."""
    return f"  {'':16}" + "".join(f"{head:>9}" for head in HEADS)


def file_lines(lines: Sequence[Line], *, differences: int = 0) -> str:
    """Answers the lines of one file; below each so many places where its text leaves the truth."""
    case = lines[0].case
    pages = f"{case.pages} pages" if case.pages > 1 else ""
    said = [f"{case.name}  {pages}".rstrip()]
    for line in lines:
        said.append(_file_line(line))
        if differences and case.truth.text is not None:
            places = scoring.differences(line.answer.text, case.truth.text, case.truth.running, most=differences)
            said.extend(f"      {place}" for place in places)
    return "\n".join(said)


def _file_line(line: Line) -> str:
    if line.answer.error:
        return f"  {line.engine:16}  failed: {textwrap.shorten(line.answer.error, 130)}"
    found = line.score
    cells = [
        _share(found and found.f1),
        _share(found and found.loose_f1),
        _share(found and found.order),
        _share(found and found.cer),
        _share(line.recall),
        f"{line.rate:,.0f}" if line.rate >= 10 else f"{line.rate:.1f}",
        f"{line.answer.peak_mb:,.0f}",
    ]
    tables = "  ".join(f"{name} {each.right}/{each.of}" for name, each in line.cells.items())
    clauses = f"  clauses {line.clauses[0]}{'' if line.clauses[1] else ' WRONG'}" if line.clauses else ""
    return f"  {line.engine:16}" + "".join(f"{cell:>9}" for cell in cells) + f"  {tables}{clauses}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def totals(lines: Sequence[Line], title: str) -> str:
    """Answers the totals of each engine over files; one that failed counts as nothing found."""
    heads = ("F1", "loose", "order", "CER", "recall", "pages/s", "p50 MB", "peak MB", "failed", "files")
    rows = [title, f"  {'':16}" + "".join(f"{head:>9}" for head in heads)]
    for name in ENGINES:
        own = [line for line in lines if line.engine == name]
        if own:
            rows.append(f"  {name:16}" + "".join(f"{cell:>9}" for cell in _totals(own)) + _tables(own))
    return "\n".join(rows)


def _totals(own: Sequence[Line]) -> list[str]:
    scores = [line.score for line in own if line.score]
    well = [line for line in own if not line.answer.error]
    cpu = sum(line.answer.cpu for line in well)
    peaks = [line.answer.peak_mb for line in well] or [0.0]
    rate = sum(line.case.pages for line in well) / cpu if cpu else 0.0
    return [
        _share(mean([each.f1 for each in scores])),
        _share(mean([each.loose_f1 for each in scores])),
        _share(mean([each.order for each in scores])),
        _share(mean([each.cer for each in scores if each.cer is not None])),
        _share(mean([line.recall for line in own if line.recall is not None])),
        f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}",
        f"{quantiles(peaks, n=2)[0] if len(peaks) > 1 else peaks[0]:,.0f}",
        f"{max(peaks):,.0f}",
        str(len(own) - len(well)),
        str(len(own)),
    ]


def _tables(own: Sequence[Line]) -> str:
    cells: dict[str, Cells] = {}
    for line in own:
        for name, each in line.cells.items():
            cells[name] = cells.get(name, Cells()) + each
    said = "".join(f"  {name} {each.right / max(1, each.of):.1%} of {each.of}" for name, each in cells.items())
    counted = [line.clauses for line in own if line.clauses]
    right = sum(is_right for _, is_right in counted)
    return said + (f"  clauses right in {right} of {len(counted)} files" if counted else "")


def losses(lines: Sequence[Line]) -> str:
    """Answers the files on which a peer beats ours by more than a little, the worst first."""
    found = []
    by_file: dict[str, list[Line]] = {}
    for line in lines:
        by_file.setdefault(line.case.name, []).append(line)
    for name, each in by_file.items():
        own = next((line for line in each if line.engine == OURS), None)
        peers = [line for line in each if line.engine in ENGINES and not line.engine.startswith(OURS)]
        if own is not None and own.score is not None:
            found.extend(_behind(name, own, peers))
    worst = sorted(found, reverse=True)
    return "\n".join(["where a peer is ahead of ours", *(f"  {text}" for _, text in worst)]) if worst else ""


def _behind(name: str, own: Line, peers: Iterable[Line]) -> list[tuple[float, str]]:
    found = []
    for figure in ("f1", "order"):
        scored = [(getattr(peer.score, figure), peer.engine) for peer in peers if peer.score and not peer.answer.error]
        best, engine = max(scored, default=(0.0, ""))
        mine = getattr(own.score, figure)
        if best - mine > BEHIND:
            found.append((best - mine, f"-{best - mine:.3f} {figure:6} {mine:.3f} to {best:.3f} of {engine:14} {name}"))
    return found
