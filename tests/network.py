"""Hosts of one machine: network namespaces with an address each, joined by a switch that can cut one off."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

SUBNET = "10.231.17"  # of the namespaces alone; nothing leads out of them
BIND_HOSTS = 'mount --bind "$0" /etc/hosts && exec "$@"'
_numbers = itertools.count()


def reason_to_skip() -> str:
    """Answers why no namespaces can be made here, or nothing."""
    if os.geteuid() != 0:
        return "network namespaces need root: run this file with sudo"
    if shutil.which("ip") is None:
        return "network namespaces need `ip`: install iproute2"
    tried = _ip("netns", "add", _probe(), check=False)
    if tried.returncode:
        return f"this kernel or container makes no network namespaces ({tried.stderr.strip()}): run it privileged"
    _ip("netns", "del", _probe())
    return ""


def _probe() -> str:
    return f"difyrpc-{os.getpid()}-probe"


@dataclass(frozen=True, kw_only=True)
class Host:
    """One namespace on the switch."""

    name: str
    address: str
    namespace: str
    switch: str

    def command(self, *arguments: str, hosts: Path | None = None) -> list[str]:
        """Answers the command that runs inside, under the same process id; `hosts` takes the place of /etc/hosts."""
        bound = ["sh", "-c", BIND_HOSTS, str(hosts)] if hosts else []
        return ["ip", "netns", "exec", self.namespace, *bound, *arguments]

    def cut_off(self) -> None:
        """Lets what goes to the host and comes from it vanish, as behind a dead router: no refusal, no carrier lost."""
        _ip("-n", self.switch, "link", "set", "dev", self.name, "nomaster")

    def join(self) -> None:
        """Puts the host back on the switch."""
        _ip("-n", self.switch, "link", "set", "dev", self.name, "master", "bridge")

    @contextmanager
    def lengthened(self) -> Iterator[tuple[str, str]]:
        """Opens the host's cable: what a process carries between the two devices reaches the host."""
        near, far = f"{self.name}-near", f"{self.name}-far"
        self.cut_off()
        _ip("-n", self.switch, "link", "add", "name", near, "type", "veth", "peer", "name", far)
        _ip("-n", self.switch, "link", "set", "dev", near, "master", "bridge", "up")
        _ip("-n", self.switch, "link", "set", "dev", far, "up")
        try:
            yield self.name, far
        finally:
            _ip("-n", self.switch, "link", "del", near)
            self.join()


@contextmanager
def network(*names: str) -> Iterator[list[Host]]:
    """Makes a host for each name, all on one switch; removes them at the end."""
    prefix = f"difyrpc-{os.getpid()}-{next(_numbers)}"
    switch = f"{prefix}-switch"
    hosts = [
        Host(name=name, address=f"{SUBNET}.{number}", namespace=f"{prefix}-{name}", switch=switch)
        for number, name in enumerate(names, 1)
    ]
    _remove_what_died()
    with ExitStack() as stack:
        for namespace in (switch, *(host.namespace for host in hosts)):
            _ip("netns", "add", namespace)
            stack.callback(_ip, "netns", "del", namespace)
        _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge", "up")
        for host in hosts:
            _plug_in(host)
        for host in hosts:
            _introduce(host, hosts)
        yield hosts


def _remove_what_died() -> None:
    """Removes the namespaces of test runs that were killed."""
    for namespace, process in re.findall(r"^(difyrpc-(\d+)-\S+)", _ip("netns", "list").stdout, re.MULTILINE):
        if not Path(f"/proc/{process}").exists():
            _ip("netns", "del", namespace, check=False)


def _plug_in(host: Host) -> None:
    _ip(
        "-n",
        host.switch,
        "link",
        "add",
        "name",
        host.name,
        "type",
        "veth",
        "peer",
        "name",
        "eth0",
        "netns",
        host.namespace,
    )
    _ip("-n", host.switch, "link", "set", "dev", host.name, "master", "bridge", "up")
    _ip("-n", host.namespace, "address", "add", f"{host.address}/24", "dev", "eth0")
    for device in ("lo", "eth0"):
        _ip("-n", host.namespace, "link", "set", device, "up")


def _introduce(host: Host, hosts: Sequence[Host]) -> None:
    """Tells the others' hardware addresses for good: asking in vain would say at once that a host is gone."""
    shown = _ip("-n", host.namespace, "-brief", "link", "show", "eth0").stdout.split()[2]
    for other in hosts:
        if other is not host:
            _ip("-n", other.namespace, "neigh", "replace", host.address, "lladdr", shown, "dev", "eth0")


def _ip(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *arguments], check=check, capture_output=True, text=True, timeout=30)
