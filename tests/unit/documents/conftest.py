"""Reads documents in the test's own process."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from difyrpc_services.documents.elements import Element
from difyrpc_services.documents.formats import reader
from difyrpc_services.documents.formats.reading import Opened, ReadRequest
from difyrpc_services.documents.pipeline import _Outline

Elements = Callable[..., list[Element]]


@pytest.fixture
def elements() -> Elements:
    def read(format_name: str, content: bytes, **request: object) -> list[Element]:
        parts = reader(format_name)(memoryview(content), ReadRequest(**request))
        found = [element for part in parts if not isinstance(part, Opened) for element in part.elements]
        return _Outline().placed(found)

    return read
