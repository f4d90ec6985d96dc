"""Makes the figures of each engine and file out of the answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.documents.cases import Case, Truth
from benchmarks.documents.engines import family
from benchmarks.documents.running import Answer
from benchmarks.documents.scoring import Score, agreed, recall, score, tokens, without_running
from benchmarks.documents.tables import Cells, right_cells


@dataclass(frozen=True, kw_only=True)
class Line:
    """What an engine reached on a file."""

    case: Case
    engine: str
    answer: Answer
    score: Score | None = None
    """None without a true text."""
    recall: float | None = None
    """Share found of the tokens that two other engines agree on."""
    cells: Mapping[str, Cells] = field(default_factory=dict)
    clauses: tuple[str, bool] | None = None
    """What was counted, and whether it is right."""

    @property
    def rate(self) -> float:
        """Pages or documents a processor second."""
        return self.case.pages / self.answer.cpu if self.answer.cpu else 0.0


def judged(case: Case, answers: Mapping[str, Answer]) -> list[Line]:
    """Answers the line of each engine for a file; an engine that failed has scores of nothing."""
    bags = {name: Counter(tokens(_body(answer, case.truth))) for name, answer in answers.items() if not answer.error}
    return [_line(case, name, answer, bags) for name, answer in answers.items()]


def _line(case: Case, name: str, answer: Answer, bags: Mapping[str, Counter[str]]) -> Line:
    truth = case.truth
    cells: Mapping[str, Cells] = {}
    if truth.tables is not None and answer.tables is not None:
        cells = right_cells(answer.tables, truth.tables, truth.ruled)
    return Line(
        case=case,
        engine=name,
        answer=answer,
        score=score(answer.text, truth.text, truth.running) if truth.text is not None else None,
        recall=recall(bags.get(name, Counter()), _consensus(name, bags)),
        cells=cells,
        clauses=_clauses(answer.clauses, truth.clauses),
    )


def _consensus(name: str, bags: Mapping[str, Counter[str]]) -> Counter[str]:
    others: dict[str, Counter[str]] = {}
    for other, bag in bags.items():
        if family(other) != family(name):
            others.setdefault(family(other), bag)
    return agreed(list(others.values()))


def _body(answer: Answer, truth: Truth) -> str:
    return without_running(answer.text, truth.running) if truth.running else answer.text


def _clauses(found: dict[str, int] | None, right: int | dict[str, int] | None) -> tuple[str, bool] | None:
    if found is None or right is None:
        return None
    if isinstance(right, int):
        return f"{sum(found.values())} of {right}", sum(found.values()) == right
    wrong = [f"{kind} {found.get(kind, 0)} of {count}" for kind, count in right.items() if found.get(kind, 0) != count]
    return ", ".join(wrong) or f"all {sum(right.values())}", not wrong


def mean(values: Sequence[float]) -> float | None:
    """Answers the mean; None of nothing."""
    return sum(values) / len(values) if values else None
