"""Puts the house together: settings → database → services → server. Knows every part, decides nothing."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry

from difyrpc_services.catalogue import CATALOGUE, SERVICES, Entry
from difyrpc_services.runtime.access import Delegations, Doorkeeper, read_identities
from difyrpc_services.runtime.database import Database, migrate, open_database
from difyrpc_services.runtime.exposition import CallMetrics, registry_for
from difyrpc_services.runtime.health import Health
from difyrpc_services.runtime.interceptors import Layers, Limits
from difyrpc_services.runtime.keys import DatabaseKeys, KeyRing
from difyrpc_services.runtime.methods import Method, all_methods
from difyrpc_services.runtime.peers import Peers
from difyrpc_services.runtime.replay import Replay
from difyrpc_services.runtime.server import Server, ServerSettings
from difyrpc_services.runtime.service import House, Service
from difyrpc_services.runtime.settings import SettingsError
from difyrpc_services.runtime.state import state_folder

PACKAGE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Premises:
    """A database that is open and a house that services can be built with."""

    house: House
    settings: ServerSettings
    delegations: Delegations
    peer_address: str

    @property
    def database(self) -> Database:
        """The house's database."""
        return self.house.database


def chosen(names: Sequence[str]) -> list[Entry]:
    """Answers the entries of the named services, all when none is named; SettingsError for an unknown name."""
    for name in names:
        if name not in SERVICES:
            raise SettingsError(f"there is no service {name!r}; there are {', '.join(SERVICES)}")
    return [entry for name, entry in SERVICES.items() if not names or name in names]


def migration_folders() -> dict[str, Path]:
    """Answers where the numbered migrations of the runtime and of every service lie, in the order to run them."""
    owners = ["runtime", *SERVICES]
    return {name: PACKAGE / name / "migrations" for name in owners if (PACKAGE / name / "migrations").is_dir()}


@asynccontextmanager
async def open_premises(env: Mapping[str, str], names: Sequence[str]) -> AsyncIterator[Premises]:
    """Reads the settings and opens the database; closes both at the end."""
    settings = ServerSettings.from_env(env)
    state = state_folder(settings.state, env)
    database = await open_database(env, state)
    delegations = Delegations()
    with tempfile.TemporaryDirectory(prefix="difyrpc-") as folder:
        peer_address = f"unix:{folder}/peers.sock"
        peers = Peers(env, here=[entry.name for entry in chosen(names)], address=peer_address)
        try:
            house = House(env=env, state=state, database=database, peers=peers)
            yield Premises(house=house, settings=settings, delegations=delegations, peer_address=peer_address)
        finally:
            await peers.close()
            await database.close()


def build_services(premises: Premises, names: Sequence[str]) -> list[Service]:
    """Builds the named services and starts nothing; SettingsError names the extra of one that is not installed."""
    return [_build(entry, premises.house) for entry in chosen(names)]


def build_server(
    premises: Premises,
    services: Sequence[Service],
    *,
    health: Health,
    registry: CollectorRegistry,
    share_port: bool = False,
) -> Server:
    """Puts the layers around the services; the server is not started yet."""
    settings = premises.settings
    layers = Layers(
        methods=methods([SERVICES[service.name] for service in services]),
        known=methods(CATALOGUE),
        doorkeeper=_doorkeeper(premises),
        limits=Limits(
            concurrent_calls=settings.max_concurrent_calls,
            message_bytes=settings.max_message_bytes,
            unary_seconds=settings.max_unary_seconds,
            stream_seconds=settings.max_stream_seconds,
        ),
        metrics=CallMetrics(registry),
        replay=Replay(premises.database),
    )
    return Server(
        settings=settings,
        services=services,
        layers=layers,
        health=health,
        peer_address=premises.peer_address,
        share_port=share_port,
    )


def methods(entries: Sequence[Entry]) -> dict[str, Method]:
    """Reads the rpcs of these contracts, by path."""
    return all_methods((entry.name, entry.descriptor()) for entry in entries)


def _build(entry: Entry, house: House) -> Service:
    try:
        build = entry.build()
    except ImportError as error:
        raise SettingsError(
            f"{entry.name} needs {error.name}, which is not installed: pip install 'difyrpc[{entry.name}]'"
        ) from error
    return build(house)


def _doorkeeper(premises: Premises) -> Doorkeeper:
    settings = premises.settings
    identities = read_identities(settings.certificate_tenants) if settings.certificate_tenants else {}
    ring = KeyRing(DatabaseKeys(premises.database)) if settings.auth == "keys" else None
    return Doorkeeper(
        verifier=ring, tenant=settings.open_tenant, identities=identities, delegations=premises.delegations
    )
