"""Three servers and a client, each on a host of its own: by name or address, plain or with TLS, near or far."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from fleet import PORT, Node, environment, go_first, started
from network import Host, network, reason_to_skip

NAME = "fleet.test"
CLIENT = {"DIFYRPC_KEEPALIVE_SECONDS": "2", "DIFYRPC_TIMEOUT": "20", "DIFYRPC_STREAM_TIMEOUT": "20"}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Hosts, servers that run on three of them, and how clients reach those."""

    nodes: Sequence[Node]
    spare: Node
    client: Host
    hosts: Path
    env: Mapping[str, str]

    @property
    def by_name(self) -> dict[str, str]:
        return {"DIFYRPC_TARGET": f"dns:///{NAME}:{PORT}"}

    @property
    def by_address(self) -> dict[str, str]:
        return {"DIFYRPC_TARGET": "ipv4:" + ",".join(node.address for node in self.nodes)}

    def name(self, addressed: Sequence[Node]) -> None:
        """Lets the name stand for the addresses of these."""
        lines = ["127.0.0.1 localhost", *(f"{node.host.address} {NAME}" for node in addressed)]
        self.hosts.write_text("\n".join(lines) + "\n")  # in its place, since it is mounted

    def restore(self) -> None:
        """Makes it as it was in the beginning, whatever a test has left."""
        self.spare.end(signal.SIGKILL)
        for node in self.nodes:
            node.host.join()
        for node in [node for node in self.nodes if not node.is_up]:
            node.start()
        self.name(self.nodes)


@contextmanager
def place(folder: Path, program: Sequence[str], env: Mapping[str, str], client: Mapping[str, str]) -> Iterator[Place]:
    """Runs a program on three hosts; skips where that cannot be."""
    reason = reason_to_skip()
    if reason:
        pytest.skip(reason)
    with network("a", "b", "c", "spare", "client") as (*hosts, caller):
        *three, spare = (Node(host, folder, program, env) for host in hosts)
        with started(three):
            try:
                yield Place(nodes=three, spare=spare, client=caller, hosts=folder / "hosts", env={**CLIENT, **client})
            finally:
                spare.end(signal.SIGKILL)


def encrypted(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Makes a certificate for the name; answers the settings of the servers and of the clients."""
    authority = trustme.CA()
    issued = authority.issue_cert(NAME)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    issued.cert_chain_pems[0].write_to_path(folder / "certificate.pem")
    server = {
        "DIFYRPC_TLS_CERTIFICATE": str(folder / "certificate.pem"),
        "DIFYRPC_TLS_KEY_FILE": str(folder / "key.pem"),
    }
    return server, {"DIFYRPC_TLS_CA": str(folder / "ca.pem"), "DIFYRPC_TLS_SERVER_NAME": NAME}


@contextmanager
def far_away(place: Place, delay: float, jitter: float, loss: float) -> Iterator[None]:
    """Lengthens the cables of all servers by a process between two devices each."""
    with ExitStack() as stack:
        ends = [end for node in place.nodes for end in stack.enter_context(node.host.lengthened())]
        inside = ["ip", "netns", "exec", place.client.switch, sys.executable, "-m", "slow_cable"]
        cable = subprocess.Popen(
            [*inside, str(delay), str(jitter), str(loss), *ends], stdout=subprocess.PIPE, env=environment({})
        )
        stack.enter_context(cable)
        stack.callback(cable.kill)
        assert b"is ready" in cable.stdout.readline()
        go_first(cable.pid)
        yield
