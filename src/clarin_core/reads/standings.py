"""Whether sign-ins count, remembered for some seconds in this process only (R24)."""

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import NamedTuple

from clarin_core.domain.accounts import Standing
from clarin_core.domain.cache import ACCOUNT, Entry, member_name
from clarin_core.domain.ids import AccountId, SessionId, UserId
from clarin_core.ports.event_publisher import Hint, Missed, UserChanged
from clarin_core.ports.storage import Storage
from clarin_core.reads.freshness import Freshness

STANDING_TTL = timedelta(seconds=10)
_STANDINGS_MAX = 20_000


class _Remembered(NamedTuple):
    standing: Standing
    entry: Entry
    until: datetime

    def counts(self, at: datetime) -> bool:
        """Whether it is fresh; a clock that was set back keeps nothing alive."""
        return at < self.until <= at + STANDING_TTL


class Standings:
    """The sign-ins that are remembered, and what makes them forgotten."""

    def __init__(self, storage: Storage, freshness: Freshness) -> None:
        self._storage = storage
        self._freshness = freshness
        self._kept = OrderedDict[tuple[SessionId, AccountId], _Remembered]()
        self._changes = 0

    def heed(self, hint: Hint) -> None:
        """Forget a user whose sign-ins changed, or all when a hint of that may be lost."""
        if isinstance(hint, UserChanged):
            self._changes += 1
            self._forget(hint.user_id)
        elif isinstance(hint, Missed):
            self._changes += 1
            self._kept.clear()

    def now(self, session_id: SessionId, account_id: AccountId, at: datetime) -> Standing | None:
        """Return what is remembered and counts, without asking anybody."""
        kept = self._kept.get((session_id, account_id))
        if kept is None or not kept.counts(at):
            return None
        return kept.standing if self._freshness.of(account_id).allows(kept.entry) else None

    async def of(
        self, session_id: SessionId, account_id: AccountId, at: datetime
    ) -> Standing | None:
        """Return what decides whether a token counts, None for an unknown sign-in."""
        if remembered := self.now(session_id, account_id, at):
            return remembered
        known = self._freshness.of(account_id)
        await known.open()
        stamp, changes = known.stamp(), self._changes
        standing = await self._storage.standing(session_id, account_id, at=at)
        if standing and stamp and changes == self._changes:
            names = (ACCOUNT, member_name(standing.user_id))
            kept = _Remembered(standing, Entry(*stamp, names, b""), at + STANDING_TTL)
            self._keep((session_id, account_id), kept)
        return standing

    def _keep(self, key: tuple[SessionId, AccountId], kept: _Remembered) -> None:
        self._kept[key] = kept
        if len(self._kept) > _STANDINGS_MAX:
            self._kept.popitem(last=False)

    def _forget(self, user_id: UserId) -> None:
        for key in [key for key, kept in self._kept.items() if kept.standing.user_id == user_id]:
            del self._kept[key]
