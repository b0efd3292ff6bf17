"""What another CRM tells of an account, in our words: what a CRM adapter translates to.

The adapter decides nothing: texts and phones are as people typed them, on one line and without
what is invisible, and of any length; what is absent there is None or empty here. Times are the
other side's, in whole seconds, UTC: many changes may share one, so that `updated_at` is no
version.
"""

import re
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Generic, TypeVar

from msgspec import Struct

from clarin_core.domain.ids import KommoId
from clarin_core.domain.pipelines import StageKind
from clarin_core.errors import Invalid

PAGE_MAX = 250
"""Entities of a page, unless it is the last one; a page of hints may have fewer."""

IDS_MAX = 200
"""How many may be asked for by their ids at once."""

_SUBDOMAIN = re.compile("[a-z0-9-]{1,63}")

T = TypeVar("T")


def check_subdomain(name: str) -> None:
    """Raise Invalid for what is not the name of one account's host."""
    if not _SUBDOMAIN.fullmatch(name):
        raise Invalid("subdomain", "is not the name of an account: a-z, 0-9 and hyphens")


class RemoteKind(Enum):
    """What leads and contacts have each for themselves: tags, fields, deletions, hints."""

    LEAD = "lead"
    CONTACT = "contact"


class Rejected(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An entity that could not be read; the rest of its page could."""

    id: KommoId | None = None
    updated_at: datetime | None = None
    reason: str


class RemotePage(Struct, Generic[T], frozen=True, kw_only=True):
    """A part of a list, in the order that was asked for.

    `has_next` is what the other side announces. An announced page may still be empty: then the
    list was not read to its end, or moved meanwhile. `at` is the other side's clock.
    """

    items: list[T]
    has_next: bool = False
    rejected: list[Rejected] = []
    at: datetime | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there was nothing at all, not even what could not be read."""
        return not self.items and not self.rejected


class RemoteAccount(Struct, frozen=True, kw_only=True):
    """The account itself; `filters_work` is None where it does not tell."""

    id: KommoId
    name: str
    subdomain: str
    currency: str | None = None
    filters_work: bool | None = None


class RemoteStage(Struct, frozen=True, kw_only=True):
    """A stage is known by its pipeline and its id: won and lost have one id in all pipelines."""

    pipeline_id: KommoId
    id: KommoId
    name: str
    color: str | None = None
    position: int
    kind: StageKind = StageKind.OPEN
    is_incoming: bool = False


class RemotePipeline(Struct, frozen=True, kw_only=True):
    """A pipeline with its stages, in their order."""

    id: KommoId
    name: str
    position: int
    is_main: bool = False
    is_archived: bool = False
    stages: list[RemoteStage] = []


class RemoteUser(Struct, frozen=True, kw_only=True):
    """Somebody who works there."""

    id: KommoId
    name: str
    email: str | None = None
    is_active: bool = True


class RemoteTag(Struct, frozen=True, kw_only=True):
    """A tag; leads and contacts have each their own, so that one name has two ids."""

    id: KommoId
    name: str
    color: str | None = None


class RemoteOption(Struct, frozen=True, kw_only=True):
    """One of the values that a field offers."""

    id: KommoId
    value: str


class RemoteField(Struct, frozen=True, kw_only=True):
    """The definition of a field; `type` is the other side's word."""

    id: KommoId
    kind: RemoteKind
    name: str
    code: str | None = None
    type: str
    position: int
    options: list[RemoteOption] = []


class RemoteValues(Struct, frozen=True, kw_only=True):
    """A field that is filled in; each value is the JSON that came, whatever its type."""

    field_id: KommoId
    name: str
    code: str | None = None
    type: str
    values: list[Any]


class RemoteReach(Struct, frozen=True, kw_only=True):
    """A phone or an e-mail as it was typed, and what it is for, such as `WORK`."""

    text: str
    label: str | None = None


class RemoteLink(Struct, frozen=True, kw_only=True):
    """A contact of a lead; at most one is the main one."""

    contact_id: KommoId
    is_main: bool = False


class RemoteLead(Struct, frozen=True, kw_only=True):
    """A lead; `price` counts units of the account's currency, fractions as far as told."""

    id: KommoId
    name: str
    price: Decimal | None = None
    pipeline_id: KommoId
    stage_id: KommoId
    responsible_id: KommoId | None = None
    loss_reason_id: KommoId | None = None
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None = None
    is_deleted: bool = False
    tags: list[RemoteTag] = []
    contacts: list[RemoteLink] = []
    fields: list[RemoteValues] = []


class RemoteContact(Struct, frozen=True, kw_only=True):
    """A person; `fields` are those beside phones and e-mails."""

    id: KommoId
    name: str
    first_name: str = ""
    last_name: str = ""
    phones: list[RemoteReach] = []
    emails: list[RemoteReach] = []
    responsible_id: KommoId | None = None
    created_at: datetime
    updated_at: datetime
    is_deleted: bool = False
    tags: list[RemoteTag] = []
    fields: list[RemoteValues] = []


class RemoteDeletion(Struct, frozen=True, kw_only=True):
    """A lead or contact in the recycle bin; it can still be restored."""

    id: KommoId
    updated_at: datetime


class HintKind(Enum):
    """What is said to have happened to an entity."""

    CHANGED = "changed"
    DELETED = "deleted"
    RESTORED = "restored"
    MERGED = "merged"


class RemoteHint(Struct, frozen=True, kw_only=True):
    """An entry of the audit log: a reason to read the entity anew, and no more than that."""

    id: str
    what: HintKind
    kind: RemoteKind
    entity_id: KommoId
    at: datetime
