"""What devices still have to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clarin_core.domain.ids import DeviceId, MessageId, OutboxId
from clarin_core.domain.outbox import OutboxDraft, OutboxItem
from clarin_core.errors import NotFound
from clarin_core.ports.inbox import OutboxStore
from clarin_postgres.columns import Columns
from clarin_postgres.paging import struct, structs
from clarin_postgres.scope import Scope


def _details(draft: OutboxDraft) -> dict[str, Any]:
    return {"wa_message_ids": draft.wa_message_ids, "text": draft.text}


_ITEM = """o.id, o.kind, o.device_id, o.chat_id, o.message_id, o.expires_at, o.doubts,
    o.attempts, o.not_before, o.token, o.details -> 'wa_message_ids' as wa_message_ids,
    o.details -> 'text' as text"""
_DRAFT = {
    "kind": "text",
    "device_id": "bigint",
    "chat_id": "bigint",
    "message_id": "bigint",
    "details": "json",
    "expires_at": "timestamptz",
    "doubts": "smallint",
}
_PROGRESS = {
    "id": "bigint",
    "attempts": "smallint",
    "not_before": "timestamptz",
    "token": "bigint",
    "doubts": "smallint",
}
_NEW = Columns(_DRAFT, derived={"details": _details})
_CHANGED = Columns(_PROGRESS)

_ADD = f"""-- outbox.add
    with {_NEW.rows(3)},
    born as (
        insert into outbox as o (account_id, {_NEW.names}, attempts, not_before)
        select $1, {_NEW.values}, 0, $2 from n order by n.place
        returning o.id
    )
    select born.id from born order by born.id"""
_NEXT = f"""-- outbox.next
    select {_ITEM} from outbox o
    where o.account_id = $1 and o.device_id = $2 and o.token is null and o.not_before <= $3
        and not exists (
            select from outbox b
            where b.account_id = $1 and b.chat_id = o.chat_id and b.id < o.id)
    order by o.id limit 1"""
_AT_WORK = f"""-- outbox.at_work
    select {_ITEM} from outbox o
    where o.account_id = $1 and o.device_id = $2 and o.token is not null
    order by o.id"""
_OF_MESSAGE = f"""-- outbox.of_message
    select {_ITEM} from outbox o
    where o.account_id = $1 and o.message_id = $2
    order by o.id for no key update"""
_SAVE = f"""-- outbox.save
    with {_CHANGED.rows(2)}
    update outbox o set {_CHANGED.assignments} from n
    where o.account_id = $1 and o.id = n.id
    returning o.id"""
_REMOVE = """-- outbox.remove
    delete from outbox o where o.account_id = $1 and o.id = $2"""


@dataclass(frozen=True, slots=True)
class PostgresOutboxStore(OutboxStore):
    """What the devices of one account still have to do."""

    scope: Scope

    async def add(self, drafts: Sequence[OutboxDraft], *, at: datetime) -> list[OutboxItem]:
        """Store things to do, and return them in the order given, ids in that order, too."""
        if not drafts:
            return []
        rows = await self.scope.fetch(_ADD, at, *_NEW.arrays(drafts))
        return [_born(draft, row["id"], at) for draft, row in zip(drafts, rows, strict=True)]

    async def next(self, device_id: DeviceId, *, at: datetime) -> OutboxItem | None:
        """Return what a device does next: the oldest item that is due."""
        row = await self.scope.first(_NEXT, device_id, at)
        return None if row is None else struct(row, OutboxItem)

    async def at_work(self, device_id: DeviceId) -> list[OutboxItem]:
        """Return what was begun and not ended, oldest first."""
        return structs(await self.scope.fetch(_AT_WORK, device_id), OutboxItem)

    async def of_message(self, message_id: MessageId) -> list[OutboxItem]:
        """Return what is still to be done about a message, locked, oldest first."""
        return structs(await self.scope.fetch(_OF_MESSAGE, message_id), OutboxItem)

    async def save(self, item: OutboxItem) -> None:
        """Store how far an item is; raises NotFound."""
        if await self.scope.first(_SAVE, *_CHANGED.arrays([item])) is None:
            raise NotFound("outbox item", item.id)

    async def remove(self, item: OutboxItem) -> None:
        """Be done with it."""
        await self.scope.fetch(_REMOVE, item.id)


def _born(draft: OutboxDraft, item_id: int, at: datetime) -> OutboxItem:
    values = {name: getattr(draft, name) for name in OutboxDraft.__struct_fields__}
    values["wa_message_ids"] = list(draft.wa_message_ids)
    return OutboxItem(id=OutboxId(item_id), not_before=at, **values)
