"""The names in a device's phone, which fill what is not known of people yet."""

from dataclasses import dataclass, field
from functools import partial

from clarin_core.domain.devices import DeviceLease
from clarin_core.pool.failures import Failures
from clarin_core.pool.parts import Parts, is_lost
from clarin_core.ports.messaging import Session

_BATCH = 500
_HALF = 0.5


@dataclass(slots=True, eq=False)
class AddressBook:
    """What a device's phone knows of people: asked for once a session, and when people want it.

    Who wants it says so every second until it was read: one that fails is left alone for a while.
    """

    lease: DeviceLease
    session: Session
    parts: Parts
    is_wanted: bool = True
    _failures: Failures = field(default_factory=Failures)

    async def read_once(self) -> bool:
        """Take all names over, if somebody wants that; False otherwise. Raises `lease_lost`."""
        if not self.is_wanted or self.parts.now() < self._failures.until:
            return False
        self.is_wanted = False
        try:
            await self._read()
        except Exception as error:
            if is_lost(error):
                raise
            self.parts.watch.failed("read the address book", error, self.lease.key)
            self._failures.add(now=self.parts.now(), chance=_HALF)
        else:
            self._failures = Failures()
        return True

    async def _read(self) -> None:
        people = await self.session.contacts()
        for at in range(0, len(people), _BATCH):
            batch = people[at : at + _BATCH]
            await self.parts.until_stored(partial(self.parts.inbox.receive, self.lease, batch))
        count = len(people)
        await self.parts.until_stored(partial(self.parts.sessions.synced, self.lease, count))
