"""Laws of the contact store."""

import asyncio
from datetime import datetime

import pytest
from hypothesis import strategies as st
from msgspec.structs import asdict

from clarin_core.domain.contacts import Contact, ContactDraft, ContactQuery
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.text import fold
from clarin_core.errors import Conflict, NotFound
from clarin_core.testing import strategies
from clarin_core.testing.contract import Contract, law
from clarin_core.testing.tenants import LATER, NOON, Tenant

PHONES = [PhoneNumber(f"+5198765432{digit}") for digit in range(3)]
PHONE = PHONES[0]
CLAIMANTS = 6


class ContactLaws(Contract):
    """What `ContactStore` promises."""

    @law(draft=strategies.contact_drafts(), at=strategies.instants())
    async def test_a_contact_comes_back_as_it_was_claimed(
        self, account: Tenant, draft: ContactDraft, at: datetime
    ) -> None:
        """No field is lost on the way; a new contact starts at version 1."""
        async with account.begin() as tx:
            ((contact, is_new),) = await tx.contacts.claim([draft], at=at)
        assert (is_new, contact.version, contact.created_at, contact.updated_at) == (
            True,
            1,
            at,
            at,
        )
        assert as_draft(contact) == draft
        async with account.begin() as tx:
            assert await tx.contacts.get(contact.id) == contact

    @law(before=strategies.contact_drafts(), after=strategies.contact_drafts())
    async def test_a_saved_contact_comes_back_as_it_was_saved(
        self, account: Tenant, before: ContactDraft, after: ContactDraft
    ) -> None:
        """Every field can be changed, to nothing too."""
        (contact,) = await account.add_contacts(before)
        contact.alter(asdict(after), at=LATER)
        await save(account, contact)
        async with account.begin() as tx:
            assert await tx.contacts.get(contact.id) == contact

    @law(drafts=st.lists(strategies.contact_drafts(), max_size=4))
    async def test_contacts_have_the_names_that_people_see(
        self, account: Tenant, drafts: list[ContactDraft]
    ) -> None:
        """CT3: live ones alone, and only where something is known."""
        people = [(await account.add_contacts(draft))[0] for draft in drafts]
        ana, _ = await account.add_contacts(ContactDraft(name="Ana"), ContactDraft(name="Eva"))
        gone = await account.add_contact(name="Ida")
        await account.delete_contact(gone)
        known = [*people, ana]
        async with account.begin() as tx:
            names = await tx.contacts.names([one.id for one in (*known, gone)])
        assert names == {one.id: one.display_name for one in known if one.display_name}

    @law(
        stored=st.lists(st.sampled_from(PHONES), unique=True),
        claimed=st.lists(st.none() | st.sampled_from(PHONES), max_size=8),
    )
    async def test_a_claim_gives_each_phone_one_contact(
        self, account: Tenant, stored: list[PhoneNumber], claimed: list[PhoneNumber | None]
    ) -> None:
        """CT2: existing contacts are found, equal phones share one, people without are new."""
        known = {c.phone: c for c in await account.add_contacts(*map(with_phone, stored))}
        async with account.begin() as tx:
            answer = await tx.contacts.claim(list(map(with_phone, claimed)), at=LATER)
        assert [contact.phone for contact, _ in answer] == claimed
        is_first = [claimed.index(phone) == place for place, phone in enumerate(claimed)]
        expected = [
            phone is None or (first and phone not in known)
            for phone, first in zip(claimed, is_first, strict=True)
        ]
        assert [is_new for _, is_new in answer] == expected
        people = {contact.id for contact, _ in answer} | {one.id for one in known.values()}
        assert len(people) == len({*stored, *filter(None, claimed)}) + claimed.count(None)
        assert (await account.views.stats()).contacts == len(people)

    @law()
    async def test_a_claim_leaves_a_known_contact_as_it_is(self, account: Tenant) -> None:
        """CT2: to fill what is empty is the caller's decision."""
        contact = await account.add_contact(phone=PHONE, name="Ana")
        async with account.begin() as tx:
            claim = [ContactDraft(phone=PHONE, name="Eva", email="eva@x.pe")]
            assert await tx.contacts.claim(claim, at=LATER) == [(contact, False)]
        assert (await account.views.contact(contact.id)).name == "Ana"

    @law()
    async def test_concurrent_claims_of_a_phone_get_one_contact(self, account: Tenant) -> None:
        """CT1: two requests at one moment do not make one person two."""

        async def claim(_: int) -> tuple[int, bool]:
            async with account.begin() as tx:
                await asyncio.sleep(0)
                ((contact, is_new),) = await tx.contacts.claim([with_phone(PHONE)], at=NOON)
                await asyncio.sleep(0)
            return contact.id, is_new

        answers = await asyncio.gather(*map(claim, range(CLAIMANTS)))
        assert len({contact_id for contact_id, _ in answers}) == 1
        assert sum(is_new for _, is_new in answers) == 1

    @law()
    async def test_crossing_claims_do_not_deadlock(self, account: Tenant) -> None:
        """Batches that name the same phones in opposite orders all come to their end."""

        async def claim(phones: list[PhoneNumber]) -> None:
            async with account.begin() as tx:
                await tx.contacts.claim(list(map(with_phone, phones)), at=NOON)

        await asyncio.gather(*(claim(phones) for phones in [PHONES, PHONES[::-1]] * 3))
        assert (await account.views.stats()).contacts == len(PHONES)

    @law()
    async def test_a_phone_has_one_live_contact(self, account: Tenant) -> None:
        """SD2: saving and restoring a second one conflicts with the id of the first."""
        first = await account.add_contact(phone=PHONE)
        other = await account.add_contact(name="Eva")
        other.phone = PHONE
        with pytest.raises(Conflict) as saved:
            await save(account, other)
        await account.delete_contact(first)
        await save(account, other)
        with pytest.raises(Conflict) as restored:
            await restore(account, first)
        assert (saved.value.code, saved.value.id) == ("duplicate_contact", first.id)
        assert (restored.value.code, restored.value.id) == ("duplicate_contact", other.id)

    @law()
    async def test_a_deleted_contact_frees_its_phone(self, account: Tenant) -> None:
        """SD1: deletion hides from uniqueness too; the claim makes a new contact."""
        first = await account.add_contact(phone=PHONE)
        await account.delete_contact(first)
        async with account.begin() as tx:
            ((second, is_new),) = await tx.contacts.claim([with_phone(PHONE)], at=LATER)
        assert is_new
        assert second.id > first.id

    @law()
    async def test_a_phone_counts_within_its_account(self, account: Tenant) -> None:
        """TN2: two accounts know the same person without knowing of each other."""
        other = await account.stranger()
        mine, theirs = await account.add_contact(phone=PHONE), await other.add_contact(phone=PHONE)
        assert [c.id for c in (await account.views.contacts(ContactQuery())).data] == [mine.id]
        assert [c.id for c in (await other.views.contacts(ContactQuery())).data] == [theirs.id]

    @law()
    async def test_a_deleted_contact_is_hidden_until_restored(self, account: Tenant) -> None:
        """SD1: it is in no list and no count, can be got as a deleted one, and comes back."""
        contact = await account.add_contact(name="Ana")
        await account.delete_contact(contact)
        assert (await account.views.contacts(ContactQuery())).total == 0
        assert (await account.views.stats()).contacts == 0
        with pytest.raises(NotFound):
            await account.views.contact(contact.id)
        with pytest.raises(NotFound):
            async with account.begin() as tx:
                await tx.contacts.get(contact.id)
        async with account.begin() as tx:
            (found,) = await tx.contacts.get_many([contact.id])
        assert found.deleted_at == LATER
        await restore(account, contact)
        assert (await account.views.contact(contact.id)).version == contact.version + 2

    @law()
    async def test_a_contact_remembers_into_whom_it_was_merged(self, account: Tenant) -> None:
        """CT6: and frees its phone for that one."""
        kept, gone = await account.add_contact(name="Ana"), await account.add_contact(phone=PHONE)
        gone.alter({"deleted_at": LATER, "merged_into": kept.id}, at=LATER)
        kept.alter({"phone": PHONE}, at=LATER)
        await save(account, gone)
        await save(account, kept)
        async with account.begin() as tx:
            assert await tx.contacts.get_many([kept.id, gone.id]) == [kept, gone]

    @law()
    async def test_people_without_a_phone_are_found_by_name(self, account: Tenant) -> None:
        """IM3: a repeated import finds whom it made, the oldest of each name, by `fold`."""
        oldest = await account.add_contact(
            name="José", last_name=" Díaz", source="csv_import", at=NOON
        )
        await account.add_contact(name="José", source="csv_import", at=NOON)
        await account.add_contact(name="jose diaz", source="csv_import", at=LATER)
        await account.add_contact(name="Jose Diaz", source="manual", at=NOON)
        await account.add_contact(name="Eva", source="csv_import", phone=PHONE)
        gone = await account.add_contact(name="Ida", source="csv_import")
        await account.delete_contact(gone)
        async with account.begin() as tx:
            names = ["JOSÉ DÍAZ", "Eva", "Ida", "nadie"]
            found = await tx.contacts.phoneless(names, source="csv_import")
        assert found == {fold("José Díaz"): oldest}


def with_phone(phone: PhoneNumber | None) -> ContactDraft:
    """Return a person of whom only the phone is known."""
    return ContactDraft(phone=phone)


def as_draft(contact: Contact) -> ContactDraft:
    """Return what is known of a contact, without its life."""
    return ContactDraft(**{name: getattr(contact, name) for name in ContactDraft.__struct_fields__})


async def save(account: Tenant, contact: Contact) -> None:
    """Commit a contact as it is now."""
    async with account.begin() as tx:
        await tx.contacts.get_many([contact.id])
        await tx.contacts.save([contact])


async def restore(account: Tenant, contact: Contact) -> None:
    """Commit a contact's return."""
    async with account.begin() as tx:
        deleted = await tx.contacts.get(contact.id, deleted=True)
        deleted.restore(LATER)
        await tx.contacts.save([deleted])
