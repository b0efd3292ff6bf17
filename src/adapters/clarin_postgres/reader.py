"""What all views of an account share: the way to the database, guarded twice if wanted."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from msgspec import UNSET, UnsetType

from clarin_core.domain.ids import AccountId
from clarin_core.domain.phone import PhoneNumber, normalize_phone
from clarin_core.errors import Invalid
from clarin_postgres.connection import Pool, Row

_REGIONS_MAX = 10_000
_REGION = "PE"

REGION = "(select a.default_region from accounts a where a.id = $1) as region, "
"""The column that `_fetch_by_phone` looks at."""


class Reads(Protocol):
    """Runs one reading statement of an account, whose id is its first parameter.

    `know_totals` says whether what is kept of totals is what these reads see.
    """

    know_totals: bool = True

    async def fetch(self, account_id: AccountId, text: str, *arguments: object) -> list[Row]:
        """Return the rows."""
        ...


class OpenReads(Reads):
    """Reads in one round trip: each statement names its account, and the role reads them all."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def fetch(self, account_id: AccountId, text: str, *arguments: object) -> list[Row]:
        """Return the rows."""
        return await self._pool.fetch(text, account_id, *arguments)


class GuardedReads(Reads):
    """Reads under row-level security, three round trips for one."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def fetch(self, account_id: AccountId, text: str, *arguments: object) -> list[Row]:
        """Return the rows; raises NotFound for an unknown account."""
        async with self._pool.line() as line, line.transaction(begin_in(account_id)):
            return await line.fetch(text, account_id, *arguments)


class Regions:
    """The region that each account had last, to read phones in before the account is read.

    A statement that depends on it returns the account's region, too; if that is another one,
    it is run again. So a stale entry costs a statement, and never a wrong answer.
    """

    def __init__(self) -> None:
        self._known: dict[AccountId, str] = {}

    def guess(self, account_id: AccountId) -> str:
        """Return the region that the account most likely has."""
        return self._known.get(account_id, _REGION)

    def learn(self, account_id: AccountId, region: str) -> None:
        """Keep the region that the account has now."""
        if len(self._known) >= _REGIONS_MAX:
            self._known.clear()
        self._known[account_id] = region


class Reader:
    """An account's reads; a subclass has those of one noun."""

    def __init__(self, reads: Reads, regions: Regions, account_id: AccountId) -> None:
        self._reads = reads
        self._regions = regions
        self._account_id = account_id

    @property
    def _know_totals(self) -> bool:
        return self._reads.know_totals

    async def _fetch(self, text: str, *arguments: object) -> list[Row]:
        return await self._reads.fetch(self._account_id, text, *arguments)

    async def _fetch_by_phone(
        self, raw: str | UnsetType, fetch: Callable[[PhoneNumber | None], Awaitable[list[Row]]]
    ) -> list[Row]:
        """Fetch rows that depend on a phone, as it is read in the account's region."""
        if raw is UNSET:
            return await fetch(None)
        while True:
            region = self._regions.guess(self._account_id)
            rows = await fetch(_phone_or_none(raw, region))
            if not rows or rows[0]["region"] == region:
                return rows
            self._regions.learn(self._account_id, rows[0]["region"])


def _phone_or_none(raw: str, region: str) -> PhoneNumber | None:
    """Return the phone that a filter names, None when nobody can read it."""
    try:
        return normalize_phone(raw, region)
    except Invalid:
        return None


BEGIN = "-- begin\nbegin"


def begin_in(account_id: AccountId) -> str:
    """Return what opens a transaction of an account in one round trip.

    The driver sends several statements at once only without parameters; the id is a number,
    and the format sees to it.
    """
    return f"-- begin\nbegin; select enter_account({account_id:d})"
