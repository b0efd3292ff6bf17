"""Transactions that begin late: what they cost, and what happens when somebody is quicker."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import convert

from clarin_core.domain.ids import KommoId, LeadId
from clarin_core.domain.leads import LeadChange, LeadView
from clarin_core.errors import Conflict, Contention, NotFound, Unavailable
from clarin_core.testing.mirrors import record_of
from clarin_core.testing.publisher import RecordingPublisher
from clarin_core.testing.tenants import LATER, Tenant, draft, leads_in
from clarin_server.http.tries import patiently
from support.administered import END_ALL, Admin, someone_waits, tell
from support.attempts import (
    Ending,
    Held,
    at_once,
    attempt,
    by_a_statement,
    lose_answers,
    rename,
    rename_in_earnest,
    updates_in,
    user_of,
)


def test_a_change_is_a_look_a_write_and_the_view(database: str) -> None:
    """Three round trips: nothing is locked while the use case thinks, and there is no BEGIN."""
    sent: list[str] = []

    async def story(account: Tenant, admin: Admin) -> None:
        (lead,) = await account.add_leads(draft("Luz", kommo_id=KommoId(7)))
        first_try, *_ = updates_in(account)
        sent.clear()
        view = await first_try(user_of(account), lead.id, LeadChange(name="Sol", notes="uno"))
        assert (view.name, view.notes, view.version) == ("Sol", "uno", lead.version + 1)

    tell(database, story, watch=lambda text: sent.append(text.partition("\n")[0]))
    assert sent == ["-- leads.look", "-- late.write", "-- leads.view"]


def test_what_only_looks_never_begins(database: str) -> None:
    sent: list[str] = []

    async def story(account: Tenant, admin: Admin) -> None:
        lead = await account.add_lead()
        sent.clear()
        async with attempt(account) as tx:
            assert await tx.leads.get(lead.id) == lead
        with pytest.raises(NotFound):
            async with attempt(account) as tx:
                await tx.leads.get(LeadId(lead.id + 1))

    tell(database, story, watch=lambda text: sent.append(text.partition("\n")[0]))
    assert sent == ["-- leads.look"] * 2


@pytest.mark.parametrize("ending", [at_once, by_a_statement])
def test_whoever_was_overtaken_did_nothing(database: str, ending: Ending) -> None:
    """R10: somebody changed what it had read, so it may not write what it made of that."""
    publisher = RecordingPublisher()

    async def story(account: Tenant, admin: Admin) -> None:
        lead, other = await account.add_leads(draft("Luz"), draft("Mar"))

        async def try_it() -> None:
            async with attempt(account) as tx:
                await tx.leads.get(other.id)
                await rename(tx, lead.id, "Sol")
                await rename_in_earnest(account, other.id, "Río")
                await ending(tx)

        with pytest.raises(Contention):
            await try_it()
        assert [one.name for one in leads_in(await account.events())] == ["Luz", "Mar", "Río"]
        assert (await account.views.lead(lead.id)).name == "Luz"
        assert publisher.announced(account.id)[-1] == 2

    tell(database, story, publisher=publisher)


@pytest.mark.parametrize("ending", [at_once, by_a_statement])
def test_an_end_waits_for_who_changes_what_it_saw(database: str, ending: Ending) -> None:
    """What is compared is locked: else the other one's change would be lost."""

    async def story(account: Tenant, admin: Admin) -> None:
        lead = await account.add_lead()
        held = Held(account, lambda late: rename(late, lead.id, "Sol"), ending)
        await held.done()
        async with account.begin() as tx:
            await rename(tx, lead.id, "Río")
            held.go_on.set()
            await someone_waits(admin)
        with pytest.raises(Contention):
            await held.trying
        assert (await account.views.lead(lead.id)).name == "Río"

    tell(database, story)


def test_what_was_compared_stays_locked(database: str) -> None:
    """Once it has begun, a transaction is one like any other."""

    async def story(account: Tenant, admin: Admin) -> None:
        lead = await account.add_lead()
        async with attempt(account) as tx:
            await tx.leads.get(lead.id)
            await by_a_statement(tx)
            renaming = asyncio.create_task(rename_in_earnest(account, lead.id, "Río"))
            await someone_waits(admin)
            await rename(tx, lead.id, "Sol")
        await renaming
        names = [one.name for one in leads_in(await account.events())]
        assert names == ["Luz", "Sol", "Río"]

    tell(database, story)


def test_what_was_kept_is_there_for_what_comes_after(database: str) -> None:
    """A unit of work builds on its own steps, also where they had not been taken yet."""

    async def story(account: Tenant, admin: Admin) -> None:
        lead = await account.add_lead(custom_fields={"talla": "M", "n": 2**70})
        async with attempt(account) as tx:
            renamed = await rename(tx, lead.id, "Sol")
            assert await tx.leads.get(lead.id) == renamed
        async with attempt(account) as tx:
            renamed = await rename(tx, lead.id, "Mar")
            assert (await tx.views.lead(lead.id)).name == "Mar"
        async with account.begin() as tx:
            assert await tx.leads.get(lead.id) == renamed

    tell(database, story)


def test_of_two_saves_of_one_row_the_last_one_counts(database: str) -> None:
    """As told: whoever saves again what it has in hand does not lose it."""

    async def story(account: Tenant, admin: Admin) -> None:
        made, person = await account.add_lead(), await account.add_contact(name="Ana")
        async with attempt(account) as tx:
            lead, contact = await tx.leads.get(made.id), await tx.contacts.get(person.id)
            for name in ("Sol", "Mar"):
                lead.alter({"name": name}, at=LATER)
                contact.alter({"name": name}, at=LATER)
                await tx.leads.save([lead])
                await tx.contacts.save([contact])
        stored = await account.views.lead(made.id), await account.views.contact(person.id)
        assert [(one.name, one.version) for one in stored] == [("Mar", 3)] * 2

    tell(database, story)


@pytest.mark.parametrize("ending", [at_once, by_a_statement])
def test_what_is_mirrored_meanwhile_is_not_changed(database: str, ending: Ending) -> None:
    """KS7: that a lead was not Kommo's must be so still when it is written."""

    async def story(account: Tenant, admin: Admin) -> None:
        (lead,) = await account.add_leads(draft("Luz", kommo_id=KommoId(7)))

        async def try_it() -> None:
            async with attempt(account) as tx:
                await rename(tx, lead.id, "Sol")
                assert await tx.kommo.mirrored_leads([lead.id]) == set()
                async with account.begin() as other:
                    await other.kommo.put_leads([record_of(lead.id, 7)])
                await ending(tx)

        with pytest.raises(Contention):
            await try_it()
        assert (await account.views.lead(lead.id)).name == "Luz"
        async with attempt(account) as tx:
            await tx.leads.get(lead.id)
            assert await tx.kommo.mirrored_leads([lead.id]) == {lead.id}

    tell(database, story)


@pytest.mark.parametrize(
    ("values", "error"), [({"contact_id": 2**40}, NotFound), ({"kommo_id": 7}, Conflict)]
)
def test_what_may_be_refused_is_refused_when_it_is_saved(
    database: str, values: dict[str, int], error: type[Exception]
) -> None:
    """A link to what is not there, and a Kommo id that another lead has."""

    async def story(account: Tenant, admin: Admin) -> None:
        lead, _ = await account.add_leads(draft("Luz"), draft("Mar", kommo_id=KommoId(7)))

        async def try_it() -> None:
            async with attempt(account) as tx:
                stored = await tx.leads.get(lead.id)
                stored.alter(values, at=LATER)
                with pytest.raises(error):
                    await tx.leads.save([stored])
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await try_it()

    tell(database, story)


def test_a_write_that_nobody_answered_is_announced(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R10: it may have happened, so what was kept before it is doubtful from now on."""
    publisher = RecordingPublisher()

    async def story(account: Tenant, admin: Admin) -> None:
        lead = await account.add_lead()
        lose_answers(monkeypatch)
        with pytest.raises(Unavailable):
            async with attempt(account) as tx:
                await rename(tx, lead.id, "Sol")
        monkeypatch.undo()
        assert (await account.views.lead(lead.id)).name == "Sol"
        log, hint = await account.events(), publisher.news(account.id)[-1]
        assert hint.seq >= log[-1].seq
        assert hint.appended is None

    tell(database, story, publisher=publisher)


def test_a_write_that_is_cut_off_leaves_nothing(database: str) -> None:
    """R29: that is not known to who wrote it; the next one works."""
    publisher = RecordingPublisher()

    async def story(account: Tenant, admin: Admin) -> None:
        lead = await account.add_lead()
        held = Held(account, lambda tx: rename(tx, lead.id, "Sol"))
        await held.done()
        async with admin.transaction():
            await admin.execute("lock table leads in access exclusive mode")
            held.go_on.set()
            await someone_waits(admin)
            await admin.fetch(END_ALL, "clarin-service")
        with pytest.raises(Unavailable):
            await held.trying
        assert publisher.news(account.id)[-1].appended is None
        assert (await account.views.lead(lead.id)).name == "Luz"
        async with attempt(account) as tx:
            await rename(tx, lead.id, "Mar")
        assert (await account.views.lead(lead.id)).name == "Mar"

    tell(database, story, publisher=publisher)


ODD = {
    "whole": 123456789012345678901234567890,
    "real": -1.7976931348623157e308,
    "text": 'é "\\\n\u2028\U0001f642',
    "none": None,
    "nested": {"a": [True, {"b": None}]},
}


@pytest.mark.parametrize("fields", [ODD, {"text": "\0"}])
def test_custom_fields_stay_as_they_are(database: str, fields: dict[str, object]) -> None:
    """Also with what the late way cannot write."""

    async def story(account: Tenant, admin: Admin) -> None:
        lead = await account.add_lead(custom_fields=fields)
        asked = {"actor": user_of(account), "lead_id": lead.id, "change": LeadChange(name="Sol")}
        assert (await patiently(updates_in(account), asked)).custom_fields == fields

    tell(database, story)


FIELDS: dict[str, st.SearchStrategy[object]] = {
    "name": st.sampled_from(["Luz", "Sol", "Mar"]),
    "notes": st.sampled_from(["uno", None]),
    "status": st.sampled_from(["contacted", "won", "qualified"]),
    "phone": st.sampled_from(["+51987654321", "+51987654322"]),
}
CHANGES = st.lists(
    st.tuples(st.integers(0, 1), st.fixed_dictionaries({}, optional=FIELDS)),
    min_size=2,
    max_size=8,
)


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes=CHANGES)
def test_changes_at_the_same_time_all_count(
    database: str, changes: list[tuple[int, dict[str, object]]]
) -> None:
    """R5, R10: nobody who tries again is refused, and the log tells each change once, in order."""

    async def story(account: Tenant, admin: Admin) -> None:
        leads = await account.add_leads(draft("Ana"), draft("Eva"))
        tries = updates_in(account)

        async def change(place: int, fields: dict[str, object]) -> LeadView:
            asked = {"lead_id": leads[place].id, "change": convert(fields, LeadChange)}
            return await patiently(tries, {"actor": user_of(account), **asked})

        ends = await asyncio.gather(*(change(*one) for one in changes), return_exceptions=True)
        refused = {getattr(one, "code", "") for one in ends if isinstance(one, BaseException)}
        assert refused <= {"duplicate_contact"}
        told = leads_in(await account.events())
        for lead in leads:
            versions = [one.version for one in told if one.id == lead.id]
            assert versions == [*range(1, len(versions) + 1)]
            assert (await account.views.lead(lead.id)).version == versions[-1]

    tell(database, story)
