"""Certificates on disk, as files are written and as Kubernetes mounts a secret."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

NOW = datetime.now(UTC)
YESTERDAY, TOMORROW = NOW - timedelta(days=1), NOW + timedelta(days=1)
LONG_AGO, SOON = NOW - timedelta(days=30), NOW + timedelta(days=7)


class Mount:
    """A folder whose files are links into a hidden folder, which is swapped at once when the secret changes."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self._versions = itertools.count()

    def __getitem__(self, name: str) -> Path:
        return self.folder / name

    def write(self, **files: bytes) -> None:
        """Puts the files there, `cert=` as `cert.pem`, all at once; those that are not named go."""
        version = self.folder / f"..version-{next(self._versions)}"
        version.mkdir()
        for name, data in files.items():
            (version / f"{name}.pem").write_bytes(data)
            link = self.folder / f"{name}.pem"
            if not link.is_symlink():
                link.symlink_to(Path("..data") / f"{name}.pem")
        swapped = self.folder / "..data-new"
        swapped.symlink_to(version.name)
        swapped.replace(self.folder / "..data")


class Issuer:
    """An authority that signs for servers and clients."""

    def __init__(self) -> None:
        self._authority = trustme.CA()
        self.pem = self._authority.cert_pem.bytes()

    def pair(
        self, *names: str, common_name: str = "", since: datetime | None = None, until: datetime | None = None
    ) -> dict[str, bytes]:
        """Issues a certificate; answers `cert` and `key` in PEM."""
        if not common_name:
            names = names or ("localhost", "127.0.0.1")
        issued = self._authority.issue_cert(*names, common_name=common_name or None, not_before=since, not_after=until)
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        return {"cert": chain, "key": issued.private_key_pem.bytes()}


def server_env(mount: Mount, *, mutual: bool = False) -> dict[str, str]:
    """The settings of a server whose certificates are in `mount`."""
    env = {
        "DIFYRPC_LISTEN": "127.0.0.1:0",
        "DIFYRPC_TLS_CERTIFICATE": str(mount["cert.pem"]),
        "DIFYRPC_TLS_KEY_FILE": str(mount["key.pem"]),
    }
    return {**env, "DIFYRPC_TLS_CLIENT_CA": str(mount["client_ca.pem"])} if mutual else env
