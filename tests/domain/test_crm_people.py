"""What contacts of another CRM come to: a phone is the first one's, in whatever order they come.

`Crowd` is a plain account: it applies plans, and keeps what a storage would keep.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from clarin_core.domain.contacts import Contact, ContactDraft
from clarin_core.domain.crm_diff import SOURCE, newest, news
from clarin_core.domain.crm_people import (
    OWNED,
    LocalPeople,
    bury_people,
    email_of,
    phone_of,
    plan_people,
)
from clarin_core.domain.events import ContactDeleted, ContactRestored, ContactUpdated, Event, replay
from clarin_core.domain.ids import ContactId, KommoId
from clarin_core.domain.kommo import KnownContact
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.remote import RemoteContact, RemoteReach
from clarin_core.testing.tenants import LATER, NOON

PHONE, OTHER = PhoneNumber("+51987654321"), PhoneNumber("+51987654322")
TEXTS = ("987 654 321", "+51 987 654 322", "'987654323", "no tiene")


@dataclass
class Crowd:
    """An account's contacts, and what is known of those there."""

    people: dict[ContactId, Contact] = field(default_factory=dict)
    known: dict[KommoId, KnownContact] = field(default_factory=dict)
    latest: dict[KommoId, RemoteContact] = field(default_factory=dict)
    told: list[Event] = field(default_factory=list)

    def apply(self, batch: Sequence[RemoteContact], *, is_full: bool = False) -> list[Event]:
        """Apply a page, and what comes of it for others; return what is told."""
        fresh = news(batch, self.known, is_full=is_full)
        self.latest |= {one.id: one for one in fresh}
        live = [one for one in self.people.values() if one.deleted_at is None]
        local = LocalPeople(
            known=self.known, contacts=self.people, region="PE",
            holders={one.phone: one for one in live if one.phone is not None},
        )  # fmt: skip
        plan = plan_people(fresh, local, at=LATER)
        plan.store([(self.add(draft), True) for draft in plan.drafts])
        for record in plan.records:
            self.known[record.said.id] = KnownContact(
                kommo_id=record.said.id, contact_id=record.contact_id, digest=record.digest,
                updated_at=record.said.updated_at, phone=record.phone, email=record.email,
                is_gone=False,
            )  # fmt: skip
        phones = Counter(one.phone for one in self.people.values() if not one.deleted_at)
        assert all(count == 1 for phone, count in phones.items() if phone is not None)
        events = list(plan.events())
        self.told += events
        claims = [one for one in self.known.values() if one.phone in plan.freed and not one.is_gone]
        if claims:
            again = [self.latest[one.kommo_id] for one in claims]
            events += self.apply(again, is_full=True)
        return events

    def add(self, draft: ContactDraft) -> Contact:
        """Keep somebody new."""
        values = {name: getattr(draft, name) for name in ContactDraft.__struct_fields__}
        contact = Contact(
            id=ContactId(len(self.people) + 1), created_at=LATER, updated_at=LATER, version=1,
            **values,
        )  # fmt: skip
        self.people[contact.id] = contact
        return contact

    def of(self, kommo_id: int) -> Contact:
        return self.people[self.known[KommoId(kommo_id)].contact_id]

    def shown(self) -> dict[KommoId, Any]:
        """Return what Kommo owns of each contact."""
        return {key: {name: getattr(self.of(key), name) for name in OWNED} for key in self.known}


def said(key: int = 1, *phones: str, after: int = 0, **values: Any) -> RemoteContact:
    """Return what Kommo says of a contact, so many seconds after noon."""
    usual = RemoteContact(
        id=KommoId(key), name=f"Ana {key}", phones=[RemoteReach(text=one) for one in phones],
        created_at=NOON, updated_at=NOON + timedelta(seconds=after),
    )  # fmt: skip
    return replace(usual, **values)


@st.composite
def histories(draw: st.DrawFn) -> list[RemoteContact]:
    """Draw what is said of a few contacts that share phones."""
    emails = st.lists(st.sampled_from(("a@b.pe", "nada")), max_size=1)
    return [
        said(
            key, *draw(st.lists(st.sampled_from(TEXTS), max_size=2)), after=after,
            name=draw(st.sampled_from(("Ana", "", "Luz"))),
            emails=[RemoteReach(text=one) for one in draw(emails)],
        )
        for key in range(1, draw(st.integers(2, 5)))
        for after in range(draw(st.integers(1, 3)))
    ]  # fmt: skip


@given(data=st.data(), history=histories())
def test_pages_in_any_order_and_repeated_are_the_newest_words_once(
    data: st.DataObject, history: list[RemoteContact]
) -> None:
    """Property 13, KS9: of all that claim a phone in the end, the smallest id has it."""
    crowd, once = Crowd(), Crowd()
    order = data.draw(st.permutations([*history, *history[::2]]))
    size = data.draw(st.integers(1, len(order)))
    for start in range(0, len(order), size):
        crowd.apply(order[start : start + size])
    last = newest(history)
    once.apply(last)
    assert crowd.shown() == once.shown()
    claims = sorted((phone_of(one, "PE") or "", one.id) for one in last)
    for one in last:
        first = next(key for phone, key in claims if phone == (phone_of(one, "PE") or ""))
        assert crowd.of(one.id).phone == (phone_of(one, "PE") if first == one.id else None)
    told = len(crowd.told)
    crowd.apply(last)
    crowd.apply(last, is_full=True)
    assert len(crowd.told) == told
    assert replay(crowd.told).contacts == crowd.people


def test_phones_that_two_exchange_are_exchanged() -> None:
    crowd = Crowd()
    crowd.apply([said(1, PHONE), said(2, OTHER)])
    crowd.apply([said(1, OTHER, after=1), said(2, PHONE, after=1)])
    assert (crowd.of(1).phone, crowd.of(2).phone) == (OTHER, PHONE)


def test_who_is_here_with_the_phone_is_the_one() -> None:
    """KS6: linked and not doubled; what is ours stays, its name is Kommo's."""
    crowd = Crowd()
    draft = ContactDraft(name="Anita", custom_name="La de Ventas", phone=PHONE, notes="sí")
    here = crowd.add(draft)
    (told,) = crowd.apply([said(1, PHONE, name="Ana Quispe")])
    assert isinstance(told, ContactUpdated)
    assert crowd.of(1) is here
    assert (here.name, here.custom_name, here.notes) == ("Ana Quispe", "La de Ventas", "sí")
    crowd.apply([said(2, PHONE)])
    assert crowd.of(2) is not here
    assert (here.phone, crowd.of(2).phone) == (PHONE, None)


def test_what_we_know_from_elsewhere_stays() -> None:
    """KS7: where Kommo says nothing, and never did."""
    crowd = Crowd()
    crowd.apply([said(1)])
    crowd.of(1).alter({"phone": PHONE, "email": "a@b.pe"}, at=LATER)
    crowd.apply([said(1, after=1, name="Luz")])
    assert (crowd.of(1).phone, crowd.of(1).email) == (PHONE, "a@b.pe")
    crowd.apply([said(2, PHONE)])
    assert crowd.of(2).phone is None  # It is not Kommo's to give to another one.


def test_what_kommo_said_and_says_no_more_is_gone() -> None:
    """8.2: null clears."""
    crowd = Crowd()
    email = [RemoteReach(text="a@b.pe")]
    crowd.apply([said(1, PHONE, emails=email)])
    assert (crowd.of(1).phone, crowd.of(1).email) == (PHONE, "a@b.pe")
    crowd.apply([said(1, after=1)])
    assert (crowd.of(1).phone, crowd.of(1).email) == (None, None)


def test_of_two_that_were_merged_here_one_has_the_say() -> None:
    """CT6: two there are one here; the other's words do not take turns with the first one's."""
    crowd = Crowd()
    crowd.apply([said(1), said(2, PHONE)])
    kept = crowd.of(1)
    crowd.known[KommoId(2)] = replace(crowd.known[KommoId(2)], contact_id=kept.id)
    assert crowd.apply([said(2, PHONE, after=1, name="Otra")]) == []
    crowd.apply([said(1, after=1, name="Primera")])
    assert kept.name == "Primera"


def test_who_came_from_there_goes_and_others_stay() -> None:
    crowd = Crowd()
    crowd.add(ContactDraft(name="Sol", phone=OTHER, source="whatsapp"))
    crowd.apply([said(1, PHONE), said(2, OTHER), said(3)])
    shared = crowd.of(3)
    gone = [KommoId(key) for key in (1, 2, 3)]
    events = list(bury_people(crowd.people.values(), gone, {shared.id: KommoId(9)}, at=LATER))
    deleted, kept = events
    assert isinstance(deleted, ContactDeleted)
    assert isinstance(kept, ContactUpdated)
    assert [one.source for one in deleted.contacts] == [SOURCE]
    assert crowd.of(1).deleted_at == LATER
    assert (crowd.of(2).deleted_at, crowd.of(2).kommo_id) == (None, None)
    assert shared.kommo_id == 9
    crowd.known[KommoId(1)] = replace(crowd.known[KommoId(1)], is_gone=True)
    (restored,) = crowd.apply([said(1, PHONE)])
    assert isinstance(restored, ContactRestored)
    assert restored.contact.phone == PHONE


@pytest.mark.parametrize(
    ("whole", "first", "last", "names"),
    [
        ("Ana Quispe", "Ana", "Quispe", ("Ana", "Quispe")),
        ("Ana Quispe", "", "", ("Ana Quispe", None)),
        ("", "Ana", "Quispe", ("Ana", "Quispe")),
        ("Ana Q.", "Ana", "Quispe", ("Ana Q.", None)),
        ("", "", "", (None, None)),
    ],
)
def test_names_are_parts_where_the_parts_are_the_whole(
    whole: str, first: str, last: str, names: tuple[str | None, str | None]
) -> None:
    crowd = Crowd()
    crowd.apply([said(name=whole, first_name=first, last_name=last)])
    assert (crowd.of(1).name, crowd.of(1).last_name) == names


def test_the_first_that_is_one_is_taken() -> None:
    """2.3: texts are as people typed them; raw ones are kept in the record."""
    one = said(1, "anexo", "01 444 1234", PHONE)
    assert phone_of(one, "PE") == "+5114441234"
    emails = [RemoteReach(text=text) for text in ("nada", " a@b.pe ", "c@d.pe")]
    assert email_of(replace(one, emails=emails)) == "a@b.pe"
