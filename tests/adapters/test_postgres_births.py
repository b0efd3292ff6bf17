"""New leads and changed contacts in transactions that begin late."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clarin_core.domain.contacts import ContactChange, ContactDraft
from clarin_core.domain.events import LeadUpdated
from clarin_core.domain.leads import LeadView, NewLead
from clarin_core.domain.paging import PageQuery
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.pipelines import NewStage
from clarin_core.errors import Conflict, Contention, Invalid, Unavailable
from clarin_core.ports.transaction import Transaction
from clarin_core.testing.tenants import LATER, Tenant, leads_in
from clarin_core.usecases.contacts import ContactUseCases
from clarin_postgres import late
from clarin_server.http.tries import patiently, tries_of
from support.administered import Admin, someone_waits, tell
from support.attempts import (
    Ending,
    Held,
    at_once,
    attempt,
    by_a_statement,
    creations_in,
    lose_answers,
    user_of,
)

PHONE = PhoneNumber("+51987654321")


async def make_default(account: Tenant, name: str) -> None:
    """Make a new pipeline the default one."""
    await account.add_pipeline(name, "Uno")
    async with account.begin() as tx:
        first, second = await tx.pipelines.all()
        first.is_default, second.is_default = False, True
        await tx.pipelines.save(first)
        await tx.pipelines.save(second)


async def create_late(tx: Transaction) -> None:
    """Begin as the use case begins: with the default pipeline."""
    await tx.pipelines.default()
    await tx.contacts.claim([ContactDraft(phone=PHONE, name="Eva")], at=LATER)


async def only_look(tx: Transaction) -> None:
    await tx.pipelines.default()


async def refuse(tx: Transaction) -> None:
    await tx.pipelines.default()
    raise Invalid("status", "does not go with the stage")


def test_a_new_lead_is_a_look_a_write_and_the_view(database: str) -> None:
    """Once the process knows the default pipeline and has ids: the contact, all rows, the lead."""
    sent: list[str] = []

    async def story(account: Tenant, admin: Admin) -> None:
        first_try, *_ = creations_in(account)
        await first_try(user_of(account), NewLead(name="Luz", phone="987654321"))
        sent.clear()
        view = await first_try(user_of(account), NewLead(name="Sol", phone="987654322"))
        assert (view.name, view.phone) == ("Sol", "+51987654322")
        assert view.stage_id == account.stages[0]
        history = await account.views.lead_history(view.id, PageQuery())
        assert [move.to_stage for move in history.data] == [view.stage_id]

    tell(database, story, watch=lambda text: sent.append(text.partition("\n")[0]))
    assert sent[:3] == ["-- contacts.look_for_phone", "-- late.write", "-- leads.view"]


@pytest.mark.parametrize("work", [create_late, only_look, refuse])
def test_what_is_remembered_decides_nothing(database: str, work: Ending) -> None:
    """Whoever goes by an old default pipeline is overtaken, also with a look or a refusal."""

    async def story(account: Tenant, admin: Admin) -> None:
        async def try_it() -> None:
            async with attempt(account) as tx:
                await work(tx)

        new = NewLead(name="Luz", phone="987654329")
        tries = creations_in(account)
        await patiently(tries, {"actor": user_of(account), "new": new})
        await make_default(account, "Postventa")
        with pytest.raises(Contention):
            await try_it()
        async with attempt(account) as tx:
            assert (await tx.pipelines.default()).name == "Postventa"

    tell(database, story)


@pytest.mark.parametrize("ending", [at_once, by_a_statement])
@pytest.mark.parametrize("what", ["pipeline", "contact"])
def test_a_new_lead_waits_for_who_changes_what_it_saw(
    database: str, what: str, ending: Ending
) -> None:
    """Its pipeline, which it only relies on, and its contact, which it may fill."""

    async def story(account: Tenant, admin: Admin) -> None:
        contact = await account.add_contact(phone=PHONE)

        async def create(late: Transaction) -> None:
            await create_late(late)
            late.emit(LeadUpdated(leads=[], changed=[]))

        held = Held(account, create, ending)
        await held.done()
        async with account.begin() as tx:
            if what == "pipeline":
                await tx.pipelines.add_stages(account.pipeline.id, [NewStage(name="Nueva")])
            else:
                contact.alter({"name": "Eva"}, at=LATER)
                await tx.contacts.save([contact])
            held.go_on.set()
            await someone_waits(admin)
        with pytest.raises(Contention):
            await held.trying

    tell(database, story)


@pytest.mark.parametrize("ending", [at_once, by_a_statement])
def test_a_phone_that_somebody_took_meanwhile_is_not_taken_twice(
    database: str, ending: Ending
) -> None:
    """CT2: the unique index has the last word, and the next try finds who has it."""

    async def story(account: Tenant, admin: Admin) -> None:
        async def try_it() -> None:
            async with attempt(account) as tx:
                ((_, is_new),) = await tx.contacts.claim([ContactDraft(phone=PHONE)], at=LATER)
                assert is_new
                await account.add_contact(phone=PHONE)
                await ending(tx)

        with pytest.raises(Contention):
            await try_it()

    tell(database, story)


def test_a_contact_is_changed_late_as_well(database: str) -> None:
    sent: list[str] = []

    async def story(account: Tenant, admin: Admin) -> None:
        contact = await account.add_contact(phone=PHONE)
        contacts = ContactUseCases(account.storage, lambda: LATER)
        first_try, *_ = tries_of(contacts, "update", account.storage)
        sent.clear()
        change = ContactChange(name="Eva", email="eva@x.pe")
        view = await first_try(user_of(account), contact.id, change)
        assert (view.name, view.email, view.version) == ("Eva", "eva@x.pe", 2)
        taken = await account.add_contact(phone=PhoneNumber("+51987654322"))
        with pytest.raises(Conflict) as refused:
            await first_try(user_of(account), contact.id, ContactChange(phone=taken.phone))
        assert refused.value.id == taken.id

    tell(database, story, watch=lambda text: sent.append(text.partition("\n")[0]))
    assert sent[:3] == ["-- contacts.look", "-- late.write", "-- contacts.view"]


def test_ids_are_given_once_however_many_ask(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late, "IDS", 2)

    async def story(account: Tenant, admin: Admin) -> None:
        async def create(number: int) -> LeadView:
            new = NewLead(name="Luz", phone=f"9876543{number}")
            return await patiently(tries, {"actor": user_of(account), "new": new})

        tries = creations_in(account)
        made = await asyncio.gather(*map(create, range(10, 26)))
        assert len({one.id for one in made}) == len({one.contact_id for one in made}) == 16

    tell(database, story)


@pytest.mark.parametrize("noun", ["contact", "lead"])
def test_ids_that_are_given_twice_refuse_nobody(database: str, noun: str) -> None:
    """R29: a standby that took over may know nothing of those that a process still has."""

    async def story(account: Tenant, admin: Admin) -> None:
        async def create(phone: str) -> LeadView:
            new = NewLead(name="Luz", phone=phone)
            return await patiently(tries, {"actor": user_of(account), "new": new})

        tries = creations_in(account)
        first = await create("987654321")
        last = first.contact_id if noun == "contact" else first.id
        await admin.execute(f"select setval('{noun}s_id_seq', {last})")
        taken = await account.add_contact() if noun == "contact" else await account.add_lead()
        second = await create("987654322")
        assert taken.id != (second.contact_id if noun == "contact" else second.id)

    tell(database, story)


def test_a_new_lead_that_nobody_answered_for_is_not_made_again(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R10: it may be there, whatever it was that the process went by."""

    async def story(account: Tenant, admin: Admin) -> None:
        tries = creations_in(account)
        asked = {"actor": user_of(account), "new": NewLead(name="Luz")}
        await patiently(tries, asked)
        lose_answers(monkeypatch)
        with pytest.raises(Unavailable):
            await patiently(tries, asked)
        monkeypatch.undo()
        assert len(await account.lead_ids()) == 2

    tell(database, story)


PEOPLE = st.lists(
    st.tuples(st.sampled_from(["987654321", "987654322"]), st.booleans()), min_size=2, max_size=8
)


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(people=PEOPLE)
def test_new_leads_of_one_person_at_the_same_time_share_the_contact(
    database: str, people: list[tuple[str, bool]]
) -> None:
    """LD2, LD3: one contact a phone, and one open lead of it unless more are wanted."""

    async def story(account: Tenant, admin: Admin) -> None:
        tries = creations_in(account)

        async def create(phone: str, *, is_extra: bool) -> LeadView:
            new = NewLead(name="Luz", phone=phone, allow_duplicate=is_extra)
            return await patiently(tries, {"actor": user_of(account), "new": new})

        ends = await asyncio.gather(
            *(create(phone, is_extra=extra) for phone, extra in people), return_exceptions=True
        )
        made = [end for end in ends if isinstance(end, LeadView)]
        refused = {getattr(one, "code", "") for one in ends if isinstance(one, BaseException)}
        assert refused <= {"duplicate_lead"}
        assert len({one.contact_id for one in made}) == len({one.phone for one in made})
        extra = sum(is_extra for _, is_extra in people)
        assert extra <= len(made) <= extra + len({phone for phone, _ in people})
        told = [one.id for one in leads_in(await account.events())]
        assert sorted(told) == sorted(one.id for one in made)
        with pytest.raises(Conflict):
            await create(people[0][0], is_extra=False)

    tell(database, story)
