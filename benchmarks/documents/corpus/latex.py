"""PDFs by pdfTeX: papers with ligatures, hyphens, footnotes, floats and booktabs' tables."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.documents.corpus.programs import program, run
from benchmarks.documents.corpus.prose import Prose
from benchmarks.documents.corpus.story import Block, Figure, Heading, Items, Made, Story, Table, Text

SPECIAL = re.compile(r"([#$%&_{}])")
SIGNS = {"°": r"\textdegree{}", "§": r"\S{}", "“": "``", "”": "''"}
LOOKS = {
    "article": r"\documentclass[11pt]{article}",
    "two-columns": r"\documentclass[10pt,twocolumn]{article}",
    "two-columns-old-encoding": r"\documentclass[10pt,twocolumn]{article}%old",
    "times": r"\documentclass[11pt]{article}\usepackage{mathptmx}",
    "report-running": r"\documentclass[11pt]{article}\pagestyle{headings}\markright{Harbour works}",
    "lines": r"\documentclass[12pt]{article}\usepackage{setspace}\doublespacing",
}
HEAD = r"""
\usepackage[utf8]{inputenc}%s\usepackage{textcomp}\usepackage{booktabs}
\usepackage[a4paper,margin=25mm]{geometry}\setcounter{secnumdepth}{0}
\title{%s}\author{}\date{}\begin{document}
"""


def make(seed: int) -> Iterator[Made]:
    """Yields the files."""
    tex = program("pdflatex")
    for name, look in LOOKS.items():
        story = Prose(f"{seed} latex {name}").story(name, 7, narrow=True)
        yield Made(name=f"{name}.pdf", data=_printed(tex, source(story, look)), truth=story.truth())


def source(story: Story, look: str) -> str:
    """Answers a story as LaTeX."""
    encoding = "" if look.endswith("%old") else r"\usepackage[T1]{fontenc}\usepackage{lmodern}"
    title, *rest = story.blocks
    assert isinstance(title, Heading)
    body = "\n\n".join(_block(block) for block in rest)
    return look + HEAD % (encoding, _escaped(title.text)) + r"\maketitle" + "\n" + body + "\n\\end{document}\n"


def _block(block: Block) -> str:
    if isinstance(block, Heading):
        return rf"\section{{{_escaped(block.text)}}}"
    if isinstance(block, Text):
        note = rf"\par{{\footnotesize {_escaped(block.note)}\par}}" if block.note else ""
        return _escaped(block.text) + note
    if isinstance(block, Items):
        kind = "enumerate" if block.ordered else "itemize"
        items = "\n".join(rf"\item {_escaped(text)}" for text in block.texts)
        return rf"\begin{{{kind}}}" + f"\n{items}\n" + rf"\end{{{kind}}}"
    if isinstance(block, Figure):
        drawn = r"\framebox(120,40){}"
        return rf"\begin{{center}}{drawn}\par\smallskip {_escaped(block.caption)}\end{{center}}"
    return _table(block)


def _table(table: Table) -> str:
    rule, ends = (r"\hline", "|") if table.ruled else (r"\midrule", "")
    columns = ends + ends.join("p{28mm}" if place == 0 else "r" for place in range(len(table.rows[0]))) + ends
    rows = [" & ".join(_escaped(cell or "") for cell in row) + r" \\" for row in table.rows]
    body = (f"\n{rule}\n" if table.ruled else "\n").join(rows)
    top, bottom = (rule, rule) if table.ruled else (r"\toprule", r"\bottomrule")
    return (
        rf"\begin{{center}}\small\begin{{tabular}}{{{columns}}}{top}"
        f"\n{body}\n"
        rf"{bottom}\end{{tabular}}\end{{center}}"
    )


def _escaped(text: str) -> str:
    text = SPECIAL.sub(r"\\\1", text)
    for sign, written in SIGNS.items():
        text = text.replace(sign, written)
    return text


def _printed(tex: str, text: str) -> bytes:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "paper.tex").write_text(text, encoding="utf-8")
        run((tex, "-interaction=nonstopmode", "-halt-on-error", "paper.tex"), folder=folder)
        return (folder / "paper.pdf").read_bytes()
