"""Leads: opportunities on their way through a pipeline.

A lead's name, notes and place are its own. Phone, e-mail, company, last and short name and
age belong to its contact (CT9): they are read from there and edited there, never copied.
"""

from datetime import datetime
from enum import Enum
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, field
from msgspec.structs import force_setattr

from clarin_core.domain.command import Age, Change, Command, Email, Name, Notes, Phone, ShortName
from clarin_core.domain.custom_fields import CustomFields, check_custom_fields
from clarin_core.domain.entity import Perishable
from clarin_core.domain.ids import ContactId, KommoId, LeadId, PipelineId, StageId, TagId, UserId
from clarin_core.domain.paging import (
    CursorText,
    Paged,
    PageLimit,
    PageNumber,
    PageQuery,
    SearchText,
)
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.pipelines import Pipeline, Stage, StageKind
from clarin_core.domain.tags import TagName, clean_tag_names
from clarin_core.domain.time import Instant, check_instant
from clarin_core.errors import Invalid

PERSON_FIELDS = ("phone", "email", "company", "last_name", "short_name", "age")

Amount = Annotated[int, Meta(ge=0, le=2**53)]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$", max_length=3)]
TagIds = Annotated[frozenset[TagId], Meta(min_length=1, max_length=100)]
TagNames = Annotated[frozenset[TagName], Meta(max_length=100)]


class LeadStatus(Enum):
    """How far a lead has come; won and lost are its ends."""

    NEW = "new"
    CONTACTED = "contacted"
    QUALIFIED = "qualified"
    PROPOSAL = "proposal"
    WON = "won"
    LOST = "lost"


_ENDS = {StageKind.WON: LeadStatus.WON, StageKind.LOST: LeadStatus.LOST}
_KIND_OF_END = {status: kind for kind, status in _ENDS.items()}


class LeadDraft(Struct, kw_only=True, omit_defaults=True):
    """What a lead says; `value` counts minor units of `currency`."""

    contact_id: ContactId | None = None
    name: str | None = None
    status: LeadStatus
    pipeline_id: PipelineId | None = None
    stage_id: StageId | None = None
    source: str | None = None
    notes: str | None = None
    custom_fields: dict[str, Any] = {}
    assigned_to: UserId | None = None
    value: int | None = None
    currency: str | None = None
    loss_reason: str | None = None
    closed_at: datetime | None = None
    kommo_id: KommoId | None = None


class StageMove(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a lead's history; the last one is where the lead is."""

    lead_id: LeadId
    from_stage: StageId | None = None
    to_stage: StageId
    actor: UserId | None = None
    at: datetime


class Lead(LeadDraft, Perishable, kw_only=True, omit_defaults=True):
    """The entity: the only place where a lead changes."""

    id: LeadId
    created_at: datetime
    updated_at: datetime
    version: int
    deleted_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether the lead may still be won."""
        return self.status not in _KIND_OF_END and self.deleted_at is None

    def move(
        self, pipeline: Pipeline, stage: Stage, *, by: UserId | None, at: datetime
    ) -> StageMove | None:
        """Enter `stage`; None, and nothing changed, if the lead is there already (LD4)."""
        before = self.stage_id
        if stage.id == before:
            return None
        self.alter(self.place(pipeline, stage, at=at), at=at)
        return StageMove(lead_id=self.id, from_stage=before, to_stage=stage.id, actor=by, at=at)

    def place(self, pipeline: Pipeline, stage: Stage, *, at: datetime) -> dict[str, Any]:
        """Return the values of this lead in `stage`: the pipeline and the status follow."""
        status = self.end(status_in(stage, self.status), at=at)
        return {"pipeline_id": pipeline.id, "stage_id": stage.id, **status}

    def end(self, status: LeadStatus, *, at: datetime) -> dict[str, Any]:
        """Return the values of this lead with `status`: won and lost close it (LD5).

        Another end has a time of its own, and only a loss has a reason.
        """
        before = self.closed_at if status is self.status else None
        values = {"status": status, "closed_at": (before or at) if status in _KIND_OF_END else None}
        return values if status is LeadStatus.LOST else values | {"loss_reason": None}


class LeadView(Lead, kw_only=True, omit_defaults=True):
    """A lead as it is read: with its person, its stage's name and its tags, names sorted.

    `name` is the lead's own, else its contact's display name; `contact_name` the latter.
    """

    contact_name: str | None = None
    phone: PhoneNumber | None = None
    email: str | None = None
    company: str | None = None
    last_name: str | None = None
    short_name: str | None = None
    age: int | None = None
    stage_name: str | None = None
    tags: list[str]
    tag_ids: list[TagId]


class NewLead(Command, frozen=True, kw_only=True):
    """A lead to be: a name, a phone or a contact is needed (LD1).

    Without a stage it enters the first one of the pipeline, by default the default pipeline's.
    """

    name: Name | None = None
    contact_id: ContactId | None = None
    phone: Phone | None = None
    email: Email | None = None
    company: Name | None = None
    last_name: Name | None = None
    short_name: ShortName | None = None
    age: Age | None = None
    pipeline_id: PipelineId | None = None
    stage_id: StageId | None = None
    status: LeadStatus | None = None
    source: ShortName | None = None
    notes: Notes | None = None
    custom_fields: CustomFields = field(default_factory=dict)
    assigned_to: UserId | None = None
    value: Amount | None = None
    currency: Currency | None = None
    tags: TagNames = frozenset()
    tag_ids: Annotated[frozenset[TagId], Meta(max_length=100)] = frozenset()
    allow_duplicate: bool = False

    def __post_init__(self) -> None:
        """Raise Invalid for a lead of whom nothing is known, or with odd custom fields."""
        super().__post_init__()
        check_custom_fields(self.custom_fields)
        force_setattr(self, "tags", clean_tag_names("tags", self.tags))
        if self.name is None and self.phone is None and self.contact_id is None:
            raise Invalid("name", "or phone or contact_id is needed")


class LeadChange(Change, frozen=True, kw_only=True):
    """A partial update; the person's fields change the lead's contact (CT9)."""

    name: Name | UnsetType | None = UNSET
    contact_id: ContactId | UnsetType | None = UNSET
    phone: Phone | UnsetType | None = UNSET
    email: Email | UnsetType | None = UNSET
    company: Name | UnsetType | None = UNSET
    last_name: Name | UnsetType | None = UNSET
    short_name: ShortName | UnsetType | None = UNSET
    age: Age | UnsetType | None = UNSET
    stage_id: StageId | UnsetType = UNSET
    status: LeadStatus | UnsetType = UNSET
    source: ShortName | UnsetType | None = UNSET
    notes: Notes | UnsetType | None = UNSET
    custom_fields: CustomFields | UnsetType = UNSET
    assigned_to: UserId | UnsetType | None = UNSET
    value: Amount | UnsetType | None = UNSET
    currency: Currency | UnsetType | None = UNSET
    loss_reason: Name | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        """Raise Invalid for custom fields that are too large or not clean."""
        super().__post_init__()
        check_custom_fields(self.custom_fields)

    def person(self) -> dict[str, Any]:
        """Return the given values that belong to the contact."""
        return {k: v for k, v in self.values().items() if k in PERSON_FIELDS}

    def own(self) -> dict[str, Any]:
        """Return the given values that belong to the lead alone and follow no rule."""
        ruled = (*PERSON_FIELDS, "contact_id", "stage_id", "status", "assigned_to")
        return {k: v for k, v in self.values().items() if k not in ruled}


class StatusChange(Change, frozen=True, kw_only=True):
    """A new status."""

    status: LeadStatus


class StageChoice(Change, frozen=True, kw_only=True):
    """A new stage."""

    stage_id: StageId


class LeadIds(Command, frozen=True, kw_only=True):
    """Some leads; doubles count once."""

    ids: Annotated[frozenset[LeadId], Meta(min_length=1, max_length=500)]


class LeadSort(Enum):
    """Orders of a list of leads; the id decides between equals."""

    NEWEST = "newest"
    OLDEST = "oldest"
    UPDATED = "updated"


class TagsMode(Enum):
    """Whether a lead needs one of the tags or all of them (TG4)."""

    ANY = "any"
    ALL = "all"


class LeadFilter(Command, frozen=True, kw_only=True):
    """Which leads."""

    search: SearchText | UnsetType = UNSET
    status: LeadStatus | UnsetType = UNSET
    pipeline_id: PipelineId | UnsetType = UNSET
    stage_id: StageId | UnsetType = UNSET
    contact_id: ContactId | UnsetType = UNSET
    assigned_to: UserId | UnsetType = UNSET
    tag_ids: TagIds | UnsetType = UNSET
    tags_mode: TagsMode = TagsMode.ANY
    phone: Phone | UnsetType = UNSET
    source: ShortName | UnsetType = UNSET
    created_from: Instant | UnsetType = UNSET
    created_to: Instant | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Bound the instants; raises Invalid."""
        super().__post_init__()
        for name in ("created_from", "created_to"):
            if (at := getattr(self, name)) is not UNSET:
                force_setattr(self, name, check_instant(name, at))


class LeadQuery(LeadFilter, Paged, frozen=True, kw_only=True):
    """Leads that are live, or `deleted` and can still be restored."""

    page: PageNumber = 1
    limit: PageLimit = 50
    after: CursorText | UnsetType = UNSET
    sort: LeadSort = LeadSort.NEWEST
    deleted: bool = False

    def __post_init__(self) -> None:
        """Bound the offset like every query for a page."""
        super().__post_init__()
        self.check_depth()


class StageLeadQuery(PageQuery, frozen=True, kw_only=True):
    """One column of the board, newest first."""


class StageCount(Struct, frozen=True, kw_only=True):
    """How many live leads a stage holds, and their value in minor units."""

    pipeline_id: PipelineId
    stage_id: StageId
    count: int
    value: int


def status_in(stage: Stage, status: LeadStatus) -> LeadStatus:
    """Return the status of a lead that enters `stage` with `status` (LD5)."""
    if stage.kind in _ENDS:
        return _ENDS[stage.kind]
    return LeadStatus.CONTACTED if status in _KIND_OF_END else status


def stage_for(pipeline: Pipeline, status: LeadStatus, current: StageId | None) -> Stage | None:
    """Return where a lead goes that gets this status, None to stay (LD6).

    Won and lost have stages of their own; out of these the others lead back to an open one.
    """
    kind = _KIND_OF_END.get(status, StageKind.OPEN)
    here = next((stage for stage in pipeline.stages if stage.id == current), None)
    if here and here.kind is kind:
        return None
    return pipeline.first(kind)


def check_status(pipeline: Pipeline, stage: Stage, status: LeadStatus) -> None:
    """Raise Invalid for a stage and a status that contradict each other (LD5, LD6)."""
    if _ENDS.get(stage.kind, status) is not status or stage_for(pipeline, status, stage.id):
        raise Invalid("status", f"does not go with the stage {stage.name}")
