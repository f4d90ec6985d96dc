from __future__ import annotations

import io

import made_documents as made
import pytest
from msoffcrypto.format.ooxml import OOXMLFile

from difyrpc_services.documents.formats.unlocked import unlocked
from difyrpc_services.documents.pipeline import parse
from difyrpc_services.documents.values import Info, Limits, ParseOptions, ParseTask, TextPart
from difyrpc_services.runtime.errors import InvalidArgument

LIMITS = Limits(content_bytes=1_000_000, pages=10, seconds=30, expanded_bytes=10_000_000)


@pytest.fixture(scope="module")
def locked() -> bytes:
    plain = io.BytesIO(made.word(lambda document: document.add_paragraph("secret")))
    content = io.BytesIO()
    OOXMLFile(plain).encrypt("right", content)
    return content.getvalue()


def parsed(content: bytes, password: str) -> list[object]:
    options = ParseOptions(outputs=("text",), password=password, limits=LIMITS)
    return list(parse(memoryview(content), ParseTask(name="a.docx", media_type="", options=options)))


def test_the_right_password_opens_an_office_document(locked):
    parts = parsed(locked, "right")
    assert "".join(part.text for part in parts if isinstance(part, TextPart)) == "secret"
    (info,) = [part for part in parts if isinstance(part, Info)]
    assert (info.format, info.encrypted) == ("docx", True)


@pytest.mark.parametrize("password", ["", "wrong"])
def test_without_the_right_password_it_stays_closed(locked, password):
    with pytest.raises(InvalidArgument) as caught:
        parsed(locked, password)
    assert caught.value.reason == "ENCRYPTED"


def test_a_password_for_a_document_without_one_is_ignored():
    content = memoryview(made.bare_word("<w:p/>"))
    assert unlocked(content, "any") is content


def test_broken_encryption_stays_closed(locked):
    with pytest.raises(InvalidArgument) as caught:
        parsed(locked[:2_000] + bytes(len(locked) - 2_000), "right")
    assert caught.value.reason in ("ENCRYPTED", "UNSUPPORTED_TYPE")
