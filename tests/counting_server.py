"""A FileStorage that writes down each call that reaches it, behind the runtime's layers: `-m counting_server`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import uvloop
from scripted import Scripted, scene

from difyrpc_services.commands.serve import stop_signal

WORK_SECONDS = 0.05  # so that some calls are always on their way


class Counting(Scripted):
    """Writes a line a call to its journal before it answers: seconds, method, who, request id."""

    def __init__(self, journal: Path) -> None:
        super().__init__()
        self._journal = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def GetFile(self, request: Any, context: Any) -> Any:
        await self._arrived("get", request.name)
        return await super().GetFile(request, context)

    async def CopyFile(self, request: Any, context: Any) -> Any:
        await self._arrived("copy", request.name, request.request_id)
        return await super().CopyFile(request, context)

    async def UploadFile(self, request_iterator: Any, context: Any) -> Any:
        first = await anext(request_iterator)
        await self._arrived("upload", first.spec.display_name)
        return await super().UploadFile(request_iterator, context)

    async def _arrived(self, method: str, who: str, request_id: str = "-") -> None:
        os.write(self._journal, f"{time.monotonic()} {method} {who} {request_id}\n".encode())
        await asyncio.sleep(WORK_SECONDS)


async def main(journal: Path, env: Mapping[str, str]) -> None:
    stopped = stop_signal(signal.SIGTERM)
    async with scene(env=env, servicer=Counting(journal)):
        print("counting is ready", flush=True)
        await stopped.wait()


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), os.environ))
