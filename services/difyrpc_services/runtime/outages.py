"""What a caller is told when the database fails it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors as pg

from difyrpc_services.runtime.errors import Aborted, DeadlineExceeded, ResourceExhausted, ServiceError, Unavailable

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
CONFLICT_RETRY_SECONDS = 0.1


@contextmanager
def translated() -> Iterator[None]:
    """Turns what the driver raises for an outage, a limit or a conflict into a ServiceError without host or user."""
    try:
        yield
    except (psycopg.OperationalError, pg.ReadOnlySqlTransaction) as error:
        failure = _service_error(error)
        log.warning("%s: %s", failure.reason, type(error).__name__)
        raise failure from error


def unavailable() -> Unavailable:
    """Makes the error of an outage."""
    return Unavailable("DATABASE_UNAVAILABLE", "the database does not answer; try again", retry_after=RETRY_SECONDS)


def _service_error(error: psycopg.Error) -> ServiceError:
    match error:
        case pg.QueryCanceled():
            return DeadlineExceeded("DATABASE_TIMEOUT", "a statement took longer than the database's limit")
        case pg.DeadlockDetected() | pg.SerializationFailure():
            return Aborted(
                "DATABASE_CONFLICT",
                "two calls changed the same rows; repeat this one",
                retry_after=CONFLICT_RETRY_SECONDS,
            )
        case pg.DiskFull():
            return ResourceExhausted("DATABASE_FULL", "the database has no space left")
        case _:
            return unavailable()
