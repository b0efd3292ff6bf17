"""The stage of messaging: the adapter, the other side, and somebody who listens."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from clarin_core.domain.devices import DeviceKey
from clarin_core.domain.ids import AccountId, DeviceId
from clarin_core.domain.inbound import Inbound, MessageSeen, Presence
from clarin_core.domain.jid import Identity, IdentityKind
from clarin_core.domain.phone import PhoneNumber
from clarin_core.ports.messaging import (
    Delivery,
    Heard,
    Messaging,
    Session,
    SessionStep,
    Step,
)

KEY = DeviceKey(account_id=AccountId(1), device_id=DeviceId(1))
OTHER_KEY = DeviceKey(account_id=AccountId(2), device_id=DeviceId(2))
NOBODY = Identity(IdentityKind.PHONE, "51999000000")


class Stage(Protocol):
    """The adapter, and the other side of WhatsApp for it: what a law makes people do.

    There is one person to talk with, `her`, and the phone of the account, to which devices are
    linked. Nothing goes wrong unless a law asks for it.
    """

    messaging: Messaging
    her: Identity

    def now(self) -> datetime:
        """Return the time that the adapter has."""
        ...

    async def forward(self, time: timedelta) -> None:
        """Let time pass."""
        ...

    def link(self) -> str:
        """Return the address of a device that is linked already."""
        ...

    def scan(self, code: str) -> PhoneNumber:
        """Scan or type a code with the phone; raises LookupError for one that does not count."""
        ...

    def she_says(self, body: str) -> str:
        """Let her write to the account; return the message's id."""
        ...

    def she_offers(self, content: bytes) -> None:
        """Let her send a file."""
        ...

    def she_reads(self, wa_message_id: str) -> None:
        """Let her read a message of the account."""
        ...

    def phone_says(self, body: str) -> str:
        """Let somebody write to her on the account's phone; return the message's id."""
        ...

    def seen(self) -> list[Inbound | Presence]:
        """Return all that her phone showed."""
        ...

    def fail_next(self) -> None:
        """Let the next call surely fail."""
        ...

    def doubt_next(self, *, is_done: bool) -> None:
        """Let nobody know of the next call whether it was done."""
        ...

    def break_off(self, jid: str) -> None:
        """Let a device lose its connection, and find it again."""
        ...

    def end(self, jid: str, step: Step) -> None:
        """Let WhatsApp end a session: logged out, banned for an hour, or outdated."""
        ...

    def cut_off(self) -> None:
        """Let nobody reach WhatsApp any more."""
        ...


T = TypeVar("T")

Story = Callable[[Stage], Awaitable[None]]


class Ear:
    """Somebody who listens to a session, and acknowledges what is taken unless told not to."""

    def __init__(self, session: Session, *, acknowledges: bool = True) -> None:
        self._heard = aiter(session.heard())
        self._acknowledges = acknowledges

    async def next(self) -> Heard:
        """Return the next thing; raises StopAsyncIteration at the end."""
        delivery = await self.delivery()
        if self._acknowledges:
            await delivery.ack()
        return delivery.heard

    async def delivery(self) -> Delivery:
        """Return the next thing, which is not acknowledged yet."""
        return await anext(self._heard)

    async def first(self, kind: type[T]) -> T:
        """Return the first thing of a kind; what comes before it is passed over."""
        while not isinstance(heard := await self.next(), kind):
            pass
        return heard

    async def step(self, step: Step) -> SessionStep:
        """Return the session's next step, which is this one."""
        heard = await self.first(SessionStep)
        assert heard.step is step
        return heard

    async def message(self, body: str) -> MessageSeen:
        """Return the next message, which says this."""
        heard = await self.first(MessageSeen)
        assert heard.body == body
        return heard

    async def end(self) -> None:
        """Hear the rest, and that there is nothing more."""
        async for _ in self._heard:
            pass


@asynccontextmanager
async def connected(
    stage: Stage, jid: str | None = None, *, acknowledges: bool = True
) -> AsyncIterator[tuple[Session, Ear]]:
    """Open a linked device and wait for its connection."""
    async with stage.messaging.session(KEY, jid=jid or stage.link()) as session:
        ear = Ear(session, acknowledges=acknowledges)
        await ear.step(Step.CONNECTED)
        yield session, ear


class StagedLaws:
    """Laws that are stories on a stage of their own."""

    patience_s = 20.0

    def open(self) -> AbstractAsyncContextManager[Stage]:
        """Return a stage on which nothing has happened."""
        raise NotImplementedError(f"{type(self).__name__} does not say how to open its stage")

    def tell(self, story: Story) -> None:
        """Run a story on a loop of its own."""

        async def told() -> None:
            async with asyncio.timeout(self.patience_s), self.open() as stage:
                await story(stage)

        asyncio.run(told())


def messages(stage: Stage) -> list[MessageSeen]:
    """Return what her phone showed of what the account said."""
    seen = (one for one in stage.seen() if isinstance(one, MessageSeen))
    return [message for message in seen if not message.is_from_me]


def arrived(stage: Stage) -> MessageSeen:
    """Return the one message that the account said; fails for none and for more."""
    seen = messages(stage)
    assert len(seen) == 1
    return seen[0]
