"""Tags put on leads in transactions that begin late."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from msgspec import structs

from clarin_core.domain.events import LeadTagged
from clarin_core.domain.ids import TagId
from clarin_core.domain.tags import Tag, TagAssignment, TagOrigin, TagTarget
from clarin_core.errors import Contention, NotFound
from clarin_core.testing.tenants import NOON, Tenant, links_of
from clarin_core.usecases.tags import TagUseCases
from clarin_server.http.tries import patiently, tries_of
from support.administered import Admin, someone_waits, tell
from support.attempts import Ending, at_once, attempt, by_a_statement, user_of


def assignment(lead_id: int, *tags: Tag) -> TagAssignment:
    """Return that a lead shall have some tags."""
    ids = frozenset(tag.id for tag in tags)
    return TagAssignment(entity_type=TagTarget.LEAD, entity_id=lead_id, tag_ids=ids)


def assignments_in(account: Tenant) -> list[Callable[..., Awaitable[list[Tag]]]]:
    return tries_of(TagUseCases(account.storage, lambda: NOON), "assign", account.storage)


def test_tags_are_put_on_a_lead_in_two_looks_a_write_and_the_view(database: str) -> None:
    """Only what is new is written and told; where nothing is, nothing is written."""
    sent: list[str] = []

    async def story(account: Tenant, admin: Admin) -> None:
        lead = await account.add_lead()
        vip, cold = await account.add_tags("vip", "frío")
        first_try, *_ = assignments_in(account)
        await account.link(TagTarget.LEAD, *links_of([lead.id], [vip]))
        before = len(await account.events())
        sent.clear()
        for _ in range(2):
            tags = await first_try(user_of(account), assignment(lead.id, vip, cold))
            assert sorted(tag.id for tag in tags) == sorted([vip.id, cold.id])
        (told,) = (await account.events())[before:]
        assert told.event == LeadTagged(links=links_of([lead.id], [cold]))
        unknown = structs.replace(cold, id=TagId(2**40))
        with pytest.raises(NotFound):
            await first_try(user_of(account), assignment(lead.id, vip, unknown))

    tell(database, story, watch=lambda text: sent.append(text.partition("\n")[0]))
    looks = ["-- leads.look", "-- tags.look"]
    assert sent[:7] == [*looks, "-- late.write", "-- tags.of_lead", *looks, "-- tags.of_lead"]


@pytest.mark.parametrize("ending", [at_once, by_a_statement])
@pytest.mark.parametrize("what", ["linked", "removed"])
def test_an_assignment_that_was_overtaken_did_nothing(
    database: str, what: str, ending: Ending
) -> None:
    """TG1: whoever puts the same tag on the lead meanwhile tells of it, and nobody twice."""

    async def story(account: Tenant, admin: Admin) -> None:
        lead = await account.add_lead()
        (tag,) = await account.add_tags("vip")
        links = links_of([lead.id], [tag])

        async def try_it() -> None:
            async with attempt(account) as tx:
                await tx.leads.get(lead.id)
                assert await tx.tags.known([tag.id]) == {tag.id}
                new = await tx.tags.link(TagTarget.LEAD, links, origin=TagOrigin.LOCAL)
                assert new == links
                if what == "linked":
                    await account.link(TagTarget.LEAD, *links)
                else:
                    async with account.begin() as other:
                        await other.tags.remove(tag.id)
                await ending(tx)

        with pytest.raises(Contention):
            await try_it()

    tell(database, story)


def test_a_known_tag_stays_until_the_end(database: str) -> None:
    async def story(account: Tenant, admin: Admin) -> None:
        (tag,) = await account.add_tags("vip")

        async def remove() -> None:
            async with account.begin() as other:
                await other.tags.remove(tag.id)

        async with attempt(account) as tx:
            await tx.tags.known([tag.id])
            await by_a_statement(tx)
            removing = asyncio.create_task(remove())
            await someone_waits(admin)
        await removing

    tell(database, story)


def test_assignments_at_the_same_time_tell_of_each_link_once(database: str) -> None:
    async def story(account: Tenant, admin: Admin) -> None:
        lead = await account.add_lead()
        tags = await account.add_tags("a", "b", "c")
        tries = assignments_in(account)
        before = len(await account.events())
        pairs = [(tags[n % 3], tags[(n + 1) % 3]) for n in range(9)]
        await asyncio.gather(*(
            patiently(tries, {"actor": user_of(account), "assignment": assignment(lead.id, *pair)})
            for pair in pairs
        ))  # fmt: skip
        told = [one.event for one in (await account.events())[before:]]
        links = [link for event in told if isinstance(event, LeadTagged) for link in event.links]
        assert sorted(links) == links_of([lead.id], tags)

    tell(database, story)


def test_links_of_a_lead_that_was_not_seen_are_made_in_the_transaction(database: str) -> None:
    """What it has already is known of no other."""

    async def story(account: Tenant, admin: Admin) -> None:
        lead, (tag,) = await account.add_lead(), await account.add_tags("vip")
        links = links_of([lead.id], [tag])
        await account.link(TagTarget.LEAD, *links)
        async with attempt(account) as tx:
            await tx.tags.known([tag.id])
            assert await tx.tags.link(TagTarget.LEAD, links, origin=TagOrigin.LOCAL) == []

    tell(database, story)
