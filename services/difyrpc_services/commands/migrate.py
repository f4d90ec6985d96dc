"""`difyrpc migrate`: bring the database's schema to what this release needs."""

from __future__ import annotations

import os

import click
import uvloop

from difyrpc_services import assembly
from difyrpc_services.commands.failing import clear_errors
from difyrpc_services.runtime.schema import migrate, pending


@click.command("migrate")
@click.option("--check", is_flag=True, help="Only say what is pending; exit 1 if anything is.")
@clear_errors
def command(check: bool) -> None:
    """Apply the numbered migrations that the database has not seen.

    The database is the one of DIFYRPC_DATABASE_URL, else the embedded one. Running it twice, or from several
    places at once, is safe.
    """
    raise SystemExit(uvloop.run(run(check=check)))


async def run(*, check: bool) -> int:
    """Applies or lists; answers the exit status."""
    async with assembly.open_premises(os.environ, ()) as premises:
        if check:
            waiting = await pending(premises.database)
            click.echo("\n".join(f"pending {step}" for step in waiting) or "the schema is up to date")
            return 1 if waiting else 0
        applied = await migrate(premises.database)
        click.echo("\n".join(f"applied {step}" for step in applied) or "the schema is up to date")
        return 0
