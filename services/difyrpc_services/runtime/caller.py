"""Who makes the current call: set by the auth interceptor, read by servicers and peers."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The identity behind one call. The tenant comes from the key, never from the request."""

    tenant: str
    """Name of the tenant; everything that is stored belongs to one."""
    key_id: str = ""
    """Public id of the API key, or the certificate's identity; empty without authentication."""
    scopes: frozenset[str] = frozenset()
    """`<service>:<read|write|admin>`; `*` stands for any service or any level."""
    token: str = field(default="", repr=False)
    """The bearer token as it was sent, for calls to peers; empty when there was none."""
    request_id: str = ""
    """The call's id in logs, from `x-request-id` or made by the server."""
    app: str = ""
    """Label from `x-difyrpc-app`; for limits and usage, never identity."""
    user: str = ""
    """Label from `x-difyrpc-user`; for limits and usage, never identity."""


_current: ContextVar[Caller] = ContextVar("difyrpc_caller")


def current_caller() -> Caller:
    """Answers the caller of the running rpc; LookupError outside of one."""
    return _current.get()


def set_caller(caller: Caller) -> None:
    """Makes `caller` the current one for this task and the tasks that it starts."""
    _current.set(caller)
