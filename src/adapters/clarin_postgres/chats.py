"""Chats, inside a transaction."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clarin_core.domain.chats import Chat, ChatDraft
from clarin_core.domain.ids import ChatId, ContactId, DeviceId, MessageId
from clarin_core.domain.jid import Identity
from clarin_core.errors import Conflict, Contention, NotFound
from clarin_core.ports.inbox import ChatStore
from clarin_postgres.columns import Columns
from clarin_postgres.errors import POSTGRES
from clarin_postgres.paging import struct, structs
from clarin_postgres.scope import Scope
from clarin_postgres.search import searched
from clarin_postgres.totals import gain
from clarin_postgres.uniting import unite

CHAT = (
    "h.id, h.device_id, h.kind, h.value, h.contact_id, h.name, h.last_message, "
    "h.last_message_at, h.last_message_id, h.unread_count, h.read_up_to_at, h.read_up_to_id, "
    "h.cleared_up_to_at, h.cleared_up_to_id, h.is_archived, h.is_pinned, h.assigned_to, "
    "h.created_at, h.updated_at, h.version, h.deleted_at"
)
"""The columns of a chat `h`."""


def fields(columns: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that the columns of a chat hold; the server would be slower at it."""
    columns["identity"] = {"kind": columns["kind"], "value": columns["value"]}
    for mark in ("read_up_to", "cleared_up_to"):
        if f"{mark}_id" in columns:
            columns[mark] = columns[f"{mark}_at"], columns[f"{mark}_id"]
    return columns


_TRIES = 4  # The last one only sees that nothing is missing.

_DRAFT = {
    "device_id": "bigint",
    "kind": "text",
    "value": "text",
    "contact_id": "bigint",
    "name": "text",
    "search": "text",
}
_REST = {
    "id": "bigint",
    "last_message": "text",
    "last_message_at": "timestamptz",
    "last_message_id": "bigint",
    "unread_count": "integer",
    "read_up_to_at": "timestamptz",
    "read_up_to_id": "bigint",
    "cleared_up_to_at": "timestamptz",
    "cleared_up_to_id": "bigint",
    "is_archived": "boolean",
    "is_pinned": "boolean",
    "assigned_to": "bigint",
    "created_at": "timestamptz",
    "updated_at": "timestamptz",
    "version": "integer",
    "deleted_at": "timestamptz",
}
_WHOM = {
    "kind": lambda chat: chat.identity.kind.value,
    "value": lambda chat: chat.identity.value,
    "search": lambda chat: searched([chat.name]),
}
_PLACES = {
    "read_up_to_at": lambda chat: chat.read_up_to and chat.read_up_to.at,
    "read_up_to_id": lambda chat: chat.read_up_to and chat.read_up_to.id,
    "cleared_up_to_at": lambda chat: chat.cleared_up_to and chat.cleared_up_to.at,
    "cleared_up_to_id": lambda chat: chat.cleared_up_to and chat.cleared_up_to.id,
}
_NEW = Columns(_DRAFT, derived=_WHOM)
_CHANGED = Columns({**_DRAFT, **_REST}, derived={**_WHOM, **_PLACES})

_GET = f"""-- chats.get
    select {CHAT} from chats h
    where h.account_id = $1 and h.id = $2 and (h.deleted_at is not null) = $3
    for no key update"""
_GET_MANY = f"""-- chats.get_many
    select {CHAT} from chats h
    where h.account_id = $1 and h.id = any($2)
    order by h.id for no key update"""
# New ones in their order, so that two claims of the same ones wait and do not deadlock.
_CLAIM = f"""-- chats.claim
    with {_NEW.rows(3)},
    known as (
        select {CHAT} from chats h
        join n on n.device_id = h.device_id and n.kind = h.kind and n.value = h.value
        where h.account_id = $1
        order by h.id for no key update of h
    ),
    born as (
        insert into chats as h (
            account_id, {_NEW.names}, unread_count, is_archived, is_pinned,
            created_at, updated_at, version)
        select $1, {_NEW.values}, 0, false, false, $2, $2, 1 from n
        where not exists (
            select from chats h where h.account_id = $1
                and h.device_id = n.device_id and h.kind = n.kind and h.value = n.value)
        order by n.device_id, n.kind, n.value
        on conflict (account_id, device_id, kind, value) do nothing
        returning {CHAT}
    )
    select false as is_new, {CHAT} from known h
    union all
    select true, {CHAT} from born h"""
_OF_CONTACTS = f"""-- chats.of_contacts
    select {CHAT} from chats h
    where h.account_id = $1 and h.contact_id in (select unnest($2::bigint[]))
    order by h.id for no key update"""
_OF_IDENTITIES = f"""-- chats.of_identities
    select {CHAT} from chats h
    join unnest($2::text[], $3::text[]) as n(kind, value) on n.kind = h.kind and n.value = h.value
    where h.account_id = $1
        and h.device_id in (select d.id from devices d where d.account_id = $1)
    order by h.id for no key update of h"""
_SAVE = f"""-- chats.save
    with {_CHANGED.rows(2)},
    rival as (
        select h.id from chats h
        join n on n.device_id = h.device_id and n.kind = h.kind and n.value = h.value
        where h.account_id = $1 and h.id not in (select n.id from n)
        limit 1
    ),
    saved as (
        update chats h set {_CHANGED.assignments} from n
        where h.account_id = $1 and h.id = n.id and not exists (select from rival)
        returning h.id, {gain("chats", "h")} as gain
    )
    select (select rival.id from rival) as rival, array(select saved.id from saved) as ids,
        (select sum(saved.gain) from saved) as gain"""

Whom = tuple[DeviceId, Identity]


@dataclass(frozen=True, slots=True)
class PostgresChatStore(ChatStore):
    """The chats of one account."""

    scope: Scope

    async def get(self, chat_id: ChatId, *, deleted: bool = False) -> Chat:
        """Return a live chat (a deleted one when asked), locked; raises NotFound."""
        row = await self.scope.first(_GET, chat_id, deleted)
        if row is None:
            raise NotFound("chat", chat_id)
        return struct(row, Chat, fields)

    async def get_many(self, chat_ids: Collection[ChatId]) -> list[Chat]:
        """Return chats, deleted ones included, locked, by id; unknown ones are left out."""
        return structs(await self.scope.fetch(_GET_MANY, list(chat_ids)), Chat, fields)

    async def claim(self, drafts: Sequence[ChatDraft], *, at: datetime) -> list[tuple[Chat, bool]]:
        """Return each draft's chat, locked, in the order given, and whether it is new."""
        claimed = await self._claim({_whom(draft): draft for draft in reversed(drafts)}, at)
        answer = []
        for draft in drafts:
            chat, is_new = claimed[_whom(draft)]
            answer.append((chat, is_new))
            claimed[_whom(draft)] = chat, False
        return answer

    async def of_contacts(self, contact_ids: Collection[ContactId]) -> list[Chat]:
        """Return the chats of some contacts, deleted ones included, locked, by id."""
        return structs(await self.scope.fetch(_OF_CONTACTS, list(contact_ids)), Chat, fields)

    async def of_identities(self, identities: Collection[Identity]) -> list[Chat]:
        """Return the chats of some identities on any device, deleted ones included, by id."""
        wanted = set(identities)
        kinds = [identity.kind.value for identity in wanted]
        values = [identity.value for identity in wanted]
        return structs(await self.scope.fetch(_OF_IDENTITIES, kinds, values), Chat, fields)

    async def save(self, chats: Sequence[Chat]) -> None:
        """Store changed chats; raises Conflict `duplicate_chat`, NotFound for a stranger."""
        if not chats:
            return
        row = await self.scope.one(_SAVE, *_CHANGED.arrays(chats))
        if row["rival"] is not None:
            reason = "a chat has this device and identity"
            raise Conflict("duplicate_chat", reason, id=row["rival"])
        self.scope.gains.chats += row["gain"] or 0
        if missing := {chat.id for chat in chats}.difference(row["ids"]):
            raise NotFound("chat", min(missing))

    async def unite(self, survivor: ChatId, gone: ChatId) -> list[MessageId]:
        """Give a chat all that another one has, and remove that one; raises NotFound."""
        known = {chat.id for chat in await self.get_many([survivor, gone])}
        if missing := {survivor, gone} - known:
            raise NotFound("chat", min(missing))
        return await unite(self.scope, survivor, gone)

    async def _claim(
        self, wanted: dict[Whom, ChatDraft], at: datetime
    ) -> dict[Whom, tuple[Chat, bool]]:
        """Return chats by whom they are with; who claims one at the same time is waited for."""
        found: dict[Whom, tuple[Chat, bool]] = {}
        for _ in range(_TRIES):
            drafts = [draft for whom, draft in wanted.items() if whom not in found]
            if not drafts:
                return found
            for row in await self.scope.fetch(_CLAIM, at, *_NEW.arrays(drafts)):
                chat = struct(row, Chat, fields)
                found[_whom(chat)] = chat, bool(row["is_new"])
                self.scope.gains.chats += row["is_new"]
        raise Contention(POSTGRES)


def _whom(chat: ChatDraft) -> Whom:
    return chat.device_id, chat.identity
