"""Laws of what an account reads of its contacts."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from hypothesis import strategies as st
from msgspec import UNSET, UnsetType
from msgspec.structs import asdict

from clarin_core.domain.contacts import Contact, ContactDraft, ContactQuery
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.tags import Tag, TagLink, TagTarget
from clarin_core.domain.text import fold
from clarin_core.testing import strategies
from clarin_core.testing.contract import Capability, Contract, law
from clarin_core.testing.tenants import Tenant, links_of

PHONES = (PhoneNumber("+51987654321"), PhoneNumber("+56987654321"))
TAGS = ("vip", "frío")

people = st.builds(
    ContactDraft,
    phone=st.none() | st.sampled_from(PHONES),
    name=st.sampled_from(["Ñandú", "NANDU 5%", "Zoë"]),
    email=st.none() | st.just("ana@x.pe"),
    is_group=st.booleans(),
)
rows = st.tuples(people, strategies.hours(), st.sets(st.sampled_from(TAGS)))

ASKED: list[dict[str, Any]] = [
    {},
    *({"search": text} for text in ("ñandu", "zoe", "%", "ANA@", "98765", "nadie")),
    *({"phone": phone} for phone in PHONES),
    *({"has_phone": has} for has in (True, False)),
    *({"is_group": is_group} for is_group in (True, False)),
    *({"tags": names} for names in (TAGS[:1], TAGS[1:], TAGS)),
    {"search": "an", "has_phone": True, "is_group": False, "tags": TAGS},
]


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

    @law(needs=Capability.SEARCHING, drawn=st.lists(rows, max_size=6))
    async def test_contact_filters_let_through_what_they_say(
        self, account: Tenant, drawn: list[tuple[ContactDraft, datetime, set[str]]]
    ) -> None:
        """Section 8: every filter, alone and with others; newest first, then by id."""
        tags = {tag.name: tag for tag in await account.add_tags(*TAGS)}
        people: dict[int, Contact] = {}
        links: set[TagLink] = set()
        for draft, at, names in drawn:
            (contact,) = await account.add_contacts(draft, at=at)
            people[contact.id] = contact
            links.update(links_of([contact.id], [tags[name] for name in names]))
        await account.link(TagTarget.CONTACT, *links)
        newest = sorted(people.values(), key=lambda one: (one.created_at, one.id), reverse=True)
        for fields in ASKED:
            query = as_query(fields, tags)
            expected = [one.id for one in newest if lets_through(query, one, links)]
            page = await account.views.contacts(query)
            assert [one.id for one in page.data] == expected
            assert page.total == len(expected)


def as_query(fields: Mapping[str, Any], tags: Mapping[str, Tag]) -> ContactQuery:
    """Return a query in which the tags' names are their ids."""
    own = {name: value for name, value in fields.items() if name != "tags"}
    tag_ids = frozenset(tags[name].id for name in fields.get("tags", ()))
    return ContactQuery(tag_ids=tag_ids or UNSET, **own)


def lets_through(query: ContactQuery, contact: Contact, links: set[TagLink]) -> bool:
    """Return whether a contact is what a filter asks for."""
    tag_ids = {link.tag_id for link in links if link.target_id == contact.id}
    checks = [
        query.phone in (UNSET, contact.phone),
        query.has_phone in (UNSET, contact.phone is not None),
        query.is_group in (UNSET, contact.is_group),
        isinstance(query.tag_ids, UnsetType) or bool(tag_ids & query.tag_ids),
        query.search is UNSET or _says(query.search, contact),
    ]
    return all(checks)


def _says(search: str, contact: Contact) -> bool:
    texts = (contact.name or "", contact.email or "")
    in_phone = search.isdigit() and search in (contact.phone or "")
    return in_phone or any(fold(search) in fold(text) for text in texts)
