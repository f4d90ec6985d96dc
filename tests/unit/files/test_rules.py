"""The rules over names and values."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from difyrpc_services.files.core import rules
from difyrpc_services.runtime.errors import InvalidArgument

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("name", ["合同 2024.pdf", "a/b/c.txt", "..a", "a..", "…", "👩‍⚖️.txt", "x" * 255])
def test_an_honest_name_is_kept(name: str) -> None:
    assert rules.display_name(name, "f") == name


def test_a_name_is_kept_in_nfc() -> None:
    assert rules.display_name("e\u0301.txt", "f") == "\u00e9.txt"


@given(st.text(max_size=300))
def test_whatever_passes_is_safe_to_show_and_no_path(text: str) -> None:
    try:
        name = rules.display_name(text, "f")
    except InvalidArgument:
        return
    assert 1 <= len(name) <= 255
    assert name == unicodedata.normalize("NFC", name).strip()
    assert not set(name) & rules.DECEPTIVE
    assert not any(unicodedata.category(char) == "Cc" for char in name)
    assert not name.startswith("/")
    assert not {".", "..", ""} & set(name.split("/"))


@pytest.mark.parametrize(
    ("name", "media_type"),
    [("a.pdf", "application/pdf"), ("a.tar.gz", "application/x-tar"), ("README", "application/octet-stream"),
     ("data:text/html,x", "application/octet-stream"), ("x/.html", "text/html")],
)  # fmt: skip
def test_the_media_type_follows_the_ending(name: str, media_type: str) -> None:
    assert rules.guessed_media_type(name) == media_type


@pytest.mark.parametrize("text", ["text/plain; charset=utf-8", "application/vnd.ms-excel", ""])
def test_a_media_type_is_kept(text: str) -> None:
    assert rules.media_type(text, "f") == text


@pytest.mark.parametrize("text", ["text", "text/", "a/b\n", "a/b; \x01", "/" * 300, "a b/c"])
def test_what_is_no_media_type_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        rules.media_type(text, "f")


def test_ids_of_files_sort_by_their_time() -> None:
    early, late = rules.new_file_id(NOW), rules.new_file_id(NOW.replace(year=2031))
    assert early < late
    assert len({rules.new_upload_id() for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "metadata",
    [{"": 1}, {"a\0": 1}, {"k" * 129: 1}, {"a": "\0"}, {"a": ("x", float("inf"))}, {str(n): n for n in range(65)},
     {"a": tuple(range(1001))}, {"a": "字" * 6000}],
)  # fmt: skip
def test_metadata_beyond_its_limits_is_refused(metadata: dict) -> None:
    with pytest.raises(InvalidArgument) as caught:
        rules.metadata(metadata, "spec.metadata")
    assert caught.value.reason == "INVALID_METADATA"
