"""Laws of what an account reads of its contacts."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import asdict

from clarin_core.domain.contacts import Contact, ContactDraft, ContactQuery
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.tags import TagLink, TagTarget
from clarin_core.domain.text import fold
from clarin_core.testing import strategies
from clarin_core.testing.contract import Capability, Contract, law
from clarin_core.testing.tenants import Tenant, links_of

PHONES = (PhoneNumber("+51987654321"), PhoneNumber("+56987654321"))
people = st.builds(
    ContactDraft,
    phone=st.none() | st.sampled_from(PHONES),
    name=st.sampled_from(["Ñandú", "NANDU 5%", "Zoë"]),
    email=st.none() | st.just("ana@x.pe"),
    is_group=st.booleans(),
)
rows = st.tuples(people, strategies.hours(), st.sets(st.integers(0, 1)))
filters = st.fixed_dictionaries(
    {},
    optional={
        "search": st.sampled_from(["ñandu", "zoe", "%", "ANA@", "98765", "nadie"]),
        "phone": st.sampled_from(PHONES),
        "has_phone": st.booleans(),
        "is_group": st.booleans(),
        "tag_ids": st.frozensets(st.integers(0, 1), min_size=1),
    },
)


class ContactListLaws(Contract):
    """What `Views` promises of contacts."""

    @law(draft=strategies.contact_drafts())
    async def test_a_contact_is_shown_as_it_is(self, account: Tenant, draft: ContactDraft) -> None:
        """The view is the contact with its tags, alone and in the list."""
        (contact,) = await account.add_contacts(draft)
        view = await account.views.contact(contact.id)
        assert {name: getattr(view, name) for name in Contact.__struct_fields__} == asdict(contact)
        assert (view.tags, view.tag_ids) == ([], [])
        assert (await account.views.contacts(ContactQuery())).data == [view]

    @law(
        needs=Capability.SEARCHING,
        drawn_rows=st.lists(rows, max_size=6),
        asked=st.lists(filters, min_size=3, max_size=3),
    )
    async def test_contact_filters_let_through_what_they_say(
        self,
        account: Tenant,
        drawn_rows: list[tuple[ContactDraft, datetime, set[int]]],
        asked: list[Mapping[str, Any]],
    ) -> None:
        """Section 8: every filter, alone and with others; newest first, then by id."""
        tags = await account.add_tags("vip", "frío")
        people: dict[int, Contact] = {}
        links: set[TagLink] = set()
        for draft, at, numbers in drawn_rows:
            (contact,) = await account.add_contacts(draft, at=at)
            people[contact.id] = contact
            links.update(links_of([contact.id], [tags[number] for number in numbers]))
        await account.link(TagTarget.CONTACT, *links)
        newest = sorted(people.values(), key=lambda one: (one.created_at, one.id), reverse=True)
        for fields in asked:
            ids = {"tag_ids": frozenset(tags[n].id for n in fields.get("tag_ids", ()))}
            query = ContactQuery(**{**fields, **{name: ids[name] for name in ids if name in fields}})
            expected = [one.id for one in newest if lets_through(query, one, links)]
            page = await account.views.contacts(query)
            assert [one.id for one in page.data] == expected
            assert page.total == len(expected)


def lets_through(query: ContactQuery, contact: Contact, links: set[TagLink]) -> bool:
    """Return whether a contact is what a filter asks for."""
    tag_ids = {link.tag_id for link in links if link.target_id == contact.id}
    checks = [
        query.phone in (UNSET, contact.phone),
        query.has_phone in (UNSET, contact.phone is not None),
        query.is_group in (UNSET, contact.is_group),
        query.tag_ids is UNSET or bool(tag_ids & query.tag_ids),
        query.search is UNSET or _says(query.search, contact),
    ]
    return all(checks)


def _says(search: str, contact: Contact) -> bool:
    texts = (contact.name or "", contact.email or "")
    in_phone = search.isdigit() and search in (contact.phone or "")
    return in_phone or any(fold(search) in fold(text) for text in texts)
