"""How messages are written in HTTP bodies: binary, or JSON for gateways and people that want to read them."""

from __future__ import annotations

from typing import Protocol

from google.protobuf.message import DecodeError

from difyrpc_client._errors import Internal
from difyrpc_client._methods import Req, Res


class Codec(Protocol):
    """Writes messages and reads them."""

    name: str
    """As it stands in `Content-Type`: proto or json."""

    def write(self, message: Req) -> bytes:
        """Answers the bytes of a message."""

    def read(self, kind: type[Res], data: bytes) -> Res:
        """Answers the message in the bytes; Internal for what is none."""


class Binary:
    """The wire format of Protocol Buffers."""

    name = "proto"

    def write(self, message: Req) -> bytes:
        """Answers the bytes of a message."""
        return message.SerializeToString()

    def read(self, kind: type[Res], data: bytes) -> Res:
        """Answers the message in the bytes; Internal for what is none."""
        try:
            return kind.FromString(data)
        except DecodeError as error:
            raise _unreadable(kind) from error


class Json:
    """The JSON form of Protocol Buffers; fields that are not known here are passed over."""

    name = "json"

    def write(self, message: Req) -> bytes:
        """Answers the bytes of a message."""
        from google.protobuf.json_format import MessageToJson

        return MessageToJson(message, indent=None).encode()

    def read(self, kind: type[Res], data: bytes) -> Res:
        """Answers the message in the bytes; Internal for what is none."""
        from google.protobuf.json_format import Parse, ParseError

        try:
            return Parse(data, kind(), ignore_unknown_fields=True)
        except (ParseError, UnicodeDecodeError) as error:
            raise _unreadable(kind) from error


def _unreadable(kind: type[Res]) -> Internal:
    return Internal(f"the answer cannot be read as {kind.DESCRIPTOR.full_name}")


CODECS: dict[str, Codec] = {"proto": Binary(), "json": Json()}
