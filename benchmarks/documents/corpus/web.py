"""HTML, EPUB, EML and Markdown."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from html import escape

from benchmarks.documents.cases import Truth
from benchmarks.documents.corpus.markup import blocks, html
from benchmarks.documents.corpus.prose import Prose
from benchmarks.documents.corpus.story import Block, Figure, Heading, Items, Made, Story, Table, Text, written
from benchmarks.documents.corpus.word import written as word_file

NAV = '<header><nav><ul><li><a href="/">Home</a></li><li><a href="/shop">Shop</a></li></ul></nav></header>'
END = "<footer><p>© 2024 Harbour Works</p></footer><script>var counted = 'no text of the page';</script>"
MONEY = datetime(2024, 3, 5, 9, 30, tzinfo=UTC)


def make(seed: int) -> Iterator[Made]:
    """Yields the files."""
    for language in ("en", "zh", "mixed"):
        story = Prose(f"{seed} web {language}", language).story(f"page-{language}", 6)
        truth = story.truth(numbers=False)
        yield Made(name=f"{story.name}.html", data=html(story).encode(), truth=truth)
        yield Made(name=f"{story.name}.epub", data=epub(story), truth=truth)
        yield Made(name=f"{story.name}.md", data=markdown(story).encode(), truth=truth)
    story = Prose(f"{seed} old page", "zh").story("gb18030", 4)
    page = html(story).replace('charset="utf-8"', 'charset="gb2312"').encode("gb18030")
    yield Made(name="gb18030.html", data=page, truth=story.truth(numbers=False))
    story = Prose(f"{seed} chrome").story("navigation", 4, header="", footer="")
    page = html(story, before=f"{NAV}<main>", after=f"</main>{END}")
    text = f"Home\nShop\n{story.truth(numbers=False).text}© 2024 Harbour Works"
    tables = story.truth().tables
    yield Made(name="navigation.html", data=page.encode(), truth=Truth(text=text, tables=tables))
    yield from _deep(seed)
    yield from mails(seed)


def _deep(seed: int) -> Iterator[Made]:
    """A page in tag soup: nothing is closed, entities, line breaks, preformatted text, hidden parts."""
    prose = Prose(f"{seed} soup")
    texts = [prose.text() for _ in range(8)]
    body = "".join(f"<p>{escape(text)}" for text in texts)
    listed = [prose.short() for _ in range(5)]
    body += "<ul>" + "".join(f"<li>{escape(item)}" for item in listed) + "</ul>"
    body += "<pre>a  = 1\nb  = 2</pre><p>caf&eacute; &mdash; 5&nbsp;&lt;&nbsp;6<br>next line<style>p{color:red}</style>"
    body += "<div hidden>never shown</div><template>nor this</template><!-- nor this --><textarea>typed</textarea>"
    text = "\n".join([*texts, *listed, "a  = 1\nb  = 2", "café — 5 < 6", "next line", "typed"])
    yield Made(name="soup.html", data=f"<title>Soup</title>{body}".encode(), truth=Truth(text=text))


def epub(story: Story) -> bytes:
    """Answers a book of two chapters; the spine's order is not that of the names."""
    half = len(story.blocks) // 2
    parts = {
        name: "\n".join(blocks(Story(name=name, blocks=some, language=story.language)))
        for name, some in (("z-first", story.blocks[:half]), ("a-second", story.blocks[half:]))
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        book.writestr(
            "META-INF/container.xml",
            '<?xml version="1.0"?><container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
            '<rootfiles><rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles>'
            "</container>",
        )
        items = "".join(f'<item id="{name}" href="{name}.xhtml" media-type="application/xhtml+xml"/>' for name in parts)
        spine = "".join(f'<itemref idref="{name}"/>' for name in parts)
        book.writestr(
            "OEBPS/book.opf",
            '<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0" '
            'unique-identifier="i"><metadata '
            f'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:identifier id="i">x</dc:identifier>'
            f"<dc:title>{escape(story.title)}"
            f"</dc:title><dc:language>en</dc:language></metadata><manifest>{items}</manifest>"
            f"<spine>{spine}</spine></package>",
        )
        for name, body in parts.items():
            book.writestr(
                f"OEBPS/{name}.xhtml",
                '<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>t</title>'
                f"</head><body>{body}</body></html>",
            )
    return buffer.getvalue()


def markdown(story: Story) -> str:
    """Answers a story as Markdown with pipe tables."""
    return "\n\n".join(_markdown(block) for block in story.blocks) + "\n"


def _markdown(block: Block) -> str:
    if isinstance(block, Heading):
        return "#" * block.level + " " + block.text
    if isinstance(block, Items):
        return "\n".join((f"{n}. " if block.ordered else "- ") + text for n, text in enumerate(block.texts, start=1))
    if isinstance(block, Table):
        lines = ["| " + " | ".join(cell or "" for cell in row) + " |" for row in block.rows]
        return "\n".join([lines[0], "|" + " --- |" * len(block.rows[0]), *lines[1:]])
    if isinstance(block, Figure):
        return f"![{block.caption}](picture.png)"
    return "\n\n".join(written(block).split("\n")) if isinstance(block, Text) else ""


def mails(seed: int) -> Iterator[Made]:
    """Plain, HTML and both, in encodings of the time, with attachments of other formats and mails in mails."""
    for language, charset in (("en", "utf-8"), ("zh", "gb18030"), ("en", "iso-8859-1"), ("zh", "utf-8")):
        prose = Prose(f"{seed} mail {language} {charset}", language)
        mail, heads = _mail(prose)
        body = "\n\n".join(prose.text() for _ in range(4))
        mail.set_content(body, charset=charset)
        yield Made(name=f"plain-{charset}-{language}.eml", data=mail.as_bytes(), truth=Truth(text=f"{heads}\n{body}"))
    for language in ("en", "zh"):
        prose = Prose(f"{seed} mail html {language}", language)
        mail, heads = _mail(prose)
        story = prose.story("mail", 2)
        text = story.truth(numbers=False).text or ""
        mail.set_content(text)
        mail.add_alternative(html(story), subtype="html")
        yield Made(name=f"alternative-{language}.eml", data=mail.as_bytes(), truth=Truth(text=f"{heads}\n{text}"))
        yield _attached(prose)


def _mail(prose: Prose) -> tuple[EmailMessage, str]:
    mail = EmailMessage()
    subject = f"{prose.topic()} 2024"
    mail["From"], mail["To"], mail["Subject"] = "Ada Flint <ada@example.com>", "office@example.com", subject
    mail["Date"] = format_datetime(MONEY)
    heads = f"From: Ada Flint <ada@example.com>\nTo: office@example.com\nSubject: {subject}\nDate: {mail['Date']}"
    return mail, heads


def _attached(prose: Prose) -> Made:
    """Text, a DOCX and a mail are attached, and what they say is part of it."""
    mail, heads = _mail(prose)
    body, note = prose.text(), prose.text()
    story = prose.story("attached", 2)
    mail.set_content(body)
    mail.add_attachment(note.encode("utf-8"), maintype="text", subtype="plain", filename="note.txt")
    kind = "vnd.openxmlformats-officedocument.wordprocessingml.document"
    mail.add_attachment(word_file(story), maintype="application", subtype=kind, filename="report.docx")
    inner, inner_heads = _mail(prose)
    inner_body = prose.text()
    inner.set_content(inner_body)
    mail.add_attachment(inner)
    text = "\n".join([heads, body, "note.txt", note, "report.docx", story.truth().text or "", inner_heads, inner_body])
    return Made(name=f"attachments-{prose.language}.eml", data=mail.as_bytes(), truth=Truth(text=text))
