from __future__ import annotations

import pytest

from difyrpc_services.runtime.settings import SettingsError
from difyrpc_services.vectors.settings import VectorsSettings


def test_settings_are_read_from_the_environment() -> None:
    env = {"DIFYRPC_VECTORS_ENGINE": "memory", "DIFYRPC_VECTORS_MAX_K": "50", "DIFYRPC_VECTORS_THREADS": "1"}
    settings = VectorsSettings.from_env(env)
    assert (settings.engine, settings.max_k, settings.threads) == ("memory", 50, 1)


@pytest.mark.parametrize(
    ("name", "value"), [("ENGINE", "faiss"), ("MAX_K", "1001"), ("THREADS", "0"), ("MODEL", "gpt")]
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"DIFYRPC_VECTORS_{name}"):
        VectorsSettings.from_env({f"DIFYRPC_VECTORS_{name}": value})
