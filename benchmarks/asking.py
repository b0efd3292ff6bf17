"""What is asked in each scenario, as bytes that are made before it begins.

People of an account ask as often as it has leads; so the largest one asks most. Hot leads are a
thousand that are asked for again and again.
"""

from collections.abc import Callable, Mapping
from random import Random
from typing import NamedTuple, TypeAlias

import asyncpg
import msgspec

from benchmarks.calling import PASSWORD, Caller
from benchmarks.seeding import user_of
from benchmarks.serving import Service
from clarin_core.domain.leads import LeadQuery
from clarin_core.domain.paging import Page

LIMIT = 50
_WALK = LeadQuery(limit=LIMIT, after="")
_LEADS_MAX, _HOT, _CHATS, _PHONES = 500_000, 1000, 20_000, 2000

_LEADS = """
    select l.account_id, l.id, (extract(epoch from l.created_at) * 1000000)::bigint as at
    from leads l where random() < $1::float / (select greatest(1, count(*)) from leads)"""
_CHATS_OF = "select h.account_id, h.id from chats h order by random() limit $1"
_PHONES_OF = "select c.account_id, c.phone from contacts c order by random() limit $1"
_TAGS = "select t.account_id, array_agg(t.id) as ids from tags t group by t.account_id"
_SURNAMES = "Garcia Quispe Flores Rojas Diaz Torres Vega Mendoza Castro Ruiz Salas Ramos Leon Paz"
_NAMES = "Ana Luis Maria Jose Carmen Juan Rosa Pedro Lucia Miguel Elena Jorge Sofia Diego Paula"


class Lead(NamedTuple):
    """A lead and where it stands in the list."""

    account_id: int
    id: int
    at: int


class Known(NamedTuple):
    """What there is to ask for."""

    leads: list[Lead]
    hot: list[Lead]
    chats: list[tuple[int, int]]
    phones: list[tuple[int, str]]
    tags: Mapping[int, list[int]]


async def known(dsn: str) -> Known:
    """Read what there is in a database."""
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(dsn)
    try:
        await connection.execute("select setseed(0.7)")
        leads = [Lead(*row) for row in await connection.fetch(_LEADS, _LEADS_MAX)]
        return Known(
            leads=leads,
            hot=Random(7).sample(leads, min(_HOT, len(leads))),
            chats=[tuple(row) for row in await connection.fetch(_CHATS_OF, _CHATS)],
            phones=[tuple(row) for row in await connection.fetch(_PHONES_OF, _PHONES)],
            tags={row["account_id"]: row["ids"] for row in await connection.fetch(_TAGS)},
        )
    finally:
        await connection.close()


async def signed_in(service: Service, found: Known) -> dict[int, str]:
    """Return a token of somebody in each account."""
    tokens = {}
    async with Caller(service.host, service.port) as caller:
        for account in sorted(found.tags):
            who = {"username": user_of(account), "password": PASSWORD}
            tokens[account] = (await caller.ask("POST", "/api/auth/login", who))["token"]
    return tokens


class Asker:
    """Makes the requests of a scenario by chance, which a seed makes the same again."""

    def __init__(self, found: Known, tokens: Mapping[int, str], seed: int) -> None:
        self._found = found
        self._chance = Random(seed)
        self._heads = {
            account: f" HTTP/1.1\r\nHost: clarin\r\nAuthorization: Bearer {token}\r\n"
            for account, token in tokens.items()
        }

    def some(self, scenario: str, count: int) -> list[bytes]:
        """Return so many requests of a scenario."""
        return [SCENARIOS[scenario](self) for _ in range(count)]

    def leads_first(self) -> bytes:
        """Ask for the newest leads and how many there are."""
        return self._get(self._any().account_id, f"/api/leads?limit={LIMIT}")

    def leads_deep(self) -> bytes:
        """Ask for what comes after any lead."""
        lead = self._any()
        page: Page[Lead] = _WALK.answer(lead.account_id, [], [lead.at, lead.id], 0)
        return self._get(lead.account_id, f"/api/leads?limit={LIMIT}&after={page.next}")

    def lead_hot(self) -> bytes:
        """Ask for one of the hot leads."""
        return self._lead(self._chance.choice(self._found.hot))

    def lead_uniform(self) -> bytes:
        """Ask for any lead."""
        return self._lead(self._any())

    def messages(self) -> bytes:
        """Ask for a chat's newest messages."""
        account, chat = self._chance.choice(self._found.chats)
        return self._get(account, f"/api/chats/{chat}/messages?limit={LIMIT}")

    def inbox(self) -> bytes:
        """Ask for the chats with the newest messages."""
        return self._get(self._any().account_id, f"/api/chats?limit={LIMIT}")

    def search(self) -> bytes:
        """Look for leads by a full name, or by the end of a phone number."""
        if self._chance.random() < 0.5:
            account, phone = self._chance.choice(self._found.phones)
            text = phone[-6:]
        else:
            account = self._any().account_id
            text = "+".join(self._chance.choice(names.split()) for names in (_NAMES, _SURNAMES))
        return self._get(account, f"/api/leads?limit={LIMIT}&search={text}")

    def update(self) -> bytes:
        """Change any lead."""
        return self._change(self._any())

    def update_hot(self) -> bytes:
        """Change one of the hot leads."""
        return self._change(self._chance.choice(self._found.hot))

    def create(self) -> bytes:
        """Make a lead of somebody new."""
        number = self._chance.randrange(10**8)
        new = {"name": f"Lead {number}", "phone": f"+519{number:08}", "allow_duplicate": True}
        return self._send(self._any().account_id, "POST", "/api/leads", new)

    def assign(self) -> bytes:
        """Put two tags on any lead."""
        lead = self._any()
        tags = self._chance.sample(self._found.tags[lead.account_id], 2)
        body = {"entity_type": "lead", "entity_id": lead.id, "tag_ids": tags}
        return self._send(lead.account_id, "POST", "/api/tags/assign", body)

    def mixed(self) -> bytes:
        """Read nine times of ten, and write once."""
        return self._chance.choices(_MIXED, _MIXED_WEIGHTS)[0](self)

    def _any(self) -> Lead:
        return self._chance.choice(self._found.leads)

    def _lead(self, lead: Lead) -> bytes:
        return self._get(lead.account_id, f"/api/leads/{lead.id}")

    def _change(self, lead: Lead) -> bytes:
        change = {"name": f"Lead {self._chance.randrange(10**6)}", "notes": "n" * 60}
        return self._send(lead.account_id, "PATCH", f"/api/leads/{lead.id}", change)

    def _get(self, account: int, path: str) -> bytes:
        return f"GET {path}{self._heads[account]}\r\n".encode()

    def _send(self, account: int, method: str, path: str, body: object) -> bytes:
        content = msgspec.json.encode(body)
        kind = f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        return f"{method} {path}{self._heads[account]}{kind}".encode() + content


Request: TypeAlias = Callable[[Asker], bytes]

_MIXED: list[Request] = [
    Asker.leads_first, Asker.lead_hot, Asker.messages, Asker.update_hot, Asker.create, Asker.assign,
]  # fmt: skip
_MIXED_WEIGHTS = [35, 35, 20, 6, 3, 1]

SCENARIOS: Mapping[str, Request] = {
    request.__name__: request
    for request in (
        Asker.leads_first, Asker.leads_deep, Asker.lead_hot, Asker.lead_uniform, Asker.messages,
        Asker.inbox, Asker.search, Asker.update, Asker.create, Asker.assign, Asker.mixed,
    )
}  # fmt: skip
