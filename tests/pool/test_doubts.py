"""Messages of which nobody knows whether they were sent, and what is no proof of it."""

import asyncio
from datetime import timedelta

from clarin_core.domain.inbound import MessageSeen
from clarin_core.domain.messages import MessageKind, MessageStatus
from clarin_core.pool.pool import LEASE
from support.fleet import Fleet


def test_what_was_said_before_settles_no_doubt() -> None:
    """Issue: history has the same words of long ago; they are a message of their own."""

    async def story() -> None:
        async with Fleet.open() as fleet:
            device, _ = await fleet.paired()
            she = fleet.world.person("+51911111111", "Ana")
            await fleet.write(device, she, "buenos días")
            parts, key = fleet.parts(), fleet.tenant.key_of(device)
            lease = await fleet.tenant.storage.leases.lease(key, "node", LEASE)
            assert lease
            errand = await parts.sending.begin(lease, wa_message_id=None)
            assert errand
            await parts.sending.lose(lease, errand.item)
            for name, ago in (("OLD", timedelta(days=9)), ("ECHO", timedelta(seconds=1))):
                heard = MessageSeen(
                    chat=she.peer, wa_message_id=name, is_from_me=True, kind=MessageKind.TEXT,
                    body="buenos días", sent_at=fleet.glass() - ago, is_history=True,
                )  # fmt: skip
                await parts.inbox.receive(lease, [heard])
            ours, theirs = sorted(await fleet.said(), key=lambda one: one.id)
            assert (ours.wa_message_id, ours.status) == ("ECHO", MessageStatus.SENT)
            assert (theirs.wa_message_id, theirs.actor) == ("OLD", None)

    asyncio.run(story())
