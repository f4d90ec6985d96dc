"""Statutes and agreements with known clauses, as plain text, DOCX and PDF of one and two columns."""

from __future__ import annotations

import io
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, Literal
from xml.sax.saxutils import escape

from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate, Spacer
from reportlab.platypus import Paragraph as Printed

from benchmarks.documents.cases import Truth
from benchmarks.documents.corpus.reportlab_pages import GAP, MARGIN, registered
from benchmarks.documents.corpus.story import Made
from benchmarks.machine import ROOT

if TYPE_CHECKING:
    from contracts_generator import GeneratedContract

SEEDS = 6  # generated contracts of each language
ARTICLES = 320  # of the long statute
TITLES = ("general provisions", "delivery and acceptance", "price and payment", "liability", "term and termination")
Language = Literal["en", "zh"]


def make(seed: int) -> Iterator[Made]:
    """Yields the files."""
    sys.path.insert(0, str(ROOT / "tests"))  # the generator of contracts is shared with the tests
    from contracts_generator import generate
    from contracts_generator.layout import GeneratedContract, Paragraph

    registered()
    for language in ("zh", "en"):
        for number in range(SEEDS):
            contract = generate(seed * 1_000 + number, language)
            yield from _printed(f"generated-{number}-{language}", contract)
    statute = GeneratedContract(
        seed=seed, language="zh", expected=[], header="中华人民共和国物流管理法", **_statute(seed, Paragraph)
    )
    agreement = GeneratedContract(
        seed=seed, language="en", expected=[], header="Master Supply Agreement", **_agreement(seed, Paragraph)
    )
    for name, long, kinds in (("statute", statute, _STATUTE), ("agreement", agreement, _AGREEMENT)):
        yield from _printed(f"long-{name}-{long.language}", long, kinds)


_STATUTE: dict[str, int] = {}
_AGREEMENT: dict[str, int] = {}


def _printed(name: str, contract: GeneratedContract, kinds: dict[str, int] | None = None) -> Iterator[Made]:
    counted = kinds or dict(Counter(clause.kind for clause in contract.expected))
    running = [contract.header] if contract.header else []
    tables = [[row.split("\t") for row in one.text.split("\n")] for one in contract.paragraphs if one.role == "table"]
    text = "\n".join(paragraph.text for paragraph in contract.paragraphs)
    truth = partial(Truth, text=text, clauses=counted)
    yield Made(name=f"{name}.txt", data=contract.text().encode(), truth=truth(running=running))
    yield Made(name=f"{name}.docx", data=contract.docx(), truth=truth(tables=tables))
    for columns in (1, 2):
        data = pdf(contract, columns)
        yield Made(name=f"{name}-columns-{columns}.pdf", data=data, truth=truth(running=running))


def pdf(contract: GeneratedContract, columns: int) -> bytes:
    """Answers a contract as PDF with a running header and page numbers."""
    chinese = contract.language == "zh"
    face, bold = ("Song", "Song") if chinese else ("Times-Roman", "Times-Bold")
    size = 10.5 if columns == 1 else 9
    body = ParagraphStyle(
        "body", fontName=face, fontSize=size, leading=size * 1.4, spaceAfter=4, alignment=4,
        wordWrap="CJK" if chinese else None, firstLineIndent=2 * size if chinese else 0,
    )  # fmt: skip
    heading = ParagraphStyle("heading", body, fontName=bold, spaceBefore=6, alignment=1, firstLineIndent=0)
    story: list[Any] = []
    for paragraph in contract.paragraphs:
        style = (
            heading if paragraph.role == "heading" else ParagraphStyle("item", body, leftIndent=14 * paragraph.depth)
        )
        if paragraph.role == "table":
            from contracts_generator.layout import _printed_table

            story.append(_grid(paragraph.text, face, size) if chinese else _printed_table(paragraph.text))
            continue
        story.append(Printed(escape(paragraph.text).replace("\n", "<br/>"), style))
    width = (A4[0] - 2 * MARGIN - GAP * (columns - 1)) / columns
    frames = [
        Frame(MARGIN + place * (width + GAP), MARGIN, width, A4[1] - 2 * MARGIN, 0, 0, 0, 0) for place in range(columns)
    ]
    target = io.BytesIO()
    document = BaseDocTemplate(target, pagesize=A4, invariant=1)
    document.addPageTemplates(PageTemplate("page", frames, onPage=partial(_running, contract.header, face)))
    document.build([*story, Spacer(1, 1)])
    return target.getvalue()


def _grid(text: str, face: str, size: float) -> Any:
    from reportlab.lib import colors
    from reportlab.platypus import Table

    rows = [row.split("\t") for row in text.split("\n")]
    style = [("GRID", (0, 0), (-1, -1), 0.5, colors.black), ("FONT", (0, 0), (-1, -1), face, size)]
    return Table(rows, style=style)


def _running(header: str, face: str, canvas: Any, document: Any) -> None:
    canvas.setFont(face, 8)
    canvas.drawString(MARGIN, A4[1] - 36, header)
    canvas.drawCentredString(A4[0] / 2, 30, f"- {document.page} -")


def _statute(seed: int, paragraph: Any) -> dict[str, Sequence[Any]]:
    """A statute of hundreds of articles with inserted ones, chapters, items and references that mislead."""
    from contracts_generator.chinese import CHAPTERS, ITEMS, SENTENCES, chinese

    random, said = Random(f"{seed} statute"), [paragraph(text="中华人民共和国物流管理法", role="heading")]
    counts: Counter[str] = Counter()
    article = 0
    while article < ARTICLES:
        counts["chapter"] += 1
        title = random.choice(CHAPTERS)
        said.append(paragraph(text=f"第{chinese(counts['chapter'])}章　{title}", role="heading"))
        for _ in range(random.randint(14, 32)):
            article += 1
            for inserted in range(random.choice((1, 1, 1, 1, 1, 1, 1, 1, 2, 3))):
                label = f"第{chinese(article)}条" + (f"之{chinese(inserted)}" if inserted else "")
                counts["article"] += 1
                reference = f"依照本法第{chinese(random.randint(1, ARTICLES))}条第二款的规定，"
                listed = random.random() < 0.2
                tail = "有下列情形之一的，由主管部门责令改正：" if listed else random.choice(SENTENCES)
                said.append(paragraph(text=f"{label}　{random.choice(SENTENCES)}{reference}{tail}"))
                for item in range(1, random.randint(3, 7) if listed else 1):
                    counts["item"] += 1
                    said.append(paragraph(text=f"（{chinese(item)}）{random.choice(ITEMS)}"))
    _STATUTE.update(counts)
    return {"paragraphs": said}


def _agreement(seed: int, paragraph: Any) -> dict[str, Sequence[Any]]:
    """A long agreement of articles, sections, lettered and roman items."""
    from benchmarks.documents.corpus.prose import Prose

    prose = Prose(f"{seed} agreement")
    random, said = prose.random, [paragraph(text="MASTER SUPPLY AGREEMENT", role="heading")]
    counts: Counter[str] = Counter()
    for article in range(1, 31):
        counts["article"] += 1
        said.append(paragraph(text=f"ARTICLE {article} {random.choice(TITLES).upper()}", role="heading"))
        for section in range(1, random.randint(4, 9)):
            counts["section"] += 1
            reference = f"Subject to Section {random.randint(1, 30)}.{random.randint(1, 3)} above, "
            topic = random.choice(TITLES).capitalize()
            said.append(
                paragraph(text=f"Section {article}.{section} {topic}. {prose.text(1, 2)} {reference}{prose.sentence()}")
            )
            for letter in "abcde"[: random.choice((0, 0, 0, 3, 5))]:
                counts["item"] += 1
                said.append(paragraph(text=f"({letter}) {prose.short()}", depth=1))
                for roman in ("i", "ii", "iii")[: random.choice((0, 0, 0, 0, 3))]:
                    counts["subitem"] += 1
                    said.append(paragraph(text=f"({roman}) {prose.short()}", depth=2))
    _AGREEMENT.update(counts)
    return {"paragraphs": said}
