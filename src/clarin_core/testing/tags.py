"""Laws of the tag store: unique names, and links that are a set."""

import asyncio
from typing import Any

import pytest
from hypothesis import strategies as st

from clarin_core.domain.chats import ChatView
from clarin_core.domain.contacts import ContactDraft, ContactQuery, ContactView
from clarin_core.domain.events import TagRenamed
from clarin_core.domain.ids import TagId
from clarin_core.domain.leads import LeadQuery, LeadView
from clarin_core.domain.tags import NewTag, TagLink, TagOrigin, TagQuery, TagTarget, tag_key
from clarin_core.errors import Conflict, NotFound
from clarin_core.testing import strategies
from clarin_core.testing.contract import Capability, Contract, law
from clarin_core.testing.inbox import chats_shown, inbox_of, somebody
from clarin_core.testing.tenants import LATER, NOON, Tenant, draft, links_of

targets = st.sampled_from(TagTarget)
pairs = st.sets(st.tuples(st.integers(0, 2), st.integers(0, 2)))


class TagLaws(Contract):
    """What `TagStore` promises."""

    @law(new=strategies.new_tags(), origin=st.sampled_from(TagOrigin))
    async def test_a_tag_comes_back_as_it_was_added(
        self, account: Tenant, new: NewTag, origin: TagOrigin
    ) -> None:
        """The name is kept as it was typed."""
        async with account.begin() as tx:
            tag = await tx.tags.add(new, origin=origin, at=NOON)
        assert (tag.name, tag.color, tag.origin) == (new.name, new.color, origin)
        assert (tag.created_at, tag.updated_at, tag.version) == (NOON, NOON, 1)
        async with account.begin() as tx:
            assert await tx.tags.get(tag.id) == tag
        assert (await account.views.tags(TagQuery())).data == [tag]

    @law(before=strategies.new_tags(), after=strategies.new_tags())
    async def test_a_saved_tag_comes_back_as_it_was_saved(
        self, account: Tenant, before: NewTag, after: NewTag
    ) -> None:
        """A tag can be renamed, to another spelling of its own name too."""
        async with account.begin() as tx:
            tag = await tx.tags.add(before, origin=TagOrigin.LOCAL, at=NOON)
        tag.alter({"name": after.name, "color": after.color}, at=LATER)
        await save(account, tag.id, after)
        assert (await account.views.tags(TagQuery())).data == [tag]
        await save(account, tag.id, NewTag(name=spelled(tag.name), color=tag.color))
        (stored,) = (await account.views.tags(TagQuery())).data
        assert stored.name == spelled(tag.name)

    @law(name=strategies.tag_names())
    async def test_a_name_belongs_to_one_tag(self, account: Tenant, name: str) -> None:
        """TG3: another spelling conflicts with the id of the tag that has the name."""
        (tag, other) = await account.add_tags(name, f"{name[:90]} otro")
        with pytest.raises(Conflict) as added:
            await add(account, spelled(name))
        with pytest.raises(Conflict) as saved:
            await save(account, other.id, NewTag(name=spelled(name)))
        for caught in (added, saved):
            assert (caught.value.code, caught.value.id) == ("tag_exists", tag.id)

    @law(
        names=st.lists(strategies.tag_names() | st.sampled_from(["Vip", "VIP", "vip "]), max_size=6)
    )
    async def test_a_claim_gives_each_name_one_tag(self, account: Tenant, names: list[str]) -> None:
        """Section 2: spellings that differ in case and blanks are one tag, made once."""
        (vip,) = await account.add_tags("vip")
        async with account.begin() as tx:
            claimed = await tx.tags.claim(names, origin=TagOrigin.LOCAL, at=LATER)
        keys = [tag_key(name) for name in names]
        assert [tag_key(tag.name) for tag, _ in claimed] == keys
        expected = [key != "vip" and keys.index(key) == place for place, key in enumerate(keys)]
        assert [is_new for _, is_new in claimed] == expected
        shown = (await account.views.tags(TagQuery(limit=200))).data
        assert {tag.id for tag in shown} == {vip.id, *(tag.id for tag, _ in claimed)}
        assert [tag_key(tag.name) for tag in shown] == sorted({"vip", *keys})

    @law()
    async def test_concurrent_claims_of_a_name_get_one_tag(self, account: Tenant) -> None:
        """Two imports at one moment do not make one tag two."""

        async def claim(names: list[str]) -> list[int]:
            async with account.begin() as tx:
                await asyncio.sleep(0)
                claimed = await tx.tags.claim(names, origin=TagOrigin.LOCAL, at=NOON)
            return [tag.id for tag, _ in claimed]

        answers = await asyncio.gather(*(claim(names) for names in [["a", "b"], ["B", "A"]] * 3))
        assert {frozenset(answer) for answer in answers} == {frozenset(answers[0])}

    @law(target=targets, first=pairs, second=pairs, removed=pairs)
    async def test_links_are_a_set(
        self,
        account: Tenant,
        target: TagTarget,
        first: set[tuple[int, int]],
        second: set[tuple[int, int]],
        removed: set[tuple[int, int]],
    ) -> None:
        """TG1, TG2: linking is union, unlinking is difference, each tells what is different."""
        ids, tags = await target_ids(account, target), await account.add_tags("a", "b", "c")

        def links(chosen: set[tuple[int, int]]) -> list[TagLink]:
            return sorted(TagLink(target_id=ids[one], tag_id=tags[two].id) for one, two in chosen)

        assert await account.link(target, *links(first)) == links(first)
        assert await account.link(target, *links(second)) == links(second - first)
        async with account.begin() as tx:
            gone = await tx.tags.unlink(target, links(removed))
        assert gone == links(removed & (first | second))
        left = links((first | second) - removed)
        assert await shown_links(account, target, ids) == left
        async with account.begin() as tx:
            assert await tx.tags.links(target, [*ids, 2**62]) == left
            assert await tx.tags.links(target, ids[:1]) == [
                link for link in left if link.target_id == ids[0]
            ]

    @law(target=targets)
    async def test_a_removed_tag_takes_its_links_along(
        self, account: Tenant, target: TagTarget
    ) -> None:
        """TG3: links go, the records and the other tags stay."""
        ids, tags = await target_ids(account, target), await account.add_tags("a", "b")
        await account.link(target, *links_of(ids, tags))
        async with account.begin() as tx:
            await tx.tags.remove(tags[0].id)
        assert await shown_links(account, target, ids) == links_of(ids, tags[1:])
        assert (await account.views.tags(TagQuery())).data == tags[1:]
        with pytest.raises(NotFound):
            async with account.begin() as tx:
                await tx.tags.get(tags[0].id)

    @law(target=targets, names=st.lists(strategies.tag_names(), min_size=1, max_size=6))
    async def test_tags_are_shown_sorted_by_name(
        self, account: Tenant, target: TagTarget, names: list[str]
    ) -> None:
        """TG6: names without regard to case, the ids in the same order."""
        (one, *_), tags = await target_ids(account, target), await account.add_tags(*names)
        await account.link(target, *links_of([one], list({tag.id: tag for tag in tags}.values())))
        expected = sorted({tag.id: tag for tag in tags}.values(), key=lambda tag: tag_key(tag.name))
        shown = (await lists_of(account, target))[one]
        assert shown.tags == [tag.name for tag in expected]
        assert shown.tag_ids == [tag.id for tag in expected]
        assert await account.views.tags_of(target, one) == expected

    @law()
    async def test_leads_contacts_and_chats_do_not_share_links(self, account: Tenant) -> None:
        """A lead, a contact and a chat with one number are three targets."""
        lead, contact = await account.add_lead(), await account.add_contact(name="Ana")
        chat = await (await inbox_of(account)).open_one()
        (tag,) = await account.add_tags("vip")
        await account.link(TagTarget.LEAD, *links_of([lead.id], [tag]))
        assert await account.views.tags_of(TagTarget.LEAD, lead.id) == [tag]
        assert await account.views.tags_of(TagTarget.CONTACT, contact.id) == []
        assert await account.views.tags_of(TagTarget.CHAT, chat.id) == []

    @law(target=targets)
    async def test_what_is_deleted_shows_no_tags(self, account: Tenant, target: TagTarget) -> None:
        """SD1: the tags of a hidden record cannot be read, and are back with it."""
        (one, *_), tags = await target_ids(account, target), await account.add_tags("vip")
        await account.link(target, *links_of([one], tags))
        await hide(account, target, one)
        with pytest.raises(NotFound):
            await account.views.tags_of(target, one)

    @law()
    async def test_known_tags_are_told_apart(self, account: Tenant) -> None:
        """TG1: before anything is assigned, every id can be checked in one go."""
        tags = await account.add_tags("a", "b")
        ids = {tag.id for tag in tags}
        async with account.begin() as tx:
            assert await tx.tags.known([*ids, TagId(2**62)]) == ids

    @law(needs=Capability.SEARCHING)
    async def test_tags_are_searched_by_part_of_the_name(self, account: Tenant) -> None:
        """Part of a name is enough, case and accents do not count."""
        tags = await account.add_tags("Cliente frío", "vip", "Otro cliente")
        page = await account.views.tags(TagQuery(search="cliente"))
        assert page.data == [tags[0], tags[2]]
        assert page.total == 2
        assert (await account.views.tags(TagQuery(search="FRIO"))).data == [tags[0]]


def spelled(name: str) -> str:
    """Return the name in capitals if that means the same tag, else as it is."""
    return {tag_key(spelling): spelling for spelling in (name, name.upper())}[tag_key(name)]


async def add(account: Tenant, name: str) -> None:
    """Commit a new tag."""
    async with account.begin() as tx:
        await tx.tags.add(NewTag(name=name), origin=TagOrigin.LOCAL, at=LATER)


async def save(account: Tenant, tag_id: TagId, change: NewTag) -> None:
    """Commit another name and colour of a tag."""
    async with account.begin() as tx:
        tag = await tx.tags.get(tag_id)
        tag.alter({"name": change.name, "color": change.color}, at=LATER)
        await tx.tags.save(tag)
        tx.emit(TagRenamed(tag=tag))


async def target_ids(account: Tenant, target: TagTarget) -> list[int]:
    """Commit three records that can be tagged and return their ids."""
    leads = await account.add_leads(*[draft()] * 3)
    contacts = await account.add_contacts(*[ContactDraft(name="Ana")] * 3)
    chats = await (await inbox_of(account)).open(*map(somebody, range(3)))
    rows: dict[TagTarget, list[Any]] = {
        TagTarget.LEAD: leads,
        TagTarget.CONTACT: contacts,
        TagTarget.CHAT: chats,
    }
    return [row.id for row in rows[target]]


async def hide(account: Tenant, target: TagTarget, target_id: int) -> None:
    """Commit the deletion of a record that can be tagged."""
    async with account.begin() as tx:
        stores: dict[TagTarget, Any] = {
            TagTarget.LEAD: tx.leads,
            TagTarget.CONTACT: tx.contacts,
            TagTarget.CHAT: tx.chats,
        }
        store = stores[target]
        row = await store.get(target_id)
        row.delete(LATER)
        await store.save([row])


async def lists_of(
    account: Tenant, target: TagTarget
) -> dict[int, LeadView | ContactView | ChatView]:
    """Return what the list of a kind shows, by id."""
    leads = (await account.views.leads(LeadQuery())).data
    contacts = (await account.views.contacts(ContactQuery())).data
    rows: dict[TagTarget, list[Any]] = {
        TagTarget.LEAD: leads,
        TagTarget.CONTACT: contacts,
        TagTarget.CHAT: await chats_shown(account),
    }
    return {row.id: row for row in rows[target]}


async def shown_links(account: Tenant, target: TagTarget, ids: list[int]) -> list[TagLink]:
    """Return the links that the list of a kind shows, sorted; one by one they are the same."""
    shown = await lists_of(account, target)
    single = {one: await account.views.tags_of(target, one) for one in ids}
    assert {one: shown[one].tag_ids for one in ids} == {
        one: [tag.id for tag in tags] for one, tags in single.items()
    }
    return sorted(TagLink(target_id=one, tag_id=tag.id) for one in ids for tag in single[one])
