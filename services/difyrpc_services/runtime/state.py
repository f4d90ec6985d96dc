"""The folder for what must outlive the process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from difyrpc_services.runtime.settings import SettingsError


def state_folder(chosen: Path | None, env: Mapping[str, str]) -> Path:
    """Makes the state folder if need be and answers it; SettingsError when it cannot be written.

    By default it is `difyrpc` in the user's data folder (XDG_DATA_HOME), and /var/lib/difyrpc for root, whose home
    the unprivileged user that the embedded PostgreSQL runs as may not enter.
    """
    folder = (chosen or _default(env)).expanduser().absolute()
    try:
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"DIFYRPC_STATE={folder}: {error.strerror}; name another folder") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SettingsError(f"DIFYRPC_STATE={folder}: cannot be written; name another folder or change its owner")
    return folder


def _default(env: Mapping[str, str]) -> Path:
    if env.get("XDG_DATA_HOME"):
        return Path(env["XDG_DATA_HOME"]) / "difyrpc"
    return Path("/var/lib/difyrpc") if os.geteuid() == 0 else Path.home() / ".local" / "share" / "difyrpc"
