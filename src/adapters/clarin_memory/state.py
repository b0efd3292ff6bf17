"""All that the storage keeps: what each account has of its own, and what lies above accounts."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import NamedTuple, TypeVar

from clarin_core.domain.accounts import Account, Secret, Session
from clarin_core.domain.actor import Role
from clarin_core.domain.chats import Chat
from clarin_core.domain.contacts import Contact, ContactIdentity
from clarin_core.domain.devices import Device, DeviceKey, DeviceLease
from clarin_core.domain.idempotency import StoredAnswer
from clarin_core.domain.ids import (
    AccountId,
    ChatId,
    ContactId,
    DeviceId,
    ImportId,
    KommoId,
    LeadId,
    MediaId,
    MessageId,
    OutboxId,
    PipelineId,
    QuickReplyId,
    SessionId,
    TagId,
    UserId,
)
from clarin_core.domain.imports import ImportJob, RowOutcome
from clarin_core.domain.jid import Identity
from clarin_core.domain.kommo import (
    KnownContact,
    KnownLead,
    KommoDictionaries,
    KommoLease,
    KommoLink,
)
from clarin_core.domain.leads import Lead, StageMove
from clarin_core.domain.media import Media
from clarin_core.domain.messages import Mark, Message
from clarin_core.domain.outbox import OutboxItem
from clarin_core.domain.pipelines import Pipeline
from clarin_core.domain.quick_replies import QuickReply
from clarin_core.domain.replies import ByWhom, Reaction, Vote
from clarin_core.domain.tags import Tag, TagOrigin, TagTarget
from clarin_core.ports.inbox import WaKey
from clarin_memory.events import Log
from clarin_memory.tables import Overlay, Table


class Claim(NamedTuple):
    """A request that is at work, or done when it has its answer."""

    request_hash: bytes
    at: datetime
    answer: StoredAnswer | None = None


class MirroredLead(NamedTuple):
    """What is kept of a lead of Kommo, and in which pipeline of Kommo's it is."""

    known: KnownLead
    pipeline_id: KommoId


@dataclass(frozen=True, slots=True)
class AccountTables:
    """One account's rows."""

    aside: Table[DeviceId, list[bytes]] = field(default_factory=Table)
    chats: Table[ChatId, Chat] = field(default_factory=Table)
    claims: Table[tuple[str, bytes], Claim] = field(default_factory=Table)
    contacts: Table[ContactId, Contact] = field(default_factory=Table)
    devices: Table[DeviceId, Device] = field(default_factory=Table)
    files: Table[ImportId, bytes] = field(default_factory=Table)
    identities: Table[Identity, ContactIdentity] = field(default_factory=Table)
    imports: Table[ImportId, ImportJob] = field(default_factory=Table)
    kommo: Table[str, KommoLink] = field(default_factory=Table)
    kommo_contacts: Table[KommoId, KnownContact] = field(default_factory=Table)
    kommo_leads: Table[KommoId, MirroredLead] = field(default_factory=Table)
    kommo_sealed: Table[str, bytes] = field(default_factory=Table)
    kommo_words: Table[str, KommoDictionaries] = field(default_factory=Table)
    leads: Table[LeadId, Lead] = field(default_factory=Table)
    marked_at: Table[WaKey, datetime] = field(default_factory=Table)
    marks: Table[WaKey, Mark] = field(default_factory=Table)
    media: Table[MediaId, Media] = field(default_factory=Table)
    messages: Table[MessageId, Message] = field(default_factory=Table)
    moves: Table[int, StageMove] = field(default_factory=Table)
    outbox: Table[OutboxId, OutboxItem] = field(default_factory=Table)
    outcomes: Table[tuple[ImportId, int], RowOutcome] = field(default_factory=Table)
    pipelines: Table[PipelineId, Pipeline] = field(default_factory=Table)
    reactions: Table[ByWhom, Reaction] = field(default_factory=Table)
    quick_replies: Table[QuickReplyId, QuickReply] = field(default_factory=Table)
    tagged: Table[tuple[TagTarget, int], dict[TagId, TagOrigin]] = field(default_factory=Table)
    tags: Table[TagId, Tag] = field(default_factory=Table)
    votes: Table[ByWhom, Vote] = field(default_factory=Table)


@dataclass(frozen=True, slots=True)
class Space:
    """An account's place in memory; whoever writes there holds the lock."""

    tables: AccountTables = field(default_factory=AccountTables)
    log: Log = field(default_factory=Log)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Ticket(NamedTuple):
    """A single-use ticket."""

    session_id: SessionId
    account_id: AccountId
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class SharedTables:
    """The rows above accounts. A user has one default account by the shape of `defaults`."""

    accounts: Table[AccountId, Account] = field(default_factory=Table)
    defaults: Table[UserId, AccountId] = field(default_factory=Table)
    kommo_leases: Table[AccountId, KommoLease] = field(default_factory=Table)
    leases: Table[DeviceKey, DeviceLease] = field(default_factory=Table)
    roles: Table[tuple[AccountId, UserId], Role] = field(default_factory=Table)
    sessions: Table[SessionId, Session] = field(default_factory=Table)
    spaces: Table[AccountId, Space] = field(default_factory=Table)
    tickets: Table[bytes, Ticket] = field(default_factory=Table)
    users: Table[UserId, Secret] = field(default_factory=Table)


Tables = TypeVar("Tables", AccountTables, SharedTables)


class Ids:
    """Gives ids: each kind counts through all accounts, and no number comes twice."""

    def __init__(self) -> None:
        self._last = Counter[str]()

    def next(self, kind: str) -> int:
        """Return the next id of a kind."""
        self._last[kind] += 1
        return self._last[kind]


@dataclass(frozen=True, slots=True)
class Scope:
    """What the stores of one account work on, inside a transaction."""

    account_id: AccountId
    ids: Ids
    shared: SharedTables
    tables: AccountTables


def overlay(tables: Tables) -> Tables:
    """Return the tables as a transaction sees them."""
    return type(tables)(*(Overlay(getattr(tables, column.name)) for column in fields(tables)))


def merge(overlays: Tables) -> None:
    """Bring down the changes of all tables of an overlay."""
    for column in fields(overlays):
        getattr(overlays, column.name).merge()
