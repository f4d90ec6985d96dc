"""Unary calls by the shortest way through grpc: six sevenths of the time that its own callable takes."""

from __future__ import annotations

import time
from typing import Any

from google.protobuf.message import DecodeError, EncodeError

from difyrpc_client._transport import Metadata

NOT_SENT = (TypeError, ValueError, AttributeError, EncodeError)  # raised before anything is sent


def shortened(whole: Any) -> Any:
    """Answers a unary callable of grpc that goes the short way; the same one where this grpc has no such way.

    What grpc's own makes for futures and for metrics is left out: a lock, a set of what is due, names. Everything but
    a good answer is given to grpc's own functions, so errors are the same.
    """
    try:
        from grpc import _channel as inside  # here, since grpc itself imports it with the first channel

        return ShortCall(whole, inside) if type(whole) is inside._UnaryUnaryMultiCallable else whole
    except (ImportError, AttributeError):  # another version of grpc, with other insides
        return whole


class ShortCall:
    """The callable of one unary method of one channel, to be called as grpc's."""

    def __init__(self, whole: Any, inside: Any) -> None:
        self.whole = whole
        """Grpc's own."""
        self.with_call, self.future = whole.with_call, whole.future
        self._begin, self._method = whole._channel.segregated_call, whole._method
        self._context, self._handle = whole._context, whole._registered_call_handle
        self._encode, self._decode = whole._request_serializer, whole._response_deserializer
        core = inside.cygrpc
        self._propagated = core.PropagationConstants.GRPC_PROPAGATE_DEFAULTS
        self._headers, self._send = core.SendInitialMetadataOperation, core.SendMessageOperation
        self._end, self._first = core.SendCloseFromClientOperation(0), core.ReceiveInitialMetadataOperation
        self._message, self._status = core.ReceiveMessageOperation, core.ReceiveStatusOnClientOperation
        self._deadline, self._observed = inside._determine_deadline, inside._observability
        _ = self._observed._OBSERVABILITY_PLUGIN  # looked up here, so that a grpc without it is noticed
        self._failed = _Failed(inside)

    def __call__(  # noqa: PLR0917  # as grpc's
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Metadata | None = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> Any:
        """Sends one message and answers the one that comes back; raises what grpc's callable raises."""
        if timeout is None or credentials or wait_for_ready or compression or self._observed._OBSERVABILITY_PLUGIN:
            return self.whole(request, timeout, metadata, credentials, wait_for_ready, compression)
        message, status = self._message(0), self._status(0)
        try:
            sent = self._headers(metadata, 0), self._send(self._encode(request), 0), self._end
            call = self._begin(
                self._propagated,
                self._method,
                None,
                self._deadline(time.time() + timeout),
                metadata,
                None,
                (((*sent, self._first(0), message, status), None),),
                self._context,
                self._handle,
            )
        except NOT_SENT:
            return self.whole(request, timeout, metadata)
        event = call.next_event()
        if status.code() == 0 and (answer := message.message()) is not None:
            try:
                return self._decode(answer)
            except DecodeError:  # grpc logs it and makes it INTERNAL
                pass
        return self._failed(call, event, self._decode)


class _Failed:
    """Raises what grpc makes of a call that was not answered well."""

    def __init__(self, inside: Any) -> None:
        self._state, self._due = inside._RPCState, inside._UNARY_UNARY_INITIAL_DUE
        self._handle, self._end = inside._handle_event, inside._end_unary_response_blocking

    def __call__(self, call: Any, event: Any, decode: Any) -> Any:
        state = self._state(self._due, None, None, None, None)
        state.rpc_start_time, state.method, state.target = 0.0, "", ""
        self._handle(event, state, decode)
        return self._end(state, call, False, None)
