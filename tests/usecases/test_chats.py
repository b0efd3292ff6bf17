"""Chats: opened, given to somebody, and put away; over memory and over PostgreSQL."""

import asyncio

from clarin_core.domain.accounts import Membership
from clarin_core.domain.actor import Role
from clarin_core.domain.chats import ChatIds, NewChat
from clarin_core.domain.command import Precondition
from clarin_core.domain.contacts import ContactQuery
from clarin_core.domain.ids import ChatId, DeviceId, UserId
from clarin_core.domain.inbound import RevokeSeen
from clarin_core.domain.inbox_events import ChatDeleted, ChatUpdated
from clarin_core.domain.outbox import OutboxKind
from clarin_core.domain.phone import PhoneNumber
from clarin_core.errors import Conflict, Forbidden, Invalid
from support.desk import Desk, tell_over
from support.office import OWN_PHONE, Office, refused
from support.talk import ANA, EVA, at, said

NOBODYS = ChatId(2**62)


def test_a_chat_is_opened_once(address: str) -> None:
    """CH1, CT2: with the contact that has the phone, made if there is none; then it is found."""

    async def story(desk: Desk) -> None:
        office = await Office.of(desk)
        ana = await desk.tenant.add_contact(phone=PhoneNumber("+51987654321"), name="Ana")
        chat = await office.open()
        assert (chat.identity, chat.contact_id) == (ANA.identity, ana.id)
        assert await desk.names() == ["chat.opened"]
        assert await office.open("+51 987-654-321") == chat
        assert await desk.names() == []
        stranger = await office.open("987 654 322")
        assert (stranger.identity, stranger.unread_count) == (EVA.identity, 0)
        assert await desk.names() == ["contact.created", "chat.opened"]
        assert [one.id for one in await office.shown()] == [stranger.id, chat.id]

    tell_over(address, story)


def test_a_chat_is_opened_with_a_phone_on_a_device(address: str) -> None:
    """PH7: anything else is refused, and leaves nothing."""

    async def story(desk: Desk) -> None:
        office = await Office.of(desk)
        error = await refused(office.open("abc"), Invalid)
        assert error.code == "invalid_phone"
        new = NewChat(device_id=DeviceId(2**62), phone="987654321")
        await refused(desk.chats.open(desk.agent, new))
        assert await office.shown() == []
        assert (await desk.tenant.views.contacts(ContactQuery())).data == []
        assert await desk.news() == []

    tell_over(address, story)


def test_an_own_number_is_nobodys(address: str) -> None:
    """CT11: one may write to oneself, and is no contact for that."""

    async def story(desk: Desk) -> None:
        office = await Office.of(desk)
        chat = await office.open(OWN_PHONE)
        assert chat.contact_id is None
        assert await desk.names() == ["chat.opened"]

    tell_over(address, story)


def test_a_chat_may_begin_with_a_message(address: str) -> None:
    """CH12: opened and queued at once, and the device has it to send."""

    async def story(desk: Desk) -> None:
        office = await Office.of(desk)
        chat = await office.open(initial_message="¡Hola!")
        assert (chat.last_message, chat.unread_count) == ("¡Hola!", 0)
        assert await desk.names() == ["contact.created", "chat.opened", "message.queued"]
        (message,) = await office.messages(chat)
        (errand,) = await office.errands()
        assert (errand.kind, errand.message_id) == (OutboxKind.SEND, message.id)
        again = await office.open(initial_message="¿Hola?")
        assert (again.id, again.last_message) == (chat.id, "¿Hola?")

    tell_over(address, story)


def test_who_opens_at_one_moment_gets_one_chat(address: str) -> None:
    """CH1, CT1: nor are there two contacts."""

    async def story(desk: Desk) -> None:
        office = await Office.of(desk)
        chats = await asyncio.gather(*(office.open() for _ in range(5)))
        assert {chat.id for chat in chats} == {(await office.shown())[0].id}
        assert len((await desk.tenant.views.contacts(ContactQuery())).data) == 1
        assert await desk.names() == ["contact.created", "chat.opened"]

    tell_over(address, story)


def test_a_deleted_chat_comes_back_without_its_past(address: str) -> None:
    """CH18: with a new message, unread 1; contact and lead stay, and so does who has it."""

    async def story(desk: Desk) -> None:
        office = await Office.of(desk)
        before = await office.hear(said(ANA, "1", 1), said(ANA, "2", 2), said(ANA, "3", 3))
        await office.hear(RevokeSeen(chat=ANA, wa_message_id="3", at=at(4)))
        mine = await office.update(
            before, is_pinned=True, is_archived=True, assigned_to=desk.agent.user_id
        )
        assert (mine.is_pinned, mine.is_archived) == (True, True)
        await desk.news()
        await desk.chats.delete(desk.agent, before.id)
        assert await desk.names() == ["chat.deleted"]
        await refused(desk.tenant.views.chat(before.id))
        await refused(desk.chats.delete(desk.agent, before.id))
        after = await office.hear(said(ANA, "4", 5))
        assert (after.id, after.contact_id) == (before.id, before.contact_id)
        assert (after.unread_count, after.last_message) == (1, "dice 4")
        assert (after.is_pinned, after.is_archived) == (False, False)
        assert after.assigned_to == desk.agent.user_id
        assert [one.wa_message_id for one in await office.messages(after)] == ["4"]
        assert len(await desk.tenant.lead_ids()) == 1
        await office.read(after)
        assert [one.wa_message_ids for one in await office.errands()] == [["4"]]

    tell_over(address, story)


def test_what_was_said_before_the_end_does_not_bring_a_chat_back(address: str) -> None:
    """CH18: a message of the past, which comes late or again, is hidden like the others."""

    async def story(desk: Desk) -> None:
        office = await Office.of(desk)
        chat = await office.hear(said(ANA, "1", 1), said(ANA, "5", 5))
        await desk.chats.delete(desk.agent, chat.id)
        await office.ear.hear([said(ANA, "4", 4), said(ANA, "5", 5)])
        assert await office.shown() == []

    tell_over(address, story)


def test_a_deleted_chat_can_be_opened_again(address: str) -> None:
    """CH18: empty, and with the same contact."""

    async def story(desk: Desk) -> None:
        office = await Office.of(desk)
        before = await office.hear(said(ANA, "1", 1))
        await desk.chats.delete(desk.agent, before.id)
        await desk.news()
        after = await office.open()
        assert (after.id, after.contact_id) == (before.id, before.contact_id)
        assert (after.last_message, after.unread_count) == (None, 0)
        assert await office.messages(after) == []
        assert await desk.names() == ["chat.opened"]

    tell_over(address, story)


def test_a_chat_is_named_pinned_archived_and_given_away(address: str) -> None:
    """Section 8: each is news once, and null clears."""

    async def story(desk: Desk) -> None:
        office = await Office.of(desk)
        chat = await office.open()
        await desk.news()
        fields = {"name": "Ana", "is_pinned": True, "assigned_to": desk.admin.user_id}
        changed = await office.update(chat, version=chat.version, **fields)
        assert (changed.name, changed.is_pinned, changed.assigned_to) == tuple(fields.values())
        (event,) = await office.news_of(ChatUpdated)
        assert isinstance(event, ChatUpdated)
        assert event.changed == sorted(fields)
        assert await office.update(chat, **fields) == changed
        assert await desk.news() == []
        bare = await office.update(chat, name=None, assigned_to=None, is_archived=True)
        assert (bare.name, bare.assigned_to, bare.is_archived) == (None, None, True)

    tell_over(address, story)


def test_a_change_of_another_version_is_refused(address: str) -> None:
    """Section 1: so is a deletion, and nothing is changed."""

    async def story(desk: Desk) -> None:
        office = await Office.of(desk)
        chat = await office.open()
        other = chat.version + 1
        error = await refused(office.update(chat, version=other, is_pinned=True), Conflict)
        assert error.code == "version_conflict"
        seen = Precondition(version=other)
        await refused(desk.chats.delete(desk.agent, chat.id, seen), Conflict)
        assert await desk.tenant.views.chat(chat.id) == chat

    tell_over(address, story)


def test_a_chat_is_given_to_active_members_only(address: str) -> None:
    """LD9: who leaves keeps what they had, until it is given to somebody else."""

    async def story(desk: Desk) -> None:
        office, other = await Office.of(desk), await desk.stranger()
        chat = await office.open()
        for nobody in (other.agent.user_id, UserId(2**62)):
            await refused(office.update(chat, assigned_to=nobody))
        colleague = await desk.tenant.hire()
        await office.update(chat, assigned_to=colleague)
        async with desk.tenant.begin() as tx:
            await tx.members.remove(colleague)
        kept = await office.update(chat, assigned_to=colleague, is_pinned=True)
        assert (kept.assigned_to, kept.is_pinned) == (colleague, True)
        await office.update(chat, assigned_to=None)
        await refused(office.update(chat, assigned_to=colleague))
        place = Membership(
            account_id=desk.tenant.id, user_id=colleague, role=Role.AGENT, is_default=False
        )
        async with desk.tenant.begin() as tx:
            await tx.members.put(place)
        assert (await office.update(chat, assigned_to=colleague)).assigned_to == colleague

    tell_over(address, story)


def test_several_chats_are_deleted_or_none(address: str) -> None:
    """SD3: by administrators; one that is not there, or no more, keeps the others."""

    async def story(desk: Desk) -> None:
        office = await Office.of(desk)
        chats = [await office.open(f"98765432{n}") for n in range(3)]
        await desk.chats.delete(desk.agent, chats[0].id)
        left, everything = frozenset(one.id for one in chats[1:]), [one.id for one in chats]
        await desk.news()
        await refused(desk.chats.delete_many(desk.agent, ChatIds(ids=left)), Forbidden)
        for ids in (left | {NOBODYS}, frozenset(everything)):
            await refused(desk.chats.delete_many(desk.admin, ChatIds(ids=ids)))
        assert len(await office.shown()) == 2
        assert await desk.news() == []
        deleted = await desk.chats.delete_many(desk.admin, ChatIds(ids=left))
        assert (deleted.count, await office.shown()) == (2, [])
        (event,) = await office.news_of(ChatDeleted)
        assert isinstance(event, ChatDeleted)
        assert {one.id for one in event.chats} == left

    tell_over(address, story)


def test_a_chat_that_is_deleted_while_a_message_comes_hides_or_shows_it(address: str) -> None:
    """CH18: it is there with what came after, or it is not there."""

    async def story(desk: Desk) -> None:
        office = await Office.of(desk)
        chat = await office.hear(said(ANA, "0", 0))
        for minute in range(1, 6):
            await asyncio.gather(
                office.ear.hear([said(ANA, f"{minute}", minute)]),
                desk.chats.delete(desk.agent, chat.id),
            )
            shown = await office.shown()
            if shown:
                assert shown[0].unread_count == 1
                assert [one.body for one in await office.messages(chat)] == [f"dice {minute}"]
            else:
                await office.hear(said(ANA, f"{minute} again", minute))

    tell_over(address, story)
