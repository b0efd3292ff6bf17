"""Tags and what they are on."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec import UNSET

from clarin_core.domain.ids import TagId
from clarin_core.domain.paging import Page
from clarin_core.domain.pipelines import DEFAULT_COLOR
from clarin_core.domain.tags import (
    NewTag,
    Tag,
    TagLink,
    TagOrigin,
    TagQuery,
    TagTarget,
    tag_key,
    tag_name,
)
from clarin_core.errors import Conflict, Contention, NotFound
from clarin_core.ports.stores import TagStore
from clarin_postgres.conditions import Conditions
from clarin_postgres.connection import Row
from clarin_postgres.errors import POSTGRES
from clarin_postgres.paging import Listing, Order, page_of, struct, structs
from clarin_postgres.reader import Reader
from clarin_postgres.scope import Scope
from clarin_postgres.search import searched, text_pattern

_TAG = "t.id, t.name, t.color, t.origin, t.kommo_id, t.created_at, t.updated_at, t.version"
_BY_NAME = Order(("key", "id"), (str, int))
_LISTING = Listing("tags.page", "tags t", "t", cut=f"{_TAG}, t.key", shown=f"{_TAG}, t.key")
_TRIES = 4  # The last one only sees that nothing is missing.

_GET = f"""-- tags.get
    select {_TAG} from tags t where t.account_id = $1 and t.id = $2 for no key update"""
_KNOWN = """-- tags.known
    select t.id from tags t where t.account_id = $1 and t.id = any($2)
    order by t.id for key share"""
# The order of the keys, so that two claims which name the same ones wait and do not deadlock.
_CLAIM = f"""-- tags.claim
    with known as (
        select {_TAG}, t.key from tags t
        where t.account_id = $1 and t.key = any($2) order by t.id for share
    ),
    born as (
        insert into tags as t (
            account_id, name, key, search, color, origin, created_at, updated_at, version)
        select $1, n.name, n.key, n.search, $5, $6, $7, $7, 1
        from unnest($2::text[], $3::text[], $4::text[]) as n(key, name, search)
        where not exists (select from known where known.key = n.key)
        order by n.key
        on conflict (account_id, key) do nothing
        returning {_TAG}, t.key
    )
    select false as is_new, {_TAG}, t.key from known t
    union all
    select true, {_TAG}, t.key from born t"""
_SAVE = """-- tags.save
    with rival as (
        select t.id from tags t where t.account_id = $1 and t.key = $4 and t.id <> $2
    ),
    saved as (
        update tags t set name = $3, key = $4, search = $5, color = $6, origin = $7, kommo_id = $8,
            created_at = $9, updated_at = $10, version = $11
        where t.account_id = $1 and t.id = $2 and not exists (select from rival)
        returning t.id
    )
    select (select rival.id from rival) as rival, (select saved.id from saved) as id"""
_REMOVE = """-- tags.remove
    delete from tags t where t.account_id = $1 and t.id = $2"""

_TABLES = {
    TagTarget.LEAD: ("lead_tags", "lead_id", "leads"),
    TagTarget.CONTACT: ("contact_tags", "contact_id", "contacts"),
    TagTarget.CHAT: ("chat_tags", "chat_id", "chats"),
}
_LINK = {
    target: f"""-- tags.link
        insert into {links} as x (account_id, {column}, tag_id, origin)
        select distinct $1::bigint, n.target_id, n.tag_id, $4
        from unnest($2::bigint[], $3::bigint[]) as n(target_id, tag_id)
        order by n.target_id, n.tag_id
        on conflict do nothing
        returning x.{column} as target_id, x.tag_id"""
    for target, (links, column, _) in _TABLES.items()
}
_LINKS = {
    target: f"""-- tags.links
        select x.{column} as target_id, x.tag_id from {links} x
        where x.account_id = $1 and x.{column} = any($2) and x.origin = any($3)"""
    for target, (links, column, _) in _TABLES.items()
}
_UNLINK = {
    target: f"""-- tags.unlink
        delete from {links} x using unnest($2::bigint[], $3::bigint[]) as n(target_id, tag_id)
        where x.account_id = $1 and x.{column} = n.target_id and x.tag_id = n.tag_id
        returning x.{column} as target_id, x.tag_id"""
    for target, (links, column, _) in _TABLES.items()
}
_TAGS_OF = {
    target: f"""-- tags.of_{target.value}
        select {_TAG} from {table} r
        left join {links} x on x.account_id = r.account_id and x.{column} = r.id
        left join tags t on t.account_id = x.account_id and t.id = x.tag_id
        where r.account_id = $1 and r.id = $2 and r.deleted_at is null
        order by t.key, t.id"""
    for target, (links, column, table) in _TABLES.items()
}


@dataclass(frozen=True, slots=True)
class PostgresTagStore(TagStore):
    """The tags of one account and their links."""

    scope: Scope

    async def get(self, tag_id: TagId) -> Tag:
        """Return a tag, locked; raises NotFound."""
        row = await self.scope.first(_GET, tag_id)
        if row is None:
            raise NotFound("tag", tag_id)
        return struct(row, Tag)

    async def known(self, tag_ids: Collection[TagId]) -> set[TagId]:
        """Return which of the ids are tags of this account; they stay so until the end."""
        return {row["id"] for row in await self.scope.fetch(_KNOWN, list(tag_ids))}

    async def claim(
        self, names: Sequence[str], *, origin: TagOrigin, at: datetime
    ) -> list[tuple[Tag, bool]]:
        """Return each name's tag in the order given, and whether it was made now.

        The tags have a shared lock: they stay as they are, and others may claim them too.
        """
        spellings = {tag_key(name): name for name in reversed(names)}
        rows = await self._claim(spellings, origin, at)
        tags = {row["key"]: struct(row, Tag) for row in rows}
        new = {row["key"] for row in rows if row["is_new"]}
        answer = []
        for name in names:
            key = tag_key(name)
            answer.append((tags[key], key in new))
            new.discard(key)
        return answer

    async def add(self, new: NewTag, *, origin: TagOrigin, at: datetime) -> Tag:
        """Store a tag; raises Conflict `tag_exists` with the id of the one that has the name."""
        (row,) = await self._claim({tag_key(new.name): new.name}, origin, at, color=new.color)
        tag = struct(row, Tag)
        if not row["is_new"]:
            raise _exists(tag.id)
        return tag

    async def save(self, tag: Tag) -> None:
        """Store a changed tag; raises Conflict `tag_exists` with the id (TG3)."""
        row = await self.scope.one(
            _SAVE, tag.id, tag.name, tag_key(tag.name), searched([tag.name]), tag.color,
            tag.origin.value, tag.kommo_id, tag.created_at, tag.updated_at, tag.version,
        )  # fmt: skip
        if row["rival"] is not None:
            raise _exists(row["rival"])
        if row["id"] is None:
            raise NotFound("tag", tag.id)

    async def remove(self, tag_id: TagId) -> None:
        """Remove a tag and its links, nothing else (TG3)."""
        await self.scope.fetch(_REMOVE, tag_id)

    async def links(
        self, target: TagTarget, target_ids: Collection[int], *, origin: TagOrigin | None = None
    ) -> list[TagLink]:
        """Return the links (of one origin) of some targets, deleted ones included, sorted."""
        origins = [one.value for one in TagOrigin if origin in (None, one)]
        rows = await self.scope.fetch(_LINKS[target], list(target_ids), origins)
        return sorted(structs(rows, TagLink))

    async def link(
        self, target: TagTarget, links: Collection[TagLink], *, origin: TagOrigin
    ) -> list[TagLink]:
        """Put tags on targets; return the new links, sorted (TG1).

        Raises NotFound, and links nothing, for a tag or a target of another account.
        """
        return await self._change_links(_LINK[target], links, origin.value)

    async def unlink(self, target: TagTarget, links: Collection[TagLink]) -> list[TagLink]:
        """Take tags off; return the links that were there, sorted (TG2)."""
        return await self._change_links(_UNLINK[target], links)

    async def _change_links(
        self, text: str, links: Collection[TagLink], *arguments: object
    ) -> list[TagLink]:
        if not links:
            return []
        targets, tags = [link.target_id for link in links], [link.tag_id for link in links]
        return sorted(structs(await self.scope.fetch(text, targets, tags, *arguments), TagLink))

    async def _claim(
        self,
        spellings: dict[str, str],
        origin: TagOrigin,
        at: datetime,
        *,
        color: str = DEFAULT_COLOR,
    ) -> list[Row]:
        """Return a row for each key; who claims one at the same time is waited for."""
        found: dict[str, Row] = {}
        for _ in range(_TRIES):
            keys = [key for key in spellings if key not in found]
            if not keys:
                return list(found.values())
            shown = [tag_name(spellings[key]) for key in keys]
            folded = [searched([name]) for name in shown]
            rows = await self.scope.fetch(_CLAIM, keys, shown, folded, color, origin.value, at)
            found |= {row["key"]: row for row in rows}
        raise Contention(POSTGRES)


class TagViews(Reader):
    """What an account reads of its tags."""

    async def tags(self, query: TagQuery) -> Page[Tag]:
        """Return tags by name without regard to case."""
        where = Conditions("t.account_id = $1")
        if query.search is not UNSET:
            where.add("t.search like {0} escape '\\'", text_pattern(query.search))
        text = _LISTING.statement(query, _BY_NAME, where, account_id=self._account_id)
        rows = await self._fetch(text, *where.arguments)
        return page_of(rows, query, _BY_NAME, self._account_id, Tag)

    async def tags_of(self, target: TagTarget, target_id: int) -> list[Tag]:
        """Return the tags of a live lead, contact or chat by name; raises NotFound."""
        rows = await self._fetch(_TAGS_OF[target], target_id)
        if not rows:
            raise NotFound(target.value, target_id)
        return structs([row for row in rows if row["id"] is not None], Tag)


def tags_beside(links: str, column: str, target: str) -> str:
    """Return the join that shows a row's tags as `t.tags` and `t.tag_ids`, sorted by name."""
    return f"""left join lateral (
        select coalesce(array_agg(o.name), '{{}}') as tags,
            coalesce(array_agg(o.id), '{{}}') as tag_ids
        from (
            select t.name, t.id from {links} x
            join tags t on t.account_id = $1 and t.id = x.tag_id
            where x.account_id = $1 and x.{column} = {target}
            order by t.key, t.id
        ) o
    ) t on true"""


def _exists(tag_id: TagId) -> Conflict:
    return Conflict("tag_exists", "a tag has this name", id=tag_id)
