"""Requests over connections that stay open: what prepares a benchmark, and what writes in it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from time import monotonic
from typing import Any, Self

import msgspec
from msgspec import Struct

PASSWORD = "a long sentence for a benchmark"  # noqa: S105  (of users that live for minutes)
_LEADS_PER_ACCOUNT = 10


class Caller:
    """One connection, which asks one thing at a time."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection(*self._address)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    async def ask(self, method: str, path: str, body: object = None, *, token: str = "") -> Any:
        """Return what is answered; raises RuntimeError for any status above 299."""
        assert self._reader is not None
        assert self._writer is not None
        content = b"" if body is None else msgspec.json.encode(body)
        size = "" if method == "GET" else f"Content-Length: {len(content)}\r\n"
        who = f"Authorization: Bearer {token}\r\n" if token else ""
        self._writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: clarin\r\nContent-Type: application/json\r\n"
            f"{size}{who}\r\n".encode()
            + content
        )
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0] or 0)
        answer = await self._reader.readexactly(length)
        if head[9] != "2":
            raise RuntimeError(f"{method} {path}: {head[9:12]} {answer.decode()}")
        return msgspec.json.decode(answer) if answer else None


class House(Struct, frozen=True, kw_only=True):
    """An account with somebody who works in it, and leads to be changed."""

    account_id: int
    token: str
    leads: list[int]


async def build_houses(caller: Caller, count: int, *, user: str, password: str) -> list[House]:
    """Make accounts as a super administrator."""
    credentials = {"username": user, "password": password}
    admin = await caller.ask("POST", "/api/auth/login", credentials)
    return [await _build(caller, number, admin["token"]) for number in range(count)]


async def _build(caller: Caller, number: int, admin: str) -> House:
    account = await caller.ask(
        "POST", "/api/admin/accounts", {"name": f"House {number}"}, token=admin
    )
    name = f"bench-{account['id']}"
    user = {
        "username": name, "email": f"{name}@example.com", "password": PASSWORD,
        "account_id": account["id"],
    }  # fmt: skip
    await caller.ask("POST", "/api/admin/users", user, token=admin)
    signed_in = await caller.ask(
        "POST", "/api/auth/login", {"username": name, "password": PASSWORD}
    )
    token = signed_in["token"]
    leads = [
        (await caller.ask("POST", "/api/leads", {"name": f"Lead {at}"}, token=token))["id"]
        for at in range(_LEADS_PER_ACCOUNT)
    ]
    return House(account_id=account["id"], token=token, leads=leads)


@asynccontextmanager
async def callers(host: str, port: int, count: int) -> AsyncIterator[list[Caller]]:
    """Yield so many open connections."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Caller(host, port)) for _ in range(count)]


async def write(
    connections: list[Caller], houses: list[House], *, rate: float, seconds: float
) -> list[int]:
    """Change leads at a rate, the houses in turn, and return how often in each.

    Who is late does not wait; rate 0 is as fast as the connections allow.
    """
    began, done, next_one = monotonic(), [0] * len(houses), iter(range(10**9))

    async def one(caller: Caller) -> None:
        for number in next_one:
            due = number / rate if rate else 0.0
            wait_s = began + due - monotonic()
            if max(due, monotonic() - began) >= seconds:
                return
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            at = number % len(houses)
            lead = houses[at].leads[number // len(houses) % len(houses[at].leads)]
            change = {"name": f"Lead {began}, change {number}"}
            await caller.ask("PATCH", f"/api/leads/{lead}", change, token=houses[at].token)
            done[at] += 1

    await asyncio.gather(*(one(caller) for caller in connections))
    return done
