"""English agreements of many shapes."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from contracts_generator.layout import ExpectedClause, Paragraph

TITLES = [
    "Term",
    "Payment",
    "Delivery of Goods",
    "Confidentiality",
    "Limitation of Liability",
    "Force Majeure",
    "Notices",
    "Audit Rights",
    "Governing Law",
    "Representations and Warranties of the Supplier",
    "Intellectual Property",
    "Assignment",
    "Termination for Cause",
    "Effect of Termination",
    "Insurance",
    "Service Levels",
    "Acceptance",
    "Dispute Resolution",
    "No Waiver",
    "Entire Agreement",
    "Severability",
    "Taxes",
    "Price Review",
    "Export Control",
    "Change Control",
    "Data Protection",
    "Personnel",
    "Subcontractors",
    "Records",
    "Publicity",
    "Non-Solicitation",
    "Title and Risk",
    "Set-Off",
]
SENTENCES = [
    "The Supplier shall perform its duties with reasonable skill and care and in line with good industry practice.",
    "Nothing in this Agreement makes either Party the agent of the other, and neither may bind the other.",
    "The Customer shall pay each correct invoice within thirty days after it has received it.",
    "Any waiver must be in writing and is limited to the case for which it was given.",
    "The Parties shall meet once a quarter in order to review the results and the forecast.",
    "Each Party keeps the rights that it held before the Effective Date, including all improvements of them.",
    "A failure to insist on performance does not release the other Party from it.",
    "If a provision is found to be void, the rest of this Agreement stays in force.",
    "The remedies that are set out here are cumulative and exclude no others.",
    "Copies of the certificates are to be handed over on request and free of charge.",
]
MISLEADING = [
    "This is subject to {section} below, and to whatever the Parties agree from time to time under it.",
    "The rights granted in {number} of this Agreement shall terminate when the Term ends.",
    "The duties under {section} and {section} survive, save as {section}(b) provides otherwise.",
    "The limit is the lower of the fees paid and 1.5 million US dollars in any Contract Year.",
    "The notice must reach the other Party no later than 5 March 2024 or within 30 days after the event.",
    "The price list of 2021. 5. 3 applies until a new list is agreed between the Parties in writing.",
    "It must (a) be in writing, (b) name the grounds, and (c) be signed by an officer of the Party.",
    "The form of {exhibit} attached hereto is to be used, with the changes that {section} requires.",
    "Goods are sent to 12 Quay Road, Bristol, or to 1600 Larch Street, as the order says.",
    "Clauses (a) through (c) above, and {article} hereof, apply with the necessary changes.",
    "Interest accrues at 3.5 percent above the base rate; see {section}. The Customer may object in time.",
]
ITEMS = [
    "the goods that the order names;",
    "any loss caused by delay;",
    "the cost of transport and storage;",
    "all taxes that the law of the seat imposes;",
    "records of every delivery, kept for six years;",
    "such other information as a Party may reasonably ask for;",
    "the fees of advisers;",
    "a list of the sites, with the number of users of each;",
    "damage to property of third parties;",
    "breach of the duty of confidence;",
]
ROMANS = [
    "i",
    "ii",
    "iii",
    "iv",
    "v",
    "vi",
    "vii",
    "viii",
    "ix",
    "x",
    "xi",
    "xii",
    "xiii",
    "xiv",
    "xv",
    "xvi",
    "xvii",
    "xviii",
    "xix",
    "xx",
]
TERMS = [
    "Affiliate",
    "Business Day",
    "Claim",
    "Deliverable",
    "Effective Date",
    "Fees",
    "Goods",
    "Losses",
    "Order",
    "Territory",
]


@dataclass
class Draft:
    """An agreement while it is written."""

    random: Random
    shape: str
    paragraphs: list[Paragraph] = field(default_factory=list)
    expected: list[ExpectedClause] = field(default_factory=list)
    contents: list[tuple[int, str]] = field(default_factory=list)
    articles: int = 0

    def say(self, text: str, **more: object) -> None:
        """Adds a paragraph."""
        self.paragraphs.append(Paragraph(text=text, **more))  # type: ignore[arg-type]

    def expect(self, kind: str, number: str, parent: str = "", title: str = "") -> str:
        """Adds an expectation and answers how its children name it."""
        self.expected.append(ExpectedClause(kind, number, parent, title))
        return f"{kind} {number}"

    def prose(self, low: int = 1, high: int = 3) -> str:
        """Answers sentences, some of which mislead."""
        said = [self.random.choice(SENTENCES) for _ in range(self.random.randint(low, high))]
        for _ in range(self.random.choice((0, 0, 1, 1, 2))):
            said.insert(self.random.randint(1, len(said)), self._misleading())
        return " ".join(said)

    def _misleading(self) -> str:
        article, section = self.random.randint(1, max(2, self.articles)), self.random.randint(1, 9)
        word = self.random.choice(("Section", "section", "Clause")) if self.shape != "articles" else "Section"
        return self.random.choice(MISLEADING).format(
            section=f"{word} {article}.{section}", number=f"{article}.{section}",
            exhibit=self.random.choice(("Exhibit A", "Schedule 1")), article=f"Article {roman(article)}",
        )  # fmt: skip


def roman(value: int) -> str:
    """Answers the Roman numeral of 1 to 39."""
    return "X" * (value // 10) + ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"][value % 10]


def english_paragraphs(random: Random) -> tuple[list[Paragraph], list[ExpectedClause], str]:
    """Answers the paragraphs of one agreement, its clauses and its running header."""
    shape = random.choice(("articles", "decimal", "numbered", "bylaws", "flat"))
    draft = Draft(random, shape, articles=random.randint(3, 8))
    header = random.choice(("", "MASTER SERVICES AGREEMENT", "Confidential - Contract No. 4471", "Execution Version"))
    _recitals(draft)
    for article in range(1, draft.articles + 1):
        _article(draft, article)
    if random.random() < 0.6:
        draft.say("IN WITNESS WHEREOF, the Parties have executed this Agreement on the Effective Date.")
        draft.say("By: ____________________    Name: ____________________")
    if random.random() < 0.6:
        _exhibits(draft)
    front = [Paragraph(text="MASTER SERVICES AGREEMENT", role="heading")]
    if random.random() < 0.6:
        front.extend(_contents(draft))
    front.append(
        Paragraph(
            text="This Agreement is made on the Effective Date between Alder Works Limited and Beacon Retail, Inc."
        )
    )
    return [*front, *draft.paragraphs], draft.expected, header


def _contents(draft: Draft) -> list[Paragraph]:
    leaders = draft.random.choice((" ........ ", " . . . . . . . . ", "  ", "\t"))
    paged = leaders.strip() or draft.random.random() < 0.7
    listed = [
        Paragraph(text=draft.random.choice(("TABLE OF CONTENTS", "CONTENTS", "Table of Contents")), role="heading")
    ]
    for place, (depth, entry) in enumerate(draft.contents):
        listed.append(
            Paragraph(text=entry + (f"{leaders}{2 + place // 4}" if paged else ""), role="contents", depth=depth)
        )
    return listed


def _recitals(draft: Draft) -> None:
    kind = draft.random.choice(("none", "whereas", "lettered"))
    if kind == "whereas":
        for _ in range(draft.random.randint(2, 4)):
            draft.say(f"WHEREAS, {draft.random.choice(SENTENCES)[:-1].lower()}; and")
            draft.expect("recital", "")
    elif kind == "lettered":
        draft.say(draft.random.choice(("RECITALS", "BACKGROUND", "Recitals")), role="heading")
        for index in range(draft.random.randint(2, 5)):
            letter = chr(ord("A") + index)
            draft.say(f"({letter}) {draft.prose(1, 2)}")
            draft.expect("recital", letter)
    if kind != "none":
        draft.say("NOW, THEREFORE, the Parties agree as follows:")


def _article(draft: Draft, number: int) -> None:
    title = draft.random.choice(TITLES)
    shape = draft.shape
    if shape in ("articles", "bylaws"):
        label = f"ARTICLE {roman(number)}"
        if draft.random.random() < 0.5:
            draft.say(label, role="heading")
            draft.say(title.upper(), role="heading")
        else:
            draft.say(f"{label} {title.upper()}", role="heading")
        draft.contents.append((0, f"{label} {title.upper()}"))
        holder = draft.expect("article", str(number), "", title.upper())
    else:
        heading = title.upper() if shape == "decimal" else title
        draft.say(
            f"{number}. {heading}" + ("" if shape != "flat" else f". {draft.prose()}"),
            role="heading" if shape != "flat" else "body",
        )
        draft.contents.append((0, f"{number}. {heading}"))
        holder = draft.expect("section", str(number), "", heading)
        if shape == "flat":
            if draft.random.random() < 0.5:
                _items(draft, holder, str(number), depth=1)
            return
    for section in range(1, draft.random.randint(3, 9)):
        _section(draft, holder, number, section)


def _section(draft: Draft, holder: str, article: int, section: int) -> None:
    title = draft.random.choice(TITLES) if draft.random.random() < 0.8 else ""
    shape = draft.shape
    number = {"articles": f"{article}.{section}", "bylaws": f"{section}"}.get(shape, f"{article}.{section}")
    label = f"Section {number}" if shape in ("articles", "bylaws") else number
    if shape == "bylaws" or (shape == "numbered" and draft.random.random() < 0.3):
        label += "."
    body = draft.prose(1, 12 if draft.random.random() < 0.08 else 3)
    if title and shape == "decimal" and draft.random.random() < 0.3:
        draft.say(f"{label} {title}", role="heading")
        draft.say(body)
    else:
        draft.say(f"{label} {title}. {body}" if title else f"{label} {body}")
    if title:
        draft.contents.append((1, f"{label} {title}"))
    own = draft.expect("section", number, holder, title)
    roll = draft.random.random()
    if roll < 0.35:
        _items(draft, own, number, depth=1)
    elif roll < 0.42:
        _definitions(draft, own)
    elif roll < 0.5:
        _quotation(draft, article)
    elif roll < 0.55:
        draft.say("No.\tItem\tPrice\n1.\tCasing\t12.50\n2.\tMotor\t80.00\n3.\tCable\t4.10", role="table")
    elif roll < 0.6 and shape in ("decimal", "numbered"):
        for part in range(1, draft.random.randint(3, 5)):
            draft.say(f"{number}.{part} {draft.prose(1, 2)}", depth=1)
            draft.expect("paragraph", f"{number}.{part}", own)


def _items(draft: Draft, holder: str, number: str, *, depth: int) -> None:
    """Adds a list, now and then so long that it passes (h), (i), (j)."""
    style = ("(a)", "(i)", "(A)")[depth - 1]
    count = draft.random.choice((2, 3, 4, 12)) if depth == 1 else draft.random.randint(2, 4)
    for index in range(count):
        mark = {"(a)": chr(ord("a") + index), "(i)": ROMANS[index], "(A)": chr(ord("A") + index)}[style]
        own_number = f"{number}({mark})"
        nested = depth < 3 and draft.random.random() < (0.15 if depth == 1 else 0.2)
        text = draft.random.choice(ITEMS)
        draft.say(f"({mark}) {text[:-1] + ', namely:' if nested else text}", depth=depth)
        own = draft.expect("item" if depth == 1 else "subitem", own_number, holder)
        if nested:
            _items(draft, own, own_number, depth=depth + 1)


def _definitions(draft: Draft, holder: str) -> None:
    for term in sorted(draft.random.sample(TERMS, draft.random.randint(2, 5))):
        draft.say(f"“{term}” means {draft.random.choice(SENTENCES)[:-1].lower()}, as {draft._misleading()[:-1]}.")
        draft.expect("definition", "", holder, term)


def _quotation(draft: Draft, article: int) -> None:
    """Adds the clauses of another contract, in quotation marks."""
    draft.say("The old agreement is amended, with effect from its date, to read as follows:")
    first = draft.random.choice(
        (f"Section {article}.{draft.random.randint(1, 9)}", f"{article + 1}.1", f"Article {roman(article + 1)}")
    )
    draft.say(f"“{first} Costs. {draft.random.choice(SENTENCES)}")
    draft.say(f"(a) {draft.random.choice(ITEMS)}")
    draft.say(f"(b) {draft.random.choice(ITEMS)}")
    draft.say(f"Section {article + 1}.1 Exclusivity. {draft.random.choice(SENTENCES)}”")


def _exhibits(draft: Draft) -> None:
    """Adds exhibits or schedules in which the numbers begin anew."""
    word = draft.random.choice(("EXHIBIT", "SCHEDULE", "ANNEX"))
    kind = "schedule" if word == "SCHEDULE" else "exhibit"
    for index in range(draft.random.randint(1, 3)):
        label = chr(ord("A") + index) if word == "EXHIBIT" else str(index + 1)
        title = draft.random.choice(TITLES).upper()
        draft.say(f"{word} {label}", role="heading")
        draft.say(title, role="heading")
        own = draft.expect(kind, label, "", title)
        for number in range(1, draft.random.randint(2, 6)):
            heading = draft.random.choice(TITLES)
            draft.say(f"{number}. {heading}. {draft.prose(1, 2)}")
            draft.expect("section", str(number), own, heading)
