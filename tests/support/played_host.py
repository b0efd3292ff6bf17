"""A device's host that is played: `python -m support.played_host SEED DESCRIPTOR`.

What it is asked to send it writes down, before it answers; how long that takes, and whether it
does and answers at all, is decided by the seed and the text. It tells what the file beside its
keys holds from the beginning, as WhatsApp may tell all again.
"""

import asyncio
import os
import socket
import sys
from asyncio import StreamWriter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from secrets import token_hex

from clarin_core.domain.inbound import Inbound, Peer, ReceiptSeen
from clarin_core.domain.messages import MessageStatus
from clarin_core.ports.messaging import Outgoing, SentAs, SessionStep, Step
from clarin_whatsapp import frames
from clarin_whatsapp.frames import Answered, Asked, Opening, Told, packed

DELAY_S = 0.04
LOST, UNANSWERED = 0.05, 0.15
"""Of how many messages nobody hears again: those that were not delivered, and all of them."""


def delivered_in(folder: Path) -> Path:
    """Return the file that all hosts of a folder write deliveries to, a text a line."""
    return folder / "delivered"


def heard_by(store: Path) -> Path:
    """Return the file of what a device hears, frame after frame."""
    return store.with_suffix(".heard")


def told(heard: list[Inbound]) -> bytes:
    """Return what such a file holds."""
    return b"".join(packed(Told(one)) for one in heard)


class PlayedHost:
    """One device. Whoever asks may be gone at any time; what is at hand is done all the same."""

    def __init__(self, seed: str, store: Path, writer: StreamWriter) -> None:
        self._seed, self._store, self._writer = seed, store, writer

    async def tell(self) -> None:
        chance = Random(f"{self._seed} {self._store.name}")
        content = heard_by(self._store).read_bytes()
        self._say(packed(Told(SessionStep(step=Step.CONNECTED))))
        while content:
            size = 4 + int.from_bytes(content[:4], "big")
            self._say(content[:size])
            content = content[size:]
            await asyncio.sleep(chance.random() * DELAY_S)

    async def answer(self, asked: Asked) -> None:
        match asked.call:
            case frames.Send(message):
                await self._send(asked.number, message)
            case frames.Contacts():
                self._say(packed(Answered(asked.number, [])))
            case _:
                self._say(packed(Answered(asked.number, None)))

    async def _send(self, number: int, message: Outgoing) -> None:
        body = message.body or ""
        chance = Random(f"{self._seed} {body}")
        fate = chance.random()
        await asyncio.sleep(chance.random() * DELAY_S)
        if fate >= LOST:
            self._deliver(body)
        await asyncio.sleep(chance.random() * DELAY_S)
        if fate >= UNANSWERED:
            name = f"3EB0{token_hex(9).upper()}"
            at = datetime.now(UTC)
            self._say(packed(Answered(number, SentAs(wa_message_id=name, at=at))))
            receipt = ReceiptSeen(
                chat=Peer(identity=message.to),
                wa_message_ids=[name],
                status=MessageStatus.DELIVERED,
                at=at,
            )
            self._say(packed(Told(receipt)))

    def _deliver(self, body: str) -> None:
        """Write a line in one piece, whoever else writes."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        file = os.open(delivered_in(self._store.parent), flags, 0o600)
        try:
            os.write(file, f"{body}\n".encode())
        finally:
            os.close(file)

    def _say(self, content: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(content)


async def play(seed: str, descriptor: int) -> None:
    """Be a host until nobody listens."""
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=descriptor))
    host: PlayedHost | None = None
    telling: asyncio.Task[None] | None = None
    while (content := await frames.next_frame(reader)) is not None:
        frame = frames.to_host.decode(content)
        if isinstance(frame, Opening):
            host = PlayedHost(seed, Path(frame.store), writer)
            telling = asyncio.create_task(host.tell())
        elif isinstance(frame, Asked) and host is not None:
            await host.answer(frame)
    if telling is not None:
        telling.cancel()
    with suppress(ConnectionError):
        writer.close()
        await writer.wait_closed()


if __name__ == "__main__":
    asyncio.run(play(sys.argv[1], int(sys.argv[2])))
