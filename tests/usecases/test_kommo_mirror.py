"""The mirror of a CRM: what is read is stored, once, and what changes follows."""

from clarin_core.domain.kommo import KommoPhase
from support.mirroring import LEAD, Mirroring, tell


def test_everything_comes_with_the_first_pass() -> None:
    """Backfill: pipelines, contacts and leads of the connected pipeline, linked and tagged."""

    async def story(room: Mirroring) -> None:
        vip = room.book.add_tag(LEAD, "VIP")
        room.book.add_contact(name="Ana Quispe")
        for number in range(7):
            room.book.add_lead(name=f"Lead {number}", tags=[vip])
        room.book.add_lead(
            pipeline_id=room.book.pipelines[1].id, stage_id=room.book.pipelines[1].stages[1].id
        )
        await room.connect()
        await room.turn()
        assert await room.shown() == await room.meant()
        assert len((await room.shown())["leads"]) == 7
        assert (await room.link()).phase is KommoPhase.LIVE

    tell(story, page_max=3)
