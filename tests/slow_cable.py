"""A cable that delays and loses what it carries, for kernels without netem: `-m slow_cable DELAY JITTER LOSS A B …`."""

from __future__ import annotations

import itertools
import random
import select
import socket
import sys
import time
from collections import deque

SOL_PACKET, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING = 263, 15, 23  # linux/if_packet.h
ETH_P_ALL = 3
LARGEST = 1 << 17  # with the header that keeps what the network card would have done: checksums and cutting
SEED = 17


class End:
    """One end of a cable: what comes in here goes out at the other later, in the same order."""

    def __init__(self, device: str) -> None:
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        self.socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.socket.bind((device, 0))
        self.waiting: deque[tuple[float, bytes]] = deque()

    def send_due(self, now: float) -> None:
        while self.waiting and self.waiting[0][0] <= now:
            self.socket.send(self.waiting.popleft()[1])


def carry(delay: float, jitter: float, loss: float, devices: list[str]) -> None:
    """Carries frames between the first two devices, the next two and so on; seconds, and a share from 0 to 1."""
    chance = random.Random(SEED)
    ends = [End(device) for device in devices]
    other = {one.socket: two for one, two in itertools.chain(_pairs(ends), _pairs(ends[::-1]))}
    while True:
        now = time.monotonic()
        for end in ends:
            end.send_due(now)
        due = min((end.waiting[0][0] for end in ends if end.waiting), default=now + 1)
        for ready in select.select(list(other), [], [], max(0, due - now))[0]:
            frame = ready.recv(LARGEST)
            if chance.random() >= loss:
                other[ready].waiting.append((time.monotonic() + delay + chance.uniform(0, jitter), frame))


def _pairs(ends: list[End]) -> zip[tuple[End, End]]:
    return zip(ends[::2], ends[1::2], strict=True)


if __name__ == "__main__":
    print("the cable is ready", flush=True)
    carry(*map(float, sys.argv[1:4]), sys.argv[4:])
