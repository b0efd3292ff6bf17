"""Following what changes there: by time, by hints, and by what lies in the recycle bin.

A list by time moves while it is read, since what is edited goes to its end. So the next page is
not the second one of the list, but the first one of a list that begins with the last row's time;
only within one second pages are counted.

How far to look back is a ladder. Kommo shows changes late, mostly by seconds, at times by minutes,
and a second may have many: each pass looks back some seconds, each minute one looks back two, and
each ten minutes one looks back twenty. So does the first one after a start or a failure. A look
back that is longer than the time between two of them by as much as a change is late finds it; what
was stored already changes nothing.
"""

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from clarin_core.domain.ids import KommoId
from clarin_core.domain.kommo_sync import SyncState
from clarin_core.domain.remote import HintKind, RemoteHint, RemoteKind, RemotePage
from clarin_core.ports.crm import CrmList
from clarin_core.usecases.mirror.keeper import Entity, Keeper, Note
from clarin_core.usecases.mirror.pages import Pages

_FURTHEST = timedelta(minutes=20)
_LADDER = ((_FURTHEST, timedelta(minutes=10)), (timedelta(minutes=2), timedelta(minutes=1)))
_LEAST = timedelta(seconds=10)
_BIN_EVERY = timedelta(minutes=2)
_HINT_PAGES_MAX = 100


@dataclass(frozen=True, slots=True)
class Following:
    """One look at all that changed; `seen` are the entities that it has read already."""

    keeper: Keeper
    look_back: timedelta
    seen: dict[RemoteKind, set[KommoId]] = field(
        default_factory=lambda: {kind: set() for kind in RemoteKind}
    )

    async def run(self, state: SyncState) -> None:
        """Read the changes of leads and contacts, and what hints say of them."""
        leads, contacts = await asyncio.gather(
            self._first(RemoteKind.LEAD, state), self._first(RemoteKind.CONTACT, state)
        )
        await self._follow(RemoteKind.LEAD, *leads)
        await self._follow(RemoteKind.CONTACT, *contacts)
        if state.hints_upto is not None:
            await self._heed(state.hints_upto)

    async def _first(
        self, kind: RemoteKind, state: SyncState
    ) -> tuple[datetime | None, RemotePage[Entity]]:
        upto = state.upto(kind)
        since = None if upto is None else upto - self.look_back
        return since, await self.keeper.listed(kind, CrmList(since=since))

    async def _follow(
        self, kind: RemoteKind, since: datetime | None, got: RemotePage[Entity]
    ) -> None:
        """Store a list page by page, to its end."""
        page = 1
        while not got.is_empty:
            self.seen[kind].update(one.id for one in got.items)
            last = _last(got)
            await self._store(kind, got, last)
            if not got.has_next:
                return
            if last is not None and (since is None or last > since):
                since, page = last, 1
            else:
                page += 1
            got = await self.keeper.listed(kind, CrmList(since=since, page=page))

    async def _store(
        self, kind: RemoteKind, got: RemotePage[Entity], last: datetime | None
    ) -> None:
        def note(pages: Pages) -> bool:
            return last is not None and pages.link.state.follow_to(kind, last)

        await self.keeper.store(kind, got.items, note)

    async def _heed(self, upto: datetime) -> None:
        """Read anew what hints speak of, and then count the hints as heeded."""
        latest, page = upto, 1
        while page <= _HINT_PAGES_MAX:
            got = await self.keeper.ask(self.keeper.remote.hints(upto - self.look_back, page))
            for kind in RemoteKind:
                hints = [one for one in got.items if one.kind is kind]
                await self._read_hinted(kind, hints)
                if any(self._is_merge(one, upto, now=got.at) for one in hints):
                    await self._ask_for_sweep(kind)
            latest = max([latest, *(hint.at for hint in got.items)])
            if not got.has_next:
                break
            page += 1
        if latest > upto or page > _HINT_PAGES_MAX:
            await self._note_hints(latest, is_whole=page <= _HINT_PAGES_MAX)

    async def _read_hinted(self, kind: RemoteKind, hints: Collection[RemoteHint]) -> None:
        wanted = {hint.entity_id for hint in hints} - self.seen[kind]
        if wanted:
            found = await self.keeper.by_id(kind, wanted)
            self.seen[kind] |= wanted
            await self.keeper.store(kind, found)
            there = {one.id for one in found}
            said = {hint.entity_id for hint in hints if hint.what is HintKind.DELETED}
            await self.keeper.bury(kind, (said & wanted) - there)

    def _is_merge(self, hint: RemoteHint, upto: datetime, *, now: datetime | None) -> bool:
        """Tell whether somebody vanished just now, of whom nobody says who it was.

        Who vanished may be shown for a while: some minutes later one looks once more.
        """
        may_be_late = self.look_back == _FURTHEST and now is not None and now - hint.at < _FURTHEST
        return hint.what is HintKind.MERGED and (hint.at > upto or may_be_late)

    async def _ask_for_sweep(self, kind: RemoteKind) -> None:
        async with self.keeper.writing() as pages:
            pages.link.state.ask_for_sweep(kind)
            await pages.tx.kommo.save(pages.link)

    async def _note_hints(self, latest: datetime, *, is_whole: bool) -> None:
        """Remember how far hints were heeded; of more than can be read a sweep finds the rest."""
        async with self.keeper.writing() as pages:
            pages.link.state.hints_upto = latest
            for kind in () if is_whole else RemoteKind:
                pages.link.state.ask_for_sweep(kind)
            await pages.tx.kommo.save(pages.link)


async def follow(keeper: Keeper, state: SyncState, at: datetime) -> None:
    """Read what changed, from as long ago as it is time for."""
    due = [far for far, every in _LADDER if keeper.moments.is_due(_back(far), every, at)]
    await Following(keeper, max(due, default=_LEAST)).run(state)
    for far in due:
        keeper.moments.note(_back(far), at)


def forget_ladder(keeper: Keeper) -> None:
    """Let the next look be the furthest: what came meanwhile may be seen late."""
    for far, _ in _LADDER:
        keeper.moments.done.pop(_back(far), None)


async def look_into_the_bin(keeper: Keeper, at: datetime) -> None:
    """Let go what lies in the recycle bin, and is not there when it is asked for."""
    if keeper.moments.is_due("bin", _BIN_EVERY, at):
        for kind in RemoteKind:
            page = await keeper.ask(keeper.remote.deleted(kind))
            thrown = {one.id for one in page.items}
            await _verify(keeper, kind, await _live(keeper, kind, thrown))
        keeper.moments.note("bin", at)


async def read_again(keeper: Keeper, state: SyncState) -> None:
    """Read by its id what was left to be read again."""
    for kind in RemoteKind:
        if wanted := state.again(kind):
            found = await keeper.by_id(kind, wanted)
            await keeper.store(kind, found, _done_with(kind, wanted), is_full=True)


def _done_with(kind: RemoteKind, wanted: Iterable[KommoId]) -> Note:
    done = set(wanted)

    def note(pages: Pages) -> bool:
        again = pages.link.state.again(kind)
        again[:] = [one for one in again if one not in done]
        return True

    return note


async def _live(keeper: Keeper, kind: RemoteKind, kommo_ids: Collection[KommoId]) -> set[KommoId]:
    """Return which of these are live here."""
    async with keeper.writing() as pages:
        if kind is RemoteKind.LEAD:
            known = [(one.kommo_id, one.is_gone) for one in await pages.tx.kommo.leads(kommo_ids)]
        else:
            people = await pages.tx.kommo.people(kommo_ids)
            known = [(one, False) for one in people]
    return {kommo_id for kommo_id, is_gone in known if not is_gone}


async def _verify(keeper: Keeper, kind: RemoteKind, kommo_ids: Collection[KommoId]) -> None:
    if kommo_ids:
        found = await keeper.by_id(kind, kommo_ids)
        await keeper.store(kind, found)
        await keeper.bury(kind, {*kommo_ids} - {one.id for one in found})


def _back(far: timedelta) -> str:
    return f"back {far}"


def _last(got: RemotePage[Entity]) -> datetime | None:
    """Return the time of the last row, also of one that could not be read."""
    times = [one.updated_at for one in got.items]
    times += [one.updated_at for one in got.rejected if one.updated_at is not None]
    return max(times, default=None)
