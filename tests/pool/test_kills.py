"""A process that runs devices is killed again and again: nothing is sent twice, nothing is lost."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from subprocess import Popen
from time import monotonic

import asyncpg
import pytest

from clarin_core.domain.actor import Actor
from clarin_core.domain.chats import ChatQuery, NewChat
from clarin_core.domain.devices import Device, DeviceKey
from clarin_core.domain.ids import ChatId, MessageId
from clarin_core.domain.inbound import Inbound, MessageSeen, Peer
from clarin_core.domain.jid import Identity
from clarin_core.domain.media import MediaView, NewUrlFile
from clarin_core.domain.messages import (
    Direction,
    MessageKind,
    MessageQuery,
    MessageStatus,
    MessageView,
)
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.sending import NewMessage
from clarin_core.usecases.chats import ChatUseCases
from clarin_core.usecases.messages import MessageUseCases
from clarin_postgres import PostgresStorage
from support.desk import Desk
from support.doomed import doomed, now
from support.played_host import delivered_in, heard_by, told

SEED = 20260301
KILLS = 8
DEVICES = 3
OURS, HERS = 4, 3
"""How many messages each chat and each device gets in every round."""

PATIENCE_S = 90
HEARD = "select count(*) from messages where direction = 'in'"
SENT = "select count(*) from messages where status in ('sent', 'delivered')"
WAITING = "select count(*) from outbox"
CAME = {MessageStatus.SENT, MessageStatus.DELIVERED, MessageStatus.READ, MessageStatus.PLAYED}

Condition = Callable[[], Awaitable[bool]]


async def no_file(actor: Actor, new: NewUrlFile) -> MediaView:
    raise AssertionError("nobody sends a file here")


@dataclass
class Office:
    """An account with linked devices; what people write, and what they are told by others."""

    desk: Desk
    folder: Path
    connection: "asyncpg.Connection[asyncpg.Record]"
    devices: list[Device] = field(default_factory=list)
    chats: list[tuple[Device, ChatId]] = field(default_factory=list)
    accepted: dict[MessageId, str] = field(default_factory=dict)
    spoken: dict[DeviceKey, list[Inbound]] = field(default_factory=dict)
    names: "count[int]" = field(default_factory=lambda: count(1))

    async def settle(self) -> None:
        chats = ChatUseCases(self.desk.tenant.storage, now)
        for number in range(DEVICES):
            phone = PhoneNumber(f"+5190000000{number}")
            jid = f"5190000000{number}:7@s.whatsapp.net"
            device = await self.desk.tenant.add_device(jid=jid, phone=phone, is_wanted=True)
            self.devices.append(device)
            for person in (1, 2):
                new = NewChat(device_id=device.id, phone=PhoneNumber(f"+5191111110{person}"))
                self.chats.append((device, (await chats.open(self.desk.admin, new)).id))

    async def write(self) -> None:
        """Queue messages in all chats."""
        messages = MessageUseCases(self.desk.tenant.storage, now, no_file)
        for _ in range(OURS):
            for _, chat_id in self.chats:
                body = f"nuestro {next(self.names)}"
                new = NewMessage(chat_id=chat_id, body=body)
                self.accepted[(await messages.send(self.desk.admin, new)).id] = body

    def speak(self) -> None:
        """Let others say more to each device."""
        for device in self.devices:
            key = self.desk.tenant.key_of(device)
            heard = self.spoken.setdefault(key, [])
            heard += [_hers(next(self.names)) for _ in range(HERS)]
            store = self.folder / f"{key.account_id}-{key.device_id}.db"
            heard_by(store).write_bytes(told(heard))

    @property
    def delivered(self) -> list[str]:
        file = delivered_in(self.folder)
        return file.read_text().splitlines() if file.exists() else []

    async def number(self, statement: str) -> int:
        found: int = await self.connection.fetchval(statement)
        return found

    async def at_work(self) -> set[MessageId]:
        rows = await self.connection.fetch("select id from messages where status = 'sending'")
        return {row["id"] for row in rows}

    async def is_done(self) -> bool:
        hers = sum(map(len, self.spoken.values()))
        heard = await self.number(HEARD)
        return heard >= hers and await self.number(WAITING) == 0

    async def said(self) -> list[MessageView]:
        """Return all that the account shows."""
        views = self.desk.tenant.views
        chats = (await views.chats(ChatQuery(limit=200))).data
        pages = [await views.messages(chat.id, MessageQuery(limit=200)) for chat in chats]
        return [message for page in pages for message in page.data]


def _hers(number: int) -> MessageSeen:
    peer = Peer(identity=Identity.of_phone(PhoneNumber(f"+5191111110{number % 4}")))
    return MessageSeen(
        chat=peer, wa_message_id=f"HERS{number}", is_from_me=False, sender=peer,
        kind=MessageKind.TEXT, body=f"suyo {number}", sent_at=now(),
    )  # fmt: skip


async def a_moment(office: Office, chance: Random) -> Condition:
    """Return a condition that comes true soon, and that leaves much undone then."""
    more = chance.randint(1, 2 * DEVICES)
    written = len(office.delivered)
    came = await office.number(SENT)
    heard = await office.number(HEARD)

    async def is_delivered() -> bool:
        return len(office.delivered) >= written + more

    async def has_come() -> bool:
        return await office.number(SENT) >= came + more

    async def is_at_work() -> bool:
        return len(await office.at_work()) >= 1 + more % DEVICES

    async def is_heard() -> bool:
        return await office.number(HEARD) >= heard + more

    return chance.choice([is_delivered, is_delivered, has_come, is_at_work, is_heard])


async def until(condition: Condition, process: "Popen[bytes]") -> None:
    """Wait for something that a process does."""
    deadline = monotonic() + PATIENCE_S
    while not await condition():
        assert process.poll() is None, "it died by itself"
        assert monotonic() < deadline, "it never came to be"
        await asyncio.sleep(0.002)


async def doubts_of(office: Office, address: str) -> set[MessageId]:
    """Kill one process after the other; return what each was at when it was killed."""
    chance, doubted = Random(SEED), set[MessageId]()
    for _ in range(KILLS):
        office.speak()
        await office.write()
        moment = await a_moment(office, chance)
        with doomed(address, office.folder, SEED) as process:
            await until(moment, process)
        doubted |= await office.at_work()
    with doomed(address, office.folder, SEED) as process:
        await until(office.is_done, process)
    return doubted


def check(office: Office, said: list[MessageView], doubted: set[MessageId]) -> None:
    arrivals = Counter(office.delivered)
    assert max(arrivals.values()) == 1, "something was delivered twice"
    ours = {one.id: one for one in said if one.direction is Direction.OUT}
    assert {key: one.body for key, one in ours.items()} == office.accepted
    for one in ours.values():
        if one.status in CAME:
            assert arrivals[one.body or ""] == 1, "it is said to have come, and did not"
        else:
            assert one.status is MessageStatus.UNKNOWN
            assert one.error
    unknown = {key for key, one in ours.items() if one.status is MessageStatus.UNKNOWN}
    assert doubted <= unknown, "nobody can know what became of these"
    assert set(arrivals) <= set(office.accepted.values())
    hers = Counter(one.body for one in said if one.direction is Direction.IN)
    spoken = [one for heard in office.spoken.values() for one in heard]
    assert hers == Counter(one.body for one in spoken if isinstance(one, MessageSeen))


@pytest.mark.long
def test_whoever_kills_the_process_has_nothing_sent_twice(database: str, tmp_path: Path) -> None:
    """R1, R14, R15 with `kill -9`, a real PostgreSQL, and a host in a process of its own."""

    async def story() -> tuple[int, int]:
        connection = await asyncpg.connect(database)
        try:
            async with PostgresStorage(database, clock=now) as storage:
                office = Office(await Desk.open(storage), tmp_path, connection)
                await office.settle()
                doubted = await doubts_of(office, database)
                check(office, await office.said(), doubted)
                return len(doubted), await office.number(WAITING)
        finally:
            await connection.close()

    doubts, left = asyncio.run(story())
    assert doubts > 0, "each was killed while it did nothing: that proves nothing"
    assert left == 0
