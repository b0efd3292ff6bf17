"""What one account reads, put together from its nouns."""

from clarin_core.ports.views import Views
from clarin_postgres.accounts import AccountViews
from clarin_postgres.chat_views import ChatViews
from clarin_postgres.contact_views import ContactViews
from clarin_postgres.devices import DeviceViews
from clarin_postgres.events import EventViews
from clarin_postgres.imports import ImportViews
from clarin_postgres.kommo import KommoViews
from clarin_postgres.lead_views import LeadViews
from clarin_postgres.media import MediaViews
from clarin_postgres.members import MemberViews
from clarin_postgres.message_views import MessageViews
from clarin_postgres.pipelines import PipelineViews
from clarin_postgres.quick_replies import QuickReplyViews
from clarin_postgres.tags import TagViews


class PostgresViews(
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
    EventViews,
    Views,
):
    """All reads of one account."""
