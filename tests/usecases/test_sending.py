"""What becomes of a message while its device sends it, and others speak meanwhile."""

from collections.abc import Awaitable, Callable

import pytest

from clarin_core.domain.accounts import ResendUnknown
from clarin_core.domain.inbound import Peer, PeerSeen
from clarin_core.domain.inbox_events import MessageSent
from clarin_core.domain.messages import MessageStatus
from clarin_core.ports.messaging import SentAs
from clarin_core.testing.tenants import lid
from clarin_core.usecases.messages import say
from clarin_core.usecases.sending import Errand, SendingUseCases
from support.desk import Desk, tell_over
from support.office import Office
from support.talk import ANA, at, receipt, said

HIDDEN = Peer(identity=lid("77"))
UNITED = PeerSeen(chat=Peer(identity=HIDDEN.identity, other=ANA.identity))


def sending_of(office: Office) -> SendingUseCases:
    return SendingUseCases(office.tenant.storage, lambda: at(60))


async def begun(office: Office, *, name: str | None = None) -> Errand:
    errand = await sending_of(office).begin(office.ear.lease, wa_message_id=name)
    assert errand is not None
    return errand


def test_an_echo_that_became_a_message_of_its_own_keeps_its_name(address: str) -> None:
    """CH4: WhatsApp's id is taken, so ours is sent, and receipts are of the one that has it."""

    async def story(desk: Desk) -> None:
        office = await Office.of(desk)
        chat = await office.open(initial_message="hola ")
        ours = await begun(office)
        await office.hear(said(ANA, "X", 1, is_from_me=True, body="dicho de otro modo"))
        sent = SentAs(wa_message_id="X", at=at(2))
        await sending_of(office).done(office.ear.lease, ours.item, sent)
        (told,) = await office.news_of(MessageSent)
        assert isinstance(told, MessageSent)
        await office.hear(receipt(ANA, MessageStatus.READ, "X"))
        shown = {one.body: one for one in await office.messages(chat)}
        assert shown["hola"].id == told.message.id
        assert (shown["hola"].status, shown["hola"].wa_message_id) == (MessageStatus.SENT, None)
        echo = shown["dicho de otro modo"]
        assert (echo.status, echo.wa_message_id) == (MessageStatus.READ, "X")
        assert await office.errands() == []

    tell_over(address, story)


def test_the_echo_of_one_that_settled_another_is_given_to_whom_it_was_of(address: str) -> None:
    """CH4: two that say the same; WhatsApp's answer knows which one it is, an echo does not."""

    async def story(desk: Desk) -> None:
        office = await Office.of(desk)
        chat = await office.open(initial_message="hola")
        doubtful = await begun(office)
        await sending_of(office).lose(office.ear.lease, doubtful.item)
        async with desk.tenant.begin() as tx:
            await say(tx, desk.agent, chat, "hola", at=at(2))
        sure = await begun(office)
        await office.hear(said(ANA, "X", 3, is_from_me=True, body="hola"))
        await office.hear(receipt(ANA, MessageStatus.READ, "X"))
        sent = SentAs(wa_message_id="X", at=at(3))
        await sending_of(office).done(office.ear.lease, sure.item, sent)
        ends = [(one.status, one.wa_message_id) for one in await office.messages(chat)]
        assert ends == [(MessageStatus.UNKNOWN, None), (MessageStatus.READ, "X")]

    tell_over(address, story)


async def put_off(office: Office, errand: Errand) -> None:
    await sending_of(office).put_off(office.ear.lease, errand.item, "no route")


async def lose(office: Office, errand: Errand) -> None:
    await sending_of(office).lose(office.ear.lease, errand.item)


async def recover(office: Office, errand: Errand) -> None:
    await sending_of(office).recover(office.ear.lease, honours_ids=True)


@pytest.mark.parametrize("wait", [put_off, lose, recover])
def test_what_waits_again_waits_in_the_chat_that_has_it_now(
    wait: Callable[[Office, Errand], Awaitable[None]], address: str
) -> None:
    """CT7: the chats became one while the device was at it; the item in hand names the old one."""

    async def story(desk: Desk) -> None:
        office = await Office.of(desk)
        await send_doubtful_ones_again(desk)
        gone = await office.hear(said(HIDDEN, "A", 1))
        async with desk.tenant.begin() as tx:
            await say(tx, desk.agent, gone, "hola", at=at(2))
        chat = await office.open()
        errand = await begun(office)
        assert errand.chat.id == gone.id
        await office.hear(UNITED)
        await wait(office, errand)
        (item,) = await office.errands()
        assert (item.id, item.chat_id, item.token) == (errand.item.id, chat.id, None)
        ours = next(one for one in await office.messages(chat) if one.body == "hola")
        assert ours.status is MessageStatus.QUEUED

    tell_over(address, story)


async def send_doubtful_ones_again(desk: Desk) -> None:
    async with desk.tenant.begin() as tx:
        account = await tx.account.get()
        account.alter({"resend_unknown": ResendUnknown.ONCE}, at=at(0))
        await tx.account.save(account)
