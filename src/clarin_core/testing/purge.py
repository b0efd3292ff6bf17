"""Laws of the purge: it removes what is old, and trims logs from their beginning only."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from msgspec.structs import replace

from clarin_core.domain.chats import Chat
from clarin_core.domain.contacts import ContactDraft
from clarin_core.domain.events import EventQuery
from clarin_core.domain.messages import (
    Mark,
)
from clarin_core.domain.replies import (
    Reaction,
    Vote,
)
from clarin_core.domain.tags import TagTarget
from clarin_core.errors import NotFound, TooOld
from clarin_core.ports.storage import EVENTS_KEPT_MAX
from clarin_core.testing.contract import Contract, law
from clarin_core.testing.events import gone
from clarin_core.testing.idempotency import DONE, a_request
from clarin_core.testing.inbox import Inbox, inbox_of, somebody
from clarin_core.testing.leads import move
from clarin_core.testing.sign_in import add_ticket, sign_in
from clarin_core.testing.tenants import LATER, NOON, Tenant, draft, lid, links_of

LONG_AGO = datetime(2001, 1, 1, tzinfo=NOON.tzinfo)
DAY = timedelta(days=1)


class PurgeLaws(Contract):
    """What `Storage.purge` promises. The other accounts of the store are old enough to stay."""

    @law()
    async def test_old_deleted_leads_and_contacts_are_removed(self, account: Tenant) -> None:
        """SD1: what was deleted before the time is gone with its links; the rest stays."""
        old, new, live = await account.add_leads(*map(draft, ("vieja", "nueva", "viva")))
        past, present = await account.add_contacts(*map(named, ("Ana", "Eva")))
        tags = await account.add_tags("vip")
        await account.link(TagTarget.LEAD, *links_of([old.id, new.id], tags))
        await account.link(TagTarget.CONTACT, *links_of([past.id, present.id], tags))
        await move(account, old.id, 1)
        for lead, at in ((old, LONG_AGO), (new, LONG_AGO + 2 * DAY)):
            await account.delete_lead(lead.id, at=at)
        for contact, name in ((past, "1"), (present, "2")):
            await account.identify(contact, lid(name))
        async with account.begin() as tx:
            await tx.contacts.save([replace(present, merged_into=past.id)])
        for contact, at in ((past, LONG_AGO), (present, LONG_AGO + 2 * DAY)):
            await account.delete_contact(contact, at=at)
        await self._purge(deleted_before=LONG_AGO + DAY)
        assert await account.lead_ids(deleted=True) == [new.id]
        assert await account.lead_ids() == [live.id]
        async with account.begin() as tx:
            people = await tx.contacts.get_many([past.id, present.id])
            assert [(one.id, one.merged_into) for one in people] == [(present.id, None)]
            known = await tx.contacts.identities([lid("1"), lid("2")], at=NOON)
            assert known[lid("1")].contact_id is None
            assert known[lid("2")].contact_id == present.id
            with pytest.raises(NotFound):
                await tx.leads.get(old.id, deleted=True)
        assert (await account.add_lead()).id > live.id

    @law()
    async def test_a_purge_changes_nothing_that_lives(self, account: Tenant) -> None:
        """SD1: age alone removes nothing."""
        await account.add_lead("Luz", at=LONG_AGO)
        await account.add_contact(name="Ana", at=LONG_AGO)
        await account.add_tags("vip")
        before = await account.picture()
        await self._purge(deleted_before=LONG_AGO + DAY)
        assert await account.picture() == before

    @law()
    async def test_a_contact_stays_while_something_shows_it(self, account: Tenant) -> None:
        """SD1: a lead or a chat, a deleted chat, too, still says whom it is with."""
        ana, eva = await account.add_contacts(*map(named, ("Ana", "Eva")))
        inbox = await inbox_of(account)
        chat = await inbox.open_one(contact_id=ana.id)
        await account.add_lead(contact_id=eva.id)
        for contact in (ana, eva):
            await account.delete_contact(contact, at=LONG_AGO)
        await inbox.delete(chat)
        await self._purge(deleted_before=LONG_AGO + DAY)
        async with account.begin() as tx:
            people = await tx.contacts.get_many([ana.id, eva.id])
        assert [one.id for one in people] == [ana.id, eva.id]

    @law()
    async def test_old_deleted_chats_are_removed_with_all_that_is_theirs(
        self, account: Tenant
    ) -> None:
        """SD1, CH18: whom they were with stays; later ones, and what is in them, stay."""
        inbox, ana = await inbox_of(account), await account.add_contact(name="Ana")
        lead = await account.add_lead(contact_id=ana.id)
        old, new, live = await inbox.open(*map(somebody, range(3)), contact_id=ana.id)
        for chat in (old, new, live):
            await _fill(inbox, chat)
        for chat, at in ((old, LONG_AGO), (new, LONG_AGO + 2 * DAY)):
            await inbox.delete(chat, at=at)
        await self._purge(deleted_before=LONG_AGO + DAY)
        ids = [old.id, new.id, live.id]
        async with account.begin() as tx:
            assert [one.id for one in await tx.chats.get_many(ids)] == ids[1:]
            assert (await tx.messages.ends(ids)).keys() == set(ids[1:])
            assert len(await tx.messages.by_wa([(key, "A") for key in ids])) == 2
            assert len(await tx.messages.take_marks([(key, "B") for key in ids])) == 2
            assert len(await tx.messages.votes([(key, "A") for key in ids])) == 2
            links = await tx.tags.links(TagTarget.CHAT, ids)
            assert {link.target_id for link in links} == set(ids[1:])
            errand = await tx.outbox.next(inbox.device_id, at=LATER)
            assert errand is not None
            assert errand.chat_id == new.id
            assert (await tx.contacts.get(ana.id), await tx.leads.get(lead.id)) == (ana, lead)
        assert [len(one.reactions) for one in await inbox.shown(live)] == [1]
        again = await inbox.open_one(0)
        assert (again.id > live.id, await inbox.shown(again)) == (True, [])

    @law()
    async def test_old_marks_are_removed(self, account: Tenant) -> None:
        """CH8: what was said of a message that did not come; said again it is young again."""
        chat = await (await inbox_of(account)).open_one()
        old, new, again = (Mark(chat_id=chat.id, wa_message_id=name) for name in "ABC")
        for marks, at in (([old, again], LONG_AGO), ([new, again], LONG_AGO + 2 * DAY)):
            async with account.begin() as tx:
                await tx.messages.put_marks(marks, at=at)
        await self._purge(marks_before=LONG_AGO + DAY)
        async with account.begin() as tx:
            left = await tx.messages.take_marks([mark.key for mark in (old, new, again)])
        assert left == {mark.key: mark for mark in (new, again)}

    @law()
    async def test_a_log_is_trimmed_from_its_beginning(self, account: Tenant) -> None:
        """R4: numbers stay, the log says how far it is gone, and the rest is read as before."""
        for size in (2, 1, 3):
            await account.emit(*map(gone, range(size)))
        log = await account.events()
        for bound in (log[0].at, log[2].at, log[5].at, log[2].at):
            trimmed = (await account.views.position()).trimmed_to
            expected = max(trimmed, next(one.seq for one in log if one.at >= bound) - 1)
            await self._purge(events_before=bound)
            position = await account.views.position()
            assert (position.trimmed_to, position.seq) == (expected, len(log))
            assert await account.events(after=expected) == log[expected:]
        await account.emit(gone(1))
        assert (await account.views.position()).seq == len(log) + 1

    @law()
    async def test_a_log_keeps_its_newest_events_only(self, account: Tenant) -> None:
        """R4: a log that grows fast is trimmed by number, however young it is."""
        await account.emit(*map(gone, range(5)))
        for kept, trimmed_to in ((9, 0), (3, 2), (4, 2), (0, 5)):
            await self._purge(events_kept_max=kept)
            position = await account.views.position()
            assert (position.trimmed_to, position.seq) == (trimmed_to, 5)

    @law()
    async def test_what_was_trimmed_cannot_be_read(self, account: Tenant) -> None:
        """R4: never silence instead of events that are gone."""
        await account.emit(*map(gone, range(3)))
        last = (await account.events())[-1].at + timedelta(seconds=1)
        await self._purge(events_before=last)
        assert (await account.views.position()).trimmed_to == 3
        assert await account.events(after=3) == []
        for after in range(3):
            with pytest.raises(TooOld):
                await account.views.events(EventQuery(after=after))

    @law()
    async def test_ended_sign_ins_and_tickets_are_removed(self, account: Tenant) -> None:
        """Those that ended before the time, and no other."""
        user_id = await account.hire()
        ended, later, live = [await sign_in(account, user_id) for _ in range(3)]
        async with self.storage.directory() as directory:
            await directory.sessions.save(replace(ended, revoked_at=LONG_AGO))
            await directory.sessions.save(replace(later, revoked_at=LONG_AGO + 2 * DAY))
        digest = uuid4().bytes
        await add_ticket(live, account, digest)
        await self._purge(deleted_before=LONG_AGO + DAY)
        async with self.storage.directory() as directory:
            assert (await directory.sessions.get(later.id)).revoked_at == LONG_AGO + 2 * DAY
            assert await directory.sessions.get(live.id) == live
            assert await directory.sessions.take_ticket(digest, at=NOON) == (live.id, account.id)
            with pytest.raises(NotFound):
                await directory.sessions.get(ended.id)

    @law()
    async def test_old_answers_are_removed(self, account: Tenant) -> None:
        """R16: a key whose time is over is free again, and no other."""
        old, new = a_request("vieja"), a_request("nueva")
        for request, at in ((old, LONG_AGO), (new, LONG_AGO + 2 * DAY)):
            async with account.begin() as tx:
                await tx.idempotency.claim(request, at=at)
                await tx.idempotency.keep(request, DONE)
        await self._purge(answers_before=LONG_AGO + DAY)
        async with account.begin() as tx:
            assert await tx.idempotency.claim(new, at=NOON) == DONE
            assert await tx.idempotency.claim(old, at=NOON) is None

    async def _purge(
        self,
        *,
        deleted_before: datetime = LONG_AGO,
        events_before: datetime = LONG_AGO,
        answers_before: datetime = LONG_AGO,
        marks_before: datetime = LONG_AGO,
        events_kept_max: int = EVENTS_KEPT_MAX,
    ) -> None:
        """Remove nothing but what the bounds say."""
        await self.storage.purge(
            deleted_before=deleted_before,
            events_before=events_before,
            answers_before=answers_before,
            marks_before=marks_before,
            events_kept_max=events_kept_max,
        )


async def _fill(inbox: Inbox, chat: Chat) -> None:
    """Commit a message that somebody felt something about, and the like, in a chat."""
    (message,) = await inbox.say(inbox.said(chat, wa_message_id="A"))
    await inbox.order(inbox.to_do(chat, message_id=message.id), inbox.to_do(chat))
    tags = await inbox.account.add_tags("vip")
    await inbox.account.link(TagTarget.CHAT, *links_of([chat.id], tags))
    about: dict[str, Any] = {"chat_id": chat.id, "wa_message_id": "A", "at": NOON}
    async with inbox.account.begin() as tx:
        await tx.messages.put_marks([Mark(chat_id=chat.id, wa_message_id="B")], at=NOON)
        await tx.messages.react([Reaction(sender=somebody(1), emoji="👍", **about)])
        await tx.messages.vote([Vote(voter=somebody(1), options=[], **about)])


def named(name: str) -> ContactDraft:
    """Return a person of whom only the name is known."""
    return ContactDraft(name=name)
