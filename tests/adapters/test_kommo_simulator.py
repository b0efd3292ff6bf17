"""The Kommo of our own, held to what is known of the real one; and the storms over it."""

import asyncio
import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from clarin_core.domain.ids import KommoId
from clarin_core.domain.remote import RemoteKind
from clarin_core.ports.crm import CrmList
from clarin_core.testing.crm_stage import all_of
from clarin_memory import RemoteBook
from support.kommo import Hours, KommoAccount
from support.kommo.account import Asked, Reply
from support.kommo.faults import Faults
from support.kommo.stage import new_account, staged
from support.storms import Storm

LEAD, CONTACT = RemoteKind.LEAD, RemoteKind.CONTACT


def ask(account: KommoAccount, path: str, **params: str | list[str]) -> Reply:
    some = {name: [one] if isinstance(one, str) else one for name, one in params.items()}
    return account.answer(Asked("GET", path, path, some, account.token))


def ids(reply: Reply, name: str = "leads") -> list[int]:
    return [] if reply.status == 204 else [one["id"] for one in reply.json["_embedded"][name]]


def filled(count: int) -> tuple[KommoAccount, list[KommoId]]:
    """Return an account with leads, each a second after the one before."""
    hours = Hours()
    account = new_account(hours)
    found = []
    for _ in range(count):
        hours.forward(1)
        found.append(account.book.add_lead())
    return account, found


def test_pages_are_offsets() -> None:
    """Fifty by default, 250 at most, and nothing at all behind the end."""
    account, leads = filled(260)
    first = ask(account, "/leads", **{"order[id]": "asc"})
    assert ids(first) == leads[:50]
    assert "next" in first.json["_links"]
    rest = ask(account, "/leads", **{"order[id]": "asc"}, limit="250", page="2")
    assert ids(rest) == leads[250:]
    assert "next" not in rest.json["_links"]
    assert ask(account, "/leads", limit="250", page="3") == Reply(204)
    assert ask(account, "/leads", limit="251").status == 400


def test_no_order_is_no_order() -> None:
    """Whoever forgets to ask for one gets one that helps nobody."""
    account, leads = filled(40)
    assert ids(ask(account, "/leads")) != leads
    assert sorted(ids(ask(account, "/leads"))) == leads
    assert ids(ask(account, "/leads", **{"order[updated_at]": "desc"})) == leads[::-1]


@pytest.mark.parametrize("is_inclusive", [True, False])
def test_filters(is_inclusive: bool) -> None:
    """By ids, by a range, by exactly one second; unknown ones are ignored."""
    account, leads = filled(5)
    account.is_from_inclusive = is_inclusive
    start = int(account.book.now().timestamp()) - 2
    order = {"order[id]": "asc"}
    after = ids(ask(account, "/leads", **order, **{"filter[updated_at][from]": str(start)}))
    assert after == leads[2 if is_inclusive else 3 :]
    assert ids(ask(account, "/leads", **{"filter[updated_at]": str(start)})) == leads[2:3]
    some = [str(leads[4]), str(leads[1]), "7"]
    assert ids(ask(account, "/leads", **order, **{"filter[id][]": some})) == [leads[1], leads[4]]
    assert ids(ask(account, "/leads", **order, **{"filter[tag]": "x"})) == leads
    account.are_filters_on = False
    assert ids(ask(account, "/leads", **order, **{"filter[id][]": some})) == leads


def test_what_is_told_only_when_asked_for() -> None:
    """Contacts of leads; and the recycle bin has no more than it takes to find something."""
    account, leads = filled(2)
    account.book.delete(LEAD, account.book.add_lead())

    def one(**params: str) -> Any:
        return ask(account, "/leads", **params).json["_embedded"]["leads"][0]

    assert "contacts" not in one()["_embedded"]
    assert one(**{"with": "contacts"})["_embedded"]["contacts"] == []
    assert set(one(**{"with": "only_deleted"})) == {"id", "updated_at", "is_deleted"}
    assert sorted(ids(ask(account, "/leads"))) == leads


def test_its_clock_is_its_own() -> None:
    """Late or early, and what it shows may be old."""

    async def story() -> None:
        async with staged() as stage, stage.crm.connect(stage.connection) as crm:
            book = RemoteBook(
                stage.hours, subdomain="acme", skew=timedelta(minutes=-7), lag=lambda: 5.0
            )
            stage.account.book = book
            book.add_lead()
            assert (await crm.leads(CrmList())).is_empty
            stage.forward(5)
            page = await crm.leads(CrmList())
            assert page.at == book.now() == stage.hours() - timedelta(minutes=7)
            assert page.items[0].updated_at == page.at - timedelta(seconds=5)

    asyncio.run(story())


def test_who_hammers_is_shut_out_and_stays_so() -> None:
    """Seven a second; the eighth is refused, and after some of those all are."""
    hours = Hours()
    gate = new_account(hours).gate
    assert [gate.arrive() for _ in range(7)] == [200] * 7
    hours.forward(0.9)
    assert [gate.arrive() for _ in range(6)] == [429] * 4 + [403] * 2
    assert (gate.violations, gate.knocks_while_blocked) == (5, 1)
    hours.forward(299)
    assert gate.arrive() == 403
    hours.forward(300)
    assert gate.arrive() == 200


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32))
def test_a_storm_comes_from_a_seed(seed: int) -> None:
    """The same one again; and it does all that hurts a mirror."""
    books = []
    for _ in range(2):
        books.append(RemoteBook(Hours()))
        settled(books[-1], seed).rage(80)
    assert books[0].real == books[1].real
    assert books[0].hints == books[1].hints
    assert {hint.what for hint in books[0].hints}


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), share=st.sampled_from([0.0, 0.15]))
def test_after_a_storm_everything_can_be_read(seed: int, share: float) -> None:
    """As it is, whatever went wrong on the way, and without a single violation."""

    async def story() -> None:
        faults = Faults(seed, share=share)
        async with staged(faults=faults) as stage, stage.crm.connect(stage.connection) as crm:
            storm = settled(stage.book, seed)
            for _ in range(5):
                storm.rage(20)
                stage.forward(random.Random(seed).random())
            leads = await all_of(lambda page: crm.leads(CrmList(page=page)))
            people = await all_of(lambda page: crm.contacts(CrmList(page=page)))
            assert {LEAD: by_id(leads), CONTACT: by_id(people)} == {
                kind: by_id([trimmed(one) for one in real.values()])
                for kind, real in stage.book.real.items()
            }
            assert stage.account.gate.violations == 0

    asyncio.run(story())


def settled(book: RemoteBook, seed: int) -> Storm:
    """Return a storm over an account that has all that there can be."""
    for at in range(2):
        book.add_pipeline(f"Embudo {at}", "Nuevo", "Contactado", "Propuesta")
        book.add_user(f"Vendedora {at}")
        book.add_field(LEAD, f"Campo {at}")
    return Storm(book, seed)


def trimmed(one: Any) -> Any:
    """Return it as we read it: without the blanks around names."""
    tags = [replace(tag, name=tag.name.strip()) for tag in one.tags]
    return replace(one, name=one.name.strip(), tags=tags)


def by_id(some: list[Any]) -> dict[KommoId, Any]:
    return {one.id: one for one in some}
