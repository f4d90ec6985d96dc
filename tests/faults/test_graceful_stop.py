"""SIGTERM to a real server: every client is told to go elsewhere, by health and by the connection itself."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from killing import Life
from raw_http2 import raw_peer

from difyrpc_services.runtime.database import DatabaseSettings

NO_ERROR = 0  # of HTTP/2


async def test_a_server_that_is_asked_to_stop_says_so_before_it_goes(
    tmp_path: Path, database_settings: DatabaseSettings, migrated_tables: list[int]
) -> None:
    env = {"DIFYRPC_DATABASE_URL": database_settings.url, "DIFYRPC_DATABASE_SCHEMA": database_settings.schema}
    async with (
        Life("documents", state=tmp_path, env=env) as process,
        raw_peer(process.target) as peer,
        grpc.aio.insecure_channel(process.target) as channel,
    ):
        watch = HealthStub(channel).Watch(HealthCheckRequest())
        assert (await watch.read()).status == HealthCheckResponse.SERVING
        process.popen.send_signal(signal.SIGTERM)
        assert (await watch.read()).status == HealthCheckResponse.NOT_SERVING
        goaway, _ = await peer.closed()
        assert goaway == NO_ERROR
        assert await watch.read() is grpc.aio.EOF, "who watches does not hold the server up"
        assert await asyncio.to_thread(process.popen.wait, 60) == 0
