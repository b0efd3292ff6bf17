"""What can go wrong, by kind: an adapter raises these, an entrypoint renders them.

The texts are made from the fields and hold nothing secret and nothing of a driver's.
Codes are the machine-readable half of an answer and never change their meaning.
"""

from enum import Enum


class Kind(Enum):
    """How a caller should react."""

    MALFORMED = "malformed"
    INVALID = "invalid"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    TOO_LARGE = "too_large"
    UNSUPPORTED = "unsupported"
    GONE = "gone"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"


class ClarinError(Exception):
    """The root of every error that Clarin raises on purpose."""

    kind: Kind
    code: str


class Invalid(ClarinError):
    """A value that a rule forbids; `field` names the input that holds it."""

    kind = Kind.INVALID
    code = "validation_failed"

    def __init__(self, field: str, reason: str, *, code: str | None = None) -> None:
        super().__init__(f"{field} {reason}")
        self.field = field
        self.reason = reason
        if code is not None:
            self.code = code


class Malformed(Invalid):
    """Input that cannot be read at all, or asks for what no list has."""

    kind = Kind.MALFORMED
    code = "bad_request"


class Unauthorized(ClarinError):
    """No credential, or one that does not count (any more)."""

    kind = Kind.UNAUTHORIZED
    code = "unauthorized"

    def __init__(self, reason: str = "a valid credential is needed") -> None:
        super().__init__(reason)


class Forbidden(ClarinError):
    """A known actor who may not do this."""

    kind = Kind.FORBIDDEN
    code = "forbidden"

    def __init__(self, needs: str) -> None:
        super().__init__(f"this needs {needs}")


class NotFound(ClarinError):
    """There is no such thing in this account."""

    kind = Kind.NOT_FOUND
    code = "not_found"

    def __init__(self, what: str, key: int | str) -> None:
        super().__init__(f"{what} {key} does not exist")
        self.what = what
        self.key = key


class Conflict(ClarinError):
    """The state forbids it; `id` is the record that stands in the way, if there is one."""

    kind = Kind.CONFLICT

    def __init__(self, code: str, reason: str, *, id: int | None = None) -> None:
        super().__init__(reason)
        self.code = code
        self.id = id


class AlreadyRunning(Conflict):
    """The same is at work right now; its outcome can be had after `retry_after_s` seconds."""

    def __init__(self, what: str, *, retry_after_s: int = 1) -> None:
        super().__init__("already_running", f"{what} is still at work")
        self.retry_after_s = retry_after_s


class TooLarge(ClarinError):
    """More than the bound allows."""

    kind = Kind.TOO_LARGE
    code = "too_large"

    def __init__(self, what: str, bound: str) -> None:
        super().__init__(f"{what} is larger than {bound}")


class Unsupported(ClarinError):
    """A format that is not read here."""

    kind = Kind.UNSUPPORTED
    code = "unsupported_media"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)


class TooOld(ClarinError):
    """The log does not reach back (or forward) to that point; load the state again."""

    kind = Kind.GONE
    code = "too_old"

    def __init__(self, after: int) -> None:
        super().__init__(f"the log cannot be read from {after}")


class RateLimited(ClarinError):
    """Too many tries, or too much at once; come back after `retry_after_s` seconds."""

    kind = Kind.RATE_LIMITED
    code = "rate_limited"

    def __init__(self, retry_after_s: int, reason: str = "too many tries") -> None:
        super().__init__(f"{reason}, wait {retry_after_s} seconds")
        self.retry_after_s = retry_after_s


class Unavailable(ClarinError):
    """A service that Clarin needs does not answer; the outcome of a write is unknown."""

    kind = Kind.UNAVAILABLE
    code = "unavailable"

    def __init__(
        self, service: str, reason: str = "does not answer", *, retry_after_s: int = 1
    ) -> None:
        super().__init__(f"{service} {reason}")
        self.service = service
        self.retry_after_s = retry_after_s


class Contention(Unavailable):
    """Others changed the same rows at the same time: nothing happened, trying again is safe."""
