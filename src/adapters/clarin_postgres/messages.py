"""Messages, inside a transaction."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from clarin_core.domain.chats import Chat
from clarin_core.domain.ids import ChatId, MessageId
from clarin_core.domain.messages import (
    UNSETTLED,
    Mark,
    Message,
    MessageDraft,
    Place,
)
from clarin_core.domain.replies import Reaction, Vote
from clarin_core.errors import Conflict, NotFound
from clarin_core.ports.inbox import MessageStore, Tally, WaKey
from clarin_postgres.connection import Row
from clarin_postgres.marks import keys_of, put_marks, take_marks, take_ripe_marks
from clarin_postgres.message_columns import CHANGED, MESSAGE, NEW, fields
from clarin_postgres.paging import struct, structs
from clarin_postgres.replies import REACTIONS, VOTES, keep, votes_on
from clarin_postgres.scope import Scope
from clarin_postgres.tallies import ends, tally, unread

_IN_KEYS = """from unnest($2::bigint[], $3::text[]) as k(chat_id, wa_message_id)
    join messages m on m.chat_id = k.chat_id and m.wa_message_id = k.wa_message_id
    where m.account_id = $1"""

_GET = f"""-- messages.get
    select {MESSAGE} from messages m where m.account_id = $1 and m.id = $2 for no key update"""
_BY_WA = f"""-- messages.by_wa
    select {MESSAGE} {_IN_KEYS} order by m.id for no key update of m"""
_UNSETTLED = f"""-- messages.unsettled
    select {MESSAGE} from messages m
    where m.account_id = $1 and m.chat_id in (select unnest($2::bigint[]))
        and m.status in ({", ".join(f"'{status.value}'" for status in UNSETTLED)})
    order by m.id for no key update"""
# All chats are locked before the first row is written, so that batches which bring the same
# messages in another order wait and do not deadlock.
_ADD = f"""-- messages.add
    with {NEW.rows(3)},
    held as (
        select h.id from chats h
        where h.account_id = $1 and h.id in (select n.chat_id from n)
        order by h.id for no key update
    ),
    born as (
        insert into messages as m (account_id, {NEW.names}, created_at, updated_at, version)
        select $1, {NEW.values}, $2, $2, 1 from n, (select count(held.id) from held) as all_held
        order by n.place
        on conflict (account_id, chat_id, wa_message_id) where wa_message_id is not null do nothing
        returning m.id, m.chat_id, m.wa_message_id
    )
    select b.id, b.chat_id, b.wa_message_id from born b order by b.id"""
_SAVE = f"""-- messages.save
    with {CHANGED.rows(2)},
    rival as (
        select m.id from messages m
        join n on n.chat_id = m.chat_id and n.wa_message_id = m.wa_message_id
        where m.account_id = $1 and m.id not in (select n.id from n)
        limit 1
    ),
    saved as (
        update messages m set {CHANGED.assignments} from n
        where m.account_id = $1 and m.id = n.id and not exists (select from rival)
        returning m.id
    )
    select (select rival.id from rival) as rival, array(select saved.id from saved) as ids"""
_REMOVE = """-- messages.remove
    delete from messages m where m.account_id = $1 and m.id = any($2)"""


@dataclass(frozen=True, slots=True)
class PostgresMessageStore(MessageStore):
    """The messages of one account."""

    scope: Scope

    async def get(self, message_id: MessageId) -> Message:
        """Return a message, locked; raises NotFound."""
        row = await self.scope.first(_GET, message_id)
        if row is None:
            raise NotFound("message", message_id)
        return struct(row, Message, fields)

    async def by_wa(self, keys: Collection[WaKey]) -> dict[WaKey, Message]:
        """Return the messages that WhatsApp names so, locked."""
        found = structs(await self.scope.fetch(_BY_WA, *keys_of(keys)), Message, fields)
        return {(one.chat_id, one.wa_message_id): one for one in found if one.wa_message_id}

    async def unsettled(self, chat_ids: Collection[ChatId]) -> list[Message]:
        """Return the messages that are sending or of unknown outcome, locked, by id."""
        return structs(await self.scope.fetch(_UNSETTLED, list(chat_ids)), Message, fields)

    async def add(self, drafts: Sequence[MessageDraft], *, at: datetime) -> list[Message | None]:
        """Store messages, and return them in the order given; None for one that is there."""
        if not drafts:
            return []
        ids = _ids(drafts, await self.scope.fetch(_ADD, at, *NEW.arrays(drafts)))
        return [
            None if message_id is None else _born(draft, message_id, at)
            for draft, message_id in zip(drafts, ids, strict=True)
        ]

    async def save(self, messages: Sequence[Message]) -> None:
        """Store changed messages; raises Conflict `duplicate_message`, NotFound."""
        if not messages:
            return
        row = await self.scope.one(_SAVE, *CHANGED.arrays(messages))
        if row["rival"] is not None:
            raise Conflict("duplicate_message", "a message has this id", id=row["rival"])
        if missing := {message.id for message in messages}.difference(row["ids"]):
            raise NotFound("message", min(missing))

    async def remove(self, message_ids: Collection[MessageId]) -> None:
        """Remove messages, and what was still to be done for them."""
        await self.scope.fetch(_REMOVE, list(message_ids))

    async def tally(self, chats: Collection[Chat]) -> dict[ChatId, Tally]:
        """Count anew what some chats have to show (CH6, CH7)."""
        return await tally(self.scope, chats)

    async def ends(self, chat_ids: Collection[ChatId]) -> dict[ChatId, Place]:
        """Return where the greatest message of each chat stands, revoked or not."""
        return await ends(self.scope, chat_ids)

    async def unread(self, chat: Chat, up_to: Place, *, limit: int) -> list[str]:
        """Return WhatsApp's ids of a chat's unread messages up to a place, the newest first."""
        return await unread(self.scope, chat, up_to, limit=limit)

    async def take_marks(self, keys: Collection[WaKey]) -> dict[WaKey, Mark]:
        """Remove and return what was said of messages before they came."""
        return await take_marks(self.scope, keys)

    async def take_ripe_marks(self, chat_id: ChatId) -> list[Mark]:
        """Remove and return the marks of a chat whose message is there, by WhatsApp's id."""
        return await take_ripe_marks(self.scope, chat_id)

    async def put_marks(self, marks: Collection[Mark], *, at: datetime) -> None:
        """Keep what was said of messages that are not there."""
        await put_marks(self.scope, marks, at=at)

    async def react(self, reactions: Sequence[Reaction]) -> list[Reaction]:
        """Keep reactions, and return those that changed something, in the order given."""
        return await keep(self.scope, REACTIONS, reactions)

    async def vote(self, votes: Sequence[Vote]) -> list[Vote]:
        """Keep votes like reactions."""
        return await keep(self.scope, VOTES, votes)

    async def votes(self, keys: Collection[WaKey]) -> list[Vote]:
        """Return the votes that count on some messages, those of one in the order of voters."""
        return await votes_on(self.scope, keys)


def _ids(drafts: Sequence[MessageDraft], rows: Iterable[Row]) -> list[MessageId | None]:
    """Return the ids that the drafts got; rows without an id of WhatsApp's are in their order."""
    kept = list(rows)
    nameless = iter([row["id"] for row in kept if row["wa_message_id"] is None])
    named = {(row["chat_id"], row["wa_message_id"]): row["id"] for row in kept}
    return [
        next(nameless)
        if draft.wa_message_id is None
        else named.pop((draft.chat_id, draft.wa_message_id), None)
        for draft in drafts
    ]


def _born(draft: MessageDraft, message_id: MessageId, at: datetime) -> Message:
    values = {name: getattr(draft, name) for name in MessageDraft.__struct_fields__}
    values |= {"cards": list(draft.cards), "edits": list(draft.edits)}
    return Message(id=message_id, created_at=at, updated_at=at, version=1, **values)
