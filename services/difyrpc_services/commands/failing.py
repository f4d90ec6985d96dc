"""Turns the errors that a person can mend into one line on stderr and exit status 1."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from difyrpc_services.runtime.errors import ServiceError
from difyrpc_services.runtime.settings import SettingsError

P = ParamSpec("P")
R = TypeVar("R")


def clear_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Wraps a command: SettingsError and ServiceError end it with their message alone."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (SettingsError, ServiceError) as error:
            sys.exit(f"difyrpc: {error}")

    return run
