"""The walls of a gRPC port: what its library refuses before a call is a call, so that no peer takes the server down.

What gRPC 1.85 does well by itself and is left alone: it ends connections that ping too often (`too_many_pings`), that
send empty CONTINUATION or DATA frames on and on, bad HPACK, or frames it never allowed; it stops reading from a peer
that does not take its acknowledgements; it refuses a message by its declared length before it has a byte of it, and
stops to decompress at `grpc.max_receive_message_length`, so that gzip stays allowed and a bomb costs that much memory.
"""

from __future__ import annotations

import resource

HANDSHAKE_MS = 10_000
"""From accepting a connection to the peer's SETTINGS, TLS included; gRPC's own 120 s keep a descriptor each."""
IDLE_MS = 15 * 60_000
"""A connection without a call is closed after this; gRPC's own is never. Clients connect again by themselves."""
METADATA_BYTES = 16 << 10
"""All fields of a call, 32 bytes for each of them included. gRPC's own is the same as the hard limit, with a soft one
of 8 KiB: between the two it refuses at random, so that a call that worked fails the next time."""
LEAST_STREAMS = 1000
"""Calls at once on one connection, however few the server works on: the rest shall hear of the setting, not of this."""
WAITING_CALLS = 10_000
"""Calls that were not taken up yet, about 9 KB each. gRPC's own 1,000 to 3,000 drops the rest at random as CANCELLED:
of 8,000 calls at once half were lost, none with this; the limit of running calls answers them with its name."""
SHARE_OF_FILES = 0.75
"""Of the files that the process may open: the rest is for the database, stored files and worker processes."""
MOST_CONNECTIONS = 1 << 20
"""Where the system sets no limit."""


def walls(*, calls: int, connections: int = 0) -> list[tuple[str, int]]:
    """Answers the options of a server that works on `calls` at once.

    `connections` are closed when they come above that number; 0: as many as the process's open files allow. Without,
    gRPC accepts until there is no descriptor left, and then neither database nor file can be opened.
    """
    return [
        # A stream that the peer has reset counts until its call is cleaned up, so that a flood of resets gets
        # REFUSED_STREAM instead of filling the queue of all. Twice, since gRPC counts what has just ended too: at 100,
        # a client with 100 calls at once lost 260 of 4,000.
        ("grpc.max_concurrent_streams", max(LEAST_STREAMS, 2 * calls)),
        ("grpc.server.max_pending_requests", WAITING_CALLS),
        ("grpc.server.max_pending_requests_hard_limit", WAITING_CALLS),
        ("grpc.max_metadata_size", METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", METADATA_BYTES),
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS),
        ("grpc.max_connection_idle_ms", IDLE_MS),
        ("grpc.max_allowed_incoming_connections", connections or _allowed_connections()),
    ]


def _allowed_connections() -> int:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return min(MOST_CONNECTIONS, max(1, int(files * SHARE_OF_FILES)))
