"""kill -9 right after a key was made or revoked: the key is as its command said it is."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from killing import kill_house, kill_server
from processes import DIFYRPC, Process, run, serve, state_folder

from difyrpc_client import NotFound, Unauthenticated, connect


@pytest.mark.parametrize("strike", [kill_server, kill_house])
def test_a_key_that_was_shown_opens_the_next_server(strike: Callable[[Process], None]) -> None:
    with state_folder() as state:
        with serve("files", state=state) as process:
            first, made = process.token, shown(process, strike)
        with serve("files", state=state) as process:
            assert "difyrpc_" not in process.banner, "the first key was not kept"
            assert reads(process, first)
            assert reads(process, made)
            revoke(made, state)
            strike(process)
        with serve("files", state=state) as process:
            assert reads(process, first)
            with pytest.raises(Unauthenticated) as caught:
                reads(process, made)
            assert caught.value.reason == "KEY_REVOKED"
            assert process.stop() == 0


def shown(process: Process, strike: Callable[[Process], None]) -> str:
    """Makes a key, and strikes as soon as its token is shown."""
    command = [DIFYRPC, "keys", "create", "--tenant", "acme", "--scope", "files:read"]
    env = {**os.environ, "DIFYRPC_STATE": str(process.state)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as making:
        token = making.stdout.readline().strip()
        strike(process)
    return token


def revoke(token: str, state: Path) -> None:
    assert run("keys", "revoke", token.split("_")[1], state=state).returncode == 0


def reads(process: Process, token: str) -> bool:
    """Answers whether the key opens the server."""
    with connect(process.target, token=token) as dify, pytest.raises(NotFound):
        dify.files.get("files/none")
    return True
