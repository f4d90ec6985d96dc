"""Whole codes in the manner of a civil code, amending laws, traditional and Japanese statutes, layered contracts."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from contracts_generator.chinese import CHAPTERS, ITEMS, SENTENCES, TITLES, TRADITIONAL, Draft, chinese
from contracts_generator.layout import ExpectedClause, GeneratedContract, Paragraph

PARTS = ("总则", "物权", "合同", "人格权", "婚姻家庭", "继承", "侵权责任")
SPACES = ("　", " ", "  ", "", "　　")
TAILS = (
    "前款规定的期间，自当事人知道或者应当知道之日起计算。",
    "法律、行政法规另有规定的，依照其规定。",
    "依照前款第（二）项和第（三）项规定处理的，应当说明理由。",
    "本条第一款和第二款所称的主管部门，由国务院规定。",
)
LED = (
    "有下列情形之一的，当事人可以解除合同：",
    "申请人应当提交下列材料：",
    "本法下列用语的含义：",
    "具有下列情形之一的，由主管部门责令改正：",
)


def code(seed: int, *, articles: int = 1260) -> GeneratedContract:
    """Answers a code of seven parts; the chapters of its subparts are counted through, its last part has no number."""
    random = Random(f"code-{seed}")
    writer = _Code(random, articles)
    front = [
        Paragraph(text="中华人民共和国物流法典", role="heading"),
        Paragraph(text="（2020年5月28日第十三届全国人民代表大会第三次会议通过　2023年12月29日修正）"),
    ]
    paged = random.random() < 0.5
    listed = [Paragraph(text=random.choice(("目　　录", "目录", "目 次")), role="heading")]
    writer.write()
    listed += [
        Paragraph(text=entry + (f"………………{3 + place}" if paged else ""), role="contents")
        for place, entry in enumerate(writer.draft.contents)
    ]
    return _made(seed, [*front, *listed, *writer.draft.paragraphs], writer.draft.expected, "物流法典")


def traditional(seed: int, *, articles: int = 260) -> GeneratedContract:
    """Answers a statute in traditional signs: 第十二條之一 or 第12-1條, bare paragraphs, 一、 as items."""
    random = Random(f"traditional-{seed}")
    draft = Draft(random, "statute", random.choice(("han", "plain", "spaced")))
    latin = draft.digits != "han"
    for chapter in range(1, 9):
        holder = _headed(draft, ("chapter", "章"), chapter, "", random.choice(CHAPTERS))
        for _ in range(articles // 8):
            draft.article += 1
            for inserted in range(random.choice((1, 1, 1, 1, 2, 4))):
                number = f"{draft.article}-{inserted}" if inserted else str(draft.article)
                label = f"第 {number} 条" if latin else draft.ordinal(draft.article, "条", inserted)
                own = draft.expect("article", number, holder)
                _split(draft, label, random.choice(SENTENCES[1:]), alone=latin)
                if random.random() < 0.2:
                    for item in range(1, random.randint(3, 13)):
                        draft.say(f"{chinese(item)}、{random.choice(ITEMS)[:-1]}。")
                        draft.expect("item", f"{number}({item})", own)
                elif random.random() < 0.4:
                    draft.say(random.choice(TAILS))
    said = [Paragraph(text=item.text.translate(TRADITIONAL), role=item.role) for item in draft.paragraphs]
    expected = [
        ExpectedClause(one.kind, one.number, one.parent, one.title.translate(TRADITIONAL)) for one in draft.expected
    ]
    return _made(seed, [Paragraph(text="物流管理法", role="heading"), *said], expected, "")


def _split(draft: Draft, label: str, body: str, *, alone: bool) -> None:
    if alone:
        draft.say(label)
        draft.say(body)
    else:
        draft.say(f"{label}　{body}", number=label)


def amendment(seed: int, *, points: int = 60) -> GeneratedContract:
    """Answers a decision that counts 一、 二、 and quotes the articles that it changes."""
    random = Random(f"amendment-{seed}")
    draft = Draft(random, "listed", "han")
    article = 0
    for point in range(1, points + 1):
        article += random.randint(1, 9)
        one, other = draft.ordinal(article, "条"), draft.ordinal(article + 1, "条")
        tail = random.choice(SENTENCES)
        way = random.randrange(4)
        opening = (
            f"将{one}修改为：“{one}　{tail}",
            f"增加一条，作为{draft.ordinal(article, '条', 1)}：“{draft.ordinal(article, '条', 1)}　{tail}",
            f"{one}修改为：“{tail}",
            f"将{one}、{other}合并，作为{one}，修改为：“{one}　{tail}",
        )[way]
        draft.say(f"{chinese(point)}、{opening}" + ("”" if point % 3 == 0 else ""))
        draft.expect("article", str(point))
        if point % 3:
            for item in range(1, random.randint(3, 6)):
                draft.say(f"（{chinese(item)}）{random.choice(ITEMS)}")
            if random.random() < 0.5:
                draft.say(f"{other}　{random.choice(SENTENCES)}")
            draft.say(f"{random.choice(TAILS)}”")
    front = [
        Paragraph(text="全国人民代表大会常务委员会关于修改《中华人民共和国物流法》的决定", role="heading"),
        Paragraph(text="第十四届全国人民代表大会常务委员会第七次会议决定对《中华人民共和国物流法》作如下修改："),
    ]
    end = Paragraph(text="本决定自2024年7月1日起施行。")
    return _made(seed, [*front, *draft.paragraphs, end], draft.expected, "")


def layered(seed: int, *, articles: int = 18) -> GeneratedContract:
    """Answers a contract that counts 一、 or 1. and below it 1.1, 1.1.1 and （1）."""
    random = Random(f"layered-{seed}")
    draft = Draft(random, "listed", "plain")
    ordinal = random.random() < 0.5
    for article in range(1, articles + 1):
        title = random.choice(TITLES)
        draft.say(f"{draft.ordinal(article, '条') if ordinal else chinese(article) + '、'} {title}", role="heading")
        own = draft.expect("article", str(article), "", title)
        for clause in range(1, random.randint(3, 8)):
            number = f"{article}.{clause}"
            reference = f"详见{random.randint(1, articles)}.{clause}款及第{article}条的约定。"
            draft.say(f"{number} {random.choice(SENTENCES)}{reference}")
            inner = draft.expect("paragraph", number, own)
            roll = random.random()
            if roll < 0.2:
                for sub in range(1, random.randint(3, 5)):
                    draft.say(f"{number}.{sub} {random.choice(SENTENCES)}")
                    draft.expect("paragraph", f"{number}.{sub}", inner)
            elif roll < 0.4:
                for sub in range(1, random.randint(3, 12)):
                    draft.say(f"（{sub}）{random.choice(ITEMS)}")
                    draft.expect("item", f"{number}({sub})", inner)
    return _made(
        seed,
        [Paragraph(text="设备采购及安装合同", role="heading"), *draft.paragraphs],
        draft.expected,
        "合同编号：WL-2024-017",
    )


def _made(seed: int, said: list[Paragraph], expected: list[ExpectedClause], header: str) -> GeneratedContract:
    return GeneratedContract(seed=seed, language="zh", paragraphs=said, expected=expected, header=header)


def _headed(draft: Draft, level: tuple[str, str], number: int, parent: str, title: str) -> str:
    kind, word = level
    text = f"{draft.ordinal(number, word)}　{title}"
    draft.say(text, role="heading")
    draft.contents.append(text)
    return draft.expect(kind, str(number), parent, title)


class _Code:
    """A code while it is written."""

    def __init__(self, random: Random, articles: int) -> None:
        self.random = random
        self.draft = Draft(random, "code", random.choice(("han", "han", "han", "plain", "spaced")))
        self.space = random.choice(SPACES)
        self.articles = articles
        self.spaced_title = random.random() < 0.3

    def write(self) -> None:
        """Writes all parts and the last articles, which stand under an unnumbered heading."""
        share = (self.articles - 2) // len(PARTS)
        for number, name in enumerate(PARTS, start=1):
            part = _headed(self.draft, ("part", "编"), number, "", self._title(name))
            last = share * number if number < len(PARTS) else self.articles - 2
            self._part(part, last, divided=number in (2, 3))
        self.draft.say("附　则", role="heading")
        self.draft.contents.append("附　则")
        while self.draft.article < self.articles:
            self._article("", 0)

    def _title(self, title: str) -> str:
        return "　".join(title) if self.spaced_title and len(title) == 2 else title

    def _part(self, part: str, last: int, *, divided: bool) -> None:
        chapter, first = 0, self.draft.article
        holders = [_headed(self.draft, ("subpart", "分编"), 1, part, self._title("通则"))] if divided else [part]
        while self.draft.article < last:
            if divided and len(holders) == 1 and self.draft.article > (first + last) // 2:
                holders.append(_headed(self.draft, ("subpart", "分编"), 2, part, "典型合同"))
            chapter += 1
            title = self._title(self.random.choice(CHAPTERS))
            self._chapter(_headed(self.draft, ("chapter", "章"), chapter, holders[-1], title), last)

    def _chapter(self, chapter: str, last: int) -> None:
        if self.random.random() < 0.5:
            self._run(chapter, self.random.randint(6, 30), last)
            return
        for section in range(1, self.random.randint(3, 6)):
            if self.draft.article < last:
                title = self.random.choice(CHAPTERS)
                self._run(
                    _headed(self.draft, ("section", "节"), section, chapter, title), self.random.randint(2, 14), last
                )

    def _run(self, holder: str, count: int, last: int) -> None:
        for _ in range(min(count, last - self.draft.article)):
            self._article(holder, 0)
            for inserted in range(1, self.random.choice((1,) * 12 + (2, 3, 5))):
                self._article(holder, inserted)

    def _article(self, holder: str, inserted: int) -> None:
        draft = self.draft
        draft.article += not inserted
        number = f"{draft.article}-{inserted}" if inserted else str(draft.article)
        label = draft.ordinal(draft.article, "条", inserted)
        own = draft.expect("article", number, holder)
        listed = self.random.random() < 0.15
        body = self.random.choice(LED) if listed else draft.prose(1, 3)
        draft.say(f"{label}{self.space}{body}", number=label)
        if listed:
            self._items(own, number)
        for _ in range(self.random.choice((0, 0, 1, 2))):
            draft.say(self.random.choice((*TAILS, *SENTENCES)))

    def _items(self, own: str, number: str) -> None:
        for item in range(1, self.random.choice((3, 4, 6, 9, 14))):
            nested = self.random.random() < 0.08
            self.draft.say(f"（{chinese(item)}）{'有下列情况的：' if nested else self.random.choice(ITEMS)}")
            inner = self.draft.expect("item", f"{number}({item})", own)
            for figure in range(1, 4 if nested else 1):
                self.draft.say(f"{figure}．{self.random.choice(ITEMS)}")
                self.draft.expect("subitem", f"{number}({item})({figure})", inner)


CODES: dict[str, Callable[..., GeneratedContract]] = {
    "code": code, "traditional": traditional, "amendment": amendment, "layered": layered,
}  # fmt: skip
