"""What the contract of a CRM is played on: the other side, whose people go on working."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from clarin_core.domain.ids import KommoId
from clarin_core.domain.remote import (
    RemoteContact,
    RemoteField,
    RemoteKind,
    RemoteLead,
    RemoteLink,
    RemotePage,
    RemotePipeline,
    RemoteReach,
    RemoteTag,
    RemoteValues,
)
from clarin_core.ports.crm import Crm, CrmConnection, CrmList, CrmSync

T = TypeVar("T")


class OtherSide(Protocol):
    """The account that is read: what people do there, each at the stage's time."""

    def now(self) -> datetime:
        """Return its time, to the second."""
        ...

    def add_pipeline(self, name: str, *stages: str) -> RemotePipeline:
        """Add a pipeline with an incoming stage, those stages, won and lost."""
        ...

    def add_user(self, name: str) -> KommoId:
        """Let somebody work there."""
        ...

    def add_tag(self, kind: RemoteKind, name: str) -> RemoteTag:
        """Add a tag of leads or of contacts."""
        ...

    def add_field(self, kind: RemoteKind, name: str) -> RemoteField:
        """Invent a field."""
        ...

    def add_lead(self, **values: object) -> KommoId:
        """Add a lead with these values of `RemoteLead`."""
        ...

    def add_contact(self, **values: object) -> KommoId:
        """Add a contact with these values of `RemoteContact`."""
        ...

    def change(
        self, kind: RemoteKind, id: KommoId, *, is_quiet: bool = False, **values: object
    ) -> None:
        """Change some values of a lead or contact; a quiet change leaves `updated_at` as it is."""
        ...

    def delete(self, kind: RemoteKind, *ids: KommoId) -> None:
        """Put some in the recycle bin."""
        ...

    def restore(self, kind: RemoteKind, *ids: KommoId) -> None:
        """Take some out of the recycle bin."""
        ...

    def purge(self, kind: RemoteKind, *ids: KommoId) -> None:
        """Empty the recycle bin of some."""
        ...

    def merge(self, kind: RemoteKind, keep: KommoId, gone: KommoId) -> None:
        """Let one become part of another."""
        ...


class CrmStage(Protocol):
    """A CRM, one account of it, and a connection that may read it.

    What people do is visible at once. Pages have at most `page_max` entities.
    """

    crm: Crm
    connection: CrmConnection
    other_side: OtherSide
    page_max: int

    def forward(self, seconds: float) -> None:
        """Let some time pass there."""
        ...

    def revoke(self) -> None:
        """Let the credentials count no more."""
        ...


CrmStory = Callable[[CrmStage, CrmSync], Awaitable[None]]


class CrmLaws:
    """Laws that are stories on a stage of their own."""

    patience_s = 60.0

    def open(self) -> AbstractAsyncContextManager[CrmStage]:
        """Return a stage on which nothing has happened."""
        raise NotImplementedError(f"{type(self).__name__} does not say how to open its stage")

    def tell(self, story: CrmStory) -> None:
        """Run a story on a loop of its own."""

        async def told() -> None:
            async with (
                asyncio.timeout(self.patience_s),
                self.open() as stage,
                stage.crm.connect(stage.connection) as crm,
            ):
                await story(stage, crm)

        asyncio.run(told())


async def all_of(fetch: Callable[[int], Awaitable[RemotePage[T]]]) -> list[T]:
    """Return a list from its first page to its last, if it keeps still; nothing is rejected."""
    items: list[T] = []
    number, has_next = 0, True
    while has_next:
        number += 1
        page = await fetch(number)
        assert page.rejected == []
        items += page.items
        has_next = page.has_next
    return items


async def all_leads(crm: CrmSync, since: datetime | None = None) -> list[KommoId]:
    """Return the ids of all leads of a list, in its order."""
    found = await all_of(lambda page: crm.leads(CrmList(since=since, page=page)))
    return [lead.id for lead in found]


async def all_contacts(crm: CrmSync, since: datetime | None = None) -> list[KommoId]:
    """Return the ids of all contacts of a list, in its order."""
    found = await all_of(lambda page: crm.contacts(CrmList(since=since, page=page)))
    return [contact.id for contact in found]


def some_lead(stage: CrmStage, *, name: str, number: int, price: Decimal | None) -> RemoteLead:
    """Add a lead with so many tags, contacts and fields; return what is to come."""
    side = stage.other_side
    pipeline = side.add_pipeline("Ventas", "Nuevo")
    values: dict[str, Any] = {
        "name": name,
        "price": price,
        "pipeline_id": pipeline.id,
        "stage_id": pipeline.stages[-1 if number else 1].id,
        "responsible_id": side.add_user("Vendedora") if number else None,
        "tags": [side.add_tag(RemoteKind.LEAD, f"Etiqueta {at}") for at in range(number)],
        "contacts": [
            RemoteLink(contact_id=KommoId(7 + at), is_main=at == number - 1) for at in range(number)
        ],
        "fields": filled(stage, RemoteKind.LEAD, number),
        "closed_at": side.now() if number else None,
    }
    id, at = side.add_lead(**values), side.now()
    return RemoteLead(id=id, created_at=at, updated_at=at, **values)


def some_contact(stage: CrmStage, name: str, phones: Sequence[str]) -> RemoteContact:
    """Add a contact with these phones; return what is to come."""
    side = stage.other_side
    values: dict[str, Any] = {
        "name": name,
        "first_name": name[:100].strip(),
        "last_name": "",
        "phones": [RemoteReach(text=text, label="MOB") for text in phones],
        "emails": [RemoteReach(text="luz@example.com", label="WORK")] if phones else [],
        "tags": [side.add_tag(RemoteKind.CONTACT, "VIP")] if phones else [],
        "responsible_id": side.add_user("Vendedora") if phones else None,
        "fields": filled(stage, RemoteKind.CONTACT, len(phones)),
    }
    id, at = side.add_contact(**values), side.now()
    return RemoteContact(id=id, created_at=at, updated_at=at, **values)


def filled(stage: CrmStage, kind: RemoteKind, number: int) -> list[RemoteValues]:
    """Return fields with values of several types."""
    values: tuple[list[Any], ...] = (["sí"], [1, 2.5], [True, None], [{"value": ["a"]}])
    fields = [stage.other_side.add_field(kind, f"Campo {at}") for at in range(number)]
    return [
        RemoteValues(field_id=one.id, name=one.name, code=one.code, type=one.type, values=some)
        for one, some in zip(fields, values, strict=False)
    ]
