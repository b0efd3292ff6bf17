"""Links that stand for a right for some minutes: to read one file, or to upload files.

A link says whose it is, for what and until when, and is signed. It needs no credential, since a
page that shows an image has none to send; so whoever has a link has its right until it ends.
"""

import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Annotated
from urllib.parse import urlencode

from msgspec import Meta, Struct

from clarin_core.domain.ids import AccountId, UserId
from clarin_core.errors import Forbidden

LIFE = timedelta(minutes=5)

_MARK_BYTES = 32
_SECONDS_MAX = 2**40

Seconds = Annotated[int, Meta(ge=0, le=_SECONDS_MAX)]
Mark = Annotated[str, Meta(min_length=2 * _MARK_BYTES, max_length=2 * _MARK_BYTES)]


class Link(Struct, frozen=True, kw_only=True):
    """Where to go, on this service, and until when."""

    url: str
    expires_at: datetime


class Signed(Struct, frozen=True, kw_only=True):
    """What stands behind the `?` of a link: whose, who asked for it, until when."""

    account: AccountId
    user: UserId
    expires: Seconds
    signature: Mark


@dataclass(frozen=True, slots=True)
class MediaLinks:
    """Makes links and checks them; `base` is where media are on this service."""

    secret: bytes = field(repr=False)
    base: str = "/api/media"

    def to_file(self, account: AccountId, user: UserId, key: str, *, at: datetime) -> Link:
        """Return a link that reads one file."""
        return self._link(f"/file/{key}", account, user, at)

    def to_upload(self, account: AccountId, user: UserId, *, at: datetime) -> Link:
        """Return a link that takes files in."""
        return self._link("/upload", account, user, at)

    def check_file(self, key: str, signed: Signed, *, at: datetime) -> None:
        """Raise Forbidden unless this is a link of ours to this file, and in time."""
        self._check(f"/file/{key}", signed, at)

    def check_upload(self, signed: Signed, *, at: datetime) -> None:
        """Raise Forbidden unless this is a link of ours to upload, and in time."""
        self._check("/upload", signed, at)

    def _link(self, path: str, account: AccountId, user: UserId, at: datetime) -> Link:
        ends = int((at + LIFE).timestamp())
        said = {"account": account, "user": user, "expires": ends}
        query = urlencode(said | {"signature": self._mark(path, account, user, ends)})
        return Link(url=f"{self.base}{path}?{query}", expires_at=datetime.fromtimestamp(ends, UTC))

    def _check(self, path: str, signed: Signed, at: datetime) -> None:
        mark = self._mark(path, signed.account, signed.user, signed.expires)
        is_ours = hmac.compare_digest(mark.encode(), signed.signature.encode())
        if not is_ours or signed.expires <= at.timestamp():
            raise Forbidden("a link that is ours and has not expired")

    def _mark(self, path: str, account: AccountId, user: UserId, ends: int) -> str:
        """Return the signature; the key is for links alone, so that no token is one."""
        key = blake2b(self.secret, digest_size=_MARK_BYTES, person=b"clarin.media").digest()
        said = f"{path}\n{account}\n{user}\n{ends}".encode()
        return hmac.new(key, said, "sha256").hexdigest()
