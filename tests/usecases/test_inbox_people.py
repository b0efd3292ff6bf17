"""Who writes: a person by whatever address, never a group, also where people tidied up before."""

import pytest

from clarin_core.domain.chats import ChatQuery
from clarin_core.domain.contacts import ContactQuery, ContactView
from clarin_core.domain.inbound import Peer, PeerSeen, ReactionSeen
from clarin_core.domain.jid import Identity, IdentityKind
from clarin_core.domain.messages import MessageQuery
from clarin_core.testing.tenants import lid
from support.desk import Desk, tell_over
from support.office import Office
from support.talk import ANA, EVA, at, said

HIDDEN_EVA = Peer(identity=lid("77"))
SURE_EVA = Peer(identity=HIDDEN_EVA.identity, other=EVA.identity)
GROUP = Peer(identity=Identity(IdentityKind.GROUP, "120363000000000000"))


async def contacts(desk: Desk) -> list[ContactView]:
    return list((await desk.tenant.views.contacts(ContactQuery())).data)


@pytest.mark.parametrize("has_phone", [{True}, {False}, {True, False}], ids=str)
def test_a_deleted_contact_does_not_keep_a_person_from_being_heard(
    address: str, has_phone: set[bool]
) -> None:
    """CT4, CT2: two addresses become one person's, of whom there is one live contact again."""

    async def story(desk: Desk) -> None:
        office = await Office.of(desk)
        await office.ear.hear([said(HIDDEN_EVA, "A", 1)], [said(EVA, "B", 2)])
        for contact in await contacts(desk):
            if (contact.phone is not None) in has_phone:
                await desk.contacts.delete(desk.admin, contact.id)
        await office.ear.hear([PeerSeen(chat=SURE_EVA)], [said(SURE_EVA, "C", 3)])
        (contact,) = await contacts(desk)
        assert contact.phone == EVA.identity.phone
        (chat,) = (await desk.tenant.views.chats(ChatQuery())).data
        assert (chat.contact_id, chat.identity) == (contact.id, EVA.identity)
        messages = (await desk.tenant.views.messages(chat.id, MessageQuery())).data
        assert [one.wa_message_id for one in messages] == ["C", "B", "A"]

    tell_over(address, story)


def test_groups_are_ignored(address: str) -> None:
    """CH2, CH19: neither chat nor contact nor lead, whatever is said there."""

    async def story(desk: Desk) -> None:
        office = await Office.of(desk)
        await desk.news()
        felt = ReactionSeen(chat=GROUP, wa_message_id="A", sender=ANA, emoji="👍", at=at(2))
        await office.ear.hear([said(GROUP, "A", 1, sender=ANA), felt], [PeerSeen(chat=GROUP)])
        assert await desk.news() == []
        assert await contacts(desk) == []

    tell_over(address, story)
