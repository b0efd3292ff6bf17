"""Reading everything: pages are fetched while others are stored, as fast as one may ask.

Each page is stored with the knowledge that it is; who goes on after a kill reads what is missing.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from clarin_core.domain.kommo_sync import Backfill
from clarin_core.domain.remote import RemoteKind, RemotePage
from clarin_core.ports.crm import CrmList
from clarin_core.usecases.mirror.keeper import Entity, Keeper
from clarin_core.usecases.mirror.pages import Pages

_IN_FLIGHT = 6  # At 7 requests a second enough for answers that take 800 ms.
_TOLD_EVERY = timedelta(seconds=1)
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)

_Fetch = asyncio.Task[RemotePage[Entity]]


@dataclass(slots=True)
class BackfillRun:
    """One backfill, from where it stands to its end."""

    keeper: Keeper
    fetches: dict[_Fetch, tuple[RemoteKind, int]] = field(default_factory=dict)

    async def run(self, at: datetime | None) -> None:
        """Read what is not stored yet; `at` is the other side's time, before which it begins."""
        backfill = await self._begin(at)
        try:
            while backfill is not None and not backfill.is_done:
                self._fetch_more(backfill)
                done, _ = await asyncio.wait(self.fetches, return_when=asyncio.FIRST_COMPLETED)
                for fetch in done:
                    kind, page = self.fetches.pop(fetch)
                    backfill = await self._store(kind, page, fetch.result(), backfill)
        finally:
            for fetch in self.fetches:
                fetch.cancel()
            await asyncio.gather(*self.fetches, return_exceptions=True)
        await self._end()

    def _fetch_more(self, backfill: Backfill) -> None:
        while len(self.fetches) < _IN_FLIGHT and (chosen := backfill.choose(self._busy())):
            kind, page = chosen
            fetch = asyncio.ensure_future(self.keeper.listed(kind, CrmList(page=page)))
            self.fetches[fetch] = chosen

    def _busy(self) -> Mapping[RemoteKind, list[int]]:
        chosen = self.fetches.values()
        return {kind: [page for one, page in chosen if one is kind] for kind in RemoteKind}

    async def _begin(self, at: datetime | None) -> Backfill | None:
        async with self.keeper.writing() as pages:
            state = pages.link.state
            if state.backfill is not None:
                state.begin(at or _LONG_AGO)
                state.backfill.take_over(pages.at)
                await pages.tx.kommo.save(pages.link)
            return state.backfill

    async def _store(
        self, kind: RemoteKind, page: int, got: RemotePage[Entity], known: Backfill | None
    ) -> Backfill | None:
        """Store a page, and return the backfill as it is then: somebody may have asked anew."""
        now = known

        def note(pages: Pages) -> bool:
            nonlocal now
            now = pages.link.state.backfill
            walk = now.walk(kind) if now is not None else None
            if walk is None:
                return False
            walk.store(page, rows=len(got.items) + len(got.rejected), has_next=got.has_next)
            if self.keeper.moments.is_due("told", _TOLD_EVERY, pages.at):
                self.keeper.moments.note("told", pages.at)
                self.keeper.tell(pages)
            return True

        is_full = known is not None and known.is_full
        await self.keeper.store(kind, got.items, note, is_full=is_full)
        return now

    async def _end(self) -> None:
        """Follow the changes from now on, and look for what slipped through between two pages."""
        async with self.keeper.writing() as pages:
            state = pages.link.state
            if state.backfill is not None and state.backfill.is_done:
                state.backfill = None
                for kind in RemoteKind:
                    state.ask_for_sweep(kind)
                await pages.tx.kommo.save(pages.link)
                self.keeper.tell(pages)
