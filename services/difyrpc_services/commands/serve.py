"""`difyrpc serve`: any services in one process, or in several on one port."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import tempfile
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import uvloop

from difyrpc_services import assembly
from difyrpc_services.assembly import Premises
from difyrpc_services.commands.failing import clear_errors
from difyrpc_services.runtime.exposition import (
    SHARED_FOLDER,
    MetricsPort,
    forget_worker,
    registry_of_process,
    registry_of_workers,
)
from difyrpc_services.runtime.health import Health
from difyrpc_services.runtime.server import ProbePort, ServerSettings
from difyrpc_services.runtime.service import Service
from difyrpc_services.runtime.settings import Asked
from difyrpc_services.runtime.worker_series import SeriesWriter, WorkerSeries
from difyrpc_services.runtime.workforce import Workforce, reserve_port, tell_ready

log = logging.getLogger(__name__)

EXIT_INTERRUPTED = 130  # what a shell says of a process that Ctrl-C ended
EMBEDDED_CONNECTIONS = 150  # for worker processes; the embedded PostgreSQL has 200


@click.command("serve")
@click.argument("names", nargs=-1, metavar="[SERVICE]...")
@click.option("--listen", help="Address of the gRPC port, host:port (DIFYRPC_LISTEN, 127.0.0.1:50051).")
@click.option("--workers", type=click.IntRange(1, 64), default=1, help="Worker processes on the one port.")
@click.option("--worker-pipes", hidden=True, nargs=2, type=int, help="Ready and lifeline, from the parent.")
@clear_errors
def command(names: tuple[str, ...], listen: str | None, workers: int, worker_pipes: tuple[int, int] | None) -> None:
    """Serve the named services, or all: documents, vectors, files, metrics.

    Runs until Ctrl-C or SIGTERM, then lets running calls end. Settings are environment variables.
    """
    env = Asked(os.environ | ({"DIFYRPC_LISTEN": listen} if listen else {}))
    log_to_stderr(env)
    if worker_pipes:
        run(serve_as_worker(env, names, *worker_pipes))
    elif workers > 1:
        run(serve_with_workers(env, names, workers))
    else:
        run(serve_alone(env, names))


def run(work: Coroutine[Any, Any, None]) -> None:
    """Runs the server on uvloop."""
    uvloop.run(work)


def log_to_stderr(env: Mapping[str, str]) -> None:
    """Sends log lines of the level that is set, and above, to stderr."""
    level = ServerSettings.from_env(env).log_level
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s %(message)s")


async def serve_alone(env: Asked, names: Sequence[str]) -> None:
    """Serves in this process until a signal."""
    async with AsyncExitStack() as stack:
        stopped = stop_signal(signal.SIGINT, signal.SIGTERM)
        premises, services, health = await prepare(stack, env, names)
        registry = registry_of_process(collectors(services))
        # The side ports come first and go last: probes see NOT_SERVING, and the last calls are still scraped.
        ports = await open_side_ports(stack, premises, health, registry)
        server = assembly.build_server(premises, services, health=health, registry=registry)
        stack.push_async_callback(server.stop)
        await server.start()
        tell(premises, services, port=server.port, ports=ports, key=await assembly.first_key(premises))
        await stopped.wait()
        log.info("stopping")


async def serve_with_workers(env: Asked, names: Sequence[str], count: int) -> None:
    """Watches `count` worker processes on one port until a signal; shows their metrics added up."""
    async with AsyncExitStack() as stack:
        stopped = stop_signal(signal.SIGINT, signal.SIGTERM)
        premises, services, health = await prepare(stack, env, names)
        held, address = reserve_port(premises.settings.listen)
        stack.callback(held.close)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="difyrpc-metrics-")))
        series = WorkerSeries(folder)

        def forget(pid: int) -> None:
            forget_worker(pid, folder)
            series.forget(pid)

        registry = registry_of_workers(folder, [series, *(each for one in services for each in one.shared_collectors)])
        ports = await open_side_ports(stack, premises, health, registry)
        workers = Workforce(
            lambda ready, lifeline: worker_command(names, ready, lifeline),
            count=count,
            env={**env, **worker_settings(premises, count), "DIFYRPC_LISTEN": address, SHARED_FOLDER: str(folder)},
            on_death=forget,
        )
        stack.push_async_callback(workers.stop)
        stack.callback(health.drain)
        await workers.start()
        health.serve()
        port, key = int(address.rpartition(":")[2]), await assembly.first_key(premises)
        tell(premises, services, port=port, ports=ports, key=key, workers=count)
        await stopped.wait()
        log.info("stopping")


async def serve_as_worker(env: Mapping[str, str], names: Sequence[str], ready: int, lifeline: int) -> None:
    """Serves beside other processes until the parent lets go of the lifeline, by will or by death."""
    for number in (signal.SIGINT, signal.SIGTERM):  # they may be sent to the whole group; the parent decides
        signal.signal(number, signal.SIG_IGN)
    async with AsyncExitStack() as stack:
        stopped = asyncio.Event()
        asyncio.get_running_loop().add_reader(lifeline, stopped.set)
        premises = await stack.enter_async_context(assembly.open_premises(env, names))
        services = assembly.build_services(premises, names)
        health = Health(service.full_name for service in services)
        registry = registry_of_process(())
        server = assembly.build_server(premises, services, health=health, registry=registry, share_port=True)
        stack.push_async_callback(server.stop)
        await server.start()
        own = [each for service in services for each in service.collectors]
        await stack.enter_async_context(SeriesWriter(Path(env[SHARED_FOLDER]), own))
        tell_ready(ready)
        await stopped.wait()
        asyncio.get_running_loop().remove_reader(lifeline)


async def prepare(
    stack: AsyncExitStack, env: Asked, names: Sequence[str]
) -> tuple[Premises, Sequence[Service], Health]:
    """Opens and migrates the database, builds the services, and warns of settings that are probably misspelt."""
    premises = await stack.enter_async_context(assembly.open_premises(env, names))
    await assembly.ready_schema(premises.database)
    await assembly.register_key(premises)
    services = assembly.build_services(premises, names)
    for name, meant in env.unread("DIFYRPC_").items():
        if meant:
            log.warning("%s is not a setting; did you mean %s?", name, meant)
    return premises, services, Health(service.full_name for service in services)


def stop_signal(*numbers: int) -> asyncio.Event:
    """Answers an event that the first of these signals sets; the second one ends the process at once."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if stopped.is_set():
            os._exit(EXIT_INTERRUPTED)
        stopped.set()

    for number in numbers:
        loop.add_signal_handler(number, stop)
    return stopped


def worker_settings(premises: Premises, count: int) -> dict[str, str]:
    """Answers what the workers share between them: each tenant's rate, the embedded database's connections."""
    shared = {"DIFYRPC_TENANT_RATE_SHARES": str(count * premises.admission.settings.tenant_rate_shares)}
    if premises.database.is_embedded and "DIFYRPC_DATABASE_POOL_MAX" not in premises.house.env:
        shared["DIFYRPC_DATABASE_POOL_MAX"] = str(max(2, min(10, EMBEDDED_CONNECTIONS // count)))
    return shared


def worker_command(names: Sequence[str], ready: int, lifeline: int) -> list[str]:
    """Answers the arguments that make a worker of this very command."""
    return ["-m", "difyrpc_services", "serve", *names, "--worker-pipes", str(ready), str(lifeline)]


def collectors(services: Sequence[Service]) -> list[Any]:
    """Answers what the services add to /metrics."""
    return [each for service in services for each in (*service.collectors, *service.shared_collectors)]


@dataclass(frozen=True, kw_only=True)
class SidePorts:
    """Where health and metrics are; 0 for a port that is off."""

    health: int = 0
    metrics: int = 0


async def open_side_ports(stack: AsyncExitStack, premises: Premises, health: Health, registry: Any) -> SidePorts:
    """Opens the probe port and the metrics port, unless they are off."""
    settings, ports = premises.settings, SidePorts()
    if settings.health_listen != "off":
        probes = ProbePort(health, settings.health_listen)
        stack.push_async_callback(probes.stop)
        await probes.start()
        ports = replace(ports, health=probes.port)
    if settings.metrics_listen != "off":
        metrics = MetricsPort(registry, settings.metrics_listen)
        stack.callback(metrics.close)
        ports = replace(ports, metrics=metrics.port)
    return ports


def tell(
    premises: Premises, services: Sequence[Service], *, port: int, ports: SidePorts, key: str, workers: int = 1
) -> None:
    """Prints where the services listen, what each stands on, where state lives; flushed for who reads a pipe."""
    settings = premises.settings
    host = settings.listen.rpartition(":")[0]
    secured = ("mTLS" if settings.tls_client_ca else "TLS") if settings.tls_certificate else "plain"
    lines = [f"difyrpc serves on {host}:{port} ({secured}, {workers} process{'es' if workers > 1 else ''})"]
    width = max(len(service.name) for service in services)
    lines += [f"  {service.name:<{width}}  {service.full_name}  on {service.backend}" for service in services]
    lines += [f"state    {premises.house.state}", f"database {premises.database.describe()}"]
    if ports.health:
        lines.append(f"health   {settings.health_listen.rpartition(':')[0]}:{ports.health}")
    if ports.metrics:
        lines.append(f"metrics  http://{settings.metrics_listen.rpartition(':')[0]}:{ports.metrics}/metrics")
    lines.append(access_line(premises))
    if key:
        lines.append(f"key      {key}  (the first one; shown this once)")
    lines.append("difyrpc is ready; Ctrl-C stops it")
    click.echo("\n".join(lines))
    if settings.auth == "none" and not settings.is_loopback:
        log.warning("authentication is off on %s: every caller is tenant %s", settings.listen, settings.open_tenant)


def access_line(premises: Premises) -> str:
    """Answers one line about who may call."""
    if premises.settings.auth == "none":
        return f"access   open to all, as tenant {premises.settings.open_tenant}"
    return "access   API keys; `difyrpc keys create --tenant NAME --scope '*:write'` makes one"
