"""Opens channels for those who call generated stubs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from difyrpc_client._circuit import Breaker
from difyrpc_client._errors import ConfigurationError
from difyrpc_client._hooks import Hooks
from difyrpc_client._retry import SYSTEM_CLOCK, Clock, Retry
from difyrpc_client._settings import PLACEHOLDER, AsyncToken, Endpoint, Settings, Token, read_settings
from difyrpc_client._target import grpc_only
from difyrpc_client._tls import TLS
from difyrpc_client._transport import gevent_refusal

if TYPE_CHECKING:
    import grpc
    import grpc.aio


def channel(
    target: str | None = None,
    *,
    service: str | None = None,
    token: Token | None = None,
    tls: TLS | bool | None = None,
    timeout: float | None = None,
    stream_timeout: float | None = None,
    retry: Retry | None = None,
    breaker: Breaker | bool | None = None,
    hooks: Hooks | None = None,
    app: str | None = None,
    user: str | None = None,
    metadata: Mapping[str, str] | None = None,
    channels: int | None = None,
    keepalive_seconds: float | None = None,
    max_message_bytes: int | None = None,
    env: Mapping[str, str] | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> grpc.Channel:
    """Answers a grpc.Channel for generated stubs; cheap to make anew, since the connections are the process's.

    `DocumentParserStub(channel("parser:50051")).Parse(request, timeout=10)` works as with a plain channel, with the
    arguments and the environment of `connect`: token, TLS, request id, default deadline, circuit and repetition of
    unary calls as the contract marks them. Errors stay grpc.RpcError. `service` fills `{service}` in the target and
    reads `DIFYRPC_<SERVICE>_TARGET`. ConfigurationError for arguments that cannot be used.
    """
    settings = read_settings(
        target,
        env=env,
        token=token,
        tls=tls,
        timeout=timeout,
        stream_timeout=stream_timeout,
        retry=retry,
        breaker=breaker,
        hooks=hooks,
        app=app,
        user=user,
        metadata=metadata,
        channels=channels,
        keepalive_seconds=keepalive_seconds,
        max_message_bytes=max_message_bytes,
    )
    from difyrpc_client._channel import PooledChannel

    return PooledChannel(_endpoint(settings, service), settings.options, clock=clock)


def channel_async(
    target: str | None = None,
    *,
    service: str | None = None,
    token: AsyncToken | None = None,
    tls: TLS | bool | None = None,
    timeout: float | None = None,
    stream_timeout: float | None = None,
    app: str | None = None,
    user: str | None = None,
    metadata: Mapping[str, str] | None = None,
    keepalive_seconds: float | None = None,
    max_message_bytes: int | None = None,
    env: Mapping[str, str] | None = None,
) -> grpc.aio.Channel:
    """Answers a grpc.aio.Channel of the running loop for generated stubs; keep it, and close it at the end.

    It adds token, request id, labels and default deadline, and repeats nothing. ConfigurationError for arguments
    that cannot be used, and in a process that gevent has patched.
    """
    gevent_refusal()
    settings = read_settings(
        target,
        env=env,
        token=token,
        tls=tls,
        timeout=timeout,
        stream_timeout=stream_timeout,
        app=app,
        user=user,
        metadata=metadata,
        keepalive_seconds=keepalive_seconds,
        max_message_bytes=max_message_bytes,
    )
    from difyrpc_client._channel_async import open_for_stubs

    return open_for_stubs(_endpoint(settings, service), settings.options)


def _endpoint(settings: Settings, service: str | None) -> Endpoint:
    target = settings.target if service is None else settings.target_of(service)
    if PLACEHOLDER in target:
        raise ConfigurationError(f"target {target!r} names several services; say which with service=")
    return replace(settings.endpoint, target=grpc_only(target, "channel()"))
