"""The provider of the probe's tool; it has no credentials."""

from typing import Any

from dify_plugin import ToolProvider


class ProbeProvider(ToolProvider):
    def _validate_credentials(self, credentials: dict[str, Any]) -> None:
        pass
