"""What one account reads, put together from its nouns."""

from clarin_core.domain.events import EventPage, EventQuery, Position
from clarin_core.ports.views import Views
from clarin_memory.accounts import AccountViews
from clarin_memory.chat_views import ChatViews
from clarin_memory.contacts import ContactViews
from clarin_memory.devices import DeviceViews
from clarin_memory.imports import ImportViews
from clarin_memory.kommo import KommoViews
from clarin_memory.leads import LeadViews
from clarin_memory.media import MediaViews
from clarin_memory.members import MemberViews
from clarin_memory.message_views import MessageViews
from clarin_memory.pipelines import PipelineViews
from clarin_memory.quick_replies import QuickReplyViews
from clarin_memory.state import AccountTables, Scope
from clarin_memory.tags import TagViews


class MemoryViews(
    LeadViews,
    ContactViews,
    ChatViews,
    MessageViews,
    MediaViews,
    PipelineViews,
    TagViews,
    QuickReplyViews,
    DeviceViews,
    MemberViews,
    AccountViews,
    ImportViews,
    KommoViews,
    Views,
):
    """All reads of one account."""

    async def events(self, query: EventQuery) -> EventPage:
        """Return events after a number in order; raises TooOld outside the log."""
        return self._space.log.read(query)

    async def position(self) -> Position:
        """Return where the log stands."""
        return self._space.log.position


class OpenViews(MemoryViews):
    """The reads of an open transaction; the log is as it was, since it grows at the commit."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope.shared, scope.account_id)
        self._written = scope.tables

    @property
    def _tables(self) -> AccountTables:
        return self._written
