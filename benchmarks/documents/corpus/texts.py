"""TXT in many encodings, RTF and ODT."""

from __future__ import annotations

import io
from collections.abc import Iterator

from benchmarks.documents.cases import Truth
from benchmarks.documents.corpus import word
from benchmarks.documents.corpus.prose import Prose
from benchmarks.documents.corpus.story import Block, Figure, Heading, Items, Made, Story, Table, Text, written
from benchmarks.documents.corpus.writer import converted

JAPANESE = (
    "担当者は第三四半期の報告書を確認し、改善計画を提出しました。"
    "ポンプの流量は規定値の範囲内です。カタカナとひらがなが混ざっています。"
)
KOREAN = "담당자는 3분기 보고서를 확인하고 개선 계획을 제출했습니다. 펌프의 유량은 규정값 이내입니다."
TRADITIONAL = "負責人確認了第三季度的報告，並提出了改善計畫。水泵的流量在規定範圍之內，相關資料已經歸檔。"
RUSSIAN = "Ответственный проверил отчёт за третий квартал и представил план улучшений. Расход насоса в пределах нормы."
POLISH = "Kierownik zatwierdził sprawozdanie za trzeci kwartał, łącznie z źródłami i żądaniami zespołu."
GREEK = "Ο υπεύθυνος επιβεβαίωσε την έκθεση του τρίτου τριμήνου και υπέβαλε σχέδιο βελτίωσης."


def make(seed: int) -> Iterator[Made]:
    """Yields the files."""
    yield from encoded(seed)
    yield from rich(seed)
    yield from open_documents(seed)


def encoded(seed: int) -> Iterator[Made]:
    """Plain text in the encodings of each language."""
    english, chinese = (Prose(f"{seed} encodings {language}", language) for language in ("en", "zh"))
    for name, prose, encodings in (
        ("english", english, ("utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le")),
        ("chinese", chinese, ("utf-8", "gb18030", "gbk", "utf-16", "utf-16-be")),
    ):
        for encoding in encodings:
            text = "\n\n".join(prose.text() for _ in range(6))
            yield Made(name=f"{name}-{encoding}.txt", data=text.encode(encoding), truth=Truth(text=text))
    for name, sentence, encodings in (
        ("japanese", JAPANESE, ("shift_jis", "euc_jp", "iso2022_jp")),
        ("korean", KOREAN, ("euc_kr", "cp949")),
        ("traditional", TRADITIONAL, ("big5",)),
        ("russian", RUSSIAN, ("cp1251", "koi8_r")),
        ("polish", POLISH, ("cp1250", "iso8859_2")),
        ("greek", GREEK, ("cp1253",)),
    ):
        for encoding in encodings:
            for length, count in (("short", 1), ("long", 20)):
                text = "\n".join([sentence] * count)
                yield Made(name=f"{name}-{encoding}-{length}.txt", data=text.encode(encoding), truth=Truth(text=text))


def rich(seed: int) -> Iterator[Made]:
    """RTF as Word writes its text: other letters as \\uN with a replacement, or in the code page."""
    for language in ("en", "zh", "mixed"):
        story = Prose(f"{seed} rtf {language}", language).story(f"unicode-{language}", 4)
        yield Made(name=f"unicode-{language}.rtf", data=rtf(story), truth=story.truth())
    story = Prose(f"{seed} rtf pages", "zh").story("code-page-zh", 4)
    yield Made(name="code-page-zh.rtf", data=rtf(story, code_page=True), truth=story.truth())


def rtf(story: Story, *, code_page: bool = False) -> bytes:
    """Answers a story as RTF."""
    head = r"{\rtf1\ansi\ansicpg936\uc1\deff0{\fonttbl{\f0\fnil\fcharset134 SimSun;}}{\info{\author Nobody}}" + "\n"
    body = "\n".join(_rtf(block, code_page=code_page) for block in story.blocks)
    return (head + body + "}").encode("ascii")


def _rtf(block: Block, *, code_page: bool) -> str:
    def told(text: str) -> str:
        return "".join(_letter(sign, code_page=code_page) for sign in text)

    if isinstance(block, Heading):
        return rf"{{\pard\s{block.level}\b\fs32 {told(block.text)}\par}}"
    if isinstance(block, Text):
        note = rf"{{\super\chftn}}{{\footnote \pard\plain {told(block.note)}}}" if block.note else ""
        return rf"{{\pard {told(block.text)}{note}\par}}"
    if isinstance(block, Items):
        marks = (f"{n}." if block.ordered else r"\bullet" for n in range(1, len(block.texts) + 1))
        return "\n".join(
            rf"{{\pard{{\listtext {mark}\tab}}\ls1 {told(text)}\par}}"
            for mark, text in zip(marks, block.texts, strict=True)
        )
    if isinstance(block, Figure):
        return rf"{{\pard\qc {told(block.caption)}\par}}"
    edges = "".join(rf"\cellx{2000 * place}" for place in range(1, len(block.rows[0]) + 1))
    return "\n".join(
        rf"\trowd{edges}\pard\intbl " + "".join(rf"{told(cell or '')}\cell " for cell in row) + r"\row"
        for row in block.rows
    )


def _letter(sign: str, *, code_page: bool) -> str:
    if sign in "\\{}":
        return "\\" + sign
    if sign < "\x80":
        return sign
    if code_page:
        return "".join(f"\\'{byte:02x}" for byte in sign.encode("gb18030"))
    number = ord(sign)
    return f"\\u{number - 65536 if number > 32767 else number}?"


def open_documents(seed: int) -> Iterator[Made]:
    """ODT by LibreOffice out of DOCX, by odfpy, and RTF by LibreOffice."""
    stories = [Prose(f"{seed} odt {language}", language).story(f"office-{language}", 4) for language in ("en", "zh")]
    for story in stories:
        yield Made(name=f"{story.name}-odfpy.odt", data=odt(story), truth=story.truth(numbers=False))
    documents = [(f"{story.name}.docx", word.written(story)) for story in stories]
    for ending in ("odt", "rtf"):
        for story, data in zip(stories, converted(documents, ending), strict=True):
            yield Made(name=f"{story.name}.{ending}", data=data, truth=story.truth(counting_on=True))


def odt(story: Story) -> bytes:
    """Answers a story as ODT."""
    from odf import table, text
    from odf.opendocument import OpenDocumentText

    document = OpenDocumentText()
    for block in story.blocks:
        if isinstance(block, Heading):
            document.text.addElement(text.H(outlinelevel=block.level, text=block.text))
        elif isinstance(block, Items):
            items = text.List()
            for one in block.texts:
                item = text.ListItem()
                item.addElement(text.P(text=one))
                items.addElement(item)
            document.text.addElement(items)
        elif isinstance(block, Table):
            grid = table.Table(name="t")
            for _ in block.rows[0]:
                grid.addElement(table.TableColumn())
            for cells in block.rows:
                row = table.TableRow()
                for cell in cells:
                    place = table.TableCell(valuetype="string")
                    place.addElement(text.P(text=cell or ""))
                    row.addElement(place)
                grid.addElement(row)
            document.text.addElement(grid)
        else:
            for line in written(block).split("\n"):
                document.text.addElement(text.P(text=line))
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()
