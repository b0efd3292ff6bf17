"""Looking for what vanished without a word: purged, merged away, or slipped through two pages.

The list of all is walked by id, slowly, a slice in each pass. Of each page it is known which ids
lie between its first and its last row, so that what is known here and not on it is missing there.
Absence alone proves nothing: what is missing is asked for by its id. And if much is missing, that
may as well be a right that was taken away: then the sweep is repeated before it is believed.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec.structs import replace

from clarin_core.domain.ids import KommoId
from clarin_core.domain.kommo import KommoFault, Trouble
from clarin_core.domain.kommo_sync import Sweep, SyncState
from clarin_core.domain.remote import RemoteKind, RemotePage
from clarin_core.ports.crm import CrmList
from clarin_core.usecases.mirror.keeper import Entity, Keeper, bury
from clarin_core.usecases.mirror.pages import Pages

_EVERY = timedelta(days=1)
_AT_MOST = timedelta(seconds=3)  # Of a pass, so that the next one is not late.
_PAGES_MAX = 5
_DOUBT = timedelta(minutes=15)
_MISSING_MAX = 20
_MISSING_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Sweeping:
    """A slice of a sweep."""

    keeper: Keeper

    async def run(self, state: SyncState) -> None:
        """Go on with the sweep, or begin one that is due; return after some pages."""
        began = self.keeper.clock()
        sweep = state.sweep or await self._begin(state, began)
        pages = 0
        while sweep is not None and pages < _PAGES_MAX:
            sweep = await self._step(sweep)
            pages += 1
            if self.keeper.clock() - began >= _AT_MOST:
                return

    async def _begin(self, state: SyncState, at: datetime) -> Sweep | None:
        """Begin the next sweep that is due; all are, once a day."""
        is_old = state.swept_at is None or at - state.swept_at >= _EVERY
        if not is_old and not state.sweeps_due:
            return None
        if state.suspected_at is not None and at - state.suspected_at < _DOUBT:
            return None
        async with self.keeper.writing() as pages:
            own = pages.link.state
            for kind in RemoteKind if is_old else ():
                own.ask_for_sweep(kind)
            own.swept_at = at if is_old else own.swept_at
            kind = own.sweeps_due.pop(0)
            own.sweep = Sweep(kind=kind, is_second=kind in own.suspects)
            await pages.tx.kommo.save(pages.link)
            return own.sweep

    async def _step(self, sweep: Sweep) -> Sweep | None:
        """Sweep a page, and return where the sweep stands then, None at its end."""
        kind = sweep.kind
        got = await self.keeper.listed(kind, CrmList(page=sweep.page, is_gentle=True))
        if got.is_empty and sweep.page > 1:  # It was announced: the list was not whole.
            return await self._move(replace(sweep, page=1, after=KommoId(0), missing=[]))
        upto = _last_id(got, sweep.after) if got.has_next else None
        absent = await self._absent(sweep, got, upto)
        found = await self.keeper.by_id(kind, absent) if absent else []
        gone = sorted(absent.difference(one.id for one in found))
        await self.keeper.store(kind, [*got.items, *found], is_full=True)
        if sweep.is_second:
            await self.keeper.bury(kind, gone)
            gone = []
        missing = [*sweep.missing, *gone]
        if upto is None:
            await self._end(replace(sweep, missing=missing))
            return None
        return await self._move(replace(sweep, page=sweep.page + 1, after=upto, missing=missing))

    async def _absent(
        self, sweep: Sweep, got: RemotePage[Entity], upto: KommoId | None
    ) -> set[KommoId]:
        """Return what is known here and not on the page; none any more if that is too much."""
        if len(sweep.missing) > await self._believable(sweep):
            return set()
        there: set[KommoId | None] = {one.id for one in got.items}
        there |= {one.id for one in got.rejected}
        async with self.keeper.writing() as pages:
            known = await pages.tx.kommo.between(sweep.kind, sweep.after, upto)
        return {one for one in known if one not in there}

    async def _move(self, after: Sweep) -> Sweep | None:
        async with self.keeper.writing() as pages:
            if pages.link.state.sweep is None:
                return None
            pages.link.state.sweep = after
            await pages.tx.kommo.save(pages.link)
        return after

    async def _end(self, sweep: Sweep) -> None:
        """Let go what is missing, unless that is too much to be believed at once."""
        missing = sweep.missing
        is_much = len(missing) > await self._believable(sweep)
        async with self.keeper.writing() as pages:
            state = pages.link.state
            state.sweep = None
            if is_much:
                _doubt(pages, sweep.kind, len(missing))
                self.keeper.tell(pages)
            else:
                await bury(pages, sweep.kind, missing)
                _believe(pages, sweep.kind)
            await pages.tx.kommo.save(pages.link)

    async def _believable(self, sweep: Sweep) -> int:
        """Return how many may be missing before that is a matter of doubt."""
        counts = await self.keeper.storage.views(self.keeper.account_id).kommo_counts()
        known = counts.leads if sweep.kind is RemoteKind.LEAD else counts.contacts
        return max(_MISSING_MAX, int(known * _MISSING_SHARE))


def _last_id(got: RemotePage[Entity], after: KommoId) -> KommoId:
    ids = [one.id for one in got.items] + [one.id for one in got.rejected if one.id is not None]
    return max(ids, default=after)


def _doubt(pages: Pages, kind: RemoteKind, missing: int) -> None:
    state = pages.link.state
    state.suspects.append(kind)
    state.suspected_at = pages.at
    state.ask_for_sweep(kind)
    text = f"{missing} or more {kind.value}s are not shown any more; looking again before they go"
    pages.link.fail(KommoFault(trouble=Trouble.MASS_DELETION, text=text, since=pages.at))


def _believe(pages: Pages, kind: RemoteKind) -> None:
    state, fault = pages.link.state, pages.link.fault
    state.suspects = [one for one in state.suspects if one is not kind]
    if not state.suspects:
        state.suspected_at = None
        if fault is not None and fault.trouble is Trouble.MASS_DELETION:
            pages.link.fault = None
