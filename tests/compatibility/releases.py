"""The last release and this one as programs: each imports its own tree, and the same packages of others."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
from dataclasses import dataclass
from pathlib import Path

from processes import Process

ROOT = Path(__file__).resolve().parents[2]
NAMED = Path(__file__).with_name("last_release.toml")
STORY = Path(__file__).with_name("story.py")
SOURCES = ("generated", "clients", "services")
SECONDS = 100.0  # for one story


@dataclass(frozen=True, kw_only=True)
class Release:
    """A release that can be run."""

    tree: Path
    """Folder with its sources."""
    python: Path
    """A Python that imports them."""

    @property
    def program(self) -> tuple[str, ...]:
        """What stands for `difyrpc`."""
        return str(self.python), "-m", "difyrpc_services"

    def tell(self, what: str, server: Process, folder: Path, token: str) -> Told:
        """Tells a story of its client to a server."""
        command = [str(self.python), str(STORY), what, server.target, token, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        return Told(done=done, log=server.log[-5:])


@dataclass(frozen=True, kw_only=True)
class Told:
    """A story that was told, to its end or not."""

    done: subprocess.CompletedProcess[str]
    """The process that told it."""
    log: list[str]
    """The server's last lines."""

    def facts(self) -> dict[str, list[str]]:
        """Answers which methods it called, which there are, and from where; fails unless it came to its end."""
        assert self.done.returncode == 0, f"{self.done.stderr}\n{''.join(self.log)}"
        return json.loads(self.done.stdout)


def this_release() -> Release:
    """The tree that the tests are part of."""
    return Release(tree=ROOT, python=Path(sys.executable))


def last_release(folder: Path) -> Release:
    """Takes the last release out of the history and makes a Python for it."""
    unpack(named_release()["commit"], folder / "tree")
    return Release(tree=folder / "tree", python=python_for(folder / "tree", folder / "python"))


def named_release() -> dict[str, str]:
    """Answers the version and the commit."""
    return tomllib.loads(NAMED.read_text())


def version_at(commit: str) -> str:
    """Answers the version that a commit calls itself."""
    return tomllib.loads(git(commit, "show", f"{commit}:pyproject.toml").decode())["project"]["version"]


def unpack(commit: str, tree: Path) -> None:
    """Writes the sources of a commit."""
    with tarfile.open(fileobj=io.BytesIO(git(commit, "archive", "--format=tar", commit, *SOURCES))) as archive:
        archive.extractall(tree, filter="data")


def git(commit: str, *arguments: str) -> bytes:
    """Answers what git says of a commit; says what to do where the history lacks it."""
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=False)
    assert done.returncode == 0, (
        f"the last release is commit {commit} (tests/compatibility/last_release.toml), which this clone does not hold:"
        f" fetch its whole history with git fetch --unshallow\n{done.stderr.decode()}"
    )
    return done.stdout


def python_for(tree: Path, folder: Path) -> Path:
    """Makes an environment whose path begins with a tree's sources; worker processes ignore PYTHONPATH."""
    venv.create(folder, symlinks=True)
    paths = [*(str(tree / source) for source in SOURCES), sysconfig.get_path("purelib")]
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    (packages / "last_release.pth").write_text("\n".join(dict.fromkeys(paths)) + "\n")
    return folder / "bin/python"
