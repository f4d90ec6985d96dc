"""Long agreements: of US articles and sections, of UK clauses and schedules, and regulations with numbered recitals."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from contracts_generator.english import ITEMS, ROMANS, SENTENCES, TERMS, TITLES, Draft
from contracts_generator.layout import ExpectedClause, GeneratedContract, Paragraph


def roman(value: int) -> str:
    """Answers the Roman numeral of 1 to 99."""
    tens = ["", "X", "XX", "XXX", "XL", "L", "LX", "LXX", "LXXX", "XC"][value // 10]
    return tens + ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"][value % 10]


def american(seed: int, *, articles: int = 22) -> GeneratedContract:
    """Answers a credit agreement: ARTICLE I, Section 1.01, (a)(i)(A)(1), definitions, signature pages, exhibits."""
    random = Random(f"american-{seed}")
    draft = Draft(random, "articles", articles=articles)
    padded = random.random() < 0.5
    for _ in range(3):
        draft.say(f"WHEREAS, {random.choice(SENTENCES)[:-1].lower()};")
        draft.expect("recital", "")
    draft.say("NOW, THEREFORE, in consideration of the mutual covenants herein, the parties hereto agree as follows:")
    for number in range(1, articles + 1):
        title = random.choice(TITLES).upper()
        if seed % 2:
            draft.say(f"ARTICLE {roman(number)}", role="heading")
            draft.say(title, role="heading")
        else:
            draft.say(f"ARTICLE {roman(number)} {title}", role="heading")
        draft.contents.append((0, f"ARTICLE {roman(number)} {title}"))
        holder = draft.expect("article", str(number), "", title)
        for section in range(1, random.randint(6, 15)):
            _american_section(draft, holder, number, section, padded=padded)
    _signatures(draft)
    _exhibits(draft, "EXHIBIT", "exhibit")
    return _made(seed, draft, "CREDIT AGREEMENT", "Credit Agreement - Execution Version")


def _american_section(draft: Draft, holder: str, article: int, section: int, *, padded: bool) -> None:
    random = draft.random
    title = random.choice(TITLES)
    label = f"Section {article}.{section:02d}" if padded else f"Section {article}.{section}"
    sign = random.choice((".", ""))
    draft.contents.append((1, f"{label} {title}"))
    own = draft.expect("section", f"{article}.{section}", holder, title)
    number = f"{article}.{section}"
    roll = random.random()
    if article == 1 and section == 1:
        draft.say(f"{label}{sign} {title}. As used in this Agreement, the following terms have the meanings below:")
        for term in sorted(TERMS):
            nested = random.random() < 0.3
            end = "the following:" if nested else f"{random.choice(SENTENCES)[:-1].lower()}."
            draft.say(f"“{term}” means {end}")
            inner = draft.expect("definition", "", own, term)
            for place in range(2 if nested else 0):
                draft.say(f"({ROMANS[place]}) {random.choice(ITEMS)}", depth=1)
                draft.expect("item", f"({ROMANS[place]})".strip("()"), inner)
    elif roll < 0.25:
        draft.say(f"{label}{sign} {title}. (a) {draft.prose(1, 2)}")
        draft.expect("item", f"{number}(a)", own)
        for letter in "bcdefghijkl"[: random.randint(1, 11)]:
            draft.say(f"({letter}) {draft.prose(1, 2)}", depth=1)
            draft.expect("item", f"{number}({letter})", own)
    else:
        draft.say(f"{label}{sign} {title}. {draft.prose(1, 4)}")
        if roll < 0.5:
            _nested(draft, own, number, 0)


def _nested(draft: Draft, holder: str, number: str, depth: int) -> None:
    marks = ("abcdefgh", ROMANS, "ABCDEFG", "1234567")[depth]
    for place in range(draft.random.randint(2, 6 - depth)):
        deeper = depth < 3 and draft.random.random() < 0.3
        text = draft.random.choice(ITEMS)
        draft.say(f"({marks[place]}) {text[:-1] + ', that is:' if deeper else text}", depth=depth + 1)
        own_number = f"{number}({marks[place]})"
        own = draft.expect("subitem" if depth else "item", own_number, holder)
        if deeper:
            _nested(draft, own, own_number, depth + 1)


def british(seed: int, *, clauses: int = 34) -> GeneratedContract:
    """Answers a deed: (A) recitals, 1., 1.1, (a), (i), schedules with parts and paragraphs."""
    random = Random(f"british-{seed}")
    draft = Draft(random, "numbered", articles=clauses)
    draft.say("BACKGROUND", role="heading")
    for letter in "ABCDE":
        draft.say(f"({letter}) {draft.prose(1, 2)}")
        draft.expect("recital", letter)
    draft.say("AGREED TERMS", role="heading")
    for number in range(1, clauses + 1):
        title = random.choice(TITLES)
        draft.say(f"{number}. {title}", role="heading")
        draft.contents.append((0, f"{number}. {title}"))
        holder = draft.expect("section", str(number), "", title)
        for section in range(1, random.randint(2, 11)):
            label = f"{number}.{section}"
            own = draft.expect("section", label, holder)
            if number == 1 and section == 1:
                draft.say(f"{label} In this deed the following definitions apply:")
                for term in sorted(TERMS):
                    draft.say(f"“{term}” means {random.choice(SENTENCES)[:-1].lower()}.", depth=1)
                    draft.expect("definition", "", own, term)
                continue
            draft.say(f"{label} {draft.prose(1, 3)}")
            if random.random() < 0.3:
                _nested(draft, own, label, 0)
            elif random.random() < 0.15:
                for sub in range(1, 4):
                    draft.say(f"{label}.{sub} {draft.prose(1, 1)}", depth=1)
                    draft.expect("paragraph", f"{label}.{sub}", own)
    draft.say("This deed has been entered into on the date stated at the beginning of it.")
    _exhibits(draft, "SCHEDULE", "schedule")
    _signatures(draft)
    return _made(seed, draft, "DEED OF SETTLEMENT", "")


def regulation(seed: int, *, articles: int = 99) -> GeneratedContract:
    """Answers a regulation: Whereas, (1) to (173), CHAPTER I, Section 1, Article 6, 1., (a)."""
    random = Random(f"regulation-{seed}")
    draft = Draft(random, "numbered", articles=articles)
    draft.say("Whereas:", role="heading")
    for recital in range(1, 174):
        draft.say(f"({recital}) {' '.join(random.choice(SENTENCES) for _ in range(random.randint(1, 3)))}")
        draft.expect("recital", str(recital))
    draft.say("HAVE ADOPTED THIS REGULATION:")
    chapter = 0
    holder = ""
    for number in range(1, articles + 1):
        if number % 9 == 1:
            chapter += 1
            title = random.choice(TITLES)
            draft.say(f"CHAPTER {roman(chapter)}", role="heading")
            draft.say(title, role="heading")
            holder = draft.expect("chapter", str(chapter), "", title)
        title = random.choice(TITLES)
        draft.say(f"Article {number}", role="heading")
        draft.say(title, role="heading")
        own = draft.expect("article", str(number), holder, title)
        _regulation_body(draft, own, number)
    draft.say("This Regulation shall be binding in its entirety and directly applicable in all Member States.")
    return _made(seed, draft, "REGULATION OF THE PARLIAMENT AND OF THE COUNCIL", "Official Journal of the Union")


def _regulation_body(draft: Draft, own: str, number: int) -> None:
    random = draft.random
    count = random.choice((0, 2, 3, 5))
    if not count:
        draft.say(random.choice(SENTENCES))
    for paragraph in range(1, count + 1):
        draft.say(f"{paragraph}. {random.choice(SENTENCES)} Article {random.randint(1, 99)}(1) applies.")
        inner = draft.expect("item", f"{number}({paragraph})", own)
        if random.random() < 0.3:
            for letter in "abcde"[: random.randint(2, 5)]:
                draft.say(f"({letter}) {random.choice(ITEMS)}", depth=1)
                draft.expect("subitem", f"{number}({paragraph})({letter})", inner)


def _signatures(draft: Draft) -> None:
    draft.say("IN WITNESS WHEREOF, the parties hereto have caused this Agreement to be duly executed.")
    draft.say("ALDER WORKS LIMITED")
    draft.say("By: ____________________")
    draft.say("Name: John Q. Public")
    draft.say("Title: Director")
    draft.say("[Signature Page to Credit Agreement]")


def _exhibits(draft: Draft, word: str, kind: str) -> None:
    for index in range(4):
        label = chr(ord("A") + index) if word == "EXHIBIT" else str(index + 1)
        title = f"FORM OF {draft.random.choice(TITLES).upper()}"
        draft.say(f"{word} {label}", role="heading")
        draft.say(title, role="heading")
        own = draft.expect(kind, label, "", title)
        for number in range(1, draft.random.randint(3, 9)):
            heading = draft.random.choice(TITLES)
            draft.say(f"{number}. {heading}. {draft.prose(1, 2)}")
            draft.expect("section", str(number), own, heading)


def _made(seed: int, draft: Draft, name: str, header: str) -> GeneratedContract:
    front = [Paragraph(text=name, role="heading")]
    if draft.contents:
        front.append(Paragraph(text="TABLE OF CONTENTS", role="heading"))
    leaders = (" ................ ", "  ")[seed % 2]
    for place, (depth, entry) in enumerate(draft.contents):
        front.append(Paragraph(text=f"{entry}{leaders}{1 + place // 5}", role="contents", depth=depth))
    front.append(
        Paragraph(
            text="This instrument is dated as of 5 March 2024 between Alder Works Limited and Beacon Retail, Inc."
        )
    )
    expected: list[ExpectedClause] = draft.expected
    return GeneratedContract(
        seed=seed, language="en", paragraphs=[*front, *draft.paragraphs], expected=expected, header=header
    )


AGREEMENTS: dict[str, Callable[..., GeneratedContract]] = {
    "american": american, "british": british, "regulation": regulation,
}  # fmt: skip
