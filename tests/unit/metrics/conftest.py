"""A collector over memory with a clock that stands still until it is told to move."""

from __future__ import annotations

import pytest
from metrics_world import World


@pytest.fixture
def world() -> World:
    return World()
