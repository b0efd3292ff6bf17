"""The simulated Kommo of a benchmark: a process of its own, in real time."""

import asyncio
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from multiprocessing.connection import Connection
from time import time

from msgspec import Struct

from clarin_core.domain.ids import KommoId
from clarin_core.domain.remote import (
    RemoteField,
    RemoteKind,
    RemoteLink,
    RemoteReach,
    RemoteValues,
)
from clarin_memory import RemoteBook
from support.kommo.account import KommoAccount
from support.kommo.hours import RealHours
from support.kommo.server import Kommo
from support.kommo.stage import new_account

_DAYS = 90
_FIELDS = 4
_TAGS, _TAGS_EACH = 40, 3
_STAGES = ("Nuevo", "Contactado", "Propuesta", "Negociación")
_WORDS = ("Luz", "Mar", "Sol", "Cielo", "Río", "Monte", "Valle", "Campo")


class Size(Struct, frozen=True, kw_only=True):
    """What the account has, and how long a request takes."""

    leads: int
    contacts: int
    latency_s: float


class Asked(Struct, frozen=True, kw_only=True):
    """What was asked of the account so far; `seconds` from the first request to the last."""

    requests: int
    lists: int
    most: int
    violations: int
    seconds: float


class Ready(Struct, frozen=True, kw_only=True):
    """Where it answers, and which pipeline has the leads."""

    url: str
    pipeline: KommoId
    token: str


def answer(pipe: Connection, size: Size) -> None:
    """Be that account until told to stop."""
    asyncio.run(_answer(pipe, size))


async def _answer(pipe: Connection, size: Size) -> None:
    hours = RealHours()
    account = new_account(hours)
    pipeline = fill(account.book, size, random.Random(0))
    async with Kommo(hours, account) as kommo:
        kommo.delay = (lambda: size.latency_s / 2, lambda: size.latency_s / 2)
        assert account.token is not None
        pipe.send(Ready(url=kommo.url, pipeline=pipeline, token=account.token))
        chance = random.Random(1)
        orders: dict[str, Callable[[], object]] = {
            "asked": lambda: _asked(account),
            "change": lambda: _change(account.book, chance),
        }
        while (order := await asyncio.to_thread(pipe.recv)) in orders:
            pipe.send(orders[order]())


def fill(book: RemoteBook, size: Size, chance: random.Random) -> KommoId:
    """Fill an account, as if it had been used for some months; return its pipeline."""
    pipeline = book.add_pipeline("Ventas", *_STAGES)
    tags = [book.add_tag(RemoteKind.LEAD, f"etiqueta {one}") for one in range(_TAGS)]
    fields = [book.add_field(RemoteKind.LEAD, f"campo {one}") for one in range(_FIELDS)]
    people = [
        book.add_contact(
            name=_name(chance),
            phones=[RemoteReach(text=f"+51 9{number:08}", label="WORK")],
            emails=[RemoteReach(text=f"persona{number}@ejemplo.pe", label="WORK")],
            updated_at=_long_ago(book, chance),
        )
        for number in range(size.contacts)
    ]
    for number in range(size.leads):
        book.add_lead(
            name=_name(chance),
            price=Decimal(chance.randrange(10_000)),
            stage_id=chance.choice(pipeline.stages[1:]).id,
            pipeline_id=pipeline.id,
            tags=chance.sample(tags, chance.randrange(_TAGS_EACH)),
            contacts=[RemoteLink(contact_id=people[number % len(people)], is_main=True)],
            fields=[_value(field, chance) for field in fields],
            updated_at=_long_ago(book, chance),
        )
    return pipeline.id


def _name(chance: random.Random) -> str:
    return f"{chance.choice(_WORDS)} {chance.choice(_WORDS)} {chance.randrange(10**6)}"


def _long_ago(book: RemoteBook, chance: random.Random) -> datetime:
    return book.now() - timedelta(days=1 + chance.random() * _DAYS)


def _value(field: RemoteField, chance: random.Random) -> RemoteValues:
    return RemoteValues(
        field_id=field.id, name=field.name, type=field.type, values=[{"value": _name(chance)}]
    )


def _asked(account: KommoAccount) -> Asked:
    lists = [asked for asked in account.asked if asked.path in ("/leads", "/contacts")]
    gate = account.gate
    return Asked(
        requests=len(gate.arrivals),
        lists=len(lists),
        most=gate.most,
        violations=gate.violations,
        seconds=gate.arrivals[-1] - gate.arrivals[0],
    )


def _change(book: RemoteBook, chance: random.Random) -> tuple[str, float]:
    """Give a lead another name; return the name, and when that was."""
    key = chance.choice(list(book.real[RemoteKind.LEAD]))
    name = _name(chance)
    book.change(RemoteKind.LEAD, key, name=name)
    return name, time()
