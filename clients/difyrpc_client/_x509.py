"""Reads from a certificate what an error message says of it: its names, who issued it, and its dates."""

from __future__ import annotations

import binascii
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

# Tags of DER, X.690; a certificate's shape is RFC 5280, 4.1.
EXPLICIT_VERSION, EXPLICIT_EXTENSIONS = 0xA0, 0xA3
GENERALIZED_TIME, OCTET_STRING = 0x18, 0x04
DNS_NAME, URI_NAME, IP_NAME = 0x82, 0x86, 0x87
COMMON_NAME, ORGANIZATION, ALTERNATIVE_NAMES = b"\x55\x04\x03", b"\x55\x04\x0a", b"\x55\x1d\x11"

Node = tuple[int, bytes]  # tag and content


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What a person wants to know of a certificate."""

    names: tuple[str, ...]
    """The DNS names, URIs and addresses that it is for."""
    issuer: str
    """Common name and organisation of who signed it."""
    first: datetime
    """Since when it is valid."""
    last: datetime
    """Until when it is valid."""


def read_pem(pem: bytes | None) -> Certificate | None:
    """Reads the first certificate of a PEM text; None for none, and for what is no certificate."""
    text = (pem or b"").partition(b"-----BEGIN CERTIFICATE-----")[2].partition(b"-----END CERTIFICATE-----")[0]
    try:
        return read_der(binascii.a2b_base64(text))
    except binascii.Error:
        return None


def read_der(der: bytes | None) -> Certificate | None:
    """Reads a certificate in DER; None for none, and for what is no certificate."""
    try:
        (_, certificate), *_ = _nodes(der or b"")
        (_, signed), *_ = _nodes(certificate)
        parts = [node for node in _nodes(signed) if node[0] != EXPLICIT_VERSION]
        first, last = (_time(node) for node in _nodes(parts[3][1]))
        names = tuple(_names(next((content for tag, content in parts if tag == EXPLICIT_EXTENSIONS), b"")))
        return Certificate(names=names, issuer=_issuer(parts[2][1]), first=first, last=last)
    except (ValueError, IndexError):
        return None


def _nodes(data: bytes) -> Iterator[Node]:
    place = 0
    while place < len(data):
        tag, size, place = data[place], data[place + 1], place + 2
        if size & 0x80:
            octets = size & 0x7F
            size, place = int.from_bytes(data[place : place + octets], "big"), place + octets
        yield tag, data[place : place + size]
        place += size


def _time(node: Node) -> datetime:
    tag, content = node
    form = "%Y%m%d%H%M%SZ" if tag == GENERALIZED_TIME else "%y%m%d%H%M%SZ"
    return datetime.strptime(content.decode(), form).replace(tzinfo=UTC)


def _issuer(name: bytes) -> str:
    pairs = [tuple(_nodes(pair)) for _, group in _nodes(name) for _, pair in _nodes(group)]
    wanted = [value for (_, kind), (_, value) in pairs if kind in (COMMON_NAME, ORGANIZATION)]
    return ", ".join(value.decode("utf-8", "replace") for value in wanted) or "an unnamed authority"


def _names(explicit: bytes) -> Iterator[str]:
    for _, extensions in _nodes(explicit):
        for _, extension in _nodes(extensions):
            (_, kind), *_, (_, value) = _nodes(extension)
            if kind == ALTERNATIVE_NAMES:
                yield from (_name(node) for _, names in _nodes(value) for node in _nodes(names))


def _name(node: Node) -> str:
    tag, content = node
    return str(ipaddress.ip_address(content)) if tag == IP_NAME else content.decode("utf-8", "replace")
