"""What all parts of a mirror's keeping share: reading Kommo, and storing what was read.

Whatever is stored is stored under the lease, in one transaction with how far the mirror has come.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from msgspec.structs import replace

from clarin_core.domain.actor import Cause, Origin
from clarin_core.domain.events import KommoAdvanced
from clarin_core.domain.ids import AccountId, KommoId
from clarin_core.domain.kommo import KommoDictionaries, progress_of
from clarin_core.domain.remote import IDS_MAX, RemoteContact, RemoteKind, RemoteLead, RemotePage
from clarin_core.ports.crm import CrmForbidden, CrmList, CrmSync
from clarin_core.ports.small import Clock
from clarin_core.ports.storage import Storage
from clarin_core.usecases.mirror.pages import Pages, UnknownPlaces, mirror_pipelines

ORIGIN = Origin(cause=Cause.KOMMO)

T = TypeVar("T")

Watch = Callable[[str, int], None]
Entity = RemoteLead | RemoteContact
Note = Callable[[Pages], bool]
"""What else belongs into a transaction; returns whether the connection is to be stored."""


def see_nothing(_: str, __: int) -> None:
    """Hear how many of something there were, and do nothing."""


def note_nothing(_: Pages) -> bool:
    """Add nothing to a transaction."""
    return False


@dataclass(slots=True)
class Moments:
    """When something was done last in this process: after a start all is due."""

    done: dict[str, datetime] = field(default_factory=dict)

    def is_due(self, what: str, every: timedelta, at: datetime) -> bool:
        """Return whether it is time."""
        last = self.done.get(what)
        return last is None or at - last >= every

    def note(self, what: str, at: datetime) -> None:
        """Remember that it was done."""
        self.done[what] = at


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """Whoever has the lease of one account's mirror.

    `watch` hears of rows that said anything new, and of what could not be read.
    """

    storage: Storage
    clock: Clock
    remote: CrmSync
    account_id: AccountId
    region: str
    token: int
    watch: Watch = see_nothing
    moments: Moments = field(default_factory=Moments)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Pages]:
        """Open a transaction that may write the mirror.

        Raises Conflict `lease_lost` when somebody else keeps it now.
        """
        async with self.storage.begin(self.account_id, ORIGIN) as tx:
            link = await tx.kommo.hold(self.token)
            yield Pages(tx, link, self.region, self.clock())

    async def ask(self, question: Awaitable[T]) -> T:
        """Return an answer of Kommo, and count the question."""
        self.watch("requests", 1)
        return await question

    async def listed(self, kind: RemoteKind, query: CrmList) -> RemotePage[Entity]:
        """Return a page of leads or of contacts."""
        if kind is RemoteKind.LEAD:
            return self._counted(await self.ask(self.remote.leads(query)))
        return self._counted(await self.ask(self.remote.contacts(query)))

    async def by_id(self, kind: RemoteKind, kommo_ids: Collection[KommoId]) -> list[Entity]:
        """Return those leads or contacts that there are."""
        found: list[Entity] = []
        wanted = sorted(kommo_ids)
        for start in range(0, len(wanted), IDS_MAX):
            ids = wanted[start : start + IDS_MAX]
            if kind is RemoteKind.LEAD:
                found += self._counted(await self.ask(self.remote.leads_by_id(ids))).items
            else:
                found += self._counted(await self.ask(self.remote.contacts_by_id(ids))).items
        return found

    async def store(
        self,
        kind: RemoteKind,
        entities: Sequence[Entity],
        note: Note = note_nothing,
        *,
        is_full: bool = False,
    ) -> None:
        """Store some leads or contacts, and what else belongs to them, in one transaction."""
        try:
            await self._store(kind, entities, note, is_full=is_full)
        except UnknownPlaces:
            await self.learn_pipelines()
            await self._store(kind, entities, note, is_full=is_full, is_sure=True)

    async def bury(self, kind: RemoteKind, kommo_ids: Collection[KommoId]) -> None:
        """Let those go that are gone there, if they were known."""
        if kommo_ids:
            async with self.writing() as pages:
                await bury(pages, kind, kommo_ids)
                await pages.tx.kommo.save(pages.link)

    async def learn_pipelines(self) -> datetime | None:
        """Read the pipelines, and let those here be like them; return the other side's time."""
        page = await self.ask(self.remote.pipelines())
        async with self.writing() as pages:
            before = await pages.tx.kommo.dictionaries()
            if before.pipelines != page.items:
                await _learn(pages, before, replace(before, pipelines=page.items))
        return page.at

    async def learn_all(self) -> datetime | None:
        """Read all that words mean; return the other side's time before that."""
        page = await self.ask(self.remote.pipelines())
        words = await _words(self)
        async with self.writing() as pages:
            before = await pages.tx.kommo.dictionaries()
            said = KommoDictionaries(pipelines=page.items, **words)
            if before != said:
                await _learn(pages, before, said)
        return page.at

    def tell(self, pages: Pages) -> None:
        """Tell how far the mirror is."""
        pages.tx.emit(KommoAdvanced(progress=progress_of(pages.link, pages.at)))

    async def _store(
        self,
        kind: RemoteKind,
        entities: Sequence[Entity],
        note: Note,
        *,
        is_full: bool,
        is_sure: bool = False,
    ) -> None:
        async with self.writing() as pages:
            if kind is RemoteKind.LEAD:
                leads = [one for one in entities if isinstance(one, RemoteLead)]
                changed = await pages.leads(leads, is_full=is_full, is_sure=is_sure)
            else:
                people = [one for one in entities if isinstance(one, RemoteContact)]
                changed = await pages.contacts(people, is_full=is_full)
            if note(pages) or changed:
                await pages.tx.kommo.save(pages.link)
        self.watch(kind.value, changed)

    def _counted(self, page: RemotePage[Any]) -> RemotePage[Any]:
        if page.rejected:
            self.watch("rejected", len(page.rejected))
        return page


async def bury(pages: Pages, kind: RemoteKind, kommo_ids: Collection[KommoId]) -> None:
    """Let those go that are gone there, if they were known."""
    if kind is RemoteKind.LEAD:
        await pages.bury_leads(kommo_ids)
    else:
        await pages.bury_contacts(kommo_ids)


async def _learn(pages: Pages, before: KommoDictionaries, said: KommoDictionaries) -> None:
    await mirror_pipelines(pages.tx, before.pipelines, said.pipelines, at=pages.at)
    await pages.tx.kommo.put_dictionaries(said)
    renamed = [kind for kind in RemoteKind if before.has_renamed_tags(said, kind)]
    for kind in renamed:
        pages.link.state.ask_for_sweep(kind)
    if renamed:
        await pages.tx.kommo.save(pages.link)


async def _words(keeper: Keeper) -> Mapping[str, Any]:
    remote, lead, contact = keeper.remote, RemoteKind.LEAD, RemoteKind.CONTACT
    reads: dict[str, Callable[[int], Awaitable[RemotePage[Any]]]] = {
        "users": remote.users,
        "lead_fields": lambda page: remote.fields(lead, page),
        "contact_fields": lambda page: remote.fields(contact, page),
        "lead_tags": lambda page: remote.tags(lead, page),
        "contact_tags": lambda page: remote.tags(contact, page),
    }
    return {name: await _everything(keeper, read) for name, read in reads.items()}


async def _everything(
    keeper: Keeper, read: Callable[[int], Awaitable[RemotePage[Any]]]
) -> list[Any]:
    """Return a whole list; nothing of what the credentials may not see."""
    found: list[Any] = []
    page = 1
    try:
        while True:
            got = await keeper.ask(read(page))
            found += got.items
            if not got.has_next:
                return found
            page += 1
    except CrmForbidden:
        return []
