"""One server process for the tests that only look."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from processes import Process, serve, state_folder


@pytest.fixture(scope="session")
def process() -> Iterator[Process]:
    """Every service in one process, with keys; tests leave it running."""
    with state_folder() as state, serve(state=state) as process:
        yield process
