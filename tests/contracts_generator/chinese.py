"""Chinese statutes and contracts of many shapes."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from contracts_generator.layout import ExpectedClause, Paragraph

CHAPTERS = [
    "总则",
    "合同的订立",
    "权利和义务",
    "监督管理",
    "违约责任",
    "法律责任",
    "争议解决",
    "附则",
    "数据与隐私",
    "交付与验收",
    "价款与支付",
]
TITLES = [
    "定义",
    "付款方式",
    "交付期限",
    "验收标准",
    "保密义务",
    "知识产权",
    "不可抗力",
    "违约金",
    "合同解除",
    "通知",
    "适用法律",
    "质量保证",
    "保险",
]
SENTENCES = [
    "当事人应当按照约定全面履行自己的义务，遵循诚信原则，根据合同的性质、目的和交易习惯履行通知、协助、保密等义务。",
    "任何一方未经对方书面同意，不得将本合同项下的权利义务转让给第三方。",
    "县级以上人民政府应当加强对本行政区域内有关工作的领导，建立健全协调机制。",
    "因不可抗力不能履行合同的，根据不可抗力的影响，部分或者全部免除责任。",
    "有关部门应当自收到申请之日起二十日内作出决定，并书面告知申请人。",
    "违反前款规定的，由主管部门责令限期改正；逾期不改正的，处五万元以下的罚款。",
    "双方发生争议的，应当首先协商解决，协商不成的，可以向有管辖权的人民法院起诉。",
    "供方应当提供产品合格证明、使用说明书以及其他必要的技术资料。",
]
MISLEADING = [
    "依照{article}的规定处理，",
    "{article}规定的情形，",
    "适用{article}第二款、{article}的规定，",
    "{article}至{article}所称的主体，",
    "按照{chapter}规定的程序，",
    "属于{article}第（三）项情形的，",
    "根据《物流管理条例》{article}的规定，",
    "自2021年5月3日起，",
    "金额超过1.5万元的，",
    "依照{article}和{article}的约定，",
]
ITEMS = [
    "提供虚假材料；",
    "未按照规定备案；",
    "拒绝接受监督检查；",
    "泄露在工作中知悉的商业秘密；",
    "法律、行政法规规定的其他情形；",
    "货物的名称、规格和数量；",
    "价款和支付的期限；",
]
DIGITS = "零一二三四五六七八九"
TRADITIONAL = str.maketrans("条节编则务约义权规应当书处违责质验赔偿数据", "條節編則務約義權規應當書處違責質驗賠償數據")


@dataclass
class Draft:
    """A text while it is written."""

    random: Random
    shape: str
    digits: str
    paragraphs: list[Paragraph] = field(default_factory=list)
    expected: list[ExpectedClause] = field(default_factory=list)
    contents: list[str] = field(default_factory=list)
    article: int = 0

    def say(self, text: str, **more: object) -> None:
        """Adds a paragraph."""
        self.paragraphs.append(Paragraph(text=text, **more))  # type: ignore[arg-type]

    def expect(self, kind: str, number: str, parent: str = "", title: str = "") -> str:
        """Adds an expectation and answers how its children name it."""
        self.expected.append(ExpectedClause(kind, number, parent, title))
        return f"{kind} {number}"

    def ordinal(self, value: int, word: str, inserted: int = 0) -> str:
        """Answers 第十二条之一 in the writing of this text."""
        figures = {
            "han": chinese(value),
            "plain": str(value),
            "wide": str(value).translate(_WIDE),
            "spaced": f" {value} ",
        }[self.digits]
        return f"第{figures}{word}" + (f"之{chinese(inserted)}" if inserted else "")

    def prose(self, low: int = 1, high: int = 3) -> str:
        """Answers sentences, some of which begin with a reference that may come to stand at the start of a line."""
        said = ""
        for index in range(self.random.randint(low, high)):
            sentence = self.random.choice(SENTENCES)
            if index and self.random.random() < 0.6:
                sentence = self._misleading() + sentence
            said += sentence
        return said

    def _misleading(self) -> str:
        text = self.random.choice(MISLEADING)
        while "{article}" in text:
            text = text.replace("{article}", self.ordinal(self.random.randint(1, self.article + 9), "条"), 1)
        return text.replace("{chapter}", self.ordinal(self.random.randint(1, 5), "章"))


_WIDE = str.maketrans("0123456789", "０１２３４５６７８９")


def chinese(value: int) -> str:
    """Answers the Chinese numeral of 1 to 9999."""
    said = ""
    for unit, sign in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = value // unit % 10
        if digit:
            said += DIGITS[digit] + sign
        elif said and value % unit and not said.endswith("零"):
            said += "零"
    return said[1:] if 10 <= value < 20 else said


def chinese_paragraphs(random: Random) -> tuple[list[Paragraph], list[ExpectedClause], str]:
    """Answers the paragraphs of one text, its clauses and its running header."""
    shape = random.choice(("statute", "code", "contract", "chaptered contract", "listed"))
    draft = Draft(random, shape, random.choice(("han", "han", "han", "plain", "wide", "spaced")))
    if shape == "listed":
        _listed(draft)
    elif shape == "code":
        for part in range(1, random.randint(3, 5)):
            _part(draft, part)
    elif shape == "contract":
        _articles(draft, "", random.randint(8, 25))
    else:
        _chapters(draft, "", random.randint(3, 7))
    if random.random() < 0.5:
        draft.say("（以下无正文）")
    if random.random() < 0.5 and shape != "code":
        _annexes(draft)
    front = [Paragraph(text=random.choice(("货物买卖合同", "数据管理条例", "技术服务协议")), role="heading")]
    if draft.contents and random.random() < 0.6:
        front.extend(_contents(draft))
    paragraphs, expected = [*front, *draft.paragraphs], draft.expected
    if random.random() < 0.15:
        paragraphs, expected = _traditional(paragraphs, expected)
    header = random.choice(("", "技术服务协议　合同编号：2024-17", "内部资料　注意保密"))
    return paragraphs, expected, header


def _traditional(
    paragraphs: list[Paragraph], expected: list[ExpectedClause]
) -> tuple[list[Paragraph], list[ExpectedClause]]:
    return (
        [Paragraph(text=item.text.translate(TRADITIONAL), role=item.role, depth=item.depth) for item in paragraphs],
        [ExpectedClause(item.kind, item.number, item.parent, item.title.translate(TRADITIONAL)) for item in expected],
    )


def _contents(draft: Draft) -> list[Paragraph]:
    leaders = draft.random.choice(("……………", "..........", "　", "　"))
    paged = draft.random.random() < 0.6 or leaders != "　"
    listed = [Paragraph(text=draft.random.choice(("目录", "目　录", "目 次")), role="heading")]
    listed.extend(
        Paragraph(text=entry + (f"{leaders}{2 + place // 3}" if paged else ""), role="contents")
        for place, entry in enumerate(draft.contents)
    )
    return listed


def _heading(draft: Draft, kind: str, word: str, number: int, parent: str) -> str:
    title = draft.random.choice(CHAPTERS)
    text = f"{draft.ordinal(number, word)}　{title}"
    draft.say(text, role="heading")
    draft.contents.append(text)
    return draft.expect(kind, str(number), parent, title)


def _part(draft: Draft, number: int) -> None:
    part = _heading(draft, "part", "编", number, "")
    if draft.random.random() < 0.4:
        for index in range(1, 3):
            _chapters(draft, _heading(draft, "subpart", "分编", index, part), 2)
    else:
        _chapters(draft, part, draft.random.randint(2, 4))


def _chapters(draft: Draft, parent: str, count: int) -> None:
    for number in range(1, count + 1):
        chapter = _heading(draft, "chapter", "章", number, parent)
        if draft.random.random() < 0.3:
            for section in range(1, draft.random.randint(3, 4)):
                _articles(draft, _heading(draft, "section", "节", section, chapter), draft.random.randint(1, 4))
        else:
            _articles(draft, chapter, draft.random.randint(1, 7))


def _articles(draft: Draft, parent: str, count: int) -> None:
    titled = draft.shape == "contract" or (draft.shape == "chaptered contract" and draft.random.random() < 0.5)
    for _ in range(count):
        draft.article += 1
        _article(draft, parent, draft.article, 0, titled=titled)
        for inserted in range(1, draft.random.choice((1, 1, 1, 1, 1, 1, 1, 2, 3))):
            _article(draft, parent, draft.article, inserted, titled=titled)


def _article(draft: Draft, parent: str, value: int, inserted: int, *, titled: bool) -> None:
    number = f"{value}-{inserted}" if inserted else str(value)
    label = draft.ordinal(value, "条", inserted)
    title = draft.random.choice(TITLES) if titled else ""
    listed = draft.random.random() < 0.25
    body = "有下列情形之一的，应当承担责任：" if listed else draft.prose(1, 14 if draft.random.random() < 0.05 else 3)
    writing = draft.random.choice(("bracket", "line", "colon")) if title else ""
    if writing == "bracket":
        draft.say(f"{label}　【{title}】{body}", number=label)
    elif writing == "line":
        draft.say(f"{label}　{title}", role="heading", number=label)
        draft.say(body)
    else:
        draft.say(f"{label}　{title}：{body}" if title else f"{label}　{body}", number=label)
    own = draft.expect("article", number, parent, title)
    if listed:
        _items(draft, own, number)
    elif draft.random.random() < 0.3:
        draft.say(draft.prose(1, 2))
    elif draft.random.random() < 0.08:
        _quotation(draft, value)
    elif draft.random.random() < 0.06:
        draft.say("序号\t名称\t数量\n1\t电机\t2\n2\t泵\t4\n3\t阀门\t6", role="table")


def _items(draft: Draft, holder: str, number: str) -> None:
    for index in range(1, draft.random.randint(3, 13)):
        nested = draft.random.random() < 0.12
        text = draft.random.choice(ITEMS)
        draft.say(f"（{chinese(index)}）{text[:-1] + '，包括下列情况：' if nested else text}")
        own = draft.expect("item", f"{number}({index})", holder)
        for figure in range(1, draft.random.randint(3, 5) if nested else 1):
            draft.say(f"{figure}.{draft.random.choice(ITEMS)}")
            draft.expect("subitem", f"{number}({index})({figure})", own)


def _quotation(draft: Draft, value: int) -> None:
    """Adds articles of another text in quotation marks."""
    draft.say(f"将原办法{draft.ordinal(value + 1, '条')}修改为：")
    draft.say(f"“{draft.ordinal(value + 1, '条')}　{draft.random.choice(SENTENCES)}")
    draft.say(f"{draft.ordinal(value + 2, '条')}　{draft.random.choice(SENTENCES)}”")


def _listed(draft: Draft) -> None:
    """Writes a contract that counts 一、 and 1、 and （1）."""
    for index in range(1, draft.random.randint(5, 11)):
        title = draft.random.choice(TITLES)
        draft.say(f"{chinese(index)}、{title}", role="heading")
        own = draft.expect("article", str(index), "", title)
        if draft.random.random() < 0.6:
            for figure in range(1, draft.random.randint(3, 6)):
                draft.say(f"{figure}、{draft.prose(1, 2)}")
                inner = draft.expect("item", f"{index}({figure})", own)
                if draft.random.random() < 0.15:
                    for sub in range(1, 4):
                        draft.say(f"（{sub}）{draft.random.choice(ITEMS)}")
                        draft.expect("subitem", f"{index}({figure})({sub})", inner)
        else:
            draft.say(draft.prose())


def _annexes(draft: Draft) -> None:
    for index in range(1, draft.random.randint(2, 4)):
        title = draft.random.choice(("技术规格书", "价格清单", "服务标准", "人员名单"))
        draft.say(f"附件{chinese(index)}　{title}", role="heading")
        own = draft.expect("exhibit", str(index), "", title)
        for figure in range(1, draft.random.randint(2, 5)):
            draft.say(f"{figure}. {draft.prose(1, 1)}")
            draft.expect("item", str(figure), own)
