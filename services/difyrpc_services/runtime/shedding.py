"""Refuses calls of a busy server for next to nothing: answers are made beforehand, of the call nothing is read."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import grpc

from difyrpc_services.runtime import statuses
from difyrpc_services.runtime.errors import Unavailable

RETRY_SECONDS = (0.5, 1.5)  # callers come back at random in between
ANSWERS = 64  # each with a time of its own


class Refusal:
    """The answer to calls that are one too many."""

    def __init__(self, cause: str) -> None:
        """Takes what the server is short of, as a word for the caller."""
        self._message = _error(cause).message
        self._details = [statuses.trailers(_error(cause), "")[1] for _ in range(ANSWERS)]
        self.handler: Any = grpc.stream_stream_rpc_method_handler(self._refuse)
        """Reads no request and so fits every method."""

    async def _refuse(self, _requests: Any, context: Any) -> None:
        details = random.choice(self._details)  # noqa: S311  # spreads load, guards nothing
        own = [item for item in context.invocation_metadata() or () if item[0] == statuses.REQUEST_ID_KEY][:1]
        try:
            await context.abort(grpc.StatusCode.UNAVAILABLE, self._message, (*own, details))
        except grpc.aio.InternalError as gone:  # the call was reset meanwhile; gRPC would log each with a trace
            raise asyncio.CancelledError from gone


def _error(cause: str) -> Unavailable:
    return Unavailable(
        "SERVER_OVERLOADED",
        "this server is too busy for new calls ({cause}); try again in a moment",
        retry_after=random.uniform(*RETRY_SECONDS),  # noqa: S311
        cause=cause,
    )
