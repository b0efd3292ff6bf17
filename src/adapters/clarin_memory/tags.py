"""Tags and what they are on."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec import UNSET

from clarin_core.domain.entity import Perishable
from clarin_core.domain.ids import ChatId, ContactId, LeadId, TagId
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
from clarin_core.errors import Conflict, NotFound
from clarin_core.ports.stores import TagStore
from clarin_memory.paging import Order
from clarin_memory.reader import Reader
from clarin_memory.search import Needle
from clarin_memory.state import AccountTables, Scope
from clarin_memory.tables import copied, rival

# Names are unique by `tag_key`, so that the id only stands by.
BY_NAME = Order[Tag](lambda tag: (tag_key(tag.name), tag.id), (str, int))


@dataclass(frozen=True, slots=True)
class MemoryTagStore(TagStore):
    """The tags of one account and their links."""

    scope: Scope

    async def get(self, tag_id: TagId) -> Tag:
        """Return a tag; raises NotFound."""
        tag = self.scope.tables.tags.find(tag_id)
        if tag is None:
            raise NotFound("tag", tag_id)
        return tag

    async def known(self, tag_ids: Collection[TagId]) -> set[TagId]:
        """Return which of the ids are tags of this account."""
        return {tag_id for tag_id in tag_ids if tag_id in self.scope.tables.tags}

    async def claim(
        self, names: Sequence[str], *, origin: TagOrigin, at: datetime
    ) -> list[tuple[Tag, bool]]:
        """Return each name's tag in the order given, and whether it was made now."""
        by_key = {tag_key(tag.name): copied(tag) for tag in self.scope.tables.tags.rows()}
        answer = []
        for name in names:
            known = by_key.get(tag_key(name))
            tag = known or self._add(name, DEFAULT_COLOR, origin, at)
            answer.append((tag, known is None))
            by_key[tag_key(name)] = tag
        return answer

    async def add(self, new: NewTag, *, origin: TagOrigin, at: datetime) -> Tag:
        """Store a tag; raises Conflict `tag_exists` with the id of the one that has the name."""
        for tag in self.scope.tables.tags.rows():
            if tag_key(tag.name) == tag_key(new.name):
                raise _exists(tag)
        return self._add(new.name, new.color, origin, at)

    async def save(self, tag: Tag) -> None:
        """Store a changed tag; raises Conflict `tag_exists` with the id (TG3)."""
        await self.get(tag.id)
        if other := rival(self.scope.tables.tags.rows(), [tag], _key):
            raise _exists(other)
        self.scope.tables.tags.put(tag.id, tag)

    async def remove(self, tag_id: TagId) -> None:
        """Remove a tag and its links, nothing else (TG3)."""
        self.scope.tables.tags.drop(tag_id)
        tagged = self.scope.tables.tagged
        for target, origins in list(tagged.items()):
            if tag_id in origins:
                tagged.put(target, {key: kept for key, kept in origins.items() if key != tag_id})

    async def links(
        self, target: TagTarget, target_ids: Collection[int], *, origin: TagOrigin | None = None
    ) -> list[TagLink]:
        """Return the links (of one origin) of some targets, deleted ones included, sorted."""
        tagged = self.scope.tables.tagged
        return sorted(
            TagLink(target_id=one, tag_id=tag_id)
            for one in set(target_ids)
            for tag_id, kind in (tagged.peek((target, one)) or {}).items()
            if origin in (None, kind)
        )

    async def link(
        self, target: TagTarget, links: Collection[TagLink], *, origin: TagOrigin
    ) -> list[TagLink]:
        """Put tags on targets; return the new links, sorted (TG1).

        Raises NotFound, and links nothing, for a tag or a target of another account.
        """
        tables = self.scope.tables
        for link in links:
            if link.tag_id not in tables.tags:
                raise NotFound("tag", link.tag_id)
            target_row(tables, target, link.target_id)
        added = []
        for link in sorted(set(links)):
            origins = tables.tagged.find((target, link.target_id)) or {}
            if link.tag_id not in origins:
                tables.tagged.put((target, link.target_id), origins | {link.tag_id: origin})
                added.append(link)
        return added

    async def unlink(self, target: TagTarget, links: Collection[TagLink]) -> list[TagLink]:
        """Take tags off; return the links that were there, sorted (TG2)."""
        tagged, removed = self.scope.tables.tagged, []
        for link in sorted(set(links)):
            origins = tagged.find((target, link.target_id)) or {}
            if origins.pop(link.tag_id, None):
                tagged.put((target, link.target_id), origins)
                removed.append(link)
        return removed

    def _add(self, name: str, color: str, origin: TagOrigin, at: datetime) -> Tag:
        tag = Tag(
            id=TagId(self.scope.ids.next("tag")),
            name=tag_name(name),
            color=color,
            origin=origin,
            created_at=at,
            updated_at=at,
            version=1,
        )
        self.scope.tables.tags.put(tag.id, tag)
        return tag


class TagViews(Reader):
    """What an account reads of its tags."""

    async def tags(self, query: TagQuery) -> Page[Tag]:
        """Return tags by name without regard to case."""
        needle = None if query.search is UNSET else Needle(query.search)
        rows = self._tables.tags.rows()
        found = (tag for tag in rows if needle is None or needle.is_in(tag.name))
        return self._page(found, BY_NAME, query, copied)

    async def tags_of(self, target: TagTarget, target_id: int) -> list[Tag]:
        """Return the tags of a live lead, contact or chat by name; raises NotFound."""
        if target_row(self._tables, target, target_id).deleted_at is not None:
            raise NotFound(target.value, target_id)
        return [copied(tag) for tag in tags_on(self._tables, target, target_id)]


def tag_ids_on(tables: AccountTables, target: TagTarget, target_id: int) -> Collection[TagId]:
    """Return the ids of the tags on a lead, contact or chat."""
    return (tables.tagged.peek((target, target_id)) or {}).keys()


def tags_on(tables: AccountTables, target: TagTarget, target_id: int) -> list[Tag]:
    """Return the tags on a lead, contact or chat by name, the rows themselves."""
    tags = (tables.tags.peek(tag_id) for tag_id in tag_ids_on(tables, target, target_id))
    return sorted((tag for tag in tags if tag is not None), key=BY_NAME.key)


def target_row(tables: AccountTables, target: TagTarget, target_id: int) -> Perishable:
    """Return the lead, contact or chat that a tag is on; raises NotFound."""
    row: Perishable | None
    match target:
        case TagTarget.LEAD:
            row = tables.leads.peek(LeadId(target_id))
        case TagTarget.CONTACT:
            row = tables.contacts.peek(ContactId(target_id))
        case TagTarget.CHAT:
            row = tables.chats.peek(ChatId(target_id))
    if row is None:
        raise NotFound(target.value, target_id)
    return row


def _key(tag: Tag) -> str:
    return tag_key(tag.name)


def _exists(tag: Tag) -> Conflict:
    return Conflict("tag_exists", f"the tag {tag.name} exists", id=tag.id)
