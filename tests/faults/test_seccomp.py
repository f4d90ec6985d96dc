"""The client inside the sandbox of Dify's Code node, which kills what makes a system call that is not on its list."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import code_node_sandbox as sandbox
import grpc
import pytest
import trustme
from connect_endpoint import ConnectEndpoint, http_server
from forward_proxy import ForwardProxy
from serving import running

from difyrpc_services.runtime.database import Database

pytestmark = pytest.mark.skipif(not sandbox.known_machine(), reason="the list of system calls is that of Linux, x86_64")
NODE = Path(__file__).parent.parent / "code_node.py"
SECONDS = 100


@dataclass(frozen=True, kw_only=True)
class World:
    """What a Code node can reach."""

    order: dict[str, Any]
    plain: str
    secure: str
    ca: str
    proxy: ForwardProxy
    endpoint: ConnectEndpoint


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    authority = trustme.CA()
    tls = server_tls(authority)
    async with (
        running(database, tmp_path, names=("files", "documents")) as server,
        grpc.aio.insecure_channel(server.target) as channel,
        http_server(endpoint := ConnectEndpoint(channel)) as plain,
        http_server(endpoint, tls) as secure,
    ):
        with socket.create_server(("127.0.0.1", 0)) as silent, ForwardProxy() as proxy:
            order = {
                "target": server.target,
                "silent": f"http://127.0.0.1:{silent.getsockname()[1]}",
                "nobody": f"http://localhost:{free_port()}",
            }
            yield World(
                order=order,
                plain=plain,
                secure=secure,
                ca=authority.cert_pem.bytes().decode(),
                proxy=proxy,
                endpoint=endpoint,
            )


def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


async def run(job: str, order: dict[str, Any]) -> tuple[int, dict[str, Any], str]:
    """Runs a Code node; answers its exit status, what it printed and what it complained of."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-B", str(NODE), job, json.dumps(order)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    out, err = await asyncio.wait_for(process.communicate(), SECONDS)
    return process.returncode or 0, json.loads(out or b"{}"), err.decode()


EXPECTED = {"bytes": 1_300_000, "clauses": 1, "reason": "FILE_NOT_FOUND", "heavy": []}


@pytest.mark.parametrize("import_first", [False, True], ids=["imported-inside", "imported-before"])
async def test_every_kind_of_call_passes_the_filter(world: World, import_first: bool) -> None:
    world.endpoint.refusals = 1
    order = {**world.order, "url": world.plain, "import_first": import_first}
    status, seen, complaint = await run("call_everything", order)
    assert status == 0, complaint
    assert seen == {**EXPECTED, "user": os.getuid()}
    assert world.endpoint.refusals == 0


async def test_calls_pass_the_filter_with_tls(world: World) -> None:
    status, seen, complaint = await run("call_everything", {**world.order, "url": world.secure, "ca": world.ca})
    assert status == 0, complaint
    assert seen["bytes"] == EXPECTED["bytes"]


@pytest.mark.parametrize("scheme", ["plain", "secure"])
async def test_calls_pass_the_filter_through_a_proxy(world: World, scheme: str) -> None:
    env = {"HTTP_PROXY": world.proxy.url, "HTTPS_PROXY": world.proxy.url}
    url = getattr(world, scheme)
    ca = world.ca if scheme == "secure" else None
    status, seen, complaint = await run("call_everything", {"url": url, "ca": ca, "env": env})
    assert status == 0, complaint
    assert seen["bytes"] == EXPECTED["bytes"]
    assert world.proxy.requests


async def test_calls_pass_in_the_sandbox_s_own_root_as_its_user(world: World, short_folder: Path) -> None:
    if not sandbox.may_change_root():
        pytest.skip("changing the root folder takes root and CAP_SYS_ADMIN")
    root = short_folder / "root"
    root.mkdir()
    status, seen, complaint = await run("call_everything", {**world.order, "url": world.plain, "root": str(root)})
    assert status == 0, complaint
    assert seen == {**EXPECTED, "user": sandbox.SANDBOX_USER}


@pytest.mark.parametrize("job", ["start_a_thread", "call_by_grpc"])
async def test_what_the_list_does_not_allow_is_killed(world: World, job: str) -> None:
    status, _, _ = await run(job, world.order)
    assert status == -signal.SIGSYS
