"""`difyrpc keys`: make, list and revoke API keys."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import click
import uvloop

from difyrpc_services import assembly
from difyrpc_services.commands.failing import clear_errors
from difyrpc_services.runtime.keys import DatabaseKeys, Key, make_token

HEADINGS = ["id", "state", "tenant", "scopes", "created", "expires", "last used", "name"]


@click.group("keys")
def command() -> None:
    """Make, list and revoke API keys. A key belongs to one tenant and carries scopes."""


@command.command("create")
@click.option("--tenant", required=True, help="The tenant that the key acts for.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    help="SERVICE:LEVEL, level read, write or admin; * stands for every service. May be repeated.",
)
@click.option("--name", default="", help="A label for people.")
@click.option("--days", type=click.IntRange(min=1), help="Days until the key expires; without it, never.")
@clear_errors
def create(tenant: str, scopes: tuple[str, ...], name: str, days: int | None) -> None:
    """Make a key and print its token. The token is shown this once: only its hash is kept."""
    expires = datetime.now(UTC) + timedelta(days=days) if days else None

    async def work(keys: DatabaseKeys) -> None:
        key, token = await keys.create(tenant=tenant, scopes=scopes, name=name, expires_at=expires)
        click.echo(f"key {key.id} of tenant {key.tenant}, scopes {', '.join(sorted(key.scopes))}", err=True)
        click.echo(token)

    with_keys(work)


@command.command("list")
@click.option("--tenant", help="Only the keys of this tenant.")
@clear_errors
def list_keys(tenant: str | None) -> None:
    """List the keys, without their secrets."""

    async def work(keys: DatabaseKeys) -> None:
        rows = [HEADINGS, *(row(key) for key in await keys.list_keys(tenant))]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for cells in rows:
            click.echo("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())

    with_keys(work)


@command.command("revoke")
@click.argument("key_id")
@clear_errors
def revoke(key_id: str) -> None:
    """Revoke a key; servers refuse it within 5 seconds."""

    async def work(keys: DatabaseKeys) -> None:
        await keys.revoke(key_id)
        click.echo(f"key {key_id} is revoked; servers refuse it within 5 seconds")

    with_keys(work)


@command.command("token")
def token() -> None:
    """Print a new token for DIFYRPC_BOOTSTRAP_KEY_FILE; it opens nothing until a server has read it from there."""
    click.echo(make_token()[2])


def with_keys(work: Callable[[DatabaseKeys], Awaitable[None]]) -> None:
    """Runs `work` with the keys of the database that the environment names."""

    async def run() -> None:
        async with assembly.open_premises(os.environ, ()) as premises:
            await assembly.ready_schema(premises.database)
            await work(assembly.keys_of(premises.database))

    uvloop.run(run())


def row(key: Key) -> list[str]:
    """Answers one line of the list."""
    now = datetime.now(UTC)
    expired = key.expires_at is not None and key.expires_at <= now
    state = "revoked" if key.revoked_at else "expired" if expired else "valid"
    days = [day(key.created_at), day(key.expires_at), day(key.last_used_on)]
    return [key.id, state, key.tenant, ",".join(sorted(key.scopes)), *days, key.name]


def day(moment: object) -> str:
    """Answers the day of a time, or a dash."""
    return str(moment)[:10] if moment else "-"
