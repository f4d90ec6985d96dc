"""What can become of a job; the service that runs jobs gives these its own reasons.

JobError
├── JobCrashed       the worker died, or the function raised what nobody expected
├── JobTimedOut      the wall clock or the processor time ran out
├── JobOutOfMemory   the memory limit was reached
├── OutputTooLarge   more came out than the limit allows
├── QueueFull        too many jobs wait; nothing was started
└── PoolNotReady     no worker could be started
"""

from __future__ import annotations


class JobError(Exception):
    """A job that gave no result."""


class JobCrashed(JobError):
    """The worker died, or the function raised what nobody expected."""

    def __init__(self, cause: str) -> None:
        """Takes the name of a signal (`SIGSEGV`), of an exception's class, or `exit status N`."""
        super().__init__(f"the worker ended with {cause}")
        self.cause = cause


class JobTimedOut(JobError):
    """The wall clock or the processor time ran out."""

    def __init__(self, seconds: float) -> None:
        """Takes the limit that ran out."""
        super().__init__(f"the job did not end in {seconds:g} s")
        self.seconds = seconds


class JobOutOfMemory(JobError):
    """The memory limit was reached."""

    def __init__(self, limit_bytes: int) -> None:
        """Takes the limit."""
        super().__init__(f"the job needs more than {limit_bytes} bytes")
        self.limit_bytes = limit_bytes


class OutputTooLarge(JobError):
    """More came out than the limit allows."""

    def __init__(self, limit_bytes: int) -> None:
        """Takes the limit."""
        super().__init__(f"the job answered more than {limit_bytes} bytes")
        self.limit_bytes = limit_bytes


class QueueFull(JobError):
    """Too many jobs wait; nothing was started."""

    def __init__(self, waiting: int, retry_after: float) -> None:
        """Takes how many wait and the seconds after which a place is likely."""
        super().__init__(f"{waiting} jobs wait already")
        self.waiting = waiting
        self.retry_after = retry_after


class PoolNotReady(JobError):
    """No worker could be started."""

    def __init__(self, cause: str) -> None:
        """Takes what the attempt ended with."""
        super().__init__(f"no worker could be started: {cause}")
        self.cause = cause
