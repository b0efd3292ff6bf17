"""An account that mirrors a CRM in memory, and what both of them show, in the same words."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from msgspec.structs import replace

from clarin_core.domain.actor import Actor, Role
from clarin_core.domain.contacts import ContactQuery, ContactView
from clarin_core.domain.crm_diff import line, minor_units, tag_names
from clarin_core.domain.crm_people import email_of, phone_of
from clarin_core.domain.events import Event, KommoAdvanced
from clarin_core.domain.ids import KommoId, UserId
from clarin_core.domain.kommo import KommoCredentials, KommoLease, KommoLink
from clarin_core.domain.leads import LeadQuery, LeadStatus, LeadView
from clarin_core.domain.paging import Page
from clarin_core.domain.pipelines import StageKind
from clarin_core.domain.remote import PAGE_MAX, RemoteContact, RemoteKind, RemoteLead
from clarin_core.domain.tags import TagOrigin, TagTarget, tag_key
from clarin_core.errors import Unavailable
from clarin_core.ports.crm import Crm
from clarin_core.ports.storage import Storage
from clarin_core.testing.tenants import Tenant, settle
from clarin_core.testing.watch import Watch
from clarin_core.usecases.kommo import KommoUseCases
from clarin_core.usecases.mirror.mirror import KommoMirror, KommoMirrors
from clarin_memory import MemoryCrm, MemoryStorage, RemoteBook
from clarin_security import AesGcmBox, system_random

LEAD, CONTACT = RemoteKind.LEAD, RemoteKind.CONTACT
LONG = timedelta(hours=12)
TURN_S = 5
TOKEN = "un-token"
ALL = 200

T = TypeVar("T")


class Turned(Protocol):
    """A clock that a test turns."""

    def __call__(self) -> datetime: ...

    def forward(self, *, seconds: float) -> None: ...


@dataclass
class Mirroring:
    """An account, its administrator, and the CRM that it mirrors."""

    tenant: Tenant
    clock: Turned
    book: RemoteBook
    crm: Crm
    kommo: KommoUseCases
    mirrors: KommoMirrors
    token: str
    seen: list[tuple[str, int]] = field(default_factory=list)
    mirror: KommoMirror | None = None
    _opened: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def memory(self) -> MemoryCrm:
        """The CRM in memory."""
        assert isinstance(self.crm, MemoryCrm)
        return self.crm

    @property
    def ana(self) -> Actor:
        """The administrator."""
        return Actor(account_id=self.tenant.id, user_id=UserId(1), role=Role.ADMIN)

    async def configure(self) -> None:
        """Put credentials."""
        credentials = KommoCredentials(subdomain="acme", token=self.token)
        await self.kommo.put_credentials(self.ana, credentials)

    async def connect(self, *pipelines: KommoId) -> None:
        """Connect pipelines, the first one unless told otherwise."""
        await self.configure()
        for kommo_id in pipelines or (self.book.pipelines[0].id,):
            await self.kommo.connect(self.ana, kommo_id)

    async def link(self) -> KommoLink:
        return await self.tenant.views.kommo()

    async def take(self, owner: str = "test") -> KommoLease:
        """Take the lease, whoever has it."""
        leases = self.tenant.storage.kommo_leases
        lease = await leases.lease(self.tenant.id, owner, timedelta())
        assert lease is not None
        assert await leases.renew(lease, timedelta())
        return lease

    async def open(self) -> KommoMirror:
        """Open the mirror in another process, as it were."""
        await self.close()
        lease = await self.take()
        self.mirror = await self._opened.enter_async_context(self.mirrors.open(lease))
        return self.mirror

    async def close(self) -> None:
        await self._opened.aclose()
        self.mirror = None

    async def turn(self, times: int = 1, *, seconds: float = TURN_S) -> None:
        """Let time pass, and run a pass, so often."""
        mirror = self.mirror or await self.open()
        for _ in range(times):
            self.clock.forward(seconds=seconds)
            await mirror.go_on()

    async def calm_down(self) -> None:
        """Let the CRM show all that it knows, and the mirror see it, with the next day's sweeps."""
        self.clock.forward(seconds=86_400)
        await self.turn(2)
        for _ in range(400):
            await self.turn(1, seconds=20)
            state = (await self.link()).state
            if state.sweep is None and not state.sweeps_due and state.backfill is None:
                break
        await self.turn(2)

    async def events(self) -> list[Event]:
        """Return what was told, but for progress."""
        log = await self.tenant.events()
        while more := await self.tenant.events(after=log[-1].seq if log else 0):
            log += more
        return [one.event for one in log if not isinstance(one.event, KommoAdvanced)]

    async def leads(self) -> list[LeadView]:
        read = self.tenant.views.leads
        return await _to_the_end(lambda after: read(LeadQuery(after=after, limit=ALL)))

    async def contacts(self) -> list[ContactView]:
        read = self.tenant.views.contacts
        return await _to_the_end(lambda after: read(ContactQuery(after=after, limit=ALL)))

    async def lead(self, kommo_id: KommoId) -> LeadView:
        """Return the mirror of a lead."""
        return next(one for one in await self.leads() if one.kommo_id == kommo_id)

    async def contact(self, kommo_id: KommoId) -> ContactView:
        """Return the mirror of a contact."""
        return next(one for one in await self.contacts() if one.kommo_id == kommo_id)

    async def shown(self) -> dict[str, dict[KommoId, Any]]:
        """Return what the mirror shows, by Kommo's ids."""
        async with self.tenant.begin() as tx:
            places = {
                (pipeline.id, stage.id): (pipeline, stage)
                for pipeline in await tx.pipelines.all()
                for stage in pipeline.stages
            }
        people = {one.id: one for one in await self.contacts()}
        leads: dict[KommoId, Any] = {}
        for lead in await self.leads():
            if lead.kommo_id is None or lead.pipeline_id is None or lead.stage_id is None:
                continue
            pipeline, stage = places[lead.pipeline_id, lead.stage_id]
            person = people.get(lead.contact_id) if lead.contact_id is not None else None
            leads[lead.kommo_id] = {
                "name": lead.name, "value": lead.value,
                "place": (pipeline.kommo_id, stage.kommo_id), "status": _end(lead.status),
                "contact": person.kommo_id if person else None,
                "tags": await self._tags(TagTarget.LEAD, lead.id),
            }  # fmt: skip
        contacts = {
            one.kommo_id: {
                "name": one.full_name or None, "phone": one.phone, "email": one.email,
                "tags": await self._tags(TagTarget.CONTACT, one.id),
            }
            for one in people.values()
            if one.kommo_id is not None
        }  # fmt: skip
        return {"leads": leads, "contacts": contacts}

    async def meant(self) -> dict[str, dict[KommoId, Any]]:
        """Return what the mirror should show."""
        connected, real = (await self.link()).connected, self.book.real
        async with self.tenant.begin() as tx:
            known = {one.kommo_id for one in await tx.kommo.leads(list(real[LEAD]))}
        leads = {
            key: self._lead(lead)
            for key, lead in real[LEAD].items()
            if isinstance(lead, RemoteLead) and (lead.pipeline_id in connected or key in known)
        }
        people = [one for one in real[CONTACT].values() if isinstance(one, RemoteContact)]
        owners: dict[Any, KommoId] = {}
        for one in sorted(people, key=lambda one: one.id):
            owners.setdefault(phone_of(one, "PE"), one.id)
        contacts = {
            one.id: {
                "name": line(one.name),
                "phone": phone_of(one, "PE") if owners[phone_of(one, "PE")] == one.id else None,
                "email": email_of(one), "tags": set(map(tag_key, tag_names(one))),
            }
            for one in people
        }  # fmt: skip
        return {"leads": leads, "contacts": contacts}

    def _lead(self, lead: RemoteLead) -> dict[str, Any]:
        mains = [link.contact_id for link in lead.contacts if link.is_main]
        mains += [link.contact_id for link in lead.contacts]
        pipeline = next(one for one in self.book.pipelines if one.id == lead.pipeline_id)
        stage = next(one for one in pipeline.stages if one.id == lead.stage_id)
        return {
            "name": line(lead.name) or f"Lead #{lead.id}",
            "value": minor_units(lead.price, self.book.account.currency),
            "place": (lead.pipeline_id, lead.stage_id), "status": stage.kind,
            "contact": self._there(mains), "tags": set(map(tag_key, tag_names(lead))),
        }  # fmt: skip

    def _there(self, mains: list[KommoId]) -> KommoId | None:
        """Return the main contact; who is gone may still be named where a lead was restored."""
        return next((one for one in mains[:1] if one in self.book.real[CONTACT]), None)

    async def _tags(self, target: TagTarget, target_id: int) -> set[str]:
        async with self.tenant.begin() as tx:
            links = await tx.tags.links(target, [target_id], origin=TagOrigin.KOMMO)
        names = {one.id: one.name for one in await self.tenant.views.tags_of(target, target_id)}
        return {tag_key(names[link.tag_id]) for link in links}


async def nowhere_to_write(*_: object, **__: object) -> int:
    """Be a page that cannot be stored."""
    raise Unavailable("the storage is away")


def _end(status: LeadStatus) -> StageKind:
    ends = {LeadStatus.WON: StageKind.WON, LeadStatus.LOST: StageKind.LOST}
    return ends.get(status, StageKind.OPEN)


@asynccontextmanager
async def beside(
    book: RemoteBook, crm: Crm, clock: Turned, storage: Storage, *, token: str = TOKEN
) -> AsyncIterator[Mirroring]:
    """Open an account beside a CRM with two pipelines, of which none is connected yet."""
    book.account = replace(book.account, currency="PEN")
    book.add_pipeline("Ventas", "Nuevo", "Contactado")
    book.add_pipeline("Postventa", "Abierto")
    box = AesGcmBox(b"a secret of 32 bytes, at least..", system_random)
    seen = list[tuple[str, int]]()
    mirrors = KommoMirrors(storage, clock, crm, box, lambda what, count: seen.append((what, count)))
    kommo = KommoUseCases(storage, clock, crm, box)
    room = Mirroring(await settle(storage), clock, book, crm, kommo, mirrors, token, seen)
    try:
        yield room
    finally:
        await room.close()


async def _to_the_end(read: Callable[[str], Awaitable[Page[T]]]) -> list[T]:
    found: list[T] = []
    cursor: Any = ""
    while isinstance(cursor, str):
        page = await read(cursor)
        found, cursor = found + page.data, page.next
    return found


@asynccontextmanager
async def mirroring(
    storage: Storage | None = None,
    *,
    watch: Watch | None = None,
    page_max: int = PAGE_MAX,
    lag: Callable[[], float] = float,
    skew: timedelta = timedelta(),
) -> AsyncIterator[Mirroring]:
    """Open an account beside a CRM in memory."""
    clock = watch or Watch()
    book = RemoteBook(clock, lag=lag, skew=skew)
    crm = MemoryCrm(book, page_max=page_max)
    async with beside(book, crm, clock, storage or MemoryStorage(clock=clock)) as room:
        yield room


def tell(story: Callable[[Mirroring], Awaitable[None]], **options: Any) -> None:
    """Run a story about an account and a CRM in memory."""

    async def told() -> None:
        async with mirroring(**options) as room:
            await story(room)

    asyncio.run(told())
