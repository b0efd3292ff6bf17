"""One account's unit of work."""

from typing import Protocol

from clarin_core.domain.events import Event
from clarin_core.ports.stores import (
    AccountStore,
    ContactStore,
    IdempotencyStore,
    ImportStore,
    LeadStore,
    MemberStore,
    PipelineStore,
    TagStore,
)
from clarin_core.ports.views import Views


class Transaction(Protocol):
    """One account's rows and events, all or nothing."""

    account: AccountStore
    contacts: ContactStore
    idempotency: IdempotencyStore
    imports: ImportStore
    leads: LeadStore
    members: MemberStore
    pipelines: PipelineStore
    tags: TagStore

    @property
    def views(self) -> Views:
        """The account's reads as the transaction sees them: what it wrote is there, unlocked.

        The log is as it was, since it grows at the commit.
        """
        ...

    def emit(self, *events: Event) -> None:
        """Append events to the account's log, as they are now, when the transaction commits."""
        ...
