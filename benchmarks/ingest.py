"""How fast what devices hear becomes rows."""

import asyncio
from array import array
from collections.abc import Sequence
from random import Random
from time import monotonic, perf_counter, process_time

from benchmarks.figures import Figures, percentile
from benchmarks.storing import House, Store, house, now, phone_of, stored
from clarin_core.domain.devices import DeviceLease
from clarin_core.domain.inbound import Inbound, MessageSeen, Peer, ReceiptSeen
from clarin_core.domain.jid import Identity
from clarin_core.domain.messages import MessageKind, MessageStatus
from clarin_core.domain.phone import PhoneNumber
from clarin_core.pool.pool import LEASE
from clarin_core.usecases.inbox import InboxUseCases
from clarin_security import system_random

BATCHES, DEVICES = (1, 10, 100), (1, 16)
ACCOUNTS, PEOPLE = 4, 200
_RECEIPTS, _OWN = 0.2, 0.2
_LEASE = LEASE * 1_000


class Talk:
    """What one device hears: others write, the phone writes, and others read that."""

    def __init__(self, seed: int) -> None:
        self._chance = Random(seed)
        self._peers = [
            Peer(identity=Identity.of_phone(PhoneNumber(phone_of(10_000 + number))))
            for number in range(PEOPLE)
        ]
        self._own: list[tuple[Peer, str]] = []
        self.messages = 0

    def some(self, count: int) -> list[Inbound]:
        """Return the next things that it hears."""
        return [self._next() for _ in range(count)]

    def _next(self) -> Inbound:
        kind = self._chance.random()
        if kind < _RECEIPTS and self._own:
            peer, name = self._chance.choice(self._own[-PEOPLE:])
            status = self._chance.choice([MessageStatus.DELIVERED, MessageStatus.READ])
            return ReceiptSeen(chat=peer, wa_message_ids=[name], status=status, at=now())
        is_own = kind < _RECEIPTS + _OWN
        peer, name = self._chance.choice(self._peers), f"3EB0{self._chance.getrandbits(72):018X}"
        self.messages += 1
        if is_own:
            self._own.append((peer, name))
        return MessageSeen(
            chat=peer, wa_message_id=name, is_from_me=is_own, sender=None if is_own else peer,
            sender_name=None if is_own else "Ana", kind=MessageKind.TEXT,
            body="¿sigue disponible el departamento?", sent_at=now(),
        )  # fmt: skip


async def ingest(
    seconds: float, devices: Sequence[int], *, batches: Sequence[int] = BATCHES, dsn: str = ""
) -> dict[str, Figures]:
    """Receive in batches of each size over so many devices, for some time each."""
    found = dict[str, Figures]()
    async with stored(dsn=dsn) as store:
        for count in devices:
            houses = [await house(store.storage) for _ in range(min(ACCOUNTS, count))]
            leases = [await _leased(houses[at % len(houses)], at) for at in range(count)]
            talks = [Talk(at) for at in range(count)]
            for talk, lease in zip(talks, leases, strict=True):
                await _inbox(store).receive(lease, talk.some(PEOPLE * 2))  # Chats are there before.
            for batch in batches:
                name = f"{count} x {batch}"
                found[name] = await _measured(store, leases, talks, batch=batch, seconds=seconds)
    return found


async def _leased(home: House, number: int) -> DeviceLease:
    tenant = home.tenant
    device = await tenant.add_device(phone=phone_of(number))
    lease = await tenant.storage.leases.lease(tenant.key_of(device), "benchmark", _LEASE)
    if lease is None:
        raise RuntimeError("somebody has a device that is new")
    return lease


def _inbox(store: Store) -> InboxUseCases:
    return InboxUseCases(store.storage, now, system_random)


async def _measured(
    store: Store, leases: list[DeviceLease], talks: list[Talk], *, batch: int, seconds: float
) -> Figures:
    before = sum(talk.messages for talk in talks)
    statements, cpu = store.storage.statements_run(), process_time()
    server_cpu, began = await store.postgres_cpu_s(), monotonic()
    took = array("d")
    async with asyncio.TaskGroup() as group:
        for lease, talk in zip(leases, talks, strict=True):
            group.create_task(
                _receive(_inbox(store), lease, talk, took=took, batch=batch, until=began + seconds)
            )
    lasted, messages = monotonic() - began, sum(talk.messages for talk in talks) - before
    ran = store.storage.statements_run() - statements
    return {
        "messages_per_s": messages / lasted,
        "events_per_s": len(took) * batch / lasted,
        "statements_per_message": ran / messages,
        "statements_per_tx": ran / len(took),
        "tx_ms_p50": percentile(took, 50) * 1e3,
        "tx_ms_p95": percentile(took, 95) * 1e3,
        "tx_ms_p99": percentile(took, 99) * 1e3,
        "cpu_us_per_message": (process_time() - cpu) / messages * 1e6,
        "postgres_us_per_message": (await store.postgres_cpu_s() - server_cpu) / messages * 1e6,
    }


async def _receive(
    inbox: InboxUseCases,
    lease: DeviceLease,
    talk: Talk,
    *,
    took: "array[float]",
    batch: int,
    until: float,
) -> None:
    while monotonic() < until:
        heard = talk.some(batch)
        began = perf_counter()
        await inbox.receive(lease, heard)
        took.append(perf_counter() - began)
