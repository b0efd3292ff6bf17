"""A fresh account for a law to work in, and short ways to fill it and to look at it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, TypeVar
from uuid import uuid4

from msgspec.structs import replace

from clarin_core.domain.accounts import Membership, NewAccount, User
from clarin_core.domain.actor import SYSTEM, Origin, Role
from clarin_core.domain.chats import ChatQuery
from clarin_core.domain.contacts import (
    Contact,
    ContactDraft,
    ContactIdentity,
    ContactQuery,
    DuplicateQuery,
)
from clarin_core.domain.devices import Device, DeviceKey, DeviceQuery, NewDevice
from clarin_core.domain.events import Event, EventQuery, LeadCreated, LeadDeleted, Recorded
from clarin_core.domain.ids import AccountId, LeadId, StageId, UserId
from clarin_core.domain.imports import ImportDraft, ImportJob, ImportKind, ImportQuery
from clarin_core.domain.jid import Identity, IdentityKind
from clarin_core.domain.leads import Lead, LeadDraft, LeadQuery, LeadStatus
from clarin_core.domain.members import MemberQuery
from clarin_core.domain.messages import MessageQuery
from clarin_core.domain.paging import PageQuery
from clarin_core.domain.pipelines import DEFAULT_PIPELINE, NewPipeline, NewStage, Pipeline
from clarin_core.domain.quick_replies import NewQuickReply, QuickReply, QuickReplyQuery
from clarin_core.domain.tags import Tag, TagLink, TagOrigin, TagQuery, TagTarget
from clarin_core.ports.storage import Storage
from clarin_core.ports.transaction import Transaction
from clarin_core.ports.views import Views

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = datetime(2026, 3, 1, 13, tzinfo=UTC)
HASH = "$argon2id$a-hash"

Opened = TypeVar("Opened")


@dataclass(frozen=True, slots=True)
class Tenant:
    """An account and its storage; `pipeline` is its default one."""

    storage: Storage
    id: AccountId
    pipeline: Pipeline

    @property
    def views(self) -> Views:
        """The account's reads."""
        return self.storage.views(self.id)

    @property
    def stages(self) -> list[StageId]:
        """The default pipeline's stages in order."""
        return [stage.id for stage in self.pipeline.stages]

    def begin(self, origin: Origin = SYSTEM) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction."""
        return self.storage.begin(self.id, origin)

    async def stranger(self) -> "Tenant":
        """Return another fresh account of the same storage."""
        return await settle(self.storage)

    async def emit(self, *events: Event) -> None:
        """Commit events alone."""
        async with self.begin() as tx:
            tx.emit(*events)

    async def add_leads(self, *drafts: LeadDraft, at: datetime = NOON) -> list[Lead]:
        """Commit new leads."""
        async with self.begin() as tx:
            leads = await tx.leads.add(drafts, at=at)
            tx.emit(LeadCreated(leads=leads))
            return leads

    async def add_lead(
        self, name: str | None = "Luz", /, *, at: datetime = NOON, **fields: object
    ) -> Lead:
        """Commit one new lead."""
        (lead,) = await self.add_leads(draft(name, **fields), at=at)
        return lead

    async def save_leads(self, *leads: Lead) -> None:
        """Commit leads as they are now."""
        async with self.begin() as tx:
            await tx.leads.get_many([lead.id for lead in leads])
            await tx.leads.save(leads)

    async def delete_lead(self, lead_id: LeadId, *, at: datetime = LATER) -> None:
        """Hide a lead."""
        async with self.begin() as tx:
            lead = await tx.leads.get(lead_id)
            lead.delete(at)
            await tx.leads.save([lead])
            tx.emit(LeadDeleted(leads=[lead]))

    async def add_contacts(self, *drafts: ContactDraft, at: datetime = NOON) -> list[Contact]:
        """Commit a claim of contacts."""
        async with self.begin() as tx:
            return [contact for contact, _ in await tx.contacts.claim(drafts, at=at)]

    async def add_contact(self, *, at: datetime = NOON, **fields: object) -> Contact:
        """Commit the claim of one contact."""
        (contact,) = await self.add_contacts(replace(ContactDraft(), **fields), at=at)
        return contact

    async def delete_contact(self, contact: Contact, *, at: datetime = LATER) -> None:
        """Hide a contact."""
        async with self.begin() as tx:
            stored = await tx.contacts.get(contact.id)
            stored.delete(at)
            await tx.contacts.save([stored])

    async def identify(self, contact: Contact, *identities: Identity) -> list[ContactIdentity]:
        """Commit that WhatsApp knows a contact by these."""
        rows = [ContactIdentity(identity=one, contact_id=contact.id) for one in identities]
        async with self.begin() as tx:
            await tx.contacts.identities(identities, at=NOON)
            await tx.contacts.put_identities(rows)
        return rows

    async def add_tags(self, *names: str) -> list[Tag]:
        """Commit a claim of tags."""
        async with self.begin() as tx:
            claimed = await tx.tags.claim(names, origin=TagOrigin.LOCAL, at=NOON)
            return [tag for tag, _ in claimed]

    async def link(self, target: TagTarget, *links: TagLink) -> list[TagLink]:
        """Commit links and return those that are new."""
        async with self.begin() as tx:
            return await tx.tags.link(target, links, origin=TagOrigin.LOCAL)

    async def add_pipeline(self, name: str, *stages: str) -> Pipeline:
        """Commit a pipeline with open stages."""
        new = NewPipeline(name=name, stages=tuple(NewStage(name=stage) for stage in stages))
        async with self.begin() as tx:
            return await tx.pipelines.add(new, is_default=False, at=NOON)

    async def add_device(self, name: str = "Ventas", /, **values: object) -> Device:
        """Commit a device with some values."""
        async with self.begin() as tx:
            device = await tx.devices.add(NewDevice(name=name), at=NOON)
            if device.alter(values, at=NOON):
                await tx.devices.save(device)
            return device

    def key_of(self, device: Device) -> DeviceKey:
        """Return how a device is named above accounts."""
        return DeviceKey(account_id=self.id, device_id=device.id)

    async def add_quick_reply(self, shortcut: str) -> QuickReply:
        """Commit a quick reply."""
        new = NewQuickReply(shortcut=shortcut, title="Saludo", body="¡Hola!")
        async with self.begin() as tx:
            return await tx.quick_replies.add(new, at=NOON)

    async def add_import(self, content: bytes = b"name\nLuz\n", /, **fields: object) -> ImportJob:
        """Commit an upload."""
        async with self.begin() as tx:
            return await tx.imports.add(upload(content, **fields), content, at=NOON)

    async def hire(self, role: Role = Role.AGENT, *, is_default: bool = False) -> UserId:
        """Commit a new user who is a member."""
        async with self.storage.directory() as directory:
            user = await directory.users.add(person(), password_hash=HASH)
            inside = await directory.enter(self.id)
            await inside.members.put(
                Membership(account_id=self.id, user_id=user.id, role=role, is_default=is_default)
            )
        return user.id

    async def events(self, after: int = 0) -> list[Recorded]:
        """Return up to a thousand events."""
        return (await self.views.events(EventQuery(after=after, limit=1000))).data

    async def lead_ids(self, **filters: object) -> list[LeadId]:
        """Return the ids of up to 200 leads in the order of the list."""
        page = await self.views.leads(replace(LeadQuery(limit=200), **filters))
        return [lead.id for lead in page.data]

    async def picture(self) -> dict[str, Any]:
        """Return all that the account shows, up to 200 rows of a kind."""
        return await picture_of(self.views)


async def picture_of(views: Views) -> dict[str, Any]:
    """Return all that some views show, up to 200 rows of a kind."""
    chats = (await views.chats(ChatQuery(limit=200))).data
    messages = [await views.messages(chat.id, MessageQuery(limit=200)) for chat in chats]
    contacts = (await views.contacts(ContactQuery(limit=200))).data
    return {
        "chats": chats,
        "messages": [message for page in messages for message in page.data],
        "identities": [await views.contact_identities(contact.id) for contact in contacts],
        "leads": (await views.leads(LeadQuery(limit=200))).data,
        "deleted leads": (await views.leads(LeadQuery(limit=200, deleted=True))).data,
        "contacts": contacts,
        "duplicates": (await views.duplicates(DuplicateQuery(limit=200))).data,
        "tags": (await views.tags(TagQuery(limit=200))).data,
        "pipelines": (await views.pipelines(PageQuery(limit=200))).data,
        "imports": (await views.imports(ImportQuery(limit=200))).data,
        "devices": (await views.devices(DeviceQuery(limit=200))).data,
        "quick replies": (await views.quick_replies(QuickReplyQuery(limit=200))).data,
        "members": (await views.members(MemberQuery(limit=200))).data,
        "account": await views.account(),
        "mirror": await views.kommo_counts(),
        "stats": await views.stats(),
        "events": (await views.events(EventQuery(limit=1000))).data,
        "position": await views.position(),
    }


def lid(value: str) -> Identity:
    """Return an identity that hides the phone."""
    return Identity(IdentityKind.LID, value)


async def settle(storage: Storage, **fields: object) -> Tenant:
    """Commit a new account with the usual pipeline; its log is empty."""
    new = replace(NewAccount(name="Luz y Sal"), **fields)
    async with storage.directory() as directory:
        account = await directory.accounts.add(new, at=NOON)
        inside = await directory.enter(account.id)
        pipeline = await inside.pipelines.add(DEFAULT_PIPELINE, is_default=True, at=NOON)
    return Tenant(storage, account.id, pipeline)


def draft(name: str | None = "Luz", /, **fields: object) -> LeadDraft:
    """Return a lead to be, new unless told otherwise."""
    return replace(LeadDraft(name=name, status=LeadStatus.NEW), **fields)


def person(**fields: object) -> User:
    """Return a user to be, with a name that nobody has."""
    name = uuid4().hex
    usual = User(
        id=UserId(0), created_at=NOON, updated_at=NOON, version=1, username=name,
        email=f"{name}@example.com", is_active=True, is_super_admin=False,
    )  # fmt: skip
    return replace(usual, **fields)


def upload(content: bytes, /, **fields: object) -> ImportDraft:
    """Return an import to be of a file with `content`."""
    usual = ImportDraft(
        kind=ImportKind.LEADS, overwrite=False, filename="leads.csv", region="PE",
        sha256=sha256(content).hexdigest(), origin=SYSTEM, rows=content.count(b"\n"),
    )  # fmt: skip
    return replace(usual, **fields)


def links_of(target_ids: Sequence[int], tags: Sequence[Tag]) -> list[TagLink]:
    """Return a link of each target with each tag, sorted."""
    return sorted(TagLink(target_id=one, tag_id=tag.id) for one in target_ids for tag in tags)


def leads_in(log: Sequence[Recorded]) -> list[Lead]:
    """Return the leads that events tell of, one after the other."""
    return [lead for recorded in log for lead in getattr(recorded.event, "leads", ())]


class OnPurposeError(Exception):
    """What a doomed transaction fails with."""


@asynccontextmanager
async def doomed(opened: AbstractAsyncContextManager[Opened]) -> AsyncIterator[Opened]:
    """Make a transaction fail at its end, and expect that the failure comes through."""
    try:
        async with opened as transaction:
            yield transaction
            raise OnPurposeError
    except OnPurposeError:
        return
    raise AssertionError("the storage kept an exception for itself")
