"""kill -9 of a server that counts usage: writers send again what was not acknowledged, and every call counts once."""

from __future__ import annotations

import asyncio
import random
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from google.protobuf.duration_pb2 import Duration
from killing import Doom, Life, Relay, kill_house, kill_server
from processes import Process, state_folder
from prometheus_client.parser import text_string_to_metric_families
from statuses import retry_seconds

from difyrpc.metrics.v1 import metrics_pb2 as pb
from difyrpc.metrics.v1 import observation_pb2, usage_pb2
from difyrpc.metrics.v1.metrics_pb2_grpc import MetricsCollectorStub
from difyrpc_client import Observation, Retry, Unavailable, connect_async

LIVES = 5
WORKER_DEATHS = 3
SEED = 20240609
MODELS = ("small", "large")
ENV = {"DIFYRPC_AUTH": "none", "DIFYRPC_METRICS_COMPACT_SECONDS": "0.05"}
QUICK = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 200),
]
"""A channel that is there again soon after a restart."""


class Sum(tuple[int, ...]):
    """Calls, errors, input tokens and output tokens."""

    __slots__ = ()

    def __add__(self, other: tuple[int, ...]) -> Sum:
        return Sum(mine + its for mine, its in zip(self, other, strict=True))


NOTHING = Sum((0, 0, 0, 0))


class Recorder:
    """A writer that records batch after batch until it is told to end; knows what was sent and acknowledged."""

    def __init__(self, name: str, rng: random.Random) -> None:
        self.name, self.rng = name, rng
        self.totals = [NOTHING]
        self.acknowledged = 0
        self.doom: Doom | None = None
        self.may_end = asyncio.Event()

    def observations(self) -> list[Observation]:
        """Makes the next batch."""
        made = [self.observation() for _ in range(self.rng.randrange(1, 40))]
        total = self.totals[-1]
        for seen in made:
            total += (1, int(bool(seen.error_type)), seen.input_tokens, seen.output_tokens)
        self.totals.append(total)
        return made

    def observation(self) -> Observation:
        return Observation(
            app=self.name,
            model=self.rng.choice(MODELS),
            user=f"user {self.rng.randrange(20)}",
            input_tokens=self.rng.randrange(1, 5000),
            output_tokens=self.rng.randrange(500),
            seconds=self.rng.uniform(0, 3),
            error_type=self.rng.choice(("", "", "timeout")),
        )

    def note(self, committed: int) -> None:
        """Takes an acknowledgement."""
        assert committed < len(self.totals)
        assert committed >= self.acknowledged
        self.acknowledged = committed
        if self.doom:
            self.doom.count()
