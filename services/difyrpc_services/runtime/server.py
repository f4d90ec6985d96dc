"""One gRPC server: ports, TLS, health, reflection, the layers around every call, graceful stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import grpc
from grpc_health.v1 import health_pb2_grpc
from prometheus_client import CollectorRegistry

from difyrpc_services.runtime.certificates import ServerCertificates, ServerFiles
from difyrpc_services.runtime.health import SERVICE_NAME as HEALTH
from difyrpc_services.runtime.health import Health
from difyrpc_services.runtime.interceptors import Layers
from difyrpc_services.runtime.reflection import add_reflection
from difyrpc_services.runtime.service import Service
from difyrpc_services.runtime.settings import SettingsError, at_least, read, secret
from difyrpc_services.runtime.walls import walls
from difyrpc_services.runtime.watched import Lookout, Watched

log = logging.getLogger(__name__)

HIGHEST_PORT = 65_535
LOOPBACK = ("127.", "localhost", "[::1]")
SOCKETS = ("unix:", "unix-abstract:", "vsock:")  # what gRPC takes for an address beside host:port
SECONDS_AFTER_THE_LONGEST_CALL = 60.0  # the call's own limit ends it; the connection's end must not come first
PROBES = 100  # at once on the second port
LONGEST_MS = 2**31 - 1  # what gRPC takes as never


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """What holds for the server as a whole, `DIFYRPC_…`."""

    listen: str = "127.0.0.1:50051"
    """Address of the gRPC port, `host:port`; `0.0.0.0:50051` in a container, port 0 takes a free one."""
    health_listen: str = "127.0.0.1:50052"
    """Address of the second port, plain, for probes alone; `off` for none."""
    metrics_listen: str = "127.0.0.1:9464"
    """Address of the HTTP port with `/metrics`; `off` for none."""
    state: Path | None = None
    """Folder for what must outlive the process; by default the user's data folder, for root /var/lib/difyrpc."""
    auth: Literal["keys", "none"] = "keys"
    """`none` lets everybody in as one tenant."""
    tenant: str = ""
    """The tenant of every caller when authentication is off; required then unless the port is loopback's."""
    tls_certificate: Path | None = None
    """PEM file with the server's certificate chain; without it the port is plain. It may be replaced while the server
    runs: new connections get the new one within two seconds."""
    tls_key: str = secret()
    """The certificate's private key in PEM, as text, which nothing can replace while the server runs; usually by
    DIFYRPC_TLS_KEY_FILE."""
    tls_key_file: Path | None = None
    """PEM file with that key in place of the text; it is replaced together with the certificate."""
    tls_client_ca: Path | None = None
    """PEM file with the authorities whose client certificates are required; may be replaced too."""
    certificate_tenants: Path | None = None
    """File that says who a client certificate is, a line each: `identity tenant scope,scope`; `#` begins a comment.
    The identity is a URI or DNS name of the certificate's alternative names, or its common name.
    May be replaced too."""
    max_message_bytes: int = at_least(1 << 16, 64 << 20)
    """Largest message in either direction, in bytes."""
    max_concurrent_calls: int = at_least(1, 1000)
    """Calls that one process works on at once."""
    max_connections: int = at_least(0, 0)
    """Connections that one process accepts at once, those above are closed; 0: three quarters of the files that it may
    open."""
    max_unary_seconds: float = at_least(1, 600.0)
    """Longest time for a call with one answer, in seconds."""
    max_stream_seconds: float = at_least(1, 86_400.0)
    """Longest time for a call that streams its answer, in seconds."""
    drain_seconds: float = at_least(0, 0.0)
    """Time between NOT_SERVING and closing the port, so that balancers notice, in seconds."""
    grace_seconds: float = at_least(0, 30.0)
    """Time for running calls to end after that, in seconds."""
    min_ping_interval_seconds: float = at_least(0.1, 1.0)
    """Clients that ping more often are cut off; the client's fast keepalive is 2 s."""
    max_connection_age_seconds: float = at_least(0, 1800.0)
    """Age, give or take a tenth, at which a client is asked to connect anew, so that it finds new servers behind the
    name, in seconds; 0 for never. Calls that run end on the old connection, however long they may take."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The least level of the lines on stderr; INFO has one line a call."""
    reflection: bool = True
    """Whether grpcurl and the like may read the contracts from the server."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> ServerSettings:
        """Reads the settings; SettingsError when they contradict each other."""
        settings = read(cls, env, prefix="DIFYRPC_")
        if bool(settings.tls_certificate) != bool(settings.tls_key):
            raise SettingsError("DIFYRPC_TLS_CERTIFICATE and DIFYRPC_TLS_KEY_FILE belong together; set both or none")
        check_address("DIFYRPC_LISTEN", settings.listen)
        for side in ("health_listen", "metrics_listen"):
            if getattr(settings, side) != "off":
                check_address(f"DIFYRPC_{side.upper()}", getattr(settings, side))
        if settings.certificate_tenants and not settings.tls_client_ca:
            raise SettingsError("DIFYRPC_CERTIFICATE_TENANTS needs DIFYRPC_TLS_CLIENT_CA, or no one is asked for one")
        if settings.tls_client_ca and not settings.tls_certificate:
            raise SettingsError("DIFYRPC_TLS_CLIENT_CA needs DIFYRPC_TLS_CERTIFICATE and DIFYRPC_TLS_KEY_FILE")
        if settings.auth == "none" and not settings.is_loopback and not settings.tenant:
            raise SettingsError(
                f"DIFYRPC_AUTH=none on {settings.listen} lets everybody in: "
                "listen on 127.0.0.1, or name the tenant of all callers in DIFYRPC_TENANT"
            )
        return settings

    def tls_files(self) -> ServerFiles | None:
        """Answers where the certificates are; None for a plain port."""
        if self.tls_certificate is None:
            return None
        return ServerFiles(
            certificate=self.tls_certificate,
            key=self.tls_key,
            key_file=self.tls_key_file,
            client_ca=self.tls_client_ca,
        )

    @property
    def is_loopback(self) -> bool:
        """Whether the port can be reached from this machine alone."""
        return self.listen.startswith(LOOPBACK)

    @property
    def open_tenant(self) -> str:
        """The tenant of every caller when authentication is off."""
        return self.tenant or "default"


class Server:
    """A server that was built and may be started once."""

    def __init__(
        self,
        *,
        settings: ServerSettings,
        services: Sequence[Service],
        layers: Layers,
        health: Health,
        registry: CollectorRegistry | None = None,
        watched: Mapping[str, Watched[Any]] | None = None,
        peer_address: str = "",
        share_port: bool = False,
    ) -> None:
        """Takes what it serves.

        `registry` is where the certificates' dates are shown; `watched` are further values out of files that are looked
        after while it runs, by name; `peer_address` is a Unix socket, `unix:/…`, for calls of one service of this
        process to another; `share_port` says whether other processes listen on the same port.
        """
        self._settings = settings
        self._services = services
        self._layers = layers
        self._health = health
        self._registry = registry or CollectorRegistry()
        self._lookout = Lookout(self._registry, watched or {})
        self._peer_address = peer_address
        self._share_port = share_port
        self._server: grpc.aio.Server | None = None
        self._started: list[Service] = []
        self.port = 0
        """The port that was taken, once started."""

    async def start(self) -> None:
        """Takes the port, starts the services, then answers; SettingsError when the port cannot be had."""
        self._server = self._make()
        self._started = list(self._services)
        starts = await asyncio.gather(*(service.start() for service in self._services), return_exceptions=True)
        for failed in filter(None, starts):
            raise failed
        await self._server.start()
        self._lookout.start()
        if self._peer_address:
            self._layers.queue.open(self._peer_address)
        self._health.serve()

    async def stop(self) -> None:
        """Says NOT_SERVING, waits, lets running calls end, stops the services; may follow a start that failed."""
        if self._health.is_serving():
            self._health.drain()
            await asyncio.sleep(self._settings.drain_seconds)
        self._health.end()
        await self._layers.queue.close()
        if self._server is not None:
            await self._server.stop(self._settings.grace_seconds)
        await self._lookout.stop()
        while self._started:
            await self._started.pop().stop()

    def _make(self) -> grpc.aio.Server:
        server = grpc.aio.server(interceptors=[self._layers], options=self._options())
        for service in self._services:
            service.register(server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        if self._settings.reflection:
            add_reflection(server, [*(service.full_name for service in self._services), HEALTH])
        self.port = _bind(server, self._settings.listen, "DIFYRPC_LISTEN", self._credentials())
        if self._peer_address:
            _bind(server, self._peer_address, "TMPDIR", None)
        return server

    def _credentials(self) -> grpc.ServerCredentials | None:
        files = self._settings.tls_files()
        if files is None:
            return None
        certificates = ServerCertificates(files, self._registry)
        certificates.watched_by(self._lookout)
        return certificates.credentials()

    def _options(self) -> list[tuple[str, int]]:
        ping_ms = int(self._settings.min_ping_interval_seconds * 1000)
        return [
            # Without this two servers would share one port in silence.
            ("grpc.so_reuseport", int(self._share_port)),
            # The layer that counts bytes answers with the limit's name; gRPC's own refusal is the wall behind it.
            ("grpc.max_receive_message_length", 2 * self._settings.max_message_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.http2.min_ping_interval_without_data_ms", ping_ms),
            ("grpc.keepalive_permit_without_calls", 1),
            *walls(calls=self._settings.max_concurrent_calls, connections=self._settings.max_connections),
            *self._age(),
        ]

    def _age(self) -> list[tuple[str, int]]:
        age, limits = self._settings.max_connection_age_seconds, self._settings
        if not age:
            return []
        grace = max(limits.max_unary_seconds, limits.max_stream_seconds) + SECONDS_AFTER_THE_LONGEST_CALL
        return [
            ("grpc.max_connection_age_ms", min(LONGEST_MS, int(age * 1000))),
            ("grpc.max_connection_age_grace_ms", min(LONGEST_MS, int(grace * 1000))),
        ]


class ProbePort:
    """The second, plain port that answers health alone: Kubernetes' gRPC probes speak no TLS."""

    def __init__(self, health: Health, address: str) -> None:
        """Takes the state to show and where to listen, `host:port`."""
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0), *walls(calls=PROBES, connections=PROBES)])
        health_pb2_grpc.add_HealthServicer_to_server(health, self._server)
        self.port = _bind(self._server, address, "DIFYRPC_HEALTH_LISTEN", None)
        """The port that was taken."""

    async def start(self) -> None:
        """Opens the port."""
        await self._server.start()

    async def stop(self) -> None:
        """Closes the port at once."""
        await self._server.stop(None)


def check_address(name: str, address: str) -> None:
    """Refuses what is not `host:port` with a port from 0 to 65535."""
    if address.startswith(SOCKETS):
        raise SettingsError(f"{name}={address}: this listens on TCP alone; take host:port, such as 127.0.0.1:50051")
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > HIGHEST_PORT:
        raise SettingsError(f"{name}={address} is not host:port, such as 127.0.0.1:50051")


def _bind(server: grpc.aio.Server, address: str, name: str, secure: grpc.ServerCredentials | None) -> int:
    try:
        port = server.add_secure_port(address, secure) if secure else server.add_insecure_port(address)
    except RuntimeError as error:
        raise SettingsError(f"{name}={address}: cannot listen there; is the port taken?") from error
    return port
