"""What a device hears: stored in its order, as much at a time as there is, then acknowledged.

What cannot be stored for a fault of its own is set aside, so that it holds up nothing, and is
tried again at the next start, which may be that of a better program.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import cast

from clarin_core.domain.devices import DeviceLease
from clarin_core.domain.inbound import Inbound, Presence
from clarin_core.pool.parts import Parts, is_lost
from clarin_core.ports.messaging import CodeShown, Delivery, Paired, Session, SessionStep

BATCH_MAX = 100
ASIDE_MAX = 1_000
"""How many things that cannot be stored even now are passed over at a start."""

_WAITING_MAX = 1_000

_Told = SessionStep | CodeShown | Paired


@dataclass(slots=True, eq=False)
class Ears:
    """What one device hears while its session lasts; `told` is what it hears of itself."""

    lease: DeviceLease
    parts: Parts
    told: Callable[[_Told], Awaitable[None]]
    _waiting: asyncio.Queue[Delivery | None] = field(
        default_factory=lambda: asyncio.Queue(_WAITING_MAX)
    )

    async def try_again(self) -> None:
        """Store what was set aside, as far as that can be done now.

        It ends, though everything should fail: for all we know that has nothing to do with it.
        """
        skip = 0
        while skip < ASIDE_MAX:
            try:
                if not await self._receive_aside(skip):
                    return
            except Exception as error:
                if is_lost(error):
                    raise
                skip += 1

    async def hear(self, session: Session) -> None:
        """Store what is heard until the session ends; raises Conflict `lease_lost`."""
        listening = asyncio.create_task(self._listen(session))
        try:
            while deliveries := await self._some():
                await self._take(deliveries)
            await listening
        finally:
            listening.cancel()

    async def _listen(self, session: Session) -> None:
        """Take what is heard; who is cancelled has nobody to tell of the end, who would wait."""
        try:
            async for delivery in session.heard():
                await self._waiting.put(delivery)
        except Exception:
            await self._waiting.put(None)
            raise
        await self._waiting.put(None)

    async def _some(self) -> list[Delivery]:
        """Return what is there, at least one; nothing at the end."""
        found = [await self._waiting.get()]
        while found[-1] is not None and len(found) < BATCH_MAX and not self._waiting.empty():
            found.append(self._waiting.get_nowait())
        if found[-1] is None and len(found) > 1:
            self._waiting.put_nowait(None)
        return [delivery for delivery in found if delivery is not None]

    async def _take(self, deliveries: list[Delivery]) -> None:
        """Store some deliveries in their order: talk together, the rest one by one."""
        talk: list[Delivery] = []
        for delivery in deliveries:
            heard = delivery.heard
            if isinstance(heard, Presence):
                self.parts.watch.present(self.lease, heard)
                await delivery.ack()
            elif isinstance(heard, _Told):
                await self._store(talk)
                talk = []
                await self.told(heard)
                await delivery.ack()
            else:
                talk.append(delivery)
        await self._store(talk)

    async def _store(self, talk: list[Delivery]) -> None:
        if not talk:
            return
        heard = [cast("Inbound", delivery.heard) for delivery in talk]
        try:
            await self._until_stored(heard)
        except Exception as error:
            if is_lost(error):
                raise
            await self._store_apart(talk, error)
            return
        self.parts.watch.heard(len(talk))
        for delivery in talk:
            await delivery.ack()

    async def _store_apart(self, talk: list[Delivery], error: Exception) -> None:
        """Store each thing on its own, and set aside the one whose fault it is."""
        if len(talk) > 1:
            for delivery in talk:
                await self._store([delivery])
            return
        (delivery,) = talk
        heard, reason = cast("Inbound", delivery.heard), f"{type(error).__name__}: {error}"
        self.parts.watch.failed("store what was heard", error, self.lease.key)
        await self.parts.until_stored(lambda: self.parts.inbox.set_aside(self.lease, heard, reason))
        await delivery.ack()

    async def _receive_aside(self, skip: int) -> bool:
        return await self.parts.until_stored(
            lambda: self.parts.inbox.receive_aside(self.lease, skip=skip)
        )

    async def _until_stored(self, heard: list[Inbound]) -> None:
        await self.parts.until_stored(lambda: self.parts.inbox.receive(self.lease, heard))
