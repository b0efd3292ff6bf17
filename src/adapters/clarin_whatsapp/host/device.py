"""One device: tells what the library hears, does what is asked, and ends when either side does."""

import asyncio
import socket
import sqlite3
from asyncio import StreamReader, StreamWriter
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

from google.protobuf.message import Message as Proto
from neonize._binder import consume_bytes_struct, gocode
from neonize.aioze.client import NewAClient
from neonize.exc import NeonizeError

from clarin_core.ports.messaging import LAST_STEPS, Heard, SessionStep, Step
from clarin_whatsapp import frames
from clarin_whatsapp.contents import unwrapped
from clarin_whatsapp.frames import Answered, Asked, Failed, Failure, Opening, Taken, Told
from clarin_whatsapp.host import calls
from clarin_whatsapp.host.bridge import Bridge
from clarin_whatsapp.translate import translate

_THREADS = 16  # The connection keeps one for its life, each call one until it is answered.
_STOP_S = 5.0

_UNREACHABLE = SessionStep(step=Step.DISCONNECTED, reason="WhatsApp cannot be reached")
# Another machine may have them, so that the device must not be taken for logged out.
_NO_KEYS = SessionStep(
    step=Step.DISCONNECTED,
    reason="its keys are not on this machine: bring them, or disconnect and unlink the device",
)
_LEFT = SessionStep(step=Step.LOGGED_OUT, reason="the device was unlinked here")

# It lacks an entry in the library's own list, without which a vote cannot be read.
gocode.DecryptPollVote.errcheck = consume_bytes_struct


async def serve(descriptor: int) -> None:
    """Run the device that the first frame names, until its end or that of the other side."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS))
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=descriptor))
    opening = frames.to_host.decode(await frames.next_frame(reader) or b"")
    assert isinstance(opening, Opening)
    if opening.jid is not None and not _has_keys(opening.store, opening.jid):
        writer.write(frames.packed(Told(_NO_KEYS)))
    else:
        await DeviceHost(_client(opening), reader, writer).run()
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


class DeviceHost:
    """The library's client, and the socket to whoever started it."""

    def __init__(self, client: NewAClient, reader: StreamReader, writer: StreamWriter) -> None:
        self._client = client
        self._reader = reader
        self._writer = writer
        self._bridge = Bridge(client)
        self._room = asyncio.Semaphore(frames.WINDOW)
        self._at_work: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Connect, and go on until the session is over or nobody listens."""
        connected = await self._client.connect()
        connected.add_done_callback(self._gave_up)
        sides = [asyncio.create_task(side) for side in (self._tell(), self._listen())]
        ended, _ = await asyncio.wait(sides, return_when=asyncio.FIRST_COMPLETED)
        for side in sides:
            side.cancel()
        await self._stop(connected)
        for side in ended:
            side.result()  # What nobody expected is not kept quiet.

    async def _stop(self, connected: asyncio.Task[None]) -> None:
        """Say good-bye, unless calls are at work: to stop meanwhile can abort the process."""
        if not self._at_work and not connected.done():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._client.stop(), _STOP_S)

    def _gave_up(self, connected: asyncio.Task[None]) -> None:
        """End with the first connection that failed: it is not tried again by itself."""
        failed = not connected.cancelled() and connected.exception() is not None
        end = [_UNREACHABLE, None] if failed else [None]
        self._begin(self._bridge.put(*end))

    async def _tell(self) -> None:
        while (told := await self._bridge.take()) is not None:
            for heard in [told] if isinstance(told, Heard) else await self._meaning(told):
                await self._room.acquire()
                await self._say(Told(heard))
                if isinstance(heard, SessionStep) and heard.step in LAST_STEPS:
                    return
            if _is_final(told):
                return

    async def _meaning(self, event: Proto) -> list[Heard]:
        """Return what an event means; a vote that cannot be read means nothing."""
        if event.DESCRIPTOR.name != "Message":
            return translate(event)
        if not unwrapped(event.Message).HasField("pollUpdateMessage"):
            return translate(event)
        try:
            vote = await self._client.decrypt_poll_vote(event)
        except NeonizeError:
            return []
        return translate(event, list(vote.selectedOptions))

    async def _listen(self) -> None:
        while (content := await frames.next_frame(self._reader)) is not None:
            match frames.to_host.decode(content):
                case Taken():
                    self._room.release()
                case Asked(number, call):
                    self._begin(self._answer(number, call))

    async def _answer(self, number: int, call: frames.Call) -> None:
        if isinstance(call, frames.PairCode) and not self._bridge.shows_codes:
            await self._say(Failed(number, Failure.NOT_SENT))
            return
        try:
            result = await calls.do(self._client, call)
        except NeonizeError as error:
            await self._say(Failed(number, calls.failure(error)))
        except Exception:
            await self._say(Failed(number, Failure.UNKNOWN))
            raise
        else:
            await self._say(Answered(number, result))
            if isinstance(call, frames.LogOut):
                await self._bridge.put(_LEFT)

    async def _say(self, frame: frames.FromHost) -> None:
        self._writer.write(frames.packed(frame))
        with suppress(ConnectionError):
            await self._writer.drain()

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)


def _client(opening: Opening) -> NewAClient:
    """Return the client of the device that is known, or of one to be paired."""
    if opening.jid is None:
        return NewAClient(opening.store, uuid="device", new_device=True)
    return NewAClient(opening.store, jid=calls.address(opening.jid))


def _has_keys(store: str, jid: str) -> bool:
    """Whether the file knows the device; to connect one that it does not aborts the process."""
    try:
        with closing(sqlite3.connect(f"{Path(store).as_uri()}?mode=ro", uri=True)) as file:
            found = file.execute("select 1 from whatsmeow_device where jid = ?", [jid])
            return found.fetchone() is not None
    except sqlite3.OperationalError:
        return False


def _is_final(told: Proto | Heard) -> bool:
    """Whether the library gives up after this."""
    return isinstance(told, Proto) and told.DESCRIPTOR.name == "ConnectFailure"
