"""How PostgreSQL reads a large inbox: a page costs what its rows cost, however deep it lies.

One account has 20,000 chats, one of them 100,000 messages. Each statement is run as the storage
sends it, with a plan for any parameters, and what it touched is counted.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import asyncpg
import pytest

from clarin_core.domain.chats import ChatQuery
from clarin_core.domain.ids import AccountId, ChatId, DeviceId, UserId
from clarin_core.domain.messages import MessageQuery
from clarin_core.domain.paging import PageQuery
from clarin_core.ports.transaction import Transaction
from clarin_core.testing.inbox import inbox_of
from clarin_core.testing.tenants import LATER, NOON, Tenant, settle
from clarin_postgres import PostgresStorage
from support.catalogue import look
from support.plans import (
    Node,
    Sent,
    generic_plans,
    indexes,
    nodes,
    overheard,
    plan_of,
    times_planned,
    touched,
)
from support.totals import SET_TOTALS

CHATS, MESSAGES, ERRANDS, FILES = 20_000, 100_000, 5_000, 20_000
FILL = (
    f"""insert into chats (account_id, device_id, kind, value, name, last_message,
        last_message_at, last_message_id, unread_count, is_archived, is_pinned, assigned_to,
        created_at, updated_at, version, search)
    select d.account_id, d.id, 'phone_jid', 51900000000 + i, md5(i::text), 'hola',
        case when i % 20 > 0
            then timestamptz '2026-01-01' + i * 7919 % {CHATS} * interval '1 s' end,
        case when i % 20 > 0 then i end, i % 3, i % 10 = 0, i % 500 = 0,
        case when i % 4 = 0 then u.id end, now(), now(), 1, md5(i::text)
    from devices d, generate_series(1, {CHATS} / 2) i, users u""",
    f"""insert into messages (account_id, chat_id, device_id, wa_message_id, direction, kind, body,
        details, status, sent_at, created_at, updated_at, version, search)
    select h.account_id, h.id, h.device_id, i, case when i % 2 = 0 then 'in' else 'out' end, 'text',
        'hola', '{{}}', 'received',
        timestamptz '2026-01-01' + i * 7919 % {MESSAGES} * interval '1 s', now(), now(), 1, 'hola'
    from (select distinct on (account_id) account_id, id, device_id from chats
        order by account_id, id) h, generate_series(1, {MESSAGES}) i""",
    f"""insert into outbox (account_id, kind, device_id, chat_id, details, attempts, not_before)
    select h.account_id, 'typing', h.device_id, h.id, '{{"wa_message_ids": []}}', 0,
        timestamptz '2026-01-01'
    from (select account_id, id, device_id from chats order by id limit {ERRANDS}) h""",
    f"""insert into media (account_id, key, type, mimetype, state, device_id, attempts, not_before,
        created_at, updated_at, version)
    select d.account_id, i, 'image', 'image/png',
        case when i % 2 = 0 then 'pending' else 'stored' end,
        case when i % 2 = 0 then d.id end, 0, timestamptz '2026-01-01' + i * interval '1 s',
        now(), now(), 1
    from (select account_id, min(id) as id from devices group by account_id) d,
        generate_series(1, {FILES}) i""",
)


class Scene(NamedTuple):
    """An account with two devices and a long chat."""

    database: str
    account_id: AccountId
    devices: list[DeviceId]
    agent: UserId
    chat_id: ChatId


Work = Callable[[Tenant, Transaction, Scene], Awaitable[object]]


@pytest.fixture(scope="module")
def scene(database: str) -> Scene:
    """Fill an inbox."""

    async def settled() -> tuple[AccountId, list[DeviceId], UserId]:
        async with PostgresStorage(database, clock=lambda: NOON) as storage:
            account = await settle(storage)
            devices = [(await inbox_of(account)).device_id for _ in range(2)]
            return account.id, devices, await account.hire()

    async def fill(connection: "asyncpg.Connection[asyncpg.Record]") -> ChatId:
        for text in FILL:
            await connection.execute(text)
        await connection.execute(SET_TOTALS)
        await connection.execute("vacuum analyze")
        return ChatId(await connection.fetchval("select min(chat_id) from messages"))

    account_id, devices, agent = asyncio.run(settled())
    return Scene(database, account_id, devices, agent, look(database, fill))


def after(query: PageQuery, scene: Scene, *key: object) -> str:
    """Return the cursor of a place in a list."""
    return str(query.answer(scene.account_id, [], list(key), 0).next)


def chats(*, is_deep: bool, **fields: Any) -> Work:
    """Return a look at the inbox, from its top or from its middle."""

    async def work(account: Tenant, _: Transaction, scene: Scene) -> object:
        named = {name: value(scene) for name, value in fields.items()}
        top = ChatQuery(after="", **named)
        cursor = after(top, scene, False, MIDDLE_OF_CHATS, 1) if is_deep else ""
        return await account.views.chats(ChatQuery(after=cursor, **named))

    return work


def messages(*, is_deep: bool) -> Work:
    """Return a look at the long chat, from its end or from its middle."""

    async def work(account: Tenant, _: Transaction, scene: Scene) -> object:
        top = MessageQuery(after="")
        cursor = after(top, scene, MIDDLE_OF_MESSAGES, 1) if is_deep else ""
        return await account.views.messages(scene.chat_id, MessageQuery(after=cursor))

    return work


_BEGIN_MICROSECONDS = 1_767_225_600_000_000  # 2026-01-01
MIDDLE_OF_CHATS = _BEGIN_MICROSECONDS + CHATS // 2 * 1_000_000
MIDDLE_OF_MESSAGES = _BEGIN_MICROSECONDS + MESSAGES // 2 * 1_000_000
PAGE = 51  # One row more tells that there is another page.

LISTS: dict[str, tuple[str, Callable[[bool], Work]]] = {
    "inbox": ("chats_inbox", lambda deep: chats(is_deep=deep)),
    "unread": ("chats_unread", lambda deep: chats(is_deep=deep, unread_only=lambda _: True)),
    "archived": ("chats_inbox", lambda deep: chats(is_deep=deep, archived=lambda _: True)),
    "device": (
        "chats_of_device",
        lambda deep: chats(is_deep=deep, device_ids=lambda s: frozenset(s.devices[:1])),
    ),
    "owner": ("chats_by_owner", lambda deep: chats(is_deep=deep, assigned_to=lambda s: s.agent)),
    "messages": ("messages_in_order", lambda deep: messages(is_deep=deep)),
}
"""Lists, each with the index that has its order."""


@pytest.mark.parametrize("is_deep", [False, True], ids=["top", "deep"])
@pytest.mark.parametrize("name", LISTS)
def test_a_page_of_a_large_inbox_touches_its_own_rows(
    scene: Scene, name: str, is_deep: bool
) -> None:
    """Ports: one statement, cut from an index in the list's order: nothing sorted, or skipped."""
    index, make = LISTS[name]
    (plan,) = plans(scene, make(is_deep))
    (limit,) = [node for node in nodes(plan) if node["Node Type"] == "Limit"]
    assert limit["Actual Rows"] == PAGE
    assert index in indexes(limit)
    assert not [node for node in nodes(limit) if "Sort" in node["Node Type"]]
    assert touched(limit) <= 2 * PAGE
    assert touched(plan) <= 20 * PAGE


@pytest.mark.parametrize("is_deep", [False, True], ids=["top", "deep"])
@pytest.mark.parametrize("name", ["inbox", "unread", "archived", "messages"])
def test_a_page_is_not_planned_anew_each_time(scene: Scene, name: str, is_deep: bool) -> None:
    """PostgreSQL looks at the parameters five times, and then has one plan for all."""
    (sent,) = asyncio.run(statements(scene, LISTS[name][1](is_deep)))
    assert asyncio.run(times_planned(scene.database, sent)) == 5


async def _search(account: Tenant, _: Transaction, scene: Scene) -> object:
    return await account.views.chats(ChatQuery(search="900 00 12 34", after=""))


async def _by_wa(_: Tenant, tx: Transaction, scene: Scene) -> object:
    return await tx.messages.by_wa([(scene.chat_id, f"{number}") for number in range(20)])


async def _next(_: Tenant, tx: Transaction, scene: Scene) -> object:
    return await tx.outbox.next(scene.devices[0], at=LATER)


async def _next_file(_: Tenant, tx: Transaction, scene: Scene) -> object:
    return await tx.media.next(scene.devices[0], at=LATER)


async def _file_by_key(account: Tenant, _: Transaction, scene: Scene) -> object:
    return await account.views.media_by_key("77")


async def _latest(_: Tenant, tx: Transaction, scene: Scene) -> object:
    chat = await tx.chats.get(scene.chat_id)
    (message,) = (await tx.views.messages(chat.id, MessageQuery(limit=1))).data
    chat.read_up_to = message.place
    return await tx.messages.tally([chat])


async def _end(_: Tenant, tx: Transaction, scene: Scene) -> object:
    return await tx.messages.ends([scene.chat_id])


async def _unread(account: Tenant, tx: Transaction, scene: Scene) -> object:
    chat = await tx.chats.get(scene.chat_id)
    (message,) = (await account.views.messages(chat.id, MessageQuery(limit=1))).data
    return await tx.messages.unread(chat, message.place, limit=100)


async def _claim(account: Tenant, tx: Transaction, scene: Scene) -> object:
    (chat,) = await tx.chats.get_many([scene.chat_id])
    return await tx.chats.claim([chat], at=NOON)


FOUND: dict[str, tuple[str, Work]] = {
    "search": ("chats_search", _search),
    "messages by WhatsApp's id": ("messages_wa", _by_wa),
    "next errand": ("outbox_in_order", _next),
    "next file": ("media_to_fetch", _next_file),
    "file by key": ("media_key", _file_by_key),
    "tally of what was read": ("messages_in_order", _latest),
    "end of a chat": ("messages_in_order", _end),
    "newest unread": ("messages_unread", _unread),
    "known chat": ("chats_identity", _claim),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_is_looked_for_is_found_by_an_index(scene: Scene, name: str) -> None:
    """A look at few rows touches few, however many there are."""
    index, work = FOUND[name]
    plan = plans(scene, work)[-1]
    assert index in indexes(plan)
    assert touched(plan) <= 10 * PAGE


def test_a_page_that_reads_the_whole_inbox_is_seen(scene: Scene) -> None:
    """The looks above can fail."""
    text = f"select h.id from chats h where h.account_id = $1 order by h.name limit {PAGE}"

    async def explain(connection: "asyncpg.Connection[asyncpg.Record]") -> Node:
        return await plan_of(connection, text, (scene.account_id,))

    plan = look(scene.database, explain)
    assert touched(plan) == CHATS
    assert [node for node in nodes(plan) if "Sort" in node["Node Type"]]


def plans(scene: Scene, work: Work) -> list[Node]:
    """Return the plans of all that some work sends, each of them run."""

    async def explained() -> list[Node]:
        return await generic_plans(scene.database, await statements(scene, work))

    return asyncio.run(explained())


async def statements(scene: Scene, work: Work) -> list[Sent]:
    """Return what some work sends, with its parameters."""
    async with (
        PostgresStorage(scene.database, clock=lambda: NOON) as storage,
        storage.begin(scene.account_id) as tx,
    ):
        account = Tenant(storage, scene.account_id, await tx.pipelines.default())
        with overheard() as sent:
            await work(account, tx, scene)
    return sent
