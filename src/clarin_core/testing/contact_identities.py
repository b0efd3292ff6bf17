"""Laws of identities: by what WhatsApp knows the contacts of an account."""

import asyncio

import pytest
from hypothesis import strategies as st
from msgspec.structs import replace

from clarin_core.domain.contacts import ContactDraft, ContactIdentity
from clarin_core.domain.ids import ContactId
from clarin_core.domain.jid import Identity
from clarin_core.errors import NotFound
from clarin_core.testing import strategies
from clarin_core.testing.contract import Contract, law
from clarin_core.testing.tenants import LATER, NOON, Tenant, lid

WRITERS = 6


class IdentityLaws(Contract):
    """What `ContactStore` and `Views` promise of identities."""

    @law(asked=st.lists(strategies.identities(), max_size=8))
    async def test_an_unknown_identity_is_nobodys(
        self, account: Tenant, asked: list[Identity]
    ) -> None:
        """CT1: whatever the order, and however often one is named."""
        async with account.begin() as tx:
            known = await tx.contacts.identities(asked, at=NOON)
        assert known == {one: ContactIdentity(identity=one) for one in asked}
        async with account.begin() as tx:
            assert await tx.contacts.identities(asked[::-1], at=LATER) == known

    @law(
        rows=st.lists(
            st.tuples(strategies.contact_identities(), st.sampled_from([None, 0, 1])),
            max_size=6, unique_by=lambda one: one[0].identity,
        )
    )  # fmt: skip
    async def test_identities_come_back_as_they_were_put(
        self, account: Tenant, rows: list[tuple[ContactIdentity, int | None]]
    ) -> None:
        """CT1: with contact and alias; each contact shows its own, by kind and value."""
        people = await account.add_contacts(*[ContactDraft(name="Ana")] * 2)
        owned = [replace(row, contact_id=n if n is None else people[n].id) for row, n in rows]
        await put(account, owned)
        async with account.begin() as tx:
            known = await tx.contacts.identities([row.identity for row in owned], at=NOON)
        assert known == {row.identity: row for row in owned}
        for contact in people:
            shown = await account.views.contact_identities(contact.id)
            own = [row for row in owned if row.contact_id == contact.id]
            assert shown == sorted(own, key=name_of)

    @law()
    async def test_an_identity_can_change_its_contact(self, account: Tenant) -> None:
        """CT4: linking moves it; it belongs to one contact at most."""
        ana, eva = await account.add_contacts(ContactDraft(name="Ana"), ContactDraft(name="Eva"))
        await account.identify(ana, lid("1"), lid("2"))
        moved = ContactIdentity(identity=lid("1"), contact_id=eva.id, alias="51987654321")
        await put(account, [moved])
        shown = [await account.views.contact_identities(one.id) for one in (ana, eva)]
        kept = ContactIdentity(identity=lid("2"), contact_id=ana.id)
        assert shown == [[kept], [moved]]
        async with account.begin() as tx:
            assert await tx.contacts.identities_of([eva.id]) == [moved]
            both = await tx.contacts.identities_of([ana.id, eva.id, ContactId(2**62)])
            assert sorted(both, key=name_of) == [moved, kept]

    @law()
    async def test_who_asks_for_a_new_identity_waits_for_who_asked(self, account: Tenant) -> None:
        """CT2: two devices that hear of somebody at one moment make one contact."""

        async def find(_: int) -> ContactId | None:
            async with account.begin() as tx:
                known = (await tx.contacts.identities([lid("1")], at=NOON))[lid("1")]
                await asyncio.sleep(0)
                if known.contact_id is None:
                    ((contact, _),) = await tx.contacts.claim([ContactDraft(name="Ana")], at=NOON)
                    known = replace(known, contact_id=contact.id)
                    await tx.contacts.put_identities([known])
                return known.contact_id

        assert len(set(await asyncio.gather(*map(find, range(WRITERS))))) == 1
        assert (await account.views.stats()).contacts == 1

    @law()
    async def test_crossing_questions_do_not_deadlock(self, account: Tenant) -> None:
        """Batches that name the same identities in opposite orders all come to their end."""

        async def ask(asked: list[Identity]) -> None:
            async with account.begin() as tx:
                await tx.contacts.identities(asked, at=NOON)

        names = [lid(str(number)) for number in range(5)]
        await asyncio.gather(*(ask(asked) for asked in [names, names[::-1]] * 3))

    @law()
    async def test_an_identity_counts_within_its_account(self, account: Tenant) -> None:
        """TN2: two accounts know the same person without knowing of each other."""
        other = await account.stranger()
        mine, theirs = [await one.add_contact(name="Ana") for one in (account, other)]
        await account.identify(mine, lid("1"))
        async with other.begin() as tx:
            known = await tx.contacts.identities([lid("1")], at=NOON)
        assert known[lid("1")].contact_id is None
        assert await other.views.contact_identities(theirs.id) == []

    @law()
    async def test_a_deleted_contact_keeps_its_identities(self, account: Tenant) -> None:
        """SD1: they are not shown, and are back with it."""
        contact = await account.add_contact(name="Ana")
        rows = await account.identify(contact, lid("1"))
        await account.delete_contact(contact)
        with pytest.raises(NotFound):
            await account.views.contact_identities(contact.id)
        async with account.begin() as tx:
            assert list((await tx.contacts.identities([lid("1")], at=NOON)).values()) == rows

    @law()
    async def test_only_an_identity_that_was_asked_for_is_put(self, account: Tenant) -> None:
        """Whoever did not ask has no lock on it."""
        with pytest.raises(NotFound):
            async with account.begin() as tx:
                await tx.contacts.put_identities([ContactIdentity(identity=lid("1"))])


async def put(account: Tenant, rows: list[ContactIdentity]) -> None:
    """Commit identities as they are now."""
    async with account.begin() as tx:
        await tx.contacts.identities([row.identity for row in rows], at=NOON)
        await tx.contacts.put_identities(rows)


def name_of(row: ContactIdentity) -> tuple[str, str]:
    """Return what the list of a contact's identities is sorted by."""
    return row.identity.kind.value, row.identity.value
