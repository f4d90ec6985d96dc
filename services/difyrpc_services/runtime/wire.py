"""Bytes to messages and back, one or a stream, within the server's limit for a message."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message

from difyrpc_services.runtime.errors import InvalidArgument, ResourceExhausted
from difyrpc_services.runtime.stalls import READER, SENDER, Patience


def reader(deserialise: Callable[[bytes], Any], most: int) -> Callable[[bytes], Any]:
    """Answers what parses a message of up to `most` bytes; it raises ResourceExhausted or InvalidArgument."""

    def read(data: bytes) -> Any:
        if len(data) > most:
            raise _too_large(
                "REQUEST_TOO_LARGE", "the message has {size_bytes} bytes, more than {limit_value}", data, most
            )
        try:
            return deserialise(data)
        except DecodeError as error:
            raise InvalidArgument(
                "MALFORMED_REQUEST", "the request's bytes are not a message of this contract"
            ) from error

    return read


def writer(serialise: Callable[[Any], bytes], most: int) -> Callable[[Any], bytes]:
    """Answers what serialises a message of up to `most` bytes; it raises ResourceExhausted."""

    def write(response: Message) -> bytes:
        data = serialise(response)
        if len(data) > most:
            raise _too_large(
                "RESPONSE_TOO_LARGE",
                "the answer has {size_bytes} bytes, more than {limit_value}; use the streaming call",
                data,
                most,
            )
        return data

    return write


async def parsed(
    read: Callable[[bytes], Any], data: AsyncIterator[bytes], patience: Patience | None = None
) -> AsyncIterator[Any]:
    """Parses a stream; with patience, that ends when its sender pauses for too long."""
    if patience is None:
        async for part in data:
            yield read(part)
        return
    patience.wait_for(SENDER)
    async for part in data:
        patience.rest()
        yield read(part)
        patience.wait_for(SENDER)
    patience.rest()


async def send(context: Any, responses: Any, write: Callable[[Any], bytes], patience: Patience) -> None:
    """Sends a stream; returns when the last message has left, which needs a caller who reads."""
    is_begun = False
    async with aclosing(responses):
        async for response in responses:
            data = write(response)
            if not is_begun:  # alone: after a first message that got stuck, gRPC would send them a second time
                with suppress(grpc.aio.UsageError):  # the method has sent them itself
                    await context.send_initial_metadata(())
                is_begun = True
            patience.wait_for(READER)
            await context.write(data)
            patience.rest()


def _too_large(reason: str, template: str, data: bytes, most: int) -> ResourceExhausted:
    return ResourceExhausted(
        reason, template, limit="DIFYRPC_MAX_MESSAGE_BYTES", limit_value=most, size_bytes=len(data)
    )
