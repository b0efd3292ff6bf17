"""Kommo: an account's connection to another CRM, of which it keeps a mirror, one way.

Credentials are in none of these: they are stored sealed, and neither shown nor told.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Annotated, Any

from msgspec import Meta, Struct, field
from msgspec.structs import force_setattr

from clarin_core.domain.command import VERBATIM, Command
from clarin_core.domain.entity import Entity
from clarin_core.domain.ids import AccountId, ContactId, KommoId, LeadId, PipelineId
from clarin_core.domain.kommo_sync import Backfill, SyncState, Walk
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.remote import (
    RemoteContact,
    RemoteField,
    RemoteKind,
    RemoteLead,
    RemotePipeline,
    RemoteTag,
    RemoteUser,
)
from clarin_core.domain.time import Instant, check_instant
from clarin_core.errors import ClarinError, Invalid, Kind

Subdomain = Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", max_length=63)]
Token = Annotated[
    str, Meta(pattern=r"^[\x21-\x7e]+$", min_length=1, max_length=8192, extra=VERBATIM)
]
_Short = Annotated[
    str, Meta(pattern=r"^[\x21-\x7e]+$", min_length=1, max_length=2048, extra=VERBATIM)
]


_OAUTH = (
    "client_id", "client_secret", "redirect_uri", "access_token", "refresh_token", "expires_at",
)  # fmt: skip


class NotConfigured(ClarinError):
    """The account has no connection to Kommo."""

    kind = Kind.UNAVAILABLE
    code = "not_configured"

    def __init__(self) -> None:
        super().__init__("Kommo is not configured: put its credentials first")


class KommoPhase(Enum):
    """What the mirror is at."""

    IDLE = "idle"
    BACKFILL = "backfill"
    LIVE = "live"


class Trouble(Enum):
    """Why Kommo cannot be read, or why what it says is not believed yet."""

    UNREACHABLE = "unreachable"
    RATE_LIMITED = "rate_limited"
    GARBAGE = "garbage"
    BLOCKED = "blocked"
    PAYMENT_DUE = "payment_due"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    REFUSED = "refused"
    NO_FILTERS = "no_filters"
    MASS_DELETION = "mass_deletion"

    @property
    def needs_a_person(self) -> bool:
        """Whether it makes no sense to go on before somebody did something."""
        return self in (Trouble.UNAUTHORIZED, Trouble.NO_FILTERS)


class KommoFault(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What went wrong last, since when, and when the next try is; without one somebody must act."""

    trouble: Trouble
    text: str
    since: datetime
    retry_at: datetime | None = None


class KommoCredentials(Command, frozen=True, kw_only=True):
    """Which account of Kommo is read: by a long-lived `token`, or by all that OAuth needs."""

    subdomain: Subdomain
    token: Token | None = None
    client_id: _Short | None = None
    client_secret: _Short | None = None
    redirect_uri: _Short | None = None
    access_token: Token | None = None
    refresh_token: Token | None = None
    expires_at: Instant | None = None

    def __post_init__(self) -> None:
        """Raise Invalid unless there is one of the two, whole."""
        super().__post_init__()
        if self.expires_at is not None:
            force_setattr(self, "expires_at", check_instant("expires_at", self.expires_at))
        given = [value is not None for value in self.oauth().values()]
        if self.token is not None and any(given):
            raise Invalid("token", "goes without the tokens of OAuth")
        if self.token is None and not all(given):
            raise Invalid("token", "or all that OAuth needs is missing")

    def oauth(self) -> dict[str, Any]:
        """Return what OAuth needs, absent values included."""
        return {name: getattr(self, name) for name in _OAUTH}


class KommoLink(Entity, kw_only=True, omit_defaults=True):
    """The entity: the connection, and where its mirror stands.

    `keys` counts the credentials that there have been. `connected` are Kommo's ids of the
    pipelines whose leads are mirrored.
    """

    subdomain: str
    remote_id: KommoId
    name: str
    currency: str | None = None
    keys: int = 1
    connected: list[KommoId] = field(default_factory=list)
    fault: KommoFault | None = None
    last_ok_at: datetime | None = None
    state: SyncState

    @property
    def phase(self) -> KommoPhase:
        """What the mirror is at."""
        if not self.connected:
            return KommoPhase.IDLE
        return KommoPhase.BACKFILL if self.state.backfill else KommoPhase.LIVE

    def begin_backfill(self, at: datetime, *, is_full: bool = False) -> None:
        """Read everything, or what was not read before: contacts are the same for all pipelines.

        One that is under way begins anew with the leads.
        """
        before = self.state.backfill
        if is_full or (before is None and self.state.contacts_upto is None):
            contacts: Walk | None = Walk()
        else:
            contacts = before.contacts if before else None
        self.state.backfill = Backfill(
            since=at,
            contacts=contacts,
            start=before.start if before else None,
            is_full=is_full or (before is not None and before.is_full),
        )
        self.touch(at)

    def fail(self, fault: KommoFault) -> bool:
        """Remember what went wrong; return whether that is another thing than before."""
        before = self.fault
        since = before.since if before and before.trouble is fault.trouble else fault.since
        self.fault = KommoFault(
            trouble=fault.trouble, text=fault.text, since=since, retry_at=fault.retry_at
        )
        return before is None or before.trouble is not fault.trouble

    def may_go_on(self, at: datetime) -> bool:
        """Return whether Kommo may be asked now."""
        if not self.connected:
            return False
        fault = self.fault
        if fault is None or fault.trouble is Trouble.MASS_DELETION:
            return True
        return fault.retry_at is not None and fault.retry_at <= at


class KommoPipeline(Struct, kw_only=True, omit_defaults=True):
    """A pipeline of Kommo, and the one here that mirrors it, if there is one."""

    kommo_id: KommoId
    name: str
    pipeline_id: PipelineId | None = None
    is_connected: bool = False
    is_archived: bool = False
    stages: int = 0


class KommoDictionaries(Struct, frozen=True, kw_only=True):
    """What Kommo's words mean, as it said last."""

    pipelines: list[RemotePipeline] = []
    users: list[RemoteUser] = []
    lead_fields: list[RemoteField] = []
    contact_fields: list[RemoteField] = []
    lead_tags: list[RemoteTag] = []
    contact_tags: list[RemoteTag] = []

    def has_renamed_tags(self, later: "KommoDictionaries", kind: RemoteKind) -> bool:
        """Return whether tags have other names later: their leads or contacts say nothing of it."""
        before = {tag.id: tag.name for tag in self.tags(kind)}
        return any(before.get(tag.id, tag.name) != tag.name for tag in later.tags(kind))

    def tags(self, kind: RemoteKind) -> list[RemoteTag]:
        """Return the tags of leads or of contacts."""
        return self.lead_tags if kind is RemoteKind.LEAD else self.contact_tags


class StreamProgress(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many rows were read, of about how many once that is known."""

    done: int
    total: int | None = None


class KommoProgress(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far the mirror is; `rate` counts rows a second, `left_s` is a guess in seconds."""

    phase: KommoPhase
    leads: StreamProgress | None = None
    contacts: StreamProgress | None = None
    rate: float | None = None
    left_s: int | None = None
    fault: KommoFault | None = None
    last_ok_at: datetime | None = None


class KommoStatus(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether there is a connection, and how it is; `lag_s` since everything was read last."""

    is_configured: bool
    subdomain: str | None = None
    name: str | None = None
    phase: KommoPhase = KommoPhase.IDLE
    connected: int = 0
    fault: KommoFault | None = None
    last_ok_at: datetime | None = None
    lag_s: int | None = None


class KommoReport(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that is known of the mirror: how many rows it has, and up to when it has followed.

    The instants but for `swept_at` are Kommo's own.
    """

    progress: KommoProgress
    leads: int
    contacts: int
    leads_upto: datetime | None = None
    contacts_upto: datetime | None = None
    hints_upto: datetime | None = None
    swept_at: datetime | None = None
    is_sweeping: bool = False


class KommoCounts(Struct, frozen=True, kw_only=True):
    """How many live rows the mirror has."""

    leads: int
    contacts: int


class KnownLead(Struct, frozen=True, kw_only=True):
    """What is kept of a lead of Kommo; its contacts begin with the main one."""

    kommo_id: KommoId
    lead_id: LeadId
    updated_at: datetime
    digest: bytes
    contacts: list[KommoId]
    is_gone: bool


class KnownContact(Struct, frozen=True, kw_only=True):
    """What is kept of a contact of Kommo, such as the phone and e-mail that it said."""

    kommo_id: KommoId
    contact_id: ContactId
    updated_at: datetime
    digest: bytes
    phone: PhoneNumber | None
    email: str | None
    is_gone: bool


class LeadRecord(Struct, frozen=True, kw_only=True):
    """A lead here, and what Kommo says of it."""

    lead_id: LeadId
    digest: bytes
    said: RemoteLead
    contacts: list[KommoId]


class ContactRecord(Struct, frozen=True, kw_only=True):
    """A contact here, and what Kommo says of it."""

    contact_id: ContactId
    digest: bytes
    said: RemoteContact
    phone: PhoneNumber | None
    email: str | None


class KommoLease(Struct, frozen=True, kw_only=True):
    """The right to keep an account's mirror; a later one has a greater `token`."""

    account_id: AccountId
    owner: str
    token: int
    expires_at: datetime


def pipelines_shown(
    said: Sequence[RemotePipeline],
    connected: Collection[KommoId],
    mirrors: Mapping[KommoId, PipelineId],
) -> list[KommoPipeline]:
    """Return pipelines in their order; `mirrors` are those here by Kommo's ids."""
    return [
        KommoPipeline(
            kommo_id=one.id,
            name=one.name,
            pipeline_id=mirrors.get(one.id),
            is_connected=one.id in connected,
            is_archived=one.is_archived,
            stages=len(one.stages),
        )
        for one in sorted(said, key=lambda one: (one.position, one.id))
    ]


def progress_of(link: KommoLink, at: datetime) -> KommoProgress:
    """Return how far the mirror is at an instant."""
    backfill = link.state.backfill
    if backfill is None:
        return KommoProgress(phase=link.phase, fault=link.fault, last_ok_at=link.last_ok_at)
    passed = (at - backfill.since).total_seconds()
    rate = (backfill.rows - backfill.rows_then) / passed if passed > 0 else 0.0
    walks = [walk for walk in (backfill.contacts, backfill.leads) if walk is not None]
    totals = [walk.total for walk in walks]
    known = [total for total in totals if total is not None]
    left = sum(known) - backfill.rows if len(known) == len(totals) else None
    return KommoProgress(
        phase=link.phase,
        leads=_progress_of(backfill.leads),
        contacts=_progress_of(backfill.contacts),
        rate=round(rate, 1),
        left_s=round(left / rate) if left is not None and rate else None,
        fault=link.fault,
        last_ok_at=link.last_ok_at,
    )


def _progress_of(walk: Walk | None) -> StreamProgress | None:
    return None if walk is None else StreamProgress(done=walk.rows, total=walk.total)


def status_of(link: KommoLink, at: datetime) -> KommoStatus:
    """Return how a connection is at an instant."""
    last = link.last_ok_at
    return KommoStatus(
        is_configured=True,
        subdomain=link.subdomain,
        name=link.name,
        phase=link.phase,
        connected=len(link.connected),
        fault=link.fault,
        last_ok_at=last,
        lag_s=None if last is None else max(0, round((at - last).total_seconds())),
    )


def report_of(link: KommoLink, counts: KommoCounts, at: datetime) -> KommoReport:
    """Return all that is known of the mirror at an instant."""
    state = link.state
    return KommoReport(
        progress=progress_of(link, at),
        leads=counts.leads,
        contacts=counts.contacts,
        leads_upto=state.leads_upto,
        contacts_upto=state.contacts_upto,
        hints_upto=state.hints_upto,
        swept_at=state.swept_at,
        is_sweeping=state.sweep is not None,
    )
