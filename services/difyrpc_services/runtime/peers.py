"""One service calls another with its caller's token, never with a tenant of its own saying."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc

from difyrpc_client import TLS, channel_async
from difyrpc_services.runtime.caller import current_caller
from difyrpc_services.runtime.colleagues import KEY, PASS
from difyrpc_services.runtime.errors import FailedPrecondition
from difyrpc_services.runtime.settings import SettingsError, read


@dataclass(frozen=True, kw_only=True)
class PeerSettings:
    """How services that run elsewhere are reached, `DIFYRPC_PEER_…`."""

    target: str = ""
    """Address of services that have no DIFYRPC_<SERVICE>_TARGET; `{service}` in it stands for the name."""
    tls_ca: Path | None = None
    """PEM file with the authorities of their certificates; set, calls to them use TLS."""
    tls_certificate: Path | None = None
    """PEM file with this server's own client certificate, where they ask for one."""
    tls_key: Path | None = None
    """PEM file with its private key."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> PeerSettings:
        """Reads the settings; SettingsError when they contradict each other."""
        settings = read(cls, env, prefix="DIFYRPC_PEER_")
        if bool(settings.tls_certificate) != bool(settings.tls_key):
            raise SettingsError("DIFYRPC_PEER_TLS_CERTIFICATE and DIFYRPC_PEER_TLS_KEY belong together")
        return settings

    def tls(self) -> TLS | None:
        """Answers how calls are encrypted; None for plain ones."""
        if self.tls_ca is None:
            return None
        return TLS(ca=self.tls_ca, certificate=self.tls_certificate, key=self.tls_key)


class Peers:
    """Channels to the other services: those of this process over a Unix socket, others by their targets."""

    def __init__(self, env: Mapping[str, str], *, here: Sequence[str], address: str) -> None:
        """Takes the names of the services of this process and the socket that they answer at."""
        self._env = env
        self._here = frozenset(here)
        self._address = address
        self._settings = PeerSettings.from_env(env)
        self._channels: dict[str, grpc.aio.Channel] = {}

    def channel(self, service: str) -> grpc.aio.Channel:
        """Answers a channel to `service` whose calls carry the current caller's token.

        FailedPrecondition PEER_NOT_CONFIGURED when it neither runs here nor has a target.
        """
        if service not in self._channels:
            self._channels[service] = self._open(service)
        return self._channels[service]

    def has(self, service: str) -> bool:
        """Answers whether `service` can be reached as things are set."""
        return bool(self._target(service))

    async def close(self) -> None:
        """Gives the channels back."""
        for channel in self._channels.values():
            await channel.close()
        self._channels.clear()

    def _open(self, service: str) -> grpc.aio.Channel:
        target = self._target(service)
        if not target:
            raise FailedPrecondition(
                "PEER_NOT_CONFIGURED",
                "this needs the service {service}, which does not run here; set {setting} to its address",
                service=service,
                setting=_setting(service),
            )
        if target == self._address:
            return channel_async(target, token=_token_of_caller, metadata={KEY: PASS})
        return channel_async(target, token=_token_of_caller, tls=self._settings.tls())

    def _target(self, service: str) -> str:
        named = self._env.get(_setting(service), "")
        if named or service not in self._here:
            return named or self._settings.target.replace("{service}", service)
        return self._address


def _setting(service: str) -> str:
    return f"DIFYRPC_{service.upper()}_TARGET"


def _token_of_caller() -> str:
    return current_caller().token
