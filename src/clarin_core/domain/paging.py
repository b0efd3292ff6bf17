"""Lists in pages: by number with a total, or by cursor at a constant cost."""

import base64
import hashlib
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from clarin_core.domain.command import VERBATIM, Command
from clarin_core.errors import Malformed

LIMIT_MAX = 200
_OFFSET_MAX = 100_000
_CURSOR_MAX = 1024  # The key of a tag is its name: 100 code points, each up to 6 bytes folded.
_DIGEST_BYTES = 9

T = TypeVar("T")

PageNumber = Annotated[int, Meta(ge=1, le=10_000)]
PageLimit = Annotated[int, Meta(ge=1, le=2**31)]
CursorText = Annotated[str, Meta(max_length=_CURSOR_MAX, extra=VERBATIM)]
SearchText = Annotated[str, Meta(min_length=1, max_length=100)]


class Page(Struct, Generic[T], kw_only=True):
    """One page: `total` and `page` when asked by number, `next` when asked by cursor.

    `seq` is the account's last event in the same snapshot; state plus later events is the
    later state. An entrypoint hands it over beside the body, not in it.
    """

    data: list[T]
    total: int | UnsetType = UNSET
    page: int | UnsetType = UNSET
    limit: int
    next: str | UnsetType = UNSET
    seq: int | UnsetType = UNSET


class Paged:
    """What a query for a page does, for commands that have its fields.

    It has no fields itself: a command that extends another cannot have a second parent with
    fields, and declares them.
    """

    __slots__ = ()

    page: PageNumber
    limit: PageLimit
    after: CursorText | UnsetType

    def given(self) -> dict[str, Any]:
        """Return the fields that the caller named; every command knows them."""
        raise NotImplementedError

    def check_depth(self) -> None:
        """Bound the offset; raises Malformed when only a cursor reaches that deep."""
        if self.offset > _OFFSET_MAX:
            raise Malformed("page", f"reaches over {_OFFSET_MAX} rows, use after")

    @property
    def size(self) -> int:
        """Rows of a page."""
        return min(self.limit, LIMIT_MAX)

    @property
    def offset(self) -> int:
        """Rows before the page."""
        return (self.page - 1) * self.size

    @property
    def by_cursor(self) -> bool:
        """Whether the caller walks by cursor."""
        return self.after is not UNSET

    def start(self, account_id: int) -> list[Any] | None:
        """Return the key after which the page begins; None is the top of the list."""
        if not self.after:
            return None
        return read_cursor(self.after, scope=self._scope(account_id))

    def answer(self, account_id: int, rows: list[T], keys: list[Any] | None, total: int) -> Page[T]:
        """Make the page of `rows`; `keys` is the last row's place, None on the last page."""
        if not self.by_cursor:
            return Page(data=rows, total=total, page=self.page, limit=self.size)
        following = write_cursor(keys, scope=self._scope(account_id)) if keys else UNSET
        return Page(data=rows, limit=self.size, next=following)

    def _scope(self, account_id: int) -> bytes:
        filters = {k: v for k, v in self.given().items() if k not in ("page", "limit", "after")}
        return msgspec.json.encode([account_id, type(self).__name__, filters], order="sorted")


class PageQuery(Command, Paged, frozen=True, kw_only=True):
    """Which page. `after` (even empty) asks by cursor; a larger limit is cut to 200."""

    page: PageNumber = 1
    limit: PageLimit = 50
    after: CursorText | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Clean the texts and bound the offset."""
        super().__post_init__()
        self.check_depth()


def write_cursor(key: list[Any], *, scope: bytes) -> str:
    """Return `key` as opaque text that counts only within `scope` (account and filters)."""
    body = msgspec.json.encode(key)
    return base64.urlsafe_b64encode(_digest(body, scope) + body).decode().rstrip("=")


def read_cursor(text: str, *, scope: bytes) -> list[Any]:
    """Return the key of a cursor; raises Malformed for one that was not made for `scope`."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        digest, body = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
        if digest == _digest(body, scope):
            return msgspec.json.decode(body, type=list[Any])
    except ValueError:
        pass
    raise Malformed("after", "is not a cursor of this list")


def _digest(body: bytes, scope: bytes) -> bytes:
    return hashlib.blake2b(scope + b"\0" + body, digest_size=_DIGEST_BYTES).digest()
