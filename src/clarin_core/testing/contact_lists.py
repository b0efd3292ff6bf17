"""Laws of what an account reads of its contacts."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from hypothesis import strategies as st
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict

from clarin_core.domain.contacts import (
    DUPLICATES_SHOWN_MAX,
    Contact,
    ContactDraft,
    ContactQuery,
    DuplicateQuery,
    DuplicateReason,
    email_key,
)
from clarin_core.domain.ids import ContactId, DeviceId
from clarin_core.domain.phone import PhoneNumber, phone_key
from clarin_core.domain.tags import Tag, TagLink, TagTarget
from clarin_core.domain.text import fold
from clarin_core.testing import strategies
from clarin_core.testing.contract import Capability, Contract, law
from clarin_core.testing.inbox import inbox_of, somebody
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

VARIANTS = tuple(
    map(
        PhoneNumber,
        (
            "+5511987654321", "+551187654321", "+5511887654321", "+5491123456789", "+541123456789",
            "+5215512345678", "+525512345678", "+51987654321",
        ),
    )
)  # fmt: skip


class Twin(Struct, frozen=True, kw_only=True):
    """Somebody who may be there twice."""

    email: str | None
    phone: int | None
    is_group: bool
    is_deleted: bool


twins = st.builds(
    Twin,
    email=st.none() | st.sampled_from(["ana@x.pe", "Ana@X.PE", "ÉVA@x.pe", "éva@x.pe"]),
    phone=st.none() | st.integers(0, 7),
    is_group=st.sampled_from([False, False, False, True]),
    is_deleted=st.sampled_from([False, False, False, True]),
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

    @law()
    async def test_the_contacts_of_a_device_have_a_chat_there(self, account: Tenant) -> None:
        """Section 8: a live one; who has several is there once."""
        here, elsewhere = await inbox_of(account), await inbox_of(account)
        ana, eva, noa, _ = people = await account.add_contacts(*[ContactDraft(name="Ana")] * 4)
        await here.open(somebody(1), somebody(2), contact_id=ana.id)
        await elsewhere.open_one(1, contact_id=eva.id)
        await here.open_one(3)
        await here.delete(await here.open_one(4, contact_id=noa.id))
        for query, known in (
            (ContactQuery(), people),
            (ContactQuery(device_id=here.device_id), [ana]),
            (ContactQuery(device_id=elsewhere.device_id, after=""), [eva]),
            (ContactQuery(device_id=DeviceId(2**62)), []),
        ):
            page = await account.views.contacts(query)
            assert {one.id for one in page.data} == {one.id for one in known}
            assert page.total in (UNSET, len(known))

    @law(drawn=st.lists(twins, max_size=8))
    async def test_duplicates_are_live_people_who_share_something(
        self, account: Tenant, drawn: list[Twin]
    ) -> None:
        """CT5: an e-mail address whatever its case, or a phone in another variant (PH6)."""
        free, known = list(VARIANTS), list[Contact]()
        for one in drawn:
            phone = free.pop(one.phone % len(free)) if one.phone is not None and free else None
            contact = await account.add_contact(
                phone=phone, email=one.email, is_group=one.is_group, name="Ana"
            )
            if one.is_deleted:
                await account.delete_contact(contact)
            elif not one.is_group:
                known.append(contact)
        sharing = defaultdict[tuple[DuplicateReason, str], list[ContactId]](list)
        for contact in known:
            if contact.email is not None:
                sharing[DuplicateReason.EMAIL, email_key(contact.email)].append(contact.id)
            if contact.phone is not None:
                sharing[DuplicateReason.PHONE, phone_key(contact.phone)].append(contact.id)
        groups = [(*key, ids) for key, ids in sharing.items() if len(ids) > 1]
        expected = sorted(groups, key=lambda group: (group[2][0], group[0].value))
        page = await account.views.duplicates(DuplicateQuery())
        assert [(g.reason, g.value, [one.id for one in g.contacts]) for g in page.data] == expected
        assert [group.count for group in page.data] == [len(ids) for *_, ids in expected]

    @law()
    async def test_duplicates_are_shown_as_contacts_are(self, account: Tenant) -> None:
        """CT5: with their tags, so that somebody can choose; of very many the oldest."""
        drafts = [ContactDraft(email="ana@x.pe")] * (DUPLICATES_SHOWN_MAX + 1)
        people = await account.add_contacts(*drafts)
        tags = await account.add_tags("vip", "frío")
        await account.link(TagTarget.CONTACT, *links_of([people[1].id], tags))
        (group,) = (await account.views.duplicates(DuplicateQuery())).data
        assert (group.count, len(group.contacts)) == (len(people), DUPLICATES_SHOWN_MAX)
        assert group.contacts[:2] == [await account.views.contact(one.id) for one in people[:2]]


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
