"""What one account reads."""

from typing import Protocol

from clarin_core.domain.accounts import Account
from clarin_core.domain.chats import ChatDetail, ChatQuery, ChatView
from clarin_core.domain.contacts import (
    ContactIdentity,
    ContactQuery,
    ContactView,
    DuplicateGroup,
    DuplicateQuery,
)
from clarin_core.domain.devices import Device, DeviceQuery
from clarin_core.domain.events import EventPage, EventQuery, Position
from clarin_core.domain.ids import (
    ChatId,
    ContactId,
    DeviceId,
    ImportId,
    LeadId,
    MediaId,
    MessageId,
    PipelineId,
    StageId,
)
from clarin_core.domain.imports import ImportJob, ImportQuery, OutcomeQuery, RowOutcome
from clarin_core.domain.kommo import KommoCounts, KommoLink, KommoPipeline
from clarin_core.domain.leads import (
    LeadFilter,
    LeadQuery,
    LeadView,
    StageCount,
    StageLeadQuery,
    StageMove,
)
from clarin_core.domain.media import MediaView
from clarin_core.domain.members import Member, MemberQuery
from clarin_core.domain.messages import MessageQuery, MessageView
from clarin_core.domain.paging import Page, PageQuery
from clarin_core.domain.pipelines import Pipeline
from clarin_core.domain.quick_replies import QuickReply, QuickReplyQuery
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

    async def duplicates(self, query: DuplicateQuery) -> Page[DuplicateGroup]:
        """Return a page of groups of live contacts that may be one person; no groups of people."""
        ...

    async def chat(self, chat_id: ChatId) -> ChatDetail:
        """Return a live chat with its contact and leads; raises NotFound."""
        ...

    async def chats(self, query: ChatQuery) -> Page[ChatView]:
        """Return a page of the inbox: live chats, pinned ones first, then by `active_at`."""
        ...

    async def messages(self, chat_id: ChatId, query: MessageQuery) -> Page[MessageView]:
        """Return a page of a live chat's messages, newest first (CH5); raises NotFound.

        What lies at or before the place where the chat was cleared is hidden (CH18).
        """
        ...

    async def message(self, message_id: MessageId) -> MessageView:
        """Return a message that its chat's list shows; raises NotFound."""
        ...

    async def media(self, media_id: MediaId) -> MediaView:
        """Return what is known of a file; raises NotFound."""
        ...

    async def media_by_key(self, key: str) -> MediaView:
        """Return what is known of the file with a key; raises NotFound."""
        ...

    async def contact_identities(self, contact_id: ContactId) -> list[ContactIdentity]:
        """Return by what WhatsApp knows a live contact, by kind and value; raises NotFound."""
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
        """Return the tags of a live lead, contact or chat by name; raises NotFound."""
        ...

    async def quick_replies(self, query: QuickReplyQuery) -> Page[QuickReply]:
        """Return quick replies by shortcut without regard to case."""
        ...

    async def device(self, device_id: DeviceId) -> Device:
        """Return a device; raises NotFound."""
        ...

    async def devices(self, query: DeviceQuery) -> Page[Device]:
        """Return devices by id."""
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

    async def kommo(self) -> KommoLink:
        """Return the connection to Kommo; raises NotConfigured."""
        ...

    async def kommo_counts(self) -> KommoCounts:
        """Return how many rows the mirror of Kommo has."""
        ...

    async def kommo_pipelines(self) -> list[KommoPipeline]:
        """Return Kommo's pipelines in their order, as it said last; raises NotConfigured."""
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
