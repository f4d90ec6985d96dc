"""The command `difyrpc`."""

from __future__ import annotations

import importlib
import os
import sys
from importlib.metadata import version

try:
    import click
except ImportError:
    sys.exit("the command difyrpc is part of the servers: pip install 'difyrpc[all]'")

# Processes of ours exec at once after a fork; gRPC's own handlers for forks would only complain.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

COMMANDS = ("demo", "doctor", "keys", "migrate", "parse", "serve")


class Commands(click.Group):
    """Finds each subcommand in its module under commands/."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Answers the names, sorted."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports one subcommand."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"difyrpc_services.commands.{cmd_name}").command
        return command


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("difyrpc"), prog_name="difyrpc")
def main() -> None:
    """GRPC services for the heavy work behind Dify tools."""


if __name__ == "__main__":
    main()
