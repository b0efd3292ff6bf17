"""One account's unit of work."""

from typing import Protocol

from clarin_core.domain.events import Event
from clarin_core.ports.stores import (
    AccountStore,
    ContactStore,
    ImportStore,
    LeadStore,
    MemberStore,
    PipelineStore,
    TagStore,
)


class Transaction(Protocol):
    """One account's rows and events, all or nothing."""

    account: AccountStore
    contacts: ContactStore
    imports: ImportStore
    leads: LeadStore
    members: MemberStore
    pipelines: PipelineStore
    tags: TagStore

    def emit(self, *events: Event) -> None:
        """Append events to the account's log, as they are now, when the transaction commits."""
        ...
