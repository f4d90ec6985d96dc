"""Puts the house together: settings → database → services → server. Knows every part, decides nothing."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from difyrpc_services.catalogue import CATALOGUE, SERVICES, Entry
from difyrpc_services.runtime import keyring
from difyrpc_services.runtime.access import Doorkeeper, Identities, watched_identities
from difyrpc_services.runtime.admission import Admission
from difyrpc_services.runtime.database import Database, open_database
from difyrpc_services.runtime.exposition import CallMetrics
from difyrpc_services.runtime.health import Health
from difyrpc_services.runtime.interceptors import Layers
from difyrpc_services.runtime.keyring import KeyRing, KeySettings
from difyrpc_services.runtime.keys import DatabaseKeys
from difyrpc_services.runtime.limits import Limits
from difyrpc_services.runtime.methods import Method, all_methods
from difyrpc_services.runtime.peers import Peers
from difyrpc_services.runtime.replay import Replay
from difyrpc_services.runtime.schema import migrate, pending
from difyrpc_services.runtime.server import Server, ServerSettings
from difyrpc_services.runtime.service import House, Service
from difyrpc_services.runtime.settings import SettingsError
from difyrpc_services.runtime.state import state_folder
from difyrpc_services.runtime.watched import Watched

CONTRACTS = tuple(entry.name for entry in CATALOGUE)  # what scopes may name


@dataclass(frozen=True, kw_only=True)
class Premises:
    """A database that is open and a house that services can be built with."""

    house: House
    settings: ServerSettings
    doorkeeper: Doorkeeper
    admission: Admission
    watched: Mapping[str, Watched[Any]]
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


@asynccontextmanager
async def open_premises(env: Mapping[str, str], names: Sequence[str]) -> AsyncIterator[Premises]:
    """Reads the settings and opens the database for the named services; closes it at the end."""
    settings = ServerSettings.from_env(env)
    state = state_folder(settings.state, env)
    database = await open_database(env, state)
    try:
        async with premises_over(database, env, state, names) as premises:
            yield premises
    finally:
        await database.close()


@asynccontextmanager
async def premises_over(
    database: Database, env: Mapping[str, str], state: Path, names: Sequence[str]
) -> AsyncIterator[Premises]:
    """Makes the house over a database that is open, and stays so."""
    settings = ServerSettings.from_env(env)
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="difyrpc-"))
        address = f"unix:{folder}/peers.sock"
        peers = Peers(env, here=[entry.name for entry in chosen(names)], address=address)
        stack.push_async_callback(peers.close)
        ring = KeyRing(keys_of(database), grace_seconds=KeySettings.from_env(env).key_grace_seconds)
        stack.push_async_callback(ring.close)
        admission = Admission.from_env(env, CONTRACTS)
        stack.push_async_callback(admission.close)
        watched = _watched(settings)
        yield Premises(
            house=House(env=env, state=state, database=database, peers=peers),
            settings=settings,
            doorkeeper=_doorkeeper(settings, ring, watched),
            admission=admission,
            watched=watched,
            peer_address=address,
        )


async def ready_schema(database: Database) -> None:
    """Migrates the embedded database; SettingsError when the user's own has migrations to come."""
    if database.is_embedded:
        await migrate(database)
        return
    waiting = await pending(database)
    if waiting:
        raise SettingsError(f"the database lacks {len(waiting)} migrations of this release; run `difyrpc migrate`")


async def register_key(premises: Premises) -> None:
    """Registers the key of DIFYRPC_BOOTSTRAP_KEY_FILE, where that is set; SettingsError when the file has none."""
    await keyring.bootstrap(keys_of(premises.database), KeySettings.from_env(premises.house.env))


async def first_key(premises: Premises) -> str:
    """Makes the first API key if there is none at all; answers its token, to be shown once, or nothing."""
    if premises.settings.auth == "none":
        return ""
    tenant = KeySettings.from_env(premises.house.env).bootstrap_tenant
    return await keyring.first_key(keys_of(premises.database), tenant=tenant) or ""


def keys_of(database: Database) -> DatabaseKeys:
    """Answers the API keys of a database; scopes may name any contract."""
    return DatabaseKeys(database, CONTRACTS)


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
    settings, metrics = premises.settings, CallMetrics(registry)
    limits = Limits(
        concurrent_calls=settings.max_concurrent_calls,
        message_bytes=settings.max_message_bytes,
        unary_seconds=settings.max_unary_seconds,
        stream_seconds=settings.max_stream_seconds,
        stall_seconds=premises.admission.settings.max_stall_seconds,
    )
    layers = Layers(
        methods=methods([SERVICES[service.name] for service in services]),
        known=methods(CATALOGUE),
        runnable=SERVICES,
        doorkeeper=premises.doorkeeper,
        limits=limits,
        metrics=metrics,
        replay=Replay(premises.database),
        gate=premises.admission.gate(limits, metrics, registry),
    )
    return Server(
        settings=settings,
        services=services,
        layers=layers,
        health=health,
        registry=registry,
        watched=premises.watched,
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


def _watched(settings: ServerSettings) -> dict[str, Watched[Any]]:
    if settings.auth == "none" or not settings.certificate_tenants:
        return {}
    return {"certificate_tenants": watched_identities(settings.certificate_tenants, CONTRACTS)}


def _doorkeeper(settings: ServerSettings, ring: KeyRing, watched: Mapping[str, Watched[Any]]) -> Doorkeeper:
    if settings.auth == "none":
        return Doorkeeper(verifier=None, tenant=settings.open_tenant)
    tenants = watched.get("certificate_tenants")
    return Doorkeeper(verifier=ring, identities=Identities(tenants) if tenants else None)
