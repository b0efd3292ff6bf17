"""Databases of a size, made once through the product's own schema, and copied for each run.

A seeded database is kept under a name that says how large it is and by which schema and which
statements it was made; any other answers to that size are dropped. Accounts and people are opened
by the product's own use cases. The rows are made by PostgreSQL, in tables without indexes and
links, which are put back afterwards: so every link of every row is checked.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from hashlib import sha256
from itertools import product
from pathlib import Path
from random import Random
from time import monotonic
from typing import TypeAlias
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
from msgspec import Struct
from msgspec.structs import astuple

from benchmarks import seed_rows
from benchmarks.calling import PASSWORD
from clarin_core.domain.accounts import NewAccount, NewUser
from clarin_core.domain.actor import Role
from clarin_core.domain.ids import AccountId
from clarin_core.usecases.accounts import enrol, open_account
from clarin_postgres import PostgresStorage, migrate
from clarin_postgres.migrations import steps
from clarin_security import Argon2Hasher

FIRST_USER = "user-1"
_STEP_S = 0.05
_LOCK = 0x62656E6368  # "bench"
_PHRASES, _WORDS_MIN, _WORDS_MAX = 2000, 2, 25

_NAMES = (
    "Ana Luis Maria Jose Carmen Juan Rosa Pedro Lucia Miguel Elena Jorge Sofia Diego Paula Raul",
    "Garcia Quispe Flores Rojas Diaz Torres Vega Mendoza Castro Ruiz Salas Ramos Leon Paz Cruz",
)
_VOCABULARY = (
    "hola gracias precio curso horario pago informacion reserva cliente entrega pedido disponible "
    "confirmar oferta llamada reunion contrato factura servicio manana"
)

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Say = Callable[[str], None]


class Shape(Struct, frozen=True, kw_only=True):
    """How much there is in a database."""

    accounts: int = 50
    contacts: int = 100_000
    leads: int = 200_000
    chats: int = 20_000
    messages: int = 2_000_000

    def times(self, factor: int) -> "Shape":
        """Return as many accounts with more in each."""
        return Shape(
            accounts=self.accounts, contacts=self.contacts * factor, leads=self.leads * factor,
            chats=self.chats * factor, messages=self.messages * factor,
        )  # fmt: skip

    def sizes(self) -> Iterator[tuple[int, ...]]:
        """Yield contacts, leads, chats and messages of each account, by Zipf's law.

        Of fifty accounts the first has 22 in a hundred. Each has some of everything.
        """
        weights = [1 / (number + 1) for number in range(self.accounts)]
        totals = self.contacts, self.leads, self.chats, self.messages
        for weight in weights:
            yield tuple(max(1, round(total * weight / sum(weights))) for total in totals)

    @property
    def name(self) -> str:
        """What a seeded database of this size is called, whatever it was made by."""
        return "seeded_" + "_".join(map(str, astuple(self)))


def in_database(dsn: str, name: str) -> str:
    """Return the address of another database of the same server."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


async def seeded(dsn: str, shape: Shape, say: Say) -> str:
    """Return the name of a database of this size, which is made unless it is there."""
    name = f"{shape.name}_{_made_by()}"
    above: Connection = await asyncpg.connect(dsn)
    try:
        await above.execute("select pg_advisory_lock($1)", _LOCK)
        if name not in await _databases(above, name):
            for old in await _databases(above, f"{shape.name}_", "seeding_"):
                await above.execute(f"drop database {old} with (force)")
            making = f"seeding_{uuid4().hex}"
            await above.execute(f"create database {making}")
            await _fill(in_database(dsn, making), shape, say)
            await alone(above, f"alter database {making} rename to {name}")
    finally:
        await above.close()
    return name


@asynccontextmanager
async def copied(dsn: str, name: str) -> AsyncIterator[str]:
    """Yield the address of a copy of a database, which is dropped in the end."""
    copy = f"run_{os.getpid()}_{uuid4().hex}"
    above: Connection = await asyncpg.connect(dsn)
    try:
        for old in await _databases(above, "run_"):
            if not Path(f"/proc/{old.split('_')[1]}").exists():
                await above.execute(f"drop database {old} with (force)")
        await alone(above, f"create database {copy} template {name} strategy file_copy")
        yield in_database(dsn, copy)
    finally:
        await above.execute(f"drop database if exists {copy} with (force)")
        await above.close()


async def alone(above: Connection, statement: str) -> None:
    """Run what needs a database that nobody uses; a back end takes a moment to leave."""
    for wait_s in (*[_STEP_S] * 100, None):
        try:
            await above.execute(statement)
            return
        except asyncpg.ObjectInUseError:
            if wait_s is None:
                raise
            await asyncio.sleep(wait_s)


async def _databases(above: Connection, *prefixes: str) -> list[str]:
    names = """select d.datname from pg_database d
        where exists (select from unnest($1::text[]) as p where starts_with(d.datname, p))"""
    return [row["datname"] for row in await above.fetch(names, list(prefixes))]


def _made_by() -> str:
    """Return what changes with the schema, and with what fills it."""
    sources = [Path(module).read_bytes() for module in (__file__, seed_rows.__file__)]
    schema = "".join(step.digest for step in steps()).encode()
    return sha256(b"".join([*sources, schema])).hexdigest()[:8]


async def _fill(dsn: str, shape: Shape, say: Say) -> None:
    began = monotonic()
    await migrate(dsn)
    accounts = await _open_accounts(dsn, shape)
    connection: Connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(seed_rows.SESSION)
        await connection.execute(seed_rows.TEMPORARY)
        await _copy_what_chance_takes(connection, shape, accounts)
        await connection.execute("select setseed(0.7)")
        for table, statement in seed_rows.STEPS.items():
            done = await _filled(connection, table, statement)
            say(f"seeding: {done:>9,} {table}, {monotonic() - began:.0f} s")
        for statement in seed_rows.ENDS:
            await connection.execute(statement)
        await connection.execute("vacuum (freeze, analyze)")
        say(f"seeding: done, {monotonic() - began:.0f} s")
    finally:
        await connection.close()


async def _open_accounts(dsn: str, shape: Shape) -> list[AccountId]:
    """Open the accounts, each with a user `user-<id>`, and make somebody who is above them."""
    at, found = _now(), list[AccountId]()
    async with Argon2Hasher() as hasher, PostgresStorage(dsn, clock=_now) as storage:
        password_hash = await hasher.hash(PASSWORD)
        for number in range(shape.accounts):
            async with storage.directory() as directory:
                account = await open_account(directory, NewAccount(name=f"Account {number}"), at=at)
                await enrol(directory, _user(account.id, is_above=not number), password_hash, at=at)
            found.append(account.id)
    return found


def user_of(account_id: int) -> str:
    """Return who works in an account; the first one is above all of them, too."""
    return f"user-{account_id}"


def _now() -> datetime:
    return datetime.now(UTC)


def _user(account_id: int, *, is_above: bool) -> NewUser:
    name = user_of(account_id)
    return NewUser(
        username=name, email=f"{name}@example.com", password=PASSWORD, is_super_admin=is_above,
        account_id=AccountId(account_id), role=Role.ADMIN,
    )  # fmt: skip


async def _copy_what_chance_takes(
    connection: Connection, shape: Shape, accounts: list[AccountId]
) -> None:
    chance, now, words = Random(7), _now(), _VOCABULARY.split()
    sizes = [(account, *size, now) for account, size in zip(accounts, shape.sizes(), strict=True)]
    people = list(product(*(names.split() for names in _NAMES)))
    phrases = [
        " ".join(chance.choices(words, k=chance.randint(_WORDS_MIN, _WORDS_MAX)))
        for _ in range(_PHRASES)
    ]
    await connection.copy_records_to_table("size", records=sizes)
    await connection.copy_records_to_table(
        "person", records=[(number, *names) for number, names in enumerate(people, 1)]
    )
    await connection.copy_records_to_table("phrase", records=list(enumerate(phrases, 1)))
    await connection.execute("analyze size; analyze person; analyze phrase")


async def _filled(connection: Connection, table: str, statement: str) -> int:
    """Fill a table that has no indexes and links meanwhile, and return how many rows came."""
    indexes = await connection.fetch(seed_rows.INDEXES, table)
    links = await connection.fetch(seed_rows.LINKS, table)
    for link in links:
        await connection.execute(f"alter table {table} drop constraint {link['name']}")
    for index in indexes:
        await connection.execute(f"drop index {index['name']}")
    told = await connection.execute(statement)
    for index in indexes:
        await connection.execute(index["text"])
    for link in links:
        await connection.execute(
            f"alter table {table} add constraint {link['name']} {link['text']}"
        )
    await connection.execute(f"analyze {table}")
    return int(told.rpartition(" ")[2])
