"""What stands around a session, to hold it up or to break it off."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from clarin_core.domain.devices import DeviceKey
from clarin_core.domain.inbound import Activity, PeerSeen
from clarin_core.domain.jid import Identity
from clarin_core.domain.phone import PhoneNumber
from clarin_core.ports.messaging import Delivery, Messaging, Outgoing, SentAs, Session

T = TypeVar("T")


class Around(Session):
    """A session of which every call goes through `around`."""

    def __init__(self, inner: Session) -> None:
        self.inner = inner

    async def around(self, act: Callable[[], Awaitable[T]]) -> T:
        return await act()

    def heard(self) -> AsyncIterator[Delivery]:
        return self.inner.heard()

    async def send(self, message: Outgoing) -> SentAs:
        return await self.around(lambda: self.inner.send(message))

    async def edit(self, to: Identity, wa_message_id: str, body: str) -> None:
        await self.around(lambda: self.inner.edit(to, wa_message_id, body))

    async def revoke(self, to: Identity, wa_message_id: str) -> None:
        await self.around(lambda: self.inner.revoke(to, wa_message_id))

    async def react(self, to: Identity, wa_message_id: str, emoji: str, *, is_own: bool) -> None:
        await self.around(lambda: self.inner.react(to, wa_message_id, emoji, is_own=is_own))

    async def mark_read(self, to: Identity, wa_message_ids: list[str]) -> None:
        await self.around(lambda: self.inner.mark_read(to, wa_message_ids))

    async def type(self, to: Identity, activity: Activity) -> None:
        await self.around(lambda: self.inner.type(to, activity))

    async def fetch(self, source: bytes) -> bytes:
        return await self.around(lambda: self.inner.fetch(source))

    async def contacts(self) -> list[PeerSeen]:
        return await self.around(self.inner.contacts)

    async def pair_code(self, phone: PhoneNumber) -> str:
        return await self.around(lambda: self.inner.pair_code(phone))

    async def log_out(self) -> None:
        await self.around(self.inner.log_out)


@dataclass
class Wrapped(Messaging):
    """A messaging of which each session is wrapped."""

    inner: Messaging
    wrap: Callable[[DeviceKey, Session], Session]

    @property
    def honours_ids(self) -> bool:
        return self.inner.honours_ids

    @property
    def redelivers(self) -> bool:
        return self.inner.redelivers

    @asynccontextmanager
    async def session(self, key: DeviceKey, *, jid: str | None) -> AsyncIterator[Session]:
        async with self.inner.session(key, jid=jid) as session:
            yield self.wrap(key, session)
