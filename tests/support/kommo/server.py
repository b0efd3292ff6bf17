"""The loopback address behind which accounts answer, with all that can go wrong on the way."""

import asyncio
import gzip
import json
import socket
import struct
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime
from typing import NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

from support.kommo.account import NOTHING, Asked, KommoAccount, Reply, nginx, problem
from support.kommo.faults import Fault
from support.kommo.hours import Hours

_REASON = "As It Is"
_LINGER_NOT = struct.pack("ii", 1, 0)  # Closing resets then.
_WRONG_LENGTHS: dict[Fault | None, int] = {Fault.CUT_OFF: 100, Fault.TOO_LONG: -10}
_STATUS = {
    Fault.TOO_MANY: nginx(429, "Too Many Requests"),
    Fault.TOO_MANY_WAIT: nginx(429, "Too Many Requests")._replace(headers=(("Retry-After", "7"),)),
    Fault.TOO_MANY_LONG: nginx(429, "Too Many Requests")._replace(
        headers=(("Retry-After", "3600"),)
    ),
    Fault.BROKEN: problem(500, "Internal Server Error"),
    Fault.BAD_GATEWAY: nginx(502, "Bad Gateway"),
    Fault.UNAVAILABLE: problem(503, "Service Unavailable"),
    Fault.HEAVY: nginx(504, "Gateway Time-out"),
    Fault.PAGE_OF_HTML: nginx(200, "Welcome"),
    Fault.NO_LIST: Reply(200, {"_embedded": {"surprise": []}}),
    Fault.NOTHING: Reply(200),
    Fault.MID_LIST_204: NOTHING,
    Fault.REFUSED: problem(400, "Bad Request"),
    Fault.MOVED: Reply(302, headers=(("Location", "http://127.0.0.1:1/elsewhere"),)),
    Fault.BLOCKED: nginx(403, "Forbidden"),
    Fault.UNPAID: problem(402, "Payment Required"),
}


Delay = Callable[[], float]


class Heard(NamedTuple):
    """A request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Kommo:
    """An async context manager; `url` is what KOMMO_API_URL would be.

    `delay` gives the seconds that a request takes to arrive, and its answer to come back.
    """

    def __init__(self, hours: Hours, *accounts: KommoAccount) -> None:
        self._hours = hours
        self._accounts = {one.book.account.subdomain: one for one in accounts}
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._crashed: Exception | None = None
        self.is_gzip_on = True
        self.delay: tuple[Delay, Delay] = (float, float)
        self.connections = 0
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/{{subdomain}}/api/v4"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._server.wait_closed()
        if self._crashed is not None:
            raise self._crashed

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.CancelledError, ConnectionError, asyncio.IncompleteReadError):
            pass
        except Exception as error:
            self._crashed = error  # Of the simulation itself: the test shall fail.
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the connection goes on."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        method, target, _ = first.split(" ")
        headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in lines if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        subdomain, _, rest = target[1:].partition("/")
        account = self._accounts.get(subdomain)
        if account is None:
            return await _send(writer, problem(404, "Not Found"), [])
        heard = Heard(method, f"/{rest}", headers, body)
        there, back = self.delay
        await self._hours.sleep(there())
        fault, status = account.faults.next(), account.gate.arrive()
        reply = self._reply(account, heard, fault)
        if status != 200:
            reply = nginx(status, "Too Many Requests")
        await self._hours.sleep(back())
        return await self._spoiled(writer, account, reply, fault)

    def _reply(self, account: KommoAccount, heard: Heard, fault: Fault | None) -> Reply:
        method, target, headers, body = heard
        parts = urlsplit(target)
        if (method, parts.path) == ("POST", "/oauth2/access_token"):
            if fault in _STATUS:
                return NOTHING  # It fails before anything is spent.
            pair = account.pairs.exchange(json.loads(body), self._hours())
            return problem(400, "Bad Request") if pair is None else Reply(200, pair)
        bearer = headers.get("authorization", "").removeprefix("Bearer ") or None
        path, params = parts.path.removeprefix("/api/v4"), parse_qs(parts.query)
        if fault is Fault.AGAIN:
            params["page"] = [str(max(1, int(params.get("page", ["1"])[-1]) - 1))]
        return account.answer(Asked(method, path, target, params, bearer))

    async def _spoiled(
        self, writer: asyncio.StreamWriter, account: KommoAccount, reply: Reply, fault: Fault | None
    ) -> bool:
        date = ("Date", format_datetime(account.book.now(), usegmt=True))
        if fault is Fault.SILENT:
            await asyncio.Event().wait()
        if fault is Fault.RESET:
            writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT
            )
            return False
        if fault is Fault.TOO_MANY_UNTIL:
            until = format_datetime(account.book.now() + timedelta(seconds=9), usegmt=True)
            reply = nginx(429, "Too Many Requests")._replace(headers=(("Retry-After", until),))
        if fault in _STATUS:
            reply = _STATUS[fault]
        return await _send(writer, reply, [date], fault=fault, is_gzip_on=self.is_gzip_on)


async def _send(
    writer: asyncio.StreamWriter,
    reply: Reply,
    headers: list[tuple[str, str]],
    *,
    fault: Fault | None = None,
    is_gzip_on: bool = False,
) -> bool:
    body = reply.body
    if fault is Fault.TRUNCATED:
        body = body[: len(body) // 2]
    if is_gzip_on and body:
        body = gzip.compress(body)
        headers = [*headers, ("Content-Encoding", "gzip")]
    length = max(0, len(body) + _WRONG_LENGTHS.get(fault, 0))
    if reply.status != 204:
        headers = [*headers, ("Content-Type", reply.media_type), ("Content-Length", str(length))]
    lines = [f"HTTP/1.1 {reply.status} {_REASON}"]
    lines += [f"{name}: {value}" for name, value in (*headers, *reply.headers)]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    await writer.drain()
    return fault not in (Fault.CUT_OFF, Fault.TOO_LONG)
