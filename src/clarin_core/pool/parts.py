"""What running a device needs of the rest of the program."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from clarin_core.domain.devices import DeviceKey, DeviceLease
from clarin_core.domain.inbound import Presence
from clarin_core.errors import Conflict, NotFound, Unavailable
from clarin_core.ports.blobs import BlobStore
from clarin_core.ports.messaging import Messaging
from clarin_core.ports.small import Clock, Pause
from clarin_core.usecases.device_sessions import DeviceSessionUseCases
from clarin_core.usecases.inbox import InboxUseCases
from clarin_core.usecases.media_fetch import MediaFetchUseCases
from clarin_core.usecases.sending import SendingUseCases

T = TypeVar("T")

_RETRY_S = 1.0


class Watch(Protocol):
    """Who wants to know how devices do. Its methods are quick and do not raise."""

    def failed(self, what: str, error: Exception, key: DeviceKey | None) -> None:
        """Tell of a failure that nobody else tells of."""
        ...

    def heard(self, count: int) -> None:
        """Count what was heard and stored."""
        ...

    def did(self, outcome: str) -> None:
        """Count an errand, by what became of it: done, put_off, failed or lost."""
        ...

    def runs(self, count: int) -> None:
        """Tell how many devices this process runs now."""
        ...

    def present(self, lease: DeviceLease, presence: Presence) -> None:
        """Pass on what somebody is doing right now; nothing is kept of it."""
        ...


def loop_time() -> float:
    """Return the loop's time, which no clock that is set disturbs, in seconds."""
    return asyncio.get_running_loop().time()


def is_lost(error: Exception) -> bool:
    """Say whether an error means that the device is somebody else's now, or gone."""
    match error:
        case Conflict(code="lease_lost") | NotFound(what="device"):
            return True
        case _:
            return False


@dataclass(frozen=True, slots=True)
class Parts:
    """The use cases and ports of a run; `new_name` gives ids to adapters that honour them.

    `now` is a time that only goes forward, in seconds, and `pause` waits by it.
    """

    messaging: Messaging
    inbox: InboxUseCases
    sending: SendingUseCases
    sessions: DeviceSessionUseCases
    blobs: BlobStore
    files: MediaFetchUseCases
    watch: Watch
    clock: Clock
    new_name: Callable[[], str]
    pause: Pause
    now: Callable[[], float] = loop_time

    async def until_stored(self, store: Callable[[], Awaitable[T]]) -> T:
        """Try again while the store is away: what was heard, or done, is not lost for that."""
        while True:
            try:
                return await store()
            except Unavailable:
                await self.pause(_RETRY_S)
