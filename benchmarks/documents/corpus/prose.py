"""Sentences, headings and tables out of a seed, in English and Chinese."""

from __future__ import annotations

from random import Random

from benchmarks.documents.corpus.story import Block, Figure, Heading, Items, Story, Table, Text
from benchmarks.documents.corpus.vocabulary import (
    DID,
    GE,
    GOODS,
    HE,
    HOW,
    KE,
    LINK,
    MA,
    PLACES,
    RARE,
    THINGS,
    TI,
    TOPICS,
    WHAT,
    WHO,
    WU,
    ZHE,
)


class Prose:
    """Writes from a seed, always the same."""

    def __init__(self, seed: str, language: str = "en") -> None:
        """Takes the seed and `en`, `zh`, or `mixed` for Chinese with English words in it."""
        self.random = Random(seed)
        self.language = language

    def sentence(self) -> str:
        """Answers a sentence."""
        pick = self.random.choice
        if self.language != "en":
            other = f"（{pick(WHAT)}）" if self.language == "mixed" and self.random.random() < 0.4 else ""
            return f"{pick(KE)}{pick(HE)}{pick(GE)}{pick(ZHE)}{other}{pick(MA)}。"
        said = f"{pick(WHO)} {pick(DID)} {pick(WHAT)} {pick(HOW)}"
        if self.random.random() < 0.6:
            said += f" under {pick(RARE)} {pick(THINGS)} rules"
        if self.random.random() < 0.35:
            said += f", while {pick(WHO)} {pick(DID)} {pick(WHAT)}"
        if self.random.random() < 0.3:
            return f"{pick(LINK)} {said}."
        return said[0].upper() + said[1:] + self.random.choice((".", ".", ".", ";", "?")).replace(";", ".")

    def text(self, low: int = 3, high: int = 6) -> str:
        """Answers a paragraph of so many sentences."""
        between = " " if self.language == "en" else ""
        return between.join(self.sentence() for _ in range(self.random.randint(low, high)))

    def topic(self) -> str:
        """Answers a heading."""
        return self.random.choice(TOPICS if self.language == "en" else TI)

    def short(self) -> str:
        """Answers what an item of a list says."""
        pick = self.random.choice
        if self.language != "en":
            return f"{pick(HE)}{pick(GE)}{pick(ZHE)}；"
        return f"{pick(WHO)} {pick(DID)} {pick(WHAT)};"

    def items(self, count: int = 4, *, ordered: bool = False) -> Items:
        """Answers a list."""
        return Items([self.short() for _ in range(count)], ordered=ordered)

    def table(
        self, rows: int = 5, *, ruled: bool = True, wrapped: bool = False, gaps: bool = False, narrow: bool = False
    ) -> Table:
        """Answers goods with numbers; `wrapped` gives long cells, `gaps` empty ones, `narrow` three columns."""
        english = self.language == "en"
        head = ("Item", "Description", "Quantity", "Unit price", "Amount")
        found = [list(head if english else ("序号", "名称", "数量", "单价", "金额"))]
        for number in range(1, rows + 1):
            count, price = self.random.randint(1, 90), self.random.randint(100, 99_999) / 100
            name = self.random.choice(GOODS if english else WU)
            name = f"{name} for {self.random.choice(PLACES)}" if english else name
            if wrapped and number % 2:
                name = f"{name}, {self.short()}" if english else f"{name}，{self.short()}"
            row = [str(number), name, str(count), f"{price:,.2f}", f"{count * price:,.2f}"]
            found.append(["" if gaps and place in (2, 3) and self.random.random() < 0.4 else cell
                          for place, cell in enumerate(row)])  # fmt: skip
        return Table([row[1:4] for row in found] if narrow else found, ruled=ruled)

    def spanning(self) -> Table:
        """Answers a ruled table with cells that span rows and columns."""
        if self.language == "en":
            head: list[list[str | None]] = [
                ["Site", "2023", None, "2024", None],
                [None, "First half", "Second half", "First half", "Second half"],
            ]
        else:
            head = [["地点", "2023年", None, "2024年", None], [None, "上半年", "下半年", "上半年", "下半年"]]
        names = PLACES if self.language == "en" else ("上海", "广州", "成都", "西安", "沈阳")
        body = [[name, *(f"{self.random.randint(10, 9999):,}" for _ in range(4))] for name in names[:4]]
        return Table([*head, *body])

    def story(
        self,
        name: str,
        sections: int = 4,
        *,
        header: str = "",
        footer: str = "",
        rich: bool = True,
        narrow: bool = False,
    ) -> Story:
        """Answers a report with headings, and where it is rich with lists, tables, notes and figures."""
        english = self.language == "en"
        title = f"Report {self.random.randint(100, 999)}: {self.topic()}" if english else f"关于{self.topic()}的报告"
        blocks: list[Block] = [Heading(1, title), Text(self.text())]
        for number in range(1, sections + 1):
            blocks.append(
                Heading(
                    2,
                    f"{number}. {self.topic()}" if english else f"{'一二三四五六七八九十'[number - 1]}、{self.topic()}",
                )
            )
            blocks.extend(Text(self.text()) for _ in range(self.random.randint(1, 3)))
            if rich:
                blocks.extend(self._rich(number, narrow=narrow))
        return Story(name=name, blocks=blocks, language="en" if english else "zh", header=header, footer=footer)

    def _rich(self, number: int, *, narrow: bool) -> list[Block]:
        said = f"Figure {number}: {self.topic()}" if self.language == "en" else f"图{number} {self.topic()}"
        choice: list[list[Block]] = [
            [self.items()],
            [self.table(narrow=narrow), Text(self.text())],
            [self.items(5, ordered=True), Text(self.text())],
            [Text(self.text(), note=self.sentence())],
            [Figure(said), Text(self.text())],
        ]
        return choice[number % len(choice)]
