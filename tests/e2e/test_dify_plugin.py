"""The client inside a plugin of Dify's own SDK, which is driven as Dify drives it: JSON lines on stdin and stdout."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from processes import Process
from scripted import Scene, scene
from watched import STEPS, TOGETHER, Watched

PLUGIN = Path(__file__).parent / "plugin"
SDK = "dify-plugin==0.7.4" if sys.version_info < (3, 12) else "dify-plugin==0.10.2"
pytestmark = pytest.mark.timeout(400)  # the first one installs the SDK


@pytest.fixture(scope="module")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SDK with what it needs, in a folder of its own: it pins what the environment has in other versions."""
    folder = tmp_path_factory.mktemp("sdk")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), SDK]
    subprocess.run(pip, check=True, capture_output=True, timeout=300)
    return folder


class Plugin:
    """A running plugin."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def started(self) -> None:
        """Waits until it has said what it is."""
        while True:
            line = await self._line()
            if line and line.get("name") == "difyrpc_probe":
                return

    def invoke(self, session: str, action: str, name: str = "") -> None:
        """Asks for the tool, as Dify does."""
        data = {
            "type": "tool",
            "action": "invoke_tool",
            "user_id": "user",
            "provider": "probe",
            "tool": "call",
            "credentials": {},
            "credential_type": "api-key",
            "tool_parameters": {"action": action, "name": name},
        }
        line = {"session_id": session, "event": "request", "data": data}
        self._process.stdin.write(json.dumps(line).encode() + b"\n")

    async def messages(self) -> AsyncIterator[tuple[str, str, Any]]:
        """Yields (session, `stream`, `end` or `error`, text) as they come."""
        while True:
            line = await self._line()
            if line and line.get("event") == "session":
                data = line["data"]
                yield line["session_id"], data["type"], _text(data)

    async def answer(self, action: str, name: str = "") -> list[str]:
        """Invokes the tool once and answers its texts."""
        self.invoke("one", action, name)
        texts = []
        async for _, kind, text in self.messages():
            assert kind != "error", text
            if kind == "end":
                break
            texts.append(text)
        return texts

    async def _line(self) -> dict[str, Any] | None:
        line = await self._process.stdout.readline()
        if not line:
            raise AssertionError(f"the plugin ended: {(await self._process.stderr.read()).decode()[-4000:]}")
        return json.loads(line) if line.startswith(b"{") else None


def _text(data: dict[str, Any]) -> Any:
    inner = data.get("data") or {}
    return inner.get("message", {}).get("text", "") if data["type"] == "stream" else inner


@pytest.fixture
async def start(sdk: Path) -> AsyncIterator[Any]:
    """Starts the plugin against an address."""
    started: list[asyncio.subprocess.Process] = []

    async def start(target: str, token: str = "") -> Plugin:
        paths = [str(sdk), *(path for path in sys.path if path and Path(path).is_dir())]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "main.py",
            cwd=PLUGIN,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(paths),
                "PYTHONDONTWRITEBYTECODE": "1",
                "INSTALL_METHOD": "local",
                "DIFYRPC_TARGET": target,
                **({"DIFYRPC_TOKEN": token} if token else {}),
            },
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            limit=1 << 24,
        )
        started.append(process)
        plugin = Plugin(process)
        await plugin.started()
        return plugin

    yield start
    for process in started:
        process.kill()
        await process.communicate()


@pytest.fixture
async def watched() -> Watched:
    return Watched()


@pytest.fixture
async def at(watched: Watched) -> AsyncIterator[Scene]:
    async with scene(servicer=watched) as served:
        yield served


async def test_a_tool_calls_and_is_answered(at: Scene, start: Any) -> None:
    plugin = await start(at.target)
    assert await plugin.answer("get", "files/one") == ["files/one"]


async def test_a_tool_streams_to_dify_piece_by_piece(at: Scene, start: Any) -> None:
    """The server sends the next piece when the message before has come out of the plugin."""
    plugin = await start(at.target)
    plugin.invoke("reader", "stream", STEPS)
    plugin.invoke("step-0", "get", "files/step")
    pieces = 0
    async for session, kind, text in plugin.messages():
        assert kind != "error", text
        if session == "reader" and kind == "end":
            break
        if session == "reader":
            pieces += 1
            plugin.invoke(f"step-{pieces}", "get", "files/step")
    assert pieces == 5


async def test_forty_invocations_call_at_the_same_time(at: Scene, watched: Watched, start: Any) -> None:
    plugin = await start(at.target)
    for number in range(40):
        plugin.invoke(f"session-{number}", "get", TOGETHER)
    ended = set()
    async for session, kind, text in plugin.messages():
        assert kind != "error", text
        if kind == "end":
            ended.add(session)
        if len(ended) == 40:
            break
    assert watched.most_running == 40


async def test_a_tool_is_told_to_use_the_synchronous_api(at: Scene, start: Any) -> None:
    plugin = await start(at.target)
    assert "use connect()" in (await plugin.answer("async"))[0]


async def test_twenty_mebibytes_go_up_and_come_back_in_a_tool(process: Process, start: Any) -> None:
    plugin = await start(process.target, process.token)
    assert await plugin.answer("bulk") == ["True"]
