"""What one account reads."""

from typing import Protocol

from clarin_core.domain.accounts import Account
from clarin_core.domain.contacts import ContactQuery, ContactView
from clarin_core.domain.events import EventPage, EventQuery, Position
from clarin_core.domain.ids import ContactId, ImportId, LeadId, PipelineId, StageId
from clarin_core.domain.imports import ImportJob, ImportQuery, OutcomeQuery, RowOutcome
from clarin_core.domain.leads import (
    LeadFilter,
    LeadQuery,
    LeadView,
    StageCount,
    StageLeadQuery,
    StageMove,
)
from clarin_core.domain.members import Member, MemberQuery
from clarin_core.domain.paging import Page, PageQuery
from clarin_core.domain.pipelines import Pipeline
from clarin_core.domain.stats import Stats
from clarin_core.domain.tags import Tag, TagQuery, TagTarget


class Views(Protocol):
    """Reads of one account.

    Each method is **one** statement, whatever the number of rows, and sees one snapshot; a
    page's `seq` belongs to it. Lists are totally ordered, the id decides last. A foreign id
    is NotFound exactly like an unknown one; a filter by a foreign id matches nothing.
    """

    async def lead(self, lead_id: LeadId) -> LeadView:
        """Return a live lead; raises NotFound."""
        ...

    async def leads(self, query: LeadQuery) -> Page[LeadView]:
        """Return a page of leads, newest first unless sorted otherwise."""
        ...

    async def leads_by_stage(self, stage_id: StageId, query: StageLeadQuery) -> Page[LeadView]:
        """Return a page of a stage's live leads, newest first; raises NotFound."""
        ...

    async def lead_counts(self, query: LeadFilter) -> list[StageCount]:
        """Return the board's totals: a line for each stage, empty ones included, in order."""
        ...

    async def lead_history(self, lead_id: LeadId, query: PageQuery) -> Page[StageMove]:
        """Return a live lead's moves, newest first; raises NotFound."""
        ...

    async def contact(self, contact_id: ContactId) -> ContactView:
        """Return a live contact; raises NotFound."""
        ...

    async def contacts(self, query: ContactQuery) -> Page[ContactView]:
        """Return a page of contacts, newest first."""
        ...

    async def pipelines(self, query: PageQuery) -> Page[Pipeline]:
        """Return pipelines with their stages by position and id."""
        ...

    async def pipeline(self, pipeline_id: PipelineId) -> Pipeline:
        """Return a pipeline with its stages; raises NotFound."""
        ...

    async def tags(self, query: TagQuery) -> Page[Tag]:
        """Return tags by name without regard to case."""
        ...

    async def tags_of(self, target: TagTarget, target_id: int) -> list[Tag]:
        """Return the tags of a live lead or contact by name; raises NotFound."""
        ...

    async def members(self, query: MemberQuery) -> Page[Member]:
        """Return the people who work in the account by user id."""
        ...

    async def account(self) -> Account:
        """Return the account itself."""
        ...

    async def stats(self) -> Stats:
        """Return the account's counts."""
        ...

    async def imports(self, query: ImportQuery) -> Page[ImportJob]:
        """Return imports, newest first."""
        ...

    async def import_job(self, import_id: ImportId) -> ImportJob:
        """Return an import; raises NotFound."""
        ...

    async def import_outcomes(self, import_id: ImportId, query: OutcomeQuery) -> Page[RowOutcome]:
        """Return a page of an import's outcomes by row; raises NotFound."""
        ...

    async def import_content(self, import_id: ImportId) -> bytes:
        """Return the uploaded file; raises NotFound."""
        ...

    async def events(self, query: EventQuery) -> EventPage:
        """Return events after a number in order.

        The page ends early with the event that fills 4 MiB of JSON: only `position` tells
        where the log ends.
        Raises TooOld when the log no longer reaches back to it, or does not reach it yet.
        """
        ...

    async def position(self) -> Position:
        """Return where the log stands."""
        ...
