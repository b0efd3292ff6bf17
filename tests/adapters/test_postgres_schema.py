"""What the catalogue and the statements must show: keys, indexes, and the account everywhere."""

import asyncio
import importlib
import pkgutil
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import asyncpg
import pytest

import clarin_postgres
from clarin_core.domain.chats import ChatQuery
from clarin_core.domain.contacts import ContactQuery
from clarin_core.domain.devices import DeviceQuery, DeviceStatus
from clarin_core.domain.ids import DeviceId, TagId, UserId
from clarin_core.domain.leads import LeadFilter, LeadQuery, LeadSort, TagsMode
from clarin_core.domain.members import MemberQuery
from clarin_core.domain.messages import MessageQuery
from clarin_core.domain.quick_replies import QuickReplyQuery
from clarin_core.domain.tags import TagQuery
from clarin_core.testing.listings import LISTINGS
from clarin_core.testing.tenants import NOON, settle
from clarin_postgres import PostgresStorage, contacts, leads
from support.catalogue import ABOVE_ACCOUNTS, look, rows, tenant_tables
from support.plans import Node, indexes, plan_of

FOR_ALL_ACCOUNTS = {
    "accounts.add", "devices.calls", "devices.renew", "devices.wanted", "kommo.wanted",
    "storage.miscounted", "storage.outdated", "storage.pending_imports", "storage.positions",
    "storage.purge_answers", "storage.purge_chats", "storage.purge_contacts",
    "storage.purge_events", "storage.purge_leads", "storage.purge_marks", "storage.standings",
    "storage.trim", "storage.unused_media", "storage.user", "users.memberships",
}  # fmt: skip
"""The statements about other accounts than one; only the directory's role may run them."""

KEYS = """
    select c.relname as name, c.relrowsecurity and c.relforcerowsecurity as is_walled, array(
        select a.attname::text from pg_index i
        cross join unnest(i.indkey) with ordinality as k(number, place)
        join pg_attribute a on a.attrelid = c.oid and a.attnum = k.number
        where i.indrelid = c.oid and i.indisprimary order by k.place
    ) as key
    from pg_class c
    where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace"""
LINKS = """
    select f.conrelid::regclass::text as source, f.confrelid::regclass::text as target,
        f.conname as name, array(
            select a.attname::text from unnest(f.conkey) as k(number)
            join pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.number
        ) as columns
    from pg_constraint f where f.contype = 'f'"""
INDEXES = """
    select i.indrelid::regclass::text as source, array(
        select a.attname::text from unnest(i.indkey) with ordinality as k(number, place)
        join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number order by k.place
    ) as columns
    from pg_index i
    where i.indpred is null or pg_get_expr(i.indpred, i.indrelid) ~ '^\\(\\w+ IS NOT NULL\\)$'"""
CHECKED = ("contacts", "leads")
"""What a first sync or import points at thousands of times, before anybody has analyzed it."""
OWN_ACCOUNT = """
    select p.tablename as name, p.qual, p.with_check from pg_policies p
    where p.policyname = 'own_account' and 'clarin_service' = any(p.roles)"""
MAY_REMOVE_USERS = """
    select r.rolname from pg_roles r
    where r.rolname like 'clarin\\_%' and has_table_privilege(r.rolname, 'users', 'delete')"""
LATE_WRITES = "select p.prosrc from pg_proc p where p.proname = 'write_kept'"

MENTION = re.compile(
    r"\b(from|join|using|update|into)\s+(\w+)(?:\s+(?:as\s+)?(\w+))?", re.IGNORECASE
)
SCOPE = re.compile(
    r"\baccount_id = \$1\b"
    r"|\(\s*account_id\b[^)]*\)\s*(?:values \(|select (?:distinct )?)\$1\b"
)
NO_ALIAS = {"where", "set", "on", "order", "values", "select", "using", "limit"}


def test_the_key_of_every_table_begins_with_the_account(database: str) -> None:
    """TN2, R22: an id alone finds nothing."""
    keys = {row["name"]: row["key"] for row in rows(database, KEYS)}
    assert keys.keys() >= ABOVE_ACCOUNTS.keys()
    wrong = {name for name in tenant_tables(database) if keys[name][:1] != ["account_id"]}
    assert not wrong


def test_every_table_is_under_row_level_security(database: str) -> None:
    """R22: enabled, and forced on the owner; for an account's rows, reading and writing."""
    walled = {row["name"] for row in rows(database, KEYS) if row["is_walled"]}
    assert walled == tenant_tables(database) | ABOVE_ACCOUNTS.keys() - {"schema_migrations"}
    rule = "(account_id = ( SELECT current_account() AS current_account))"
    policies = {
        row["name"]: (row["qual"], row["with_check"]) for row in rows(database, OWN_ACCOUNT)
    }
    assert {name: policies.get(name) for name in tenant_tables(database)} == {
        name: (rule, rule) for name in tenant_tables(database)
    }


def test_links_between_rows_of_an_account_contain_it(database: str) -> None:
    """TN2: a link cannot cross accounts, whatever the policies say."""
    inner = tenant_tables(database)
    links = [row for row in rows(database, LINKS) if {row["source"], row["target"]} <= inner]
    assert links
    assert not [row["name"] for row in links if "account_id" not in row["columns"]]


@pytest.mark.parametrize("table", CHECKED)
def test_a_link_into_an_empty_table_is_checked_by_its_key(database: str, table: str) -> None:
    """As PostgreSQL does, and goes on doing with the plan of that moment."""
    check = f"select 1 from only {table} x where account_id = $1 and id = $2 for key share of x"

    async def planned(connection: "asyncpg.Connection[asyncpg.Record]") -> Node:
        await connection.execute("set plan_cache_mode = force_generic_plan")
        return await plan_of(connection, check, (1, 1))

    assert indexes(look(database, planned)) == {f"{table}_pkey"}


@pytest.mark.parametrize(("table", "store"), [("contacts", contacts), ("leads", leads)])
def test_what_is_kept_is_written_whole(database: str, table: str, store: ModuleType) -> None:
    """A column that is added to the statements must be added to the late way of writing, too."""
    (row,) = rows(database, LATE_WRITES)
    text, new = " ".join(row["prosrc"].split()), store._NEW
    assert f"update {table} {table[0]} set {store._CHANGED.assignments} from" in text
    names = f"account_id, id, {new.names}, created_at, updated_at, version"
    values = f"wanted, n.id, {new.values}, n.created_at, n.updated_at, n.version"
    assert f"insert into {table} ( {names}) select {values} from" in text


def test_every_link_has_an_index(database: str) -> None:
    """A removal must not scan what might point there. Users cannot be removed."""
    assert rows(database, MAY_REMOVE_USERS) == []
    indexes = [(row["source"], row["columns"]) for row in rows(database, INDEXES)]
    wrong = [
        link["name"]
        for link in rows(database, LINKS)
        if link["target"] != "users" and not any(
            source == link["source"] and set(columns[: min(2, len(link["columns"]))])
            <= set(link["columns"]) for source, columns in indexes
        )
    ]  # fmt: skip
    assert not wrong


def test_every_statement_names_the_account_of_every_table(database: str) -> None:
    """R22: the second wall, in the statements written down and in those put together."""
    inner = tenant_tables(database)
    texts = {*written(), *composed(database)}
    names = {name_of(text) for text in texts}
    assert names >= {"leads.page", "leads.search", "leads.add", "tags.link", *FOR_ALL_ACCOUNTS}
    assert names >= {"chats.page", "chats.search", "messages.page", "messages.react", "marks.take"}
    wrong = {name_of(text): bare for text in texts if (bare := without_account(text, inner))}
    assert wrong.keys() == FOR_ALL_ACCOUNTS


@pytest.mark.parametrize(
    "text",
    [
        "select l.id from leads l where l.id = $1",
        "select l.id from leads l join tags t on t.id = l.id where l.account_id = $1",
        "update leads set name = $1 where id = $2",
        "insert into leads (name) values ($1)",
        "delete from lead_tags x using unnest($2) as n where x.tag_id = n",
        "with a as (select from tags t where t.account_id = $1) select l.account_id from leads l",
        "select l.id from leads l join tags t on t.account_id = l.account_id where l.id = $1",
    ],
)
def test_a_statement_without_the_account_is_seen(text: str) -> None:
    """The check above can fail."""
    assert without_account(text, {"leads", "tags", "lead_tags"})


def without_account(text: str, tables: set[str]) -> set[str]:
    """Return the tables that a statement uses without a condition on the account of their rows.

    All of them, if the first parameter is not the account of any.
    """
    uses = [use for use in MENTION.finditer(text) if use[2] in tables]
    if not SCOPE.search(text):
        return {use[2] for use in uses}
    return {use[2] for use in uses if not is_bound(use, text)}


def is_bound(use: re.Match[str], text: str) -> bool:
    """Return whether an account is given to the rows, or compared with theirs."""
    verb, table, alias = use.groups()
    if verb.lower() == "into":
        return bool(re.match(r"\s*(as \w+ )?\(\s*account_id\b", text[use.end(2) :]))
    name = alias if alias and alias.lower() not in NO_ALIAS else table
    return bool(re.search(rf"\b{name}\.account_id =|= {name}\.account_id\b", text))


def name_of(text: str) -> str:
    return text.partition("\n")[0].removeprefix("-- ")


def written() -> Iterator[str]:
    """Give the statements that the modules have as constants."""
    for module in pkgutil.iter_modules(clarin_postgres.__path__):
        for value in vars(importlib.import_module(f"clarin_postgres.{module.name}")).values():
            for text in value.values() if isinstance(value, dict) else [value]:
                if isinstance(text, str) and text.startswith("-- ") and "\n" in text:
                    yield text


def composed(database: str) -> list[str]:
    """Return the statements that depend on what is asked for, as they are sent."""
    sent: list[str] = []

    async def story() -> None:
        async with PostgresStorage(database, clock=lambda: NOON, watch=sent.append) as storage:
            account = await settle(storage)
            for listing in LISTINGS:
                await listing.grow(account, 1)
                for fields in ({}, {"after": ""}):
                    await listing.page(account, **fields)
            for filters in LEAD_FILTERS:
                await account.views.leads(LeadQuery(**filters))
                await account.views.lead_counts(LeadFilter(**filters))
            await account.views.leads(LeadQuery(deleted=True, sort=LeadSort.UPDATED))
            await account.views.contacts(ContactQuery(search="9", tag_ids=frozenset([TagId(1)])))
            for asked in CHAT_FILTERS:
                await account.views.chats(ChatQuery(**asked))
            (chat, *_) = (await account.views.chats(ChatQuery())).data
            await account.views.messages(chat.id, MessageQuery(search="a"))
            await account.views.tags(TagQuery(search="a"))
            await account.views.quick_replies(QuickReplyQuery(search="a"))
            await account.views.devices(DeviceQuery(status=DeviceStatus.CONNECTED))
            await account.views.members(MemberQuery(is_active=True))

    asyncio.run(story())
    return sent


LEAD_FILTERS = (
    {"search": "ana"}, {"search": "987"}, {"phone": "987654321"}, {"tag_ids": frozenset([1])},
    {"tag_ids": frozenset([1, 2]), "tags_mode": TagsMode.ALL}, {"stage_id": 1, "source": "x"},
)  # fmt: skip
CHAT_FILTERS: tuple[dict[str, Any], ...] = (
    {"search": "ana"}, {"search": "987", "archived": True}, {"tag_ids": frozenset([TagId(1)])},
    {"device_ids": frozenset([DeviceId(1)])}, {"device_ids": frozenset(map(DeviceId, (1, 2)))},
    {"unread_only": True, "assigned_to": UserId(1)},
)  # fmt: skip
