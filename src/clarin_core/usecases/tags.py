"""What one can do with tags."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from clarin_core.domain.actor import Actor
from clarin_core.domain.command import ANY_VERSION, Precondition
from clarin_core.domain.events import (
    ContactTagged,
    ContactUntagged,
    LeadTagged,
    LeadUntagged,
    TagCreated,
    TagDeleted,
    TagRenamed,
)
from clarin_core.domain.ids import ChatId, ContactId, LeadId, TagId
from clarin_core.domain.inbox_events import ChatTagged, ChatUntagged
from clarin_core.domain.tags import (
    NewTag,
    Tag,
    TagAssignment,
    TagChange,
    TagLink,
    TagOrigin,
    TagTarget,
    tag_key,
)
from clarin_core.errors import NotFound
from clarin_core.ports.small import Clock
from clarin_core.ports.storage import Storage
from clarin_core.ports.transaction import Transaction

_TAGGED: dict[TagTarget, type[LeadTagged | ContactTagged | ChatTagged]] = {
    TagTarget.LEAD: LeadTagged,
    TagTarget.CONTACT: ContactTagged,
    TagTarget.CHAT: ChatTagged,
}
_UNTAGGED: dict[TagTarget, type[LeadUntagged | ContactUntagged | ChatUntagged]] = {
    TagTarget.LEAD: LeadUntagged,
    TagTarget.CONTACT: ContactUntagged,
    TagTarget.CHAT: ChatUntagged,
}


@dataclass(frozen=True, slots=True)
class TagUseCases:
    """What one can do with tags. One method is one use case."""

    storage: Storage
    clock: Clock

    async def create(self, actor: Actor, new: NewTag) -> Tag:
        """Make a tag; its name must be new, ignoring case."""
        actor.require_admin()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            tag = await tx.tags.add(new, origin=TagOrigin.LOCAL, at=self.clock())
            tx.emit(TagCreated(tags=[tag]))
        return tag

    async def update(self, actor: Actor, tag_id: TagId, change: TagChange) -> Tag:
        """Rename or recolour a tag."""
        actor.require_admin()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            tag = await tx.tags.get(tag_id)
            tag.expect(change.version)
            if tag.alter(change.values(), at=self.clock()):
                await tx.tags.save(tag)
                tx.emit(TagRenamed(tag=tag))
        return tag

    async def delete(self, actor: Actor, tag_id: TagId, seen: Precondition = ANY_VERSION) -> None:
        """Remove a tag from everything that has it (TG3)."""
        actor.require_admin()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            (await tx.tags.get(tag_id)).expect(seen.version)
            await tx.tags.remove(tag_id)
            tx.emit(TagDeleted(tag_id=tag_id))

    async def assign(self, actor: Actor, assignment: TagAssignment) -> list[Tag]:
        """Put tags on a record, all or none, and return the tags that it has now (TG1)."""
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            await _require_target(tx, assignment)
            tags = await require_tags(tx, assignment.all_tag_ids)
            await link_tags(tx, assignment.entity_type, assignment.entity_id, tags)
        return await self._tags_of(actor, assignment)

    async def remove(self, actor: Actor, assignment: TagAssignment) -> list[Tag]:
        """Take tags off a record and return the tags that it has now (TG2)."""
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            await _require_target(tx, assignment)
            tags = await require_tags(tx, assignment.all_tag_ids)
            links = _links(assignment.entity_id, tags)
            await remove_links(tx, assignment.entity_type, links)
        return await self._tags_of(actor, assignment)

    async def _tags_of(self, actor: Actor, assignment: TagAssignment) -> list[Tag]:
        views = self.storage.views(actor.account_id)
        return await views.tags_of(assignment.entity_type, assignment.entity_id)


async def require_tags(tx: Transaction, tag_ids: Collection[TagId]) -> set[TagId]:
    """Return the ids as a set; raises NotFound unless all are tags of the account."""
    wanted = set(tag_ids)
    if wanted and (missing := wanted - await tx.tags.known(wanted)):
        raise NotFound("tag", min(missing))
    return wanted


async def claim_tags(
    tx: Transaction, actor: Actor, names: Collection[str], *, at: datetime
) -> set[TagId]:
    """Return the tags with these names; only an administrator's new names become tags."""
    if not names:
        return set()
    claimed = await tx.tags.claim(sorted(names, key=tag_key), origin=TagOrigin.LOCAL, at=at)
    if made := [tag for tag, is_new in claimed if is_new]:
        actor.require_admin()
        tx.emit(TagCreated(tags=made))
    return {tag.id for tag, _ in claimed}


async def link_tags(
    tx: Transaction, target: TagTarget, target_id: int, tags: Collection[TagId]
) -> None:
    """Put tags on a record and announce those that are new on it."""
    if tags:
        await add_links(tx, target, _links(target_id, tags))


async def add_links(
    tx: Transaction,
    target: TagTarget,
    links: Collection[TagLink],
    *,
    origin: TagOrigin = TagOrigin.LOCAL,
) -> list[TagLink]:
    """Put tags on records; announce and return the links that are new."""
    if new := await tx.tags.link(target, links, origin=origin):
        tx.emit(_TAGGED[target](links=new))
    return new


async def remove_links(tx: Transaction, target: TagTarget, links: Collection[TagLink]) -> None:
    """Take tags off records, and announce it."""
    if gone := await tx.tags.unlink(target, links):
        tx.emit(_UNTAGGED[target](links=gone))


async def _require_target(tx: Transaction, assignment: TagAssignment) -> None:
    match assignment.entity_type:
        case TagTarget.LEAD:
            await tx.leads.get(LeadId(assignment.entity_id))
        case TagTarget.CONTACT:
            await tx.contacts.get(ContactId(assignment.entity_id))
        case TagTarget.CHAT:
            await tx.chats.get(ChatId(assignment.entity_id))


def _links(target_id: int, tags: Collection[TagId]) -> list[TagLink]:
    return [TagLink(target_id=target_id, tag_id=tag_id) for tag_id in sorted(tags)]
