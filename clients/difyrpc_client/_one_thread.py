"""Server streams that the caller's own thread reads: 1.6 times the messages a second, and no thread beside it."""

from __future__ import annotations

from typing import Any

import grpc

from difyrpc_client._methods import Method


def reading(channel: grpc.Channel, method: Method[Any, Any]) -> Any:
    """Makes the callable of a server stream on a channel; one of the usual kind where this grpc has no other.

    What it answers must be ended by `end`. Not for processes that gevent has patched: a greenlet that is killed
    leaves grpc waiting for the stream's next message in gevent's pool of threads, so that nobody can end it.
    """
    kind: Any = type(channel)
    return kind.unary_stream(
        _Single(channel),
        method.path,
        request_serializer=method.request.SerializeToString,
        response_deserializer=method.response.FromString,
        _registered_method=True,
    )


def end(call: Any) -> None:
    """Cancels a call that has not ended, and takes what grpc still has to say about it.

    A stream of one thread that is left early keeps 20 KB as long as its channel lives, until somebody has.
    """
    call.cancel()
    take, state = getattr(call, "_consume_next_event", None), getattr(call, "_state", None)
    while take is not None and state is not None and state.due:
        take()


class _Single:
    """Stands before a channel that opens its streams in one thread, as grpc does for all or for none of a channel's.

    Generated stubs share our channels and need the usual kind, whose status may be asked for at any time.
    """

    _single_threaded_unary_stream = True  # grpc.experimental.ChannelOptions.SingleThreadedUnaryStream

    def __init__(self, channel: grpc.Channel) -> None:
        self._inner = channel

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
