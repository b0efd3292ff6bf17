"""Requests that may be sent again: what makes two of them the same, and the answer they share.

Of a key only a digest is kept, and the request's is made with the key itself: a request may hold
a password, and whoever reads the store must not be able to try passwords against it.
"""

import hmac
import re
from hashlib import sha256
from typing import NewType

from msgspec import Struct

from clarin_core.errors import Conflict, Malformed

IdempotencyKey = NewType("IdempotencyKey", str)
"""What a caller calls a request, to send it again safely."""

KEY_PATTERN = "^[!-~]{1,128}$"


class Repeatable(Struct, frozen=True):
    """A request that has one effect, however often an account sends it.

    `route` and `key` name it, `request_hash` stands for all that it says and who says it.
    """

    route: str
    key: bytes
    request_hash: bytes

    def expect(self, request_hash: bytes) -> None:
        """Raise Conflict unless the key was used for this very request."""
        if request_hash != self.request_hash:
            raise Conflict("idempotency_conflict", "the key was used for another request")


class StoredAnswer(Struct, frozen=True):
    """What a request was answered with; `version` is that of the record it shows, if it has one."""

    status: int
    body: bytes
    version: int | None = None


def idempotency_key(raw: str) -> IdempotencyKey:
    """Return a key as a caller chose it; raises Malformed."""
    if not re.fullmatch(KEY_PATTERN, raw):
        raise Malformed("Idempotency-Key", "must be 1 to 128 visible ASCII characters")
    return IdempotencyKey(raw)


def repeatable(route: str, key: IdempotencyKey, *said: bytes) -> Repeatable:
    """Return a request by its route, its key and all that it says, in parts."""
    secret = key.encode()
    digest = hmac.new(secret, digestmod=sha256)
    for part in said:
        digest.update(len(part).to_bytes(8))  # So that no two lists of parts look alike.
        digest.update(part)
    return Repeatable(route, sha256(secret).digest(), digest.digest())
