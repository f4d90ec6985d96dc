"""Mails: headers, the text once, and what came with it."""

from __future__ import annotations

from email.message import EmailMessage
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import made_documents as made
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difyrpc_services.documents.attachments import DEPTH
from difyrpc_services.documents.formats.reading import Notice
from difyrpc_services.documents.messages import element_message, info_message
from difyrpc_services.documents.pipeline import parse
from difyrpc_services.documents.values import (
    ClausePart,
    Finished,
    Info,
    Limits,
    PagePart,
    ParseOptions,
    ParseTask,
    TextPart,
)
from difyrpc_services.documents.wire import pack, unpack


class Answer:
    """What a parse answered, after its way from the worker."""

    def __init__(self, content: bytes, name: str = "", **limits: int) -> None:
        limit = Limits(content_bytes=10**8, pages=100, seconds=9, expanded_bytes=limits.get("expanded_bytes", 10**7))
        options = ParseOptions(outputs=("text", "elements", "clauses"), limits=limit)
        task = ParseTask(name=name, media_type="", options=options)
        self.parts = [unpack(pack(part)) for part in parse(memoryview(content), task)]
        self.text = "".join(part.text for part in self.parts if isinstance(part, TextPart))
        self.elements = [one for part in self.parts if isinstance(part, PagePart) for one in part.elements]
        self.clauses = [one for part in self.parts if isinstance(part, ClausePart) for one in part.clauses]
        self.notices = [part for part in self.parts if isinstance(part, Notice)]
        (self.info,) = (part for part in self.parts if isinstance(part, Info))
        (finished,) = (part for part in self.parts if isinstance(part, Finished))
        self.attachments = finished.attachments

    @property
    def words(self) -> list[str]:
        return self.text.split("\n\n")


def mail(text: str = "Hello", **headers: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = headers.get("sender", "Ada <ada@example.com>")
    message["To"] = "bo@example.com"
    message["Subject"] = headers.get("subject", "Offer")
    message["Date"] = "Tue, 05 Mar 2024 10:00:00 +0800"
    message["Message-ID"] = "<1@example.com>"
    message.set_content(text)
    return message


def test_a_mail_is_its_subject_its_headers_and_its_text():
    answer = Answer(mail("Dear Bo,\n\nwe offer.\n").as_bytes())
    assert answer.words == [
        "Offer",
        "From: Ada <ada@example.com>\nTo: bo@example.com\nDate: Tue, 05 Mar 2024 10:00:00 +0800",
        "Dear Bo,",
        "we offer.",
    ]
    message = info_message(answer.info)
    assert (message.title, message.author) == ("Offer", "Ada <ada@example.com>")
    assert message.create_time.ToSeconds() == 1709604000
    assert message.metadata["message_id"].string_value == "<1@example.com>"


@pytest.mark.parametrize("encoding", ["gb2312", "big5", "utf-8", "gb18030"])
def test_headers_and_text_of_any_charset_are_decoded(encoding):
    message = MIMEText("这是正文" if encoding != "big5" else "這是正文", "plain", encoding)
    message["From"] = "=?gb2312?B?1cXI/Q==?= <zhang@example.com>"
    message["Message-ID"] = "<1@example.com>"
    message["Subject"] = "=?utf-8?B?5ZCI5ZA=?=\r\n =?utf-8?B?jA==?= =?gb2312?Q?=BA=CF=CD=AC?="
    answer = Answer(message.as_bytes())
    assert answer.words[0] == "合同合同"
    assert answer.words[1] == "From: 张三 <zhang@example.com>"
    assert answer.words[2] in ("这是正文", "這是正文")


def test_headers_of_raw_bytes_are_read():
    content = "From: 张三 <z@example.com>\nTo: b@c.d\nSubject: 合同的修改意见\nMIME-Version: 1.0\n\ntext".encode(
        "gb18030"
    )
    assert Answer(content).words[0] == "合同的修改意见"


@pytest.mark.parametrize("cut", [False, True])
def test_the_richer_form_is_read_once(cut):
    message = mail("Prices\n\nA 1\nB 2\n and many words that only the plain form has, seven more of them here")
    message.add_alternative(
        "<p>see</p>" if cut else "<h1>Prices</h1><p>and many words that only the plain form has, seven more here"
        "<table><tr><th>A<th>B</tr><tr><td>1<td>2</tr></table>",
        subtype="html",
    )  # fmt: skip
    answer = Answer(message.as_bytes())
    assert answer.text.count("many words") == 1
    assert [element.kind for element in answer.elements].count("table") == (0 if cut else 1)


def test_attached_documents_are_read_by_their_own_readers():
    message = mail()
    word = made.bare_word(
        "<w:p><w:r><w:t>第一条 交付。</w:t></w:r></w:p><w:p><w:r><w:t>第二条 付款。</w:t></w:r></w:p>"
    )
    message.add_attachment(word, maintype="application", subtype="octet-stream", filename="合同.docx")
    message.add_attachment(
        made.pdf(made.lines("Printed words")), maintype="application", subtype="pdf", filename="a.pdf"
    )
    message.add_attachment("<h1>Head</h1>", subtype="html", filename="page.html")
    answer = Answer(message.as_bytes())
    assert [(one.id, one.name, one.parsed) for one in answer.attachments] == [
        ("a1", "合同.docx", True), ("a2", "a.pdf", True), ("a3", "page.html", True),
    ]  # fmt: skip
    assert answer.attachments[0].media_type.endswith("wordprocessingml.document")
    found = {element.text: element for element in answer.elements}
    assert found["Printed words"].attachment_id == "a2"
    assert found["Printed words"].heading_path == ("a.pdf",)
    assert found["Head"].heading_path == ("page.html",)
    assert element_message(found["Head"]).attachment_id == "a3"
    assert found["Hello"].attachment_id == ""
    assert [clause.number for clause in answer.clauses] == ["第一条", "第二条"]
    assert answer.notices == []


def test_clauses_of_several_files_have_ids_of_their_own():
    message = mail()
    for name in ("a.txt", "b.txt"):
        text = "第一章 总则\n第一条 交付。\n第二条 付款。\n第三条 其他。"
        message.add_attachment(text, filename=name)
    answer = Answer(message.as_bytes())
    ids = [clause.id for clause in answer.clauses]
    assert len(ids) == 8
    assert len(set(ids)) == 8
    assert {clause.parent_id for clause in answer.clauses} == {"", ids[0], ids[4]}


def test_what_is_wrong_with_a_file_is_a_notice_that_names_it():
    message = mail()
    message.add_attachment(b"%PDF-1.4 nothing", maintype="application", subtype="pdf", filename="broken.pdf")
    message.add_attachment(b"\x7fELF" + bytes(99), maintype="application", subtype="x-program", filename="run.bin")
    message.add_attachment("fine", filename="note.txt")
    message.add_attachment("", filename="empty.txt")
    answer = Answer(message.as_bytes())
    assert answer.words[-1] == "fine"
    assert [one.parsed for one in answer.attachments] == [False, False, True, False]
    assert [(notice.reason, notice.message.split(":")[0]) for notice in answer.notices] == [
        ("ATTACHMENT_NOT_READ", "broken.pdf"), ("ATTACHMENT_NOT_READ", "run.bin"),
    ]  # fmt: skip


def test_pictures_in_the_text_are_listed_without_a_notice():
    message = mail()
    message.add_alternative("<p>Hello <img src=cid:logo></p>", subtype="html")
    message.get_payload()[1].add_related(
        b"\x89PNG\r\n\x1a\n" + bytes(20), "image", "png", cid="<logo>", filename="l.png"
    )
    answer = Answer(message.as_bytes())
    assert [(one.name, one.parsed) for one in answer.attachments] == [("l.png", False)]
    assert answer.notices == []


def forwarded(depth: int) -> EmailMessage | MIMEMultipart:
    inner: EmailMessage | MIMEMultipart = mail("innermost", subject="level 0")
    for level in range(1, depth + 1):
        outer = MIMEMultipart()
        outer["From"], outer["Subject"], outer["Message-ID"] = "a@b.c", f"level {level}", f"<{level}@b.c>"
        outer.attach(MIMEText(f"text {level}"))
        outer.attach(MIMEMessage(inner))
        inner = outer
    return inner


def test_forwarded_mails_are_read_as_files_in_files():
    answer = Answer(forwarded(3).as_bytes())
    assert [one.name for one in answer.attachments] == ["level 2.eml", "level 1.eml", "level 0.eml"]
    (element,) = (one for one in answer.elements if one.text == "innermost")
    assert element.attachment_id == "a3"


def test_mails_in_mails_end_somewhere():
    answer = Answer(forwarded(DEPTH + 3).as_bytes())
    assert answer.notices[-1].reason == "ATTACHMENT_NOT_READ"
    assert "attachment_depth" in answer.notices[-1].message
    assert "innermost" not in answer.text


def test_files_share_one_limit_of_size():
    message = mail()
    for name in ("a.txt", "b.txt"):
        message.add_attachment("word " * 100, filename=name)
    answer = Answer(message.as_bytes(), expanded_bytes=700)
    assert [one.parsed for one in answer.attachments] == [True, False]
    assert "TOO_LARGE" in answer.notices[0].message


def test_flowed_lines_are_joined():
    content = (
        b"From: a@b.c\nTo: d@e.f\nMIME-Version: 1.0\nContent-Type: text/plain; format=flowed\n\n"
        b"one \ntwo \nthree\n\n> quoted \n> more\n\n-- \nAda\n"
    )
    words = Answer(content).words
    assert "one two three" in words
    assert words[-1].endswith("Ada")


def test_a_mail_without_its_end_is_read_to_there():
    message = mail("first")
    message.add_attachment("second part", filename="b.txt")
    content = message.as_bytes()
    cut = content[: content.rindex(b"--")]
    cut = cut[: cut.rindex(b"--")] if cut.rstrip().endswith(b"--") else cut
    answer = Answer(cut)
    assert "first" in answer.text
    assert answer.attachments[0].name == "b.txt"


@pytest.mark.parametrize(
    "content",
    [
        b"Content-Type: multipart/mixed\nMIME-Version: 1.0\nFrom: a@b.c\n\n--x\n\nfound\n--x--\n",
        b"MIME-Version: 1.0\nFrom: a@b.c\nSubject: s\nContent-Type: multipart/mixed; boundary=gone\n\nfound\n",
        b"MIME-Version: 1.0\nFrom: a@b.c\nSubject: s\nContent-Transfer-Encoding: base64\n\nZm91b!!mQ\n",
        b"MIME-Version: 1.0\nFrom: a@b.c\nSubject: s\nContent-Transfer-Encoding: quoted-printable\n\nfo=\nund =ZZ\n",
        b"MIME-Version: 1.0\nFrom: a@b.c\nSubject: s\nContent-Type: text/html; charset=nothing\n\n<p>found\n",
        b"\n\nMIME-Version: 1.0\nFrom: a@b.c\nSubject: s\nthis is no header: found\nfound\n",
        b"MIME-Version: 1.0\r\nFrom: a@b.c\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nfound\r\n--b",
    ],
)  # fmt: skip
def test_broken_mails_are_read_as_far_as_they_go(content):
    assert "found" in Answer(content, "mail.eml").text


def test_a_mailbox_is_its_mails_one_after_another():
    one, two = (mail(f"text {number}", subject=f"s{number}").as_bytes() for number in (1, 2))
    envelope = b"From ada@example.com Tue Mar  5 10:00:00 2024\n"
    answer = Answer(envelope + one + b"\n" + envelope + two, "all.mbox")
    assert [words for words in answer.words if not words.startswith("From:")] == ["s1", "text 1", "s2", "text 2"]


def test_signatures_are_listed_and_what_they_sign_is_read():
    content = (
        b"From: a@b.c\nSubject: s\nMIME-Version: 1.0\nContent-Type: multipart/signed; boundary=b\n\n--b\n\n"
        b"signed text\n--b\nContent-Type: application/pkcs7-signature; name=smime.p7s\n"
        b"Content-Transfer-Encoding: base64\n\nAAAA\n--b--"
    )
    answer = Answer(content)
    assert answer.words[-1] == "signed text"
    assert [(one.name, one.parsed) for one in answer.attachments] == [("smime.p7s", False)]
    assert answer.notices == []


def test_an_encrypted_mail_says_so():
    content = (
        b"From: a@b.c\nSubject: s\nMIME-Version: 1.0\nContent-Type: application/pkcs7-mime; name=smime.p7m\n"
        b"Content-Transfer-Encoding: base64\n\nMIAGCSqGSIb3DQEHA6CAMIACAQA=\n"
    )
    (notice,) = Answer(content).notices
    assert "encrypted" in notice.message


@pytest.mark.parametrize("words", ["signed words", "signed words " * 90])
def test_a_mail_inside_its_signature_is_read(words):
    entity = f"Content-Type: text/plain\r\n\r\n{words}".encode()
    length = len(entity)
    size = bytes((length,)) if length < 128 else b"\x82" + length.to_bytes(2, "big")
    envelope = (
        b"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x80\x24\x80\x04" + size + entity + b"\x00\x00junk"
    )
    content = b"From: a@b.c\nSubject: s\nMIME-Version: 1.0\nContent-Type: application/pkcs7-mime\n\n" + envelope
    assert Answer(content).words[-1] == words.strip()


def test_outlooks_own_packing_is_listed_with_a_notice():
    message = mail()
    message.add_attachment(b"\x78\x9f\x3e\x22", maintype="application", subtype="ms-tnef", filename="winmail.dat")
    answer = Answer(message.as_bytes())
    assert [one.name for one in answer.attachments] == ["winmail.dat"]
    assert answer.notices[0].message.startswith("winmail.dat")


def test_a_web_archive_is_its_page():
    content = (
        b"From: <Saved by Blink>\nSnapshot-Content-Location: https://example.com\nSubject: =?utf-8?Q?T=C3=BCr?=\n"
        b'MIME-Version: 1.0\nContent-Type: multipart/related; type="text/html"; boundary="b"\n\n--b\n'
        b"Content-Type: text/css\n\np{}\n--b\nContent-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n"
        b"<p>caf=C3=A9</p>\n--b--\n"
    )
    answer = Answer(content)
    assert (answer.info.format, answer.text, answer.info.metadata["title"]) == ("mhtml", "café", "Tür")


LINES = (
    b"--b\n", b"--b--\n", b"Content-Type: multipart/mixed; boundary=b\n", b"\n", b"Content-Type: message/rfc822\n",
    b"Content-Transfer-Encoding: base64\n", b"text\n", b"From: a@b.c\n", b"Content-Type: text/html\n", b"=?x?B?\xff?\n",
    b"Content-Disposition: attachment; filename*=x''%zz\n", b"Content-Type: multipart/alternative; boundary=b\n",
    b"begin 644 x\n", b"Content-Type: application/pkcs7-mime\n", b"Content-Transfer-Encoding: x-uuencode\n",
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(st.lists(st.one_of(st.sampled_from(LINES), st.binary(max_size=8)), max_size=30))
def test_any_mail_is_answered(lines):
    answer = Answer(b"MIME-Version: 1.0\nFrom: a@b.c\nTo: d@e.f\nSubject: s\n" + b"".join(lines), "x.eml")
    assert answer.info.format in ("eml", "mhtml")
