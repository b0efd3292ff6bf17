"""The devices that this process runs: each device of all accounts has one owner at a time.

The pool looks every second for devices that are wanted and that nobody has, and takes some. For
each it has a run, which ends when the device is not wanted any more, when its session is over, or
when the lease is lost. Runs share nothing, so that a slow device delays no other one; what
concerns all of them, leases and whether there is something to do, costs one statement for all.

A device whose run ended by itself is taken again after a pause that doubles; one that only a
person can help is not wanted any more. Whoever stops gives its leases up, and others take over at
once; whoever dies is taken over from when its leases are over.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta

from clarin_core.domain.devices import DeviceKey, DeviceLease
from clarin_core.errors import ClarinError, Unavailable
from clarin_core.pool.failures import Failures
from clarin_core.pool.parts import Parts, is_lost
from clarin_core.pool.run import DeviceRun
from clarin_core.ports.devices import DeviceLeases
from clarin_core.ports.event_publisher import EventPublisher, Hint, Missed, News

LEASE = timedelta(seconds=15)
RENEW_S = 5.0
SAFE_S = LEASE.total_seconds() - 3
"""How long a lease is believed after the last renewal was asked for, by our own clock."""

STARTING_MAX = 5
"""How many devices may connect at once: a restart must be no storm."""

OFFLINE_S_MAX = 240.0
_LOOK_S = 1.0
_GATHER_S = 0.02
_START_S = 10.0
_STOP_S = 15.0
_JITTER_S = 0.2
_SETTLED_S = 300.0


@dataclass(slots=True, eq=False)
class _Held:
    """A device that this process has, with times of the loop's."""

    run: DeviceRun
    began: float
    safe_until: float
    task: "asyncio.Task[None]" = field(init=False)


@dataclass(slots=True, eq=False)
class DevicePool:
    """Runs devices while inside `running`; `chance` gives numbers from 0 to 1."""

    owner: str
    leases: DeviceLeases
    publisher: EventPublisher
    parts: Parts
    chance: Callable[[], float]
    _held: dict[DeviceKey, _Held] = field(default_factory=dict)
    _failures: dict[DeviceKey, Failures] = field(default_factory=dict)
    _hint: asyncio.Event = field(default_factory=asyncio.Event)
    _next_look: float = 0.0

    @property
    def held(self) -> Collection[DeviceKey]:
        """The devices that this process has now."""
        return self._held.keys()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run devices; on the way out each finishes what it is at, and is given up."""
        loops = (self._again(self._look), self._again(self._renew), self._again(self._guard))
        tasks = [asyncio.create_task(loop) for loop in loops]
        try:
            with self.publisher.heard_by(self._heed):
                yield
        finally:
            for task in (tasks[0], tasks[2]):
                task.cancel()
            await self._stop_all()
            tasks[1].cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _heed(self, hint: Hint) -> None:
        if isinstance(hint, News | Missed):
            self._hint.set()

    async def _stop_all(self) -> None:
        runs = [held.task for held in self._held.values()]
        for held in self._held.values():
            held.run.stop()
        if runs:
            await asyncio.wait(runs, timeout=_STOP_S)
        for task in runs:
            task.cancel()
        await asyncio.gather(*runs, return_exceptions=True)

    async def _again(self, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await step()
            except Exception as error:
                self.parts.watch.failed("look after devices", error, None)
                await self.parts.pause(_LOOK_S)

    async def _look(self) -> None:
        """Tell runs what they have to do, take devices that nobody has, and rest."""
        if self._held:
            await self._call()
        await self._take_some()
        await self._rest()
        await self.parts.pause(_GATHER_S)
        self._hint.clear()

    async def _call(self) -> None:
        for call in await self.leases.calls(list(self._held), at=self.parts.clock()):
            if held := self._held.get(call.key):
                held.run.heed(call)

    async def _rest(self) -> None:
        """Wait for a hint, but not for long."""
        waits = [
            asyncio.ensure_future(self._hint.wait()),
            asyncio.ensure_future(self.parts.pause(_LOOK_S)),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _take_some(self) -> None:
        now = self.parts.now()
        if now < self._next_look:
            return
        room = STARTING_MAX - sum(_is_starting(held, now) for held in self._held.values())
        if room <= 0:
            return
        wanted = [key for key in await self.leases.wanted() if self._may_begin(key, now)]
        if len(wanted) <= room:
            self._next_look = now + _LOOK_S
        for key in wanted[:room]:
            await self._take(key)

    async def _take(self, key: DeviceKey) -> None:
        """Take a device, unless somebody has it; one that is not to be had holds up no other."""
        asked = self.parts.now()
        try:
            lease = await self.leases.lease(key, self.owner, LEASE)
        except Unavailable as error:
            self.parts.watch.failed("take a device", error, key)
            self._put_off(key, lived_s=0.0)
        else:
            if lease is not None:
                self._begin(lease, safe_until=asked + SAFE_S)

    def _may_begin(self, key: DeviceKey, now: float) -> bool:
        failures = self._failures.get(key)
        return key not in self._held and (failures is None or failures.until <= now)

    def _begin(self, lease: DeviceLease, *, safe_until: float) -> None:
        held = _Held(DeviceRun(lease, self.parts, self._hint.set), self.parts.now(), safe_until)
        self._held[lease.key] = held
        self.parts.watch.runs(len(self._held))
        held.task = asyncio.create_task(self._run(held))

    async def _run(self, held: _Held) -> None:
        """Run a device until it ends, and give it up."""
        lease = held.run.lease
        try:
            await self.parts.pause(self.chance() * _JITTER_S)
            await held.run.work()
        except Exception as error:
            if not is_lost(error):
                self.parts.watch.failed("run a device", error, lease.key)
        finally:
            try:
                with suppress(ClarinError):
                    await self.leases.release(lease)
            finally:
                self._let_go(held)

    def _let_go(self, held: _Held) -> None:
        key = held.run.lease.key
        del self._held[key]
        self.parts.watch.runs(len(self._held))
        if held.run.is_wanted:
            self._put_off(key, lived_s=self.parts.now() - held.began)
        else:
            self._failures.pop(key, None)
        self._hint.set()

    def _put_off(self, key: DeviceKey, *, lived_s: float) -> None:
        """Wait longer each time before the device is taken again."""
        known = None if lived_s > _SETTLED_S else self._failures.get(key)
        failures = self._failures[key] = known or Failures()
        failures.add(now=self.parts.now(), chance=self.chance())

    async def _renew(self) -> None:
        """Keep all leases; a run whose lease was lost ends at once."""
        await self.parts.pause(RENEW_S)
        asked = self.parts.now()
        leases = [held.run.lease for held in self._held.values()]
        kept = await self.leases.renew(leases, LEASE)
        for lease in leases:
            held = self._held.get(lease.key)
            if held is None or held.run.lease != lease:
                continue
            if lease.key in kept:
                held.safe_until = asked + SAFE_S
            else:
                held.task.cancel()

    async def _guard(self) -> None:
        """End what may be somebody else's by now, and what does not come back."""
        await self.parts.pause(_LOOK_S)
        now = self.parts.now()
        for held in self._held.values():
            if now > held.safe_until:
                held.task.cancel()
            elif _offline_s(held, now) > OFFLINE_S_MAX:
                held.run.stop()


def _is_starting(held: _Held, now: float) -> bool:
    return not held.run.has_begun and now - held.began < _START_S


def _offline_s(held: _Held, now: float) -> float:
    return 0.0 if held.run.offline_since is None else now - held.run.offline_since
