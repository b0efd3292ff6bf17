"""The stores of one account, inside a transaction.

Laws for all of them. `get` and every look-up that returns entities **lock** what they return
until the transaction ends, rows in ascending order of id. They return copies: changing one
changes nothing until `save`. An id of another account is NotFound exactly like an unknown one.
Batches cost a constant number of statements. Nothing here commits.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from clarin_core.domain.accounts import Account, Membership
from clarin_core.domain.contacts import Contact, ContactDraft, ContactIdentity
from clarin_core.domain.idempotency import Repeatable, StoredAnswer
from clarin_core.domain.ids import (
    ContactId,
    ImportId,
    KommoId,
    LeadId,
    PipelineId,
    StageId,
    TagId,
    UserId,
)
from clarin_core.domain.imports import ImportDraft, ImportJob, RowOutcome
from clarin_core.domain.jid import Identity
from clarin_core.domain.leads import Lead, LeadDraft, StageMove
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.pipelines import NewPipeline, NewStage, Pipeline
from clarin_core.domain.tags import NewTag, Tag, TagLink, TagOrigin, TagTarget


class LeadStore(Protocol):
    """The leads of one account."""

    async def get(self, lead_id: LeadId, *, deleted: bool = False) -> Lead:
        """Return a live lead (a deleted one when asked), locked; raises NotFound."""
        ...

    async def get_many(self, lead_ids: Collection[LeadId]) -> list[Lead]:
        """Return those of the leads that are live, locked, by id; unknown ones are left out."""
        ...

    async def add(self, drafts: Sequence[LeadDraft], *, at: datetime) -> list[Lead]:
        """Store new leads and return them in the order given, with ids and version 1.

        Raises Conflict `duplicate_lead` when a live lead has the same kommo_id.
        """
        ...

    async def save(self, leads: Sequence[Lead]) -> None:
        """Store changed leads that this transaction got, deletion and restoring included.

        Raises Conflict `duplicate_lead` when a live lead has the same kommo_id.
        """
        ...

    async def log_moves(self, moves: Sequence[StageMove]) -> None:
        """Append to the stage history."""
        ...

    async def open_in(
        self, pipeline_id: PipelineId, contact_ids: Collection[ContactId]
    ) -> dict[ContactId, LeadId]:
        """Return the oldest open lead in a pipeline of each contact that has one."""
        ...

    async def of_contacts(self, contact_ids: Collection[ContactId]) -> list[Lead]:
        """Return the live leads of some contacts, locked, by id."""
        ...

    async def by_kommo(self, kommo_ids: Collection[KommoId]) -> dict[KommoId, Lead]:
        """Return the live leads with these Kommo ids, locked."""
        ...

    async def look_up(
        self, lead_ids: Collection[LeadId], kommo_ids: Collection[KommoId]
    ) -> list[Lead]:
        """Return leads by their ids, deleted ones included, and live ones by their Kommo ids.

        Locked, each once, by id; unknown ones are left out.
        """
        ...

    async def in_stages(self, stage_ids: Collection[StageId], *, limit: int) -> list[Lead]:
        """Return leads of some stages, locked, at most `limit`, deleted ones included."""
        ...


class ContactStore(Protocol):
    """The contacts of one account."""

    async def get(self, contact_id: ContactId, *, deleted: bool = False) -> Contact:
        """Return a live contact (a deleted one when asked), locked; raises NotFound."""
        ...

    async def get_many(self, contact_ids: Collection[ContactId]) -> list[Contact]:
        """Return contacts, deleted ones included, locked, by id; unknown ones are left out."""
        ...

    async def look_up(
        self, contact_ids: Collection[ContactId], phones: Collection[PhoneNumber]
    ) -> list[Contact]:
        """Return contacts by their ids, deleted ones included, and live ones by their phones.

        Locked, each once, by id; unknown ones are left out.
        """
        ...

    async def claim(
        self, drafts: Sequence[ContactDraft], *, at: datetime
    ) -> list[tuple[Contact, bool]]:
        """Return each draft's contact, locked, in the order given, and whether it is new.

        A draft with a phone gets the live contact with that phone if there is one; drafts
        with equal phones get one contact (new for the first). Two transactions that claim
        one phone at the same time get one contact.
        """
        ...

    async def names(self, contact_ids: Collection[ContactId]) -> dict[ContactId, str]:
        """Return what people see of some live contacts (CT3), as far as there is something."""
        ...

    async def save(self, contacts: Sequence[Contact]) -> None:
        """Store changed contacts that this transaction got, deletion and restoring included.

        Raises Conflict `duplicate_contact` with the id when a live contact has the phone
        (SD2 included).
        """
        ...

    async def phoneless(self, names: Collection[str], *, source: str) -> dict[str, Contact]:
        """Return live contacts of a source without a phone by name, the oldest of each, locked.

        A contact's name is its `full_name`; names match by `text.fold`, and the answer's keys
        are the folded names.
        """
        ...

    async def identities(
        self, identities: Collection[Identity], *, at: datetime
    ) -> dict[Identity, ContactIdentity]:
        """Return what is known of each identity, locked.

        One that nobody had is kept from now on, without a contact. Two transactions that ask for
        it at the same time come one after the other, so that they do not both make a contact.
        """
        ...

    async def identities_of(self, contact_ids: Collection[ContactId]) -> list[ContactIdentity]:
        """Return the identities of some contacts, deleted ones included, locked."""
        ...

    async def put_identities(self, rows: Collection[ContactIdentity]) -> None:
        """Store changed identities that this transaction got.

        Raises NotFound for a contact of another account.
        """
        ...


class PipelineStore(Protocol):
    """The pipelines of one account, each with its stages."""

    async def get(self, pipeline_id: PipelineId) -> Pipeline:
        """Return a pipeline, locked; raises NotFound."""
        ...

    async def of_stage(self, stage_id: StageId) -> Pipeline:
        """Return the pipeline that has the stage; raises NotFound for the stage.

        It stays as it is until the end, but others may read it so too (a shared lock).
        """
        ...

    async def by_kommo(self, kommo_ids: Collection[KommoId]) -> list[Pipeline]:
        """Return the pipelines with these Kommo ids, by id, each with a lock like `of_stage`."""
        ...

    async def default(self) -> Pipeline:
        """Return the default pipeline, with a shared lock like `of_stage`."""
        ...

    async def all(self) -> list[Pipeline]:
        """Return all pipelines, locked, by position and id."""
        ...

    async def add(self, new: NewPipeline, *, is_default: bool, at: datetime) -> Pipeline:
        """Store a pipeline behind the others, with its stages in order.

        Raises Conflict `duplicate_pipeline` when a pipeline has the name, ignoring case.
        """
        ...

    async def add_stages(self, pipeline_id: PipelineId, new: Sequence[NewStage]) -> None:
        """Put stages behind the pipeline's others; read the pipeline again to see them."""
        ...

    async def save(self, pipeline: Pipeline) -> None:
        """Store a pipeline and all of its stages as they are; stages left out are removed.

        Leads must have left a removed stage. Raises Conflict `duplicate_pipeline`.
        """
        ...

    async def remove(self, pipeline_id: PipelineId) -> None:
        """Remove a pipeline that no lead is in, with its stages."""
        ...


class TagStore(Protocol):
    """The tags of one account and their links."""

    async def get(self, tag_id: TagId) -> Tag:
        """Return a tag, locked; raises NotFound."""
        ...

    async def known(self, tag_ids: Collection[TagId]) -> set[TagId]:
        """Return which of the ids are tags of this account; they stay so until the end."""
        ...

    async def claim(
        self, names: Sequence[str], *, origin: TagOrigin, at: datetime
    ) -> list[tuple[Tag, bool]]:
        """Return each name's tag in the order given, and whether it was made now.

        Names are compared by `tags.tag_key`.
        """
        ...

    async def add(self, new: NewTag, *, origin: TagOrigin, at: datetime) -> Tag:
        """Store a tag; raises Conflict `tag_exists` with the id of the one that has the name."""
        ...

    async def save(self, tag: Tag) -> None:
        """Store a changed tag; raises Conflict `tag_exists` with the id (TG3)."""
        ...

    async def remove(self, tag_id: TagId) -> None:
        """Remove a tag and its links, nothing else (TG3)."""
        ...

    async def links(
        self, target: TagTarget, target_ids: Collection[int], *, origin: TagOrigin | None = None
    ) -> list[TagLink]:
        """Return the links (of one origin) of some targets, deleted ones included, sorted."""
        ...

    async def link(
        self, target: TagTarget, links: Collection[TagLink], *, origin: TagOrigin
    ) -> list[TagLink]:
        """Put tags on targets of this account; return the links that are new, sorted (TG1)."""
        ...

    async def unlink(self, target: TagTarget, links: Collection[TagLink]) -> list[TagLink]:
        """Take tags off; return the links that were there, sorted (TG2)."""
        ...


class ImportStore(Protocol):
    """The imports of one account."""

    async def get(self, import_id: ImportId) -> ImportJob:
        """Return an import, locked; raises NotFound."""
        ...

    async def add(self, draft: ImportDraft, content: bytes, *, at: datetime) -> ImportJob:
        """Keep an uploaded file.

        Raises Conflict `already_imported` with the id when the same file was imported as the
        same kind, overwriting or not as now, and did not fail.
        """
        ...

    async def content(self, import_id: ImportId) -> bytes:
        """Return the uploaded file."""
        ...

    async def save(self, job: ImportJob, outcomes: Sequence[RowOutcome]) -> None:
        """Store an import's progress and the outcomes of some more rows."""
        ...


class MemberStore(Protocol):
    """Who works in the account."""

    async def active(self, user_ids: Collection[UserId]) -> set[UserId]:
        """Return which of the users are active members (LD9)."""
        ...

    async def get(self, user_id: UserId) -> Membership:
        """Return a membership, locked; raises NotFound."""
        ...

    async def put(self, membership: Membership) -> None:
        """Store a membership, new or changed; at most one default per user."""
        ...

    async def remove(self, user_id: UserId) -> None:
        """End a membership."""
        ...


class AccountStore(Protocol):
    """The account itself, seen from inside."""

    async def get(self) -> Account:
        """Return the account, locked."""
        ...

    async def save(self, account: Account) -> None:
        """Store the changed account; raises Conflict `conflict` for a slug that is taken."""
        ...


class IdempotencyStore(Protocol):
    """The answers that one account's requests got, to be given again."""

    async def claim(self, request: Repeatable, *, at: datetime) -> StoredAnswer | None:
        """Return the request's answer, or None: it is new, and this transaction's alone.

        Claim before all else. Who claims what another transaction has claimed waits for its
        end, and then gets its answer, or the request if there is none: a claim that was undone,
        or for which nothing was kept, never was.
        Raises Conflict `idempotency_conflict` when the key stands for another request, and
        AlreadyRunning when the other transaction takes too long.
        """
        ...

    async def keep(self, request: Repeatable, answer: StoredAnswer) -> None:
        """Store the answer of a request that this transaction has claimed."""
        ...
