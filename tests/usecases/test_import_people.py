"""Whom rows of a file mean, and which of their leads."""

from clarin_core.domain.ids import KommoId
from clarin_core.domain.imports import RowResult
from support.importing import OTHER_PHONE, PHONE, Office, table, tell

C, U, D = RowResult.CREATED, RowResult.UPDATED, RowResult.DUPLICATE


def test_a_phone_that_comes_later_reaches_the_lead() -> None:
    """IM4: a lead whose contact has no phone is linked to the person with the new one."""

    again = table({"kommo_id": 1, "phone": OTHER_PHONE}, trailer="again")

    async def story(here: Office) -> None:
        await here.results(table({"kommo_id": 1, "name": "Luz", "email": "l@x.pe"}))
        assert await here.results(table({"kommo_id": 1, "phone": PHONE})) == [U]
        assert await here.results(table({"kommo_id": 1, "phone": OTHER_PHONE})) == [U]
        (lead,) = await here.leads()
        assert (lead.phone, lead.email, lead.name) == ("+51987654321", "l@x.pe", "Luz")
        await here.results(again, overwrite=True)
        (lead,) = await here.leads()
        assert lead.phone == OTHER_PHONE

    tell(story)


def test_a_lead_needs_no_person_of_its_own() -> None:
    """LD1: its name stands in for the person's, and finds both again."""

    async def story(here: Office) -> None:
        content = table({"lead_name": "Casa"}, {"lead_name": "Casa", "kommo_id": 1})
        assert await here.results(content) == [C, C]
        assert [contact.name for contact in await here.contacts()] == ["Casa", "Casa"]
        again = table({"lead_name": "casa"}, {"lead_name": "Villa", "kommo_id": 1})
        assert await here.results(again) == [D, D]
        assert await here.results(again + b"\n", overwrite=True) == [U, U]
        assert [lead.name for lead in await here.leads()] == ["casa", "Villa"]
        assert [contact.name for contact in await here.contacts()] == ["Casa", "Casa"]

    tell(story)


def test_a_row_without_id_is_the_open_lead_of_its_pipeline() -> None:
    """LD3: another stage there makes no second lead, another pipeline does."""
    rows = [{"phone": PHONE, "stage": stage} for stage in ("Nuevo", "Contactado", "Perdido")]

    async def story(here: Office) -> None:
        elsewhere = {"phone": PHONE, "pipeline": "Obras"}
        assert await here.results(table(*rows, elsewhere)) == [C, D, D, C]
        assert await here.results(table({"phone": PHONE, "stage": "Perdido"}), overwrite=True) == [
            U
        ]
        assert await here.results(table(*rows[1:])) == [C, D]

    tell(story)


def test_of_several_open_leads_the_oldest_is_meant() -> None:
    """LD3: a row without Kommo id fills one of them."""

    async def story(here: Office) -> None:
        rows = [{"kommo_id": number, "phone": PHONE} for number in (2, 1)]
        assert await here.results(table(*rows, {"phone": PHONE, "notes": "llamar"})) == [C, C, U]
        assert [lead.notes for lead in await here.leads()] == ["llamar", None]

    tell(story)


def test_a_lead_that_changed_hands_is_no_longer_its_former_owners() -> None:
    """IM4: rows of the same batch see that it did."""
    before, after = {"kommo_id": 1, "phone": PHONE}, {"kommo_id": 1, "phone": OTHER_PHONE}

    async def story(here: Office) -> None:
        await here.results(table(before))
        assert await here.results(table(after, {"phone": PHONE}), overwrite=True) == [U, C]
        assert [lead.phone for lead in await here.leads()] == [OTHER_PHONE, "+51987654321"]

    tell(story)


def test_who_is_known_by_name_alone_keeps_its_spelling() -> None:
    """CT3: a last name in a column of its own is not put behind the whole name."""

    async def story(here: Office) -> None:
        await here.results(table({"kommo_id": 1, "name": "Eva Paz"}))
        row = {"name": "EVA", "last_name": "Paz", "email": "eva@example.com"}
        assert await here.results(table(row), overwrite=True) == [U]
        (eva,) = await here.contacts()
        assert (eva.full_name, eva.email) == ("Eva Paz", "eva@example.com")

    tell(story)


def test_a_new_name_counts_from_the_next_row_on() -> None:
    """IM4: who is called Eva since the row before is not the Ana of this one."""
    rows: list[dict[str, object]] = [
        {"kommo_id": 1, "name": "Eva"},
        {"name": "Ana"},
        {"name": "eva"},
    ]

    async def story(here: Office) -> None:
        await here.results(table({"kommo_id": 1, "name": "Ana"}))
        assert await here.results(table(*rows), overwrite=True) == [U, C, D]
        assert [contact.name for contact in await here.contacts()] == ["Eva", "Ana"]

    tell(story)


def test_a_lead_without_contact_and_stage_gets_both() -> None:
    """IM4: nothing is overwritten by that."""

    async def story(here: Office) -> None:
        await here.tenant.add_lead("Casa", kommo_id=KommoId(1))
        row = {"kommo_id": 1, "lead_name": "Villa", "name": "Luz", "stage": "Contactado"}
        assert await here.results(table(row)) == [U]
        (lead,) = await here.leads()
        assert (lead.name, lead.contact_name, lead.stage_name) == ("Casa", "Luz", "Contactado")

    tell(story)
