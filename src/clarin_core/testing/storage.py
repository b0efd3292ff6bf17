"""The contract of a storage: every law of every noun, in one class to extend."""

from clarin_core.testing.accounts import AccountLaws
from clarin_core.testing.chat_lists import ChatListLaws
from clarin_core.testing.chats import ChatLaws
from clarin_core.testing.contact_identities import IdentityLaws
from clarin_core.testing.contact_lists import ContactListLaws
from clarin_core.testing.contacts import ContactLaws
from clarin_core.testing.devices import DeviceLaws, LeaseLaws
from clarin_core.testing.events import EventLaws
from clarin_core.testing.history import HistoryLaws
from clarin_core.testing.idempotency import IdempotencyLaws
from clarin_core.testing.imports import ImportLaws
from clarin_core.testing.kommo import KommoLaws
from clarin_core.testing.kommo_leases import KommoLeaseLaws
from clarin_core.testing.lead_lists import LeadListLaws
from clarin_core.testing.leads import LeadLaws
from clarin_core.testing.media import MediaLaws
from clarin_core.testing.members import MemberLaws
from clarin_core.testing.message_lists import MessageListLaws
from clarin_core.testing.messages import MessageLaws
from clarin_core.testing.outbox import OutboxLaws
from clarin_core.testing.paging import PagingLaws
from clarin_core.testing.pipelines import PipelineLaws
from clarin_core.testing.purge import PurgeLaws
from clarin_core.testing.quick_replies import QuickReplyLaws
from clarin_core.testing.replies import ReplyLaws
from clarin_core.testing.sign_in import SignInLaws
from clarin_core.testing.statements import StatementLaws
from clarin_core.testing.tags import TagLaws
from clarin_core.testing.tenancy import TenancyLaws
from clarin_core.testing.transactions import TransactionLaws
from clarin_core.testing.uniting import UnitingLaws


class StorageContract(
    TransactionLaws,
    EventLaws,
    TenancyLaws,
    PagingLaws,
    PurgeLaws,
    HistoryLaws,
    LeadLaws,
    LeadListLaws,
    ContactLaws,
    ContactListLaws,
    ChatLaws,
    ChatListLaws,
    UnitingLaws,
    MessageLaws,
    MessageListLaws,
    ReplyLaws,
    MediaLaws,
    OutboxLaws,
    IdentityLaws,
    PipelineLaws,
    TagLaws,
    QuickReplyLaws,
    DeviceLaws,
    LeaseLaws,
    KommoLaws,
    KommoLeaseLaws,
    ImportLaws,
    IdempotencyLaws,
    AccountLaws,
    MemberLaws,
    SignInLaws,
    StatementLaws,
):
    """What a storage must keep; extend it, and say in `open` how to open yours.

    class TestMyStorage(StorageContract):
        @classmethod
        def open(cls) -> AbstractAsyncContextManager[Storage]:
            return MyStorage("my://localhost/test", publisher=cls.publisher)
    """
