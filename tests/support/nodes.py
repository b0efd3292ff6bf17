"""Several nodes of several workers over one PostgreSQL and one Redis, as plain processes."""

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from support.screen import Frame
from support.service import Service, serving
from support.serving import Person, sign_in

PASSWORD = "una clave larga"
SHARED = {
    "ADMIN_PASSWORD": PASSWORD,
    "JWT_SECRET": "tHKu5ZzMPk8VbWcXq1nRyEoLsJdGfAi3",
    "CLARIN_RATE_LIMITS": "off",
    "LOG_LEVEL": "error",
}


@dataclass(frozen=True, slots=True)
class Node:
    """One `clarin serve` with its workers, at an address."""

    service: Service
    address: str

    @property
    def workers(self) -> dict[int, bool]:
        """Process ids of the workers, and whether each one serves."""
        return workers_of(self.service.process.pid)

    async def person(self) -> Person:
        """Return the administrator over a connection of its own, to whichever worker."""
        http = httpx.AsyncClient(base_url=self.address, timeout=20)
        return await sign_in(http, "admin", PASSWORD)


@contextmanager
def nodes(database: str, redis: str, folder: Path, *, count: int = 2) -> Iterator[list[Node]]:
    """Run some nodes of two workers each while inside."""
    environ = {**SHARED, "DATABASE_URL": database, "REDIS_URL": redis}
    with ExitStack() as stack:
        services = [
            stack.enter_context(
                serving("--workers", "2", "--data-dir", str(folder / str(number)), **environ)
            )
            for number in range(count)
        ]
        running = [Node(service, service.wait_until_ready()) for service in services]
        for service in services:
            service.keep_reading()
        yield running


def workers_of(supervisor: int) -> dict[int, bool]:
    """Return the process ids of its workers, and whether each one serves."""
    shown = subprocess.run(
        ["/bin/ps", "--ppid", str(supervisor), "-o", "pid=,args="],
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    pids = [int(line.split()[0]) for line in shown.splitlines() if "clarin_server.worker" in line]
    return {pid: is_listening(pid) for pid in pids}


def is_listening(pid: int) -> bool:
    """Return whether a process has a socket that listens for TCP connections.

    What is gone while we look, a file or the process, is not there.
    """
    inodes, links = set[str](), set[str]()
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
        inodes = {line.split()[9] for line in lines if line.split()[3] == "0A"}
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                links.add(os.readlink(entry))
    return any(f"socket:[{inode}]" in links for inode in inodes)


class Listener:
    """A client that always comes back, and resumes after what it has heard."""

    def __init__(self, person: Person) -> None:
        self.frames: list[Frame] = []
        self.returns = -1
        self._person = person
        self._url = str(person.http.base_url).replace("http", "ws").rstrip("/") + "/ws"
        self._after: int | None = None
        self.ready = asyncio.Event()

    async def listen(self, until: asyncio.Event) -> None:
        """Hear all until told to end."""
        while not until.is_set():
            try:
                await self._hear(until)
            except (ConnectionClosed, InvalidHandshake, OSError):
                await asyncio.sleep(0.02)

    def has_heard(self, seq: int) -> bool:
        """Return whether it is that far."""
        return bool(self.frames) and self.frames[-1]["seq"] >= seq

    async def _hear(self, until: asyncio.Event) -> None:
        headers = {"Authorization": f"Bearer {self._person.token}"}
        async with connect(self._url, additional_headers=headers) as socket:
            self.returns += 1
            hello = json.loads(await socket.recv())["data"]
            after = hello["seq"] if self._after is None else self._after
            self._after = after
            resume = {"after": after, "epoch": hello["epoch"]}
            await socket.send(json.dumps({"event": "resume", "data": resume}))
            self.ready.set()
            ending = asyncio.create_task(_close_then(socket, until))
            try:
                async for said in socket:
                    self._take(json.loads(said))
            finally:
                ending.cancel()

    def _take(self, frame: Frame) -> None:
        if "seq" in frame:
            self.frames.append(frame)
            self._after = frame["seq"]


async def _close_then(socket: ClientConnection, until: asyncio.Event) -> None:
    await until.wait()
    await socket.close()
