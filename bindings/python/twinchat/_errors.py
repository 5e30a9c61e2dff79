"""The exceptions: one class for each ErrorCode, all of them TwinchatError."""

from __future__ import annotations

import enum
from datetime import timedelta
from typing import Any, ClassVar


class ErrorCode(enum.IntEnum):
    """What went wrong, for decisions. The names and numbers are those of google.rpc.Code."""

    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class TwinchatError(Exception):
    """What the library raises. Catch a class below for a decision, this one for all.

    str() is a safe sentence: it may be shown to a visitor. It never holds a secret, an upstream's
    text or a visitor's words. The attributes say what is known beside the code:

    retry_after      how long to wait before trying again, where somebody said so
    retryable        the same call may work later without a change
    http_status      the upstream's HTTP status; 0 when there was no answer
    upstream_status  the upstream's own name for it
    reason           the machine-readable cause, such as "API_KEY_INVALID" or "DAILY_TOKENS"
    quota_id         the quota that was hit, as the upstream names it
    stage            which limit of time ran out: "queue", "connect", "first byte", "idle", "total"
                     or "deadline"
    model            the model that was asked last
    response_id      the upstream's name for its answer
    attempts         requests that were sent for this call, the first included
    diagnostic       one line for an operator's log

    A Store or a Model of your own raises the classes below, too: they reach the caller with all
    their attributes. Of any other exception that it raises the caller gets Unknown, with that
    exception as its __cause__.
    """

    code: ClassVar[ErrorCode] = ErrorCode.UNKNOWN

    def __init__(
        self,
        message: str = "",
        *,
        retry_after: timedelta | None = None,
        retryable: bool = False,
        http_status: int = 0,
        upstream_status: str = "",
        reason: str = "",
        quota_id: str = "",
        stage: str = "",
        model: str = "",
        response_id: str = "",
        attempts: int = 0,
        diagnostic: str = "",
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.retryable = retryable
        self.http_status = http_status
        self.upstream_status = upstream_status
        self.reason = reason
        self.quota_id = quota_id
        self.stage = stage
        self.model = model
        self.response_id = response_id
        self.attempts = attempts
        self.diagnostic = diagnostic

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.args, dict(self.__dict__)


class Cancelled(TwinchatError):
    """Somebody stopped it. Not asyncio.CancelledError, which is about a task."""

    code = ErrorCode.CANCELLED


class Unknown(TwinchatError):
    """An exception of somebody else's passed through: its __cause__, where it is known."""

    code = ErrorCode.UNKNOWN


class InvalidArgument(TwinchatError, ValueError):
    """The caller's input can never work."""

    code = ErrorCode.INVALID_ARGUMENT


class Blocked(InvalidArgument):
    """The model refuses to answer this; `reason` says why, as the model spelled it. Only
    Turn.raise_for_status() raises it: what a visitor gets is the configured refusal."""


class DeadlineExceeded(TwinchatError, TimeoutError):
    """A limit of time ran out; `stage` says which."""

    code = ErrorCode.DEADLINE_EXCEEDED


class NotFound(TwinchatError, LookupError):
    """No such session, or no such model."""

    code = ErrorCode.NOT_FOUND


class AlreadyExists(TwinchatError):
    """The idempotency key was used with another text."""

    code = ErrorCode.ALREADY_EXISTS


class PermissionDenied(TwinchatError):
    """The upstream refuses this credential."""

    code = ErrorCode.PERMISSION_DENIED


class RateLimited(TwinchatError):
    """A quota, a rate limit or a full queue (RESOURCE_EXHAUSTED); see `retry_after`."""

    code = ErrorCode.RESOURCE_EXHAUSTED


class FailedPrecondition(TwinchatError):
    """The database, the account or the object is not in a state to do this: it was closed, too."""

    code = ErrorCode.FAILED_PRECONDITION


class Aborted(TwinchatError):
    """The same idempotency key is being worked on right now."""

    code = ErrorCode.ABORTED


class OutOfRange(TwinchatError):
    """A position or size outside of what exists."""

    code = ErrorCode.OUT_OF_RANGE


class Unimplemented(TwinchatError):
    """Asked for something that this part cannot do."""

    code = ErrorCode.UNIMPLEMENTED


class Internal(TwinchatError):
    """The other side broke, or answered what cannot be understood."""

    code = ErrorCode.INTERNAL


class Unavailable(TwinchatError):
    """The other side cannot be reached or is overloaded."""

    code = ErrorCode.UNAVAILABLE


class DataLoss(TwinchatError):
    """Stored data is damaged."""

    code = ErrorCode.DATA_LOSS


class Unauthenticated(TwinchatError):
    """No credential, or one that is not accepted."""

    code = ErrorCode.UNAUTHENTICATED


def class_of(code: ErrorCode) -> type[TwinchatError]:
    """The class for that code."""
    return next(each for each in TwinchatError.__subclasses__() if each.code is code)
