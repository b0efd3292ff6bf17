"""Quick replies."""

from dataclasses import dataclass
from datetime import datetime

from msgspec import UNSET

from clarin_core.domain.ids import QuickReplyId
from clarin_core.domain.paging import Page
from clarin_core.domain.quick_replies import (
    NewQuickReply,
    QuickReply,
    QuickReplyQuery,
    shortcut_key,
)
from clarin_core.errors import Conflict, Contention, NotFound
from clarin_core.ports.inbox import QuickReplyStore
from clarin_postgres.conditions import Conditions
from clarin_postgres.errors import POSTGRES
from clarin_postgres.paging import Listing, Order, page_of, struct
from clarin_postgres.reader import Reader
from clarin_postgres.scope import Scope
from clarin_postgres.search import searched, text_pattern

_REPLY = "q.id, q.shortcut, q.title, q.body, q.created_at, q.updated_at, q.version"
_BY_SHORTCUT = Order(("key", "id"), (str, int))
_LISTING = Listing(
    "quick_replies.page", "quick_replies q", "q", cut=f"{_REPLY}, q.key", shown=f"{_REPLY}, q.key"
)
_TRIES = 4

_GET = f"""-- quick_replies.get
    select {_REPLY} from quick_replies q where q.account_id = $1 and q.id = $2
    for no key update"""
_ADD = f"""-- quick_replies.add
    with known as (select q.id from quick_replies q where q.account_id = $1 and q.key = $2),
    born as (
        insert into quick_replies as q (
            account_id, key, shortcut, title, body, search, created_at, updated_at, version)
        select $1, $2, $3, $4, $5, $6, $7, $7, 1 where not exists (select from known)
        on conflict (account_id, key) do nothing
        returning {_REPLY}
    )
    select (select known.id from known) as rival, {_REPLY}
    from (select) one left join born q on true"""
_SAVE = """-- quick_replies.save
    with rival as (
        select q.id from quick_replies q where q.account_id = $1 and q.key = $3 and q.id <> $2
    ),
    saved as (
        update quick_replies q set key = $3, shortcut = $4, title = $5, body = $6, search = $7,
            created_at = $8, updated_at = $9, version = $10
        where q.account_id = $1 and q.id = $2 and not exists (select from rival)
        returning q.id
    )
    select (select rival.id from rival) as rival, (select saved.id from saved) as id"""
_REMOVE = """-- quick_replies.remove
    delete from quick_replies q where q.account_id = $1 and q.id = $2"""


@dataclass(frozen=True, slots=True)
class PostgresQuickReplyStore(QuickReplyStore):
    """The quick replies of one account."""

    scope: Scope

    async def get(self, quick_reply_id: QuickReplyId) -> QuickReply:
        """Return a quick reply, locked; raises NotFound."""
        row = await self.scope.first(_GET, quick_reply_id)
        if row is None:
            raise NotFound("quick reply", quick_reply_id)
        return struct(row, QuickReply)

    async def add(self, new: NewQuickReply, *, at: datetime) -> QuickReply:
        """Store a quick reply; raises Conflict `shortcut_exists` with the id of the other."""
        for _ in range(_TRIES):  # Who adds the same at the same time is waited for.
            row = await self.scope.one(_ADD, *_texts(new), at)
            if row["rival"] is not None:
                raise _exists(row["rival"])
            if row["id"] is not None:
                return struct(row, QuickReply)
        raise Contention(POSTGRES)

    async def save(self, quick_reply: QuickReply) -> None:
        """Store a changed one; raises Conflict `shortcut_exists` with the id."""
        row = await self.scope.one(
            _SAVE, quick_reply.id, *_texts(quick_reply), quick_reply.created_at,
            quick_reply.updated_at, quick_reply.version,
        )  # fmt: skip
        if row["rival"] is not None:
            raise _exists(row["rival"])
        if row["id"] is None:
            raise NotFound("quick reply", quick_reply.id)

    async def remove(self, quick_reply_id: QuickReplyId) -> None:
        """Remove a quick reply."""
        await self.scope.fetch(_REMOVE, quick_reply_id)


class QuickReplyViews(Reader):
    """What an account reads of its quick replies."""

    async def quick_replies(self, query: QuickReplyQuery) -> Page[QuickReply]:
        """Return quick replies by shortcut without regard to case."""
        where = Conditions("q.account_id = $1")
        if query.search is not UNSET:
            where.add("q.search like {0} escape '\\'", text_pattern(query.search))
        text = _LISTING.statement(query, _BY_SHORTCUT, where, account_id=self._account_id)
        rows = await self._fetch(text, *where.arguments)
        return page_of(rows, query, _BY_SHORTCUT, self._account_id, QuickReply)


def _texts(reply: NewQuickReply | QuickReply) -> tuple[str, ...]:
    """Return key, shortcut, title, body and what is searched."""
    texts = (reply.shortcut, reply.title, reply.body)
    return (shortcut_key(reply.shortcut), *texts, searched(texts))


def _exists(quick_reply_id: QuickReplyId) -> Conflict:
    return Conflict("shortcut_exists", "a quick reply has this shortcut", id=quick_reply_id)
