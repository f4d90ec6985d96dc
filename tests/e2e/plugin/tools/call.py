"""A tool that calls difyrpc the way that a tool's author does: a client, one call, its answer."""

import hashlib
import os
from collections.abc import Generator
from typing import Any

from dify_plugin import Tool
from dify_plugin.entities.tool import ToolInvokeMessage

from difyrpc_client import ConfigurationError, connect, connect_async


class CallTool(Tool):
    def _invoke(self, tool_parameters: dict[str, Any]) -> Generator[ToolInvokeMessage, None, None]:
        action, name = tool_parameters["action"], tool_parameters.get("name", "")
        with connect(timeout=60, stream_timeout=60) as dify:
            if action == "get":
                yield self.create_text_message(dify.files.get(name).name)
            elif action == "stream":
                for piece in dify.files.iter_bytes(name):
                    yield self.create_text_message(piece.decode())
            elif action == "bulk":
                yield self.create_text_message(str(_there_and_back(dify)))
            elif action == "async":
                yield self.create_text_message(_refusal())


def _there_and_back(dify: Any) -> bool:
    content = os.urandom(20 << 20)
    file = dify.files.upload(content, name="large.bin")
    back = hashlib.sha256()
    for piece in dify.files.iter_bytes(file):
        back.update(piece)
    return back.hexdigest() == hashlib.sha256(content).hexdigest()


def _refusal() -> str:
    try:
        connect_async()
    except ConfigurationError as error:
        return str(error)
    return "not refused"
