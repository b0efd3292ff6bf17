"""What a device hears: the same in the end, however it is told."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict

from clarin_core.domain.chats import ChatQuery, ChatView
from clarin_core.domain.contacts import ContactQuery
from clarin_core.domain.events import replay
from clarin_core.domain.inbound import (
    EditSeen,
    Inbound,
    Peer,
    PeerSeen,
    ReactionSeen,
    RevokeSeen,
    VoteSeen,
)
from clarin_core.domain.leads import LeadQuery
from clarin_core.domain.messages import (
    MessageKind,
    MessageQuery,
    MessageStatus,
    MessageView,
    Poll,
)
from clarin_core.domain.replies import (
    option_digest,
)
from clarin_core.errors import Conflict
from clarin_core.testing.tenants import NOON, lid
from support.desk import Desk, tell, tell_over
from support.talk import ANA, EVA, Ear, at, receipt, said

HIDDEN_EVA = Peer(identity=lid("77"))
SURE_EVA = Peer(identity=HIDDEN_EVA.identity, other=EVA.identity)

LATER = NOON + timedelta(hours=1)


def felt(wa_id: str, emoji: str, minute: int, sender: Peer = ANA) -> ReactionSeen:
    return ReactionSeen(chat=ANA, wa_message_id=wa_id, sender=sender, emoji=emoji, at=at(minute))


def voted(minute: int, *options: str) -> VoteSeen:
    digests = [*map(option_digest, options)]
    return VoteSeen(chat=ANA, wa_message_id="P", voter=ANA, options=digests, at=at(minute))


# Of the one who has two addresses nothing is read: the smaller cursor counts of two chats (CT7).
TALK: list[Inbound] = [
    said(ANA, "A", 1),
    said(ANA, "B", 2, is_from_me=True),
    said(ANA, "C", 3),
    said(ANA, "D", 4),
    said(ANA, "E", 5, kind=MessageKind.UNKNOWN, body=None, is_placeholder=True),
    said(ANA, "E", 5),
    said(ANA, "F", 6),
    said(ANA, "P", 0, kind=MessageKind.POLL, poll=Poll(options=["sí", "no"], selectable=1)),
    receipt(ANA, MessageStatus.DELIVERED, "B"),
    receipt(ANA, MessageStatus.READ, "B"),
    receipt(ANA, MessageStatus.READ, "A", "C", is_own=True),
    EditSeen(chat=ANA, wa_message_id="D", body="dice más", at=at(7)),
    EditSeen(chat=ANA, wa_message_id="D", body="dice menos", at=at(8)),
    EditSeen(chat=ANA, wa_message_id="F", body="dice nada", at=at(7)),
    RevokeSeen(chat=ANA, wa_message_id="F", at=at(8)),
    felt("B", "👍", 3),
    felt("B", "", 4),
    felt("B", "❤️", 5),
    felt("A", "😂", 6),
    voted(2, "sí"),
    voted(3, "no"),
    said(EVA, "G", 1),
    said(HIDDEN_EVA, "G", 1),
    said(HIDDEN_EVA, "H", 2),
    said(HIDDEN_EVA, "I", 3),
    EditSeen(chat=HIDDEN_EVA, wa_message_id="G", body="dice otra cosa", at=at(4)),
    RevokeSeen(chat=EVA, wa_message_id="I", at=at(5)),
    PeerSeen(chat=SURE_EVA),
]

PASSING = {
    "id", "chat_id", "contact_id", "last_message_id", "media_id", "version", "created_at",
    "updated_at", "edits", "sender",
}  # fmt: skip
"""What depends on the order by its nature, or says how WhatsApp named somebody at that time."""


class Room:
    """A device of an account that hears what it is told."""

    def __init__(self, desk: Desk, ear: Ear) -> None:
        self.desk, self.ear = desk, ear

    @classmethod
    async def open(cls) -> "Room":
        return await cls.at(await Desk.open())

    @classmethod
    async def at(cls, desk: Desk) -> "Room":
        device = await desk.tenant.add_device()
        ear = await Ear.of(desk.tenant.storage, desk.tenant.id, device.id, clock=lambda: LATER)
        await desk.news()
        return cls(desk, ear)

    async def hear(self, *batches: Sequence[Inbound]) -> None:
        await self.ear.hear(*batches)

    async def check_news(self) -> None:
        """Assert that the events since the last call add up to what is stored."""
        state = replay(await self.desk.news()).inbox
        named = {(one.chat_id, one.wa_message_id or "") for one in state.messages.values()}
        async with self.desk.tenant.begin() as tx:
            chats = await tx.chats.get_many(state.chats.keys())
            messages = await tx.messages.by_wa(named)
        assert state.chats == {chat.id: chat for chat in chats}
        assert state.messages == {message.id: message for message in messages.values()}

    async def shown(self) -> list[Any]:
        """Return the chats with their messages, as people see them."""
        views = self.desk.tenant.views
        chats = (await views.chats(ChatQuery())).data
        messages = [(await views.messages(chat.id, MessageQuery())).data for chat in chats]
        return [
            (lasting(chat), [*map(lasting, found)])
            for chat, found in zip(chats, messages, strict=True)
        ]


def lasting(row: ChatView | MessageView) -> dict[str, Any]:
    """Return what must not depend on how it was told."""
    values = {key: value for key, value in asdict(row).items() if key not in PASSING}
    if isinstance(row, MessageView):
        return values | {"reactions": [(one.sender, one.emoji, one.at) for one in row.reactions]}
    return values | {"read_up_to": row.read_up_to and row.read_up_to.at}


def cut(events: Sequence[Inbound], places: set[int]) -> list[Sequence[Inbound]]:
    """Return the events in parts that begin at these places."""
    borders = sorted({0, len(events), *(place for place in places if place < len(events))})
    return [events[start:end] for start, end in pairwise(borders)]


RETOLD = st.lists(st.sampled_from(TALK), max_size=6).flatmap(
    lambda again: st.permutations([*TALK, *again])
)


@settings(max_examples=200, deadline=None)
@given(events=RETOLD, places=st.sets(st.integers(1, len(TALK) + 6)))
def test_neither_order_nor_repetition_counts(events: list[Inbound], places: set[int]) -> None:
    """CH4 to CH10, CH15, CT4, CT7: the same chats in the end, which the events add up to.

    A repetition is no news.
    """

    async def story() -> None:
        told, retold = await Room.open(), await Room.open()
        await told.hear(TALK)
        await retold.hear(*cut(events, places))
        assert await retold.shown() == await told.shown()
        await retold.check_news()
        await retold.hear(*cut(events, places))
        assert await retold.desk.news() == []

    tell(story())


def test_who_writes_first_gets_a_contact_and_a_lead() -> None:
    """CH19, CT2: once; not for what the account's own phone says, nor for history."""

    async def story() -> None:
        room = await Room.open()
        views = room.desk.tenant.views
        await room.hear([said(EVA, "X", 1, is_from_me=True)])
        await room.hear([said(EVA, "Y", 2, is_history=True)])
        assert (await views.leads(LeadQuery())).data == []
        await room.hear([said(EVA, "Z", 3)], [said(EVA, "W", 4)])
        (lead,) = (await views.leads(LeadQuery())).data
        (contact,) = (await views.contacts(ContactQuery())).data
        (chat,) = (await views.chats(ChatQuery())).data
        assert lead.contact_id == contact.id == chat.contact_id
        assert (contact.phone, contact.push_name) == ("+51987654322", "Sol")

    tell(story())


def test_an_account_may_open_its_leads_by_hand(address: str) -> None:
    """CH19: whoever writes is a contact all the same; a lead comes when that is wanted again."""

    async def story(desk: Desk) -> None:
        room = await Room.at(desk)
        views = desk.tenant.views
        for wanted, wa_id in ((False, "X"), (True, "Y")):
            async with desk.tenant.begin() as tx:
                account = await tx.account.get()
                account.leads_from_chats = wanted
                await tx.account.save(account)
            await room.hear([said(EVA, wa_id, 1)])
            assert len((await views.contacts(ContactQuery())).data) == 1
            assert len((await views.leads(LeadQuery())).data) == int(wanted)

    tell_over(address, story)


def test_who_is_not_to_be_contacted_gets_no_lead() -> None:
    """CH19: the talk is there, and nothing that asks for an offer."""

    async def story() -> None:
        room = await Room.open()
        await room.hear([said(EVA, "X", 1, is_history=True)])
        views = room.desk.tenant.views
        async with room.desk.tenant.begin() as tx:
            ids = [one.id for one in (await tx.views.contacts(ContactQuery())).data]
            (contact,) = await tx.contacts.get_many(ids)
            contact.do_not_contact = True
            await tx.contacts.save([contact])
        await room.hear([said(EVA, "Y", 2)])
        assert len((await views.chats(ChatQuery())).data) == 1
        assert (await views.leads(LeadQuery())).data == []

    tell(story())


def test_what_comes_from_far_ahead_was_said_when_it_came() -> None:
    """CH5: five minutes are a clock that is wrong, more would stay on top for ever."""

    async def story() -> None:
        room = await Room.open()
        times = [LATER + timedelta(minutes=minutes) for minutes in (5, 6)]
        for name, sent_at in zip("XY", times, strict=True):
            await room.hear([said(EVA, name, 1, sent_at=sent_at)])
        ((_, messages),) = await room.shown()
        assert [(one["wa_message_id"], one["sent_at"]) for one in messages] == [
            ("X", times[0]), ("Y", LATER),
        ]  # fmt: skip

    tell(story())


def test_two_contacts_of_one_person_become_one() -> None:
    """CT4: the older one stays, and knows both addresses; a phone on its own stays known."""

    async def story() -> None:
        room = await Room.open()
        await room.hear([said(HIDDEN_EVA, "X", 1)], [said(EVA, "Y", 2)], [PeerSeen(chat=SURE_EVA)])
        views = room.desk.tenant.views
        (contact,) = (await views.contacts(ContactQuery())).data
        names = {row.identity for row in await views.contact_identities(contact.id)}
        assert names == {EVA.identity, HIDDEN_EVA.identity}
        assert contact.phone == "+51987654322"
        (chat,) = (await views.chats(ChatQuery())).data
        assert (chat.contact_id, chat.identity) == (contact.id, EVA.identity)

    tell(story())


def test_who_lost_the_device_is_not_heard() -> None:
    """Reliability 2.7: nothing is written under a lease that is over."""

    async def story() -> None:
        room = await Room.open()
        await room.desk.tenant.storage.leases.release(room.ear.lease)
        with pytest.raises(Conflict) as caught:
            await room.hear([said(ANA, "X", 1)])
        assert caught.value.code == "lease_lost"
        assert await room.shown() == []

    tell(story())


FORGED = [
    EditSeen(chat=ANA, wa_message_id="B", body="regalado", at=at(9)),
    RevokeSeen(chat=ANA, wa_message_id="B", at=at(1)),
    EditSeen(chat=ANA, wa_message_id="A", is_from_me=True, body="lo compro", at=at(9)),
    RevokeSeen(chat=ANA, wa_message_id="A", is_from_me=True, at=at(9)),
]
TRUE = [
    said(ANA, "A", 1),
    said(ANA, "B", 2, is_from_me=True, body="cuesta 90"),
    EditSeen(chat=ANA, wa_message_id="B", is_from_me=True, body="cuesta 100", at=at(8)),
]


@settings(max_examples=60, deadline=None)
@given(events=st.permutations([*TRUE, *FORGED]), places=st.sets(st.integers(1, 6)))
def test_only_its_author_changes_a_message(events: list[Inbound], places: set[int]) -> None:
    """CH10: the other side names whatever message it likes; neither before nor after it."""

    async def story() -> None:
        room = await Room.open()
        await room.hear(*cut(events, places))
        ((_, messages),) = await room.shown()
        assert [(one["body"], one["revoked_at"]) for one in messages] == [
            ("cuesta 100", None), ("dice A", None),
        ]  # fmt: skip

    tell(story())
