"""What every call of a client carries beside its message: token, request id, labels, trace."""

from __future__ import annotations

import inspect
import random
from collections.abc import Awaitable

from difyrpc_client._errors import ConfigurationError
from difyrpc_client._labels import bearer
from difyrpc_client._settings import CallOptions
from difyrpc_client._transport import Metadata


def metadata_of(options: CallOptions, token: str | None, request_id: str, headers: Metadata = ()) -> Metadata:
    """Answers what a call carries; a header of the caller's own stands above one of the same name in `headers`."""
    metadata = (*options.labels, *_added(options, headers), ("x-request-id", request_id))
    return metadata if token is None else (("authorization", bearer(token)), *metadata)


def _added(options: CallOptions, headers: Metadata) -> Metadata:
    if not headers:
        return ()
    taken = {key for key, _ in options.labels}
    return tuple(header for header in headers if header[0] not in taken)


def new_request_id(options: CallOptions) -> str:
    """Answers the id of one call in our errors and the server's log."""
    return options.request_id or random.randbytes(16).hex()  # noqa: S311  # no secret; a tenth of uuid4's time


class _Plan:
    """What the twins share."""

    def __init__(self, options: CallOptions) -> None:
        self.options = options
        """Timeouts, repetitions, token and labels."""
        self.asks = callable(options.token)
        """Whether a provider of tokens is asked, which may take its time."""
        self._same: Metadata | None = None  # what all calls carry where nobody is asked; made by the first

    def _with(self, token: str | None, request_id: str, headers: Metadata) -> Metadata:
        if headers or self.asks:
            return metadata_of(self.options, token, request_id, headers)
        if self._same is None:
            self._same = metadata_of(self.options, token, request_id)[:-1]
        return (*self._same, ("x-request-id", request_id))


class Plan(_Plan):
    """What every call of one client carries: completed before each try."""

    def metadata(self, request_id: str | None = None, headers: Metadata = ()) -> Metadata:
        """Answers what the next try carries, `headers` with it; asks the token's provider."""
        token = self.options.token
        if token is not None and not isinstance(token, str):
            token = _plain(token())
        return self._with(token, request_id or new_request_id(self.options), headers)


class AsyncPlan(_Plan):
    """The same for the event loop."""

    async def metadata(self, request_id: str | None = None, headers: Metadata = ()) -> Metadata:
        """Answers what the next try carries, `headers` with it; asks the token's provider."""
        token = self.options.token
        if token is not None and not isinstance(token, str):
            answer = token()
            token = await answer if inspect.isawaitable(answer) else answer
        return self._with(token, request_id or new_request_id(self.options), headers)


def _plain(token: str | Awaitable[str]) -> str:
    if not inspect.isawaitable(token):
        return token
    if inspect.iscoroutine(token):
        token.close()
    raise ConfigurationError("the token's provider is asynchronous; connect() needs one that answers text")
