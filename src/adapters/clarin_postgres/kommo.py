"""The mirror of Kommo.

Whoever writes a mirror holds its lease FOR KEY SHARE until the commit, as with devices. The rows
of the mirror themselves need no locks: the connection is locked first by all that write them.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from msgspec import convert

from clarin_core.domain.ids import ContactId, KommoId, LeadId
from clarin_core.domain.kommo import (
    ContactRecord,
    KnownContact,
    KnownLead,
    KommoCounts,
    KommoDictionaries,
    KommoLink,
    KommoPipeline,
    LeadRecord,
    NotConfigured,
    pipelines_shown,
)
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.remote import RemoteKind, RemotePipeline
from clarin_core.errors import Conflict
from clarin_core.ports.kommo import KommoStore
from clarin_postgres.columns import Columns
from clarin_postgres.paging import struct, structs
from clarin_postgres.reader import Reader
from clarin_postgres.scope import Scope

_LINK_COLUMNS = {
    "subdomain": "text",
    "remote_id": "bigint",
    "name": "text",
    "currency": "text",
    "keys": "integer",
    "connected": "bigint[]",
    "fault": "json",
    "last_ok_at": "timestamptz",
    "state": "json",
    "created_at": "timestamptz",
    "updated_at": "timestamptz",
    "version": "integer",
}
_LINK = ", ".join(f"k.{name}" for name in _LINK_COLUMNS)
_NAMES = ", ".join(_LINK_COLUMNS)
_VALUES = ", ".join(f"${number}" for number in range(2, len(_LINK_COLUMNS) + 2))
_SETS = ", ".join(f"{name} = ${number}" for number, name in enumerate(_LINK_COLUMNS, 2))
_SEALED = f"${len(_LINK_COLUMNS) + 2}"
_WORDS = tuple(KommoDictionaries.__struct_fields__)

_KNOWN_LEAD = "x.kommo_id, x.lead_id, x.updated_at, x.digest, x.contacts, x.is_gone"
_KNOWN_CONTACT = "x.kommo_id, x.contact_id, x.updated_at, x.digest, x.phone, x.email, x.is_gone"
_LEADS = Columns(
    {
        "kommo_id": "bigint",
        "lead_id": "bigint",
        "kommo_pipeline_id": "bigint",
        "contacts": "bigint[]",
        "updated_at": "timestamptz",
        "digest": "bytea",
        "said": "json",
    },
    derived={
        "kommo_id": lambda record: record.said.id,
        "kommo_pipeline_id": lambda record: record.said.pipeline_id,
        "updated_at": lambda record: record.said.updated_at,
    },
)
_CONTACTS = Columns(
    {
        "kommo_id": "bigint",
        "contact_id": "bigint",
        "phone": "text",
        "email": "text",
        "updated_at": "timestamptz",
        "digest": "bytea",
        "said": "json",
    },
    derived={
        "kommo_id": lambda record: record.said.id,
        "updated_at": lambda record: record.said.updated_at,
    },
)

_VIEW = f"""-- kommo.view
    select {_LINK} from kommo_links k where k.account_id = $1"""
_GET = f"""-- kommo.get
    select {_LINK} from kommo_links k where k.account_id = $1 for no key update"""
_HOLD = f"""-- kommo.hold
    with k as (
        select {_LINK} from kommo_links k where k.account_id = $1 for no key update
    )
    select {_LINK}, (
        select l.token from kommo_leases l where l.account_id = $1 for key share
    ) as token
    from k"""
_ADD = f"""-- kommo.add
    insert into kommo_links (account_id, {_NAMES}, sealed) values ($1, {_VALUES}, {_SEALED})"""
_SAVE = f"""-- kommo.save
    update kommo_links k set {_SETS} where k.account_id = $1 returning k.version"""
_GET_SEALED = """-- kommo.sealed
    select k.sealed from kommo_links k where k.account_id = $1 for no key update"""
_RESEAL = """-- kommo.reseal
    update kommo_links k set sealed = $2 where k.account_id = $1 returning k.version"""
_DICTIONARIES = f"""-- kommo.dictionaries
    select {", ".join(f"d.{name}" for name in _WORDS)} from kommo_dictionaries d
    where d.account_id = $1"""
_PUT_DICTIONARIES = f"""-- kommo.put_dictionaries
    insert into kommo_dictionaries (account_id, {", ".join(_WORDS)})
    select $1, {", ".join(f"${number}" for number in range(2, len(_WORDS) + 2))}
    where exists (select from kommo_links k where k.account_id = $1)
    on conflict (account_id) do update
        set {", ".join(f"{name} = excluded.{name}" for name in _WORDS)}
    returning account_id"""
_PIPELINES = """-- kommo.pipelines
    select d.pipelines, k.connected, coalesce((
        select json_object_agg(p.kommo_id, p.id) from pipelines p
        where p.account_id = $1 and p.kommo_id is not null
    ), '{}') as mirrors
    from kommo_links k left join kommo_dictionaries d on d.account_id = k.account_id
    where k.account_id = $1"""
_COUNTS = """-- kommo.counts
    select
        (select count(*) from kommo_leads x where x.account_id = $1 and not x.is_gone) as leads,
        (select count(*) from kommo_contacts x where x.account_id = $1 and not x.is_gone)
            as contacts"""

# Sets to join with, as in `contacts.claim`.
_KNOWN_LEADS = f"""-- kommo.leads
    select {_KNOWN_LEAD} from kommo_leads x
    where x.account_id = $1 and x.kommo_id in (select unnest($2::bigint[]))
    order by x.kommo_id"""
_LEADS_WITH = f"""-- kommo.leads_with
    select {_KNOWN_LEAD} from kommo_leads x
    where x.account_id = $1 and x.contacts && $2::bigint[] and not x.is_gone
    order by x.kommo_id"""
_KNOWN_CONTACTS = f"""-- kommo.contacts
    with asked as (
        select x.kommo_id, x.contact_id from kommo_contacts x
        where x.account_id = $1 and x.kommo_id in (select unnest($2::bigint[]))
    ),
    meant as (
        select asked.kommo_id from asked
        union
        select x.kommo_id from kommo_contacts x
        where x.account_id = $1 and x.contact_id in (select asked.contact_id from asked)
        union
        select x.kommo_id from kommo_contacts x
        where x.account_id = $1 and x.phone in (select unnest($3::text[]))
        union
        select x.kommo_id from contacts c
        join kommo_contacts x on x.account_id = c.account_id and x.contact_id = c.id
        where c.account_id = $1 and c.phone in (select unnest($3::text[]))
            and c.deleted_at is null
    )
    select {_KNOWN_CONTACT} from kommo_contacts x
    where x.account_id = $1 and x.kommo_id in (select meant.kommo_id from meant)
    order by x.kommo_id"""
_PEOPLE = """-- kommo.people
    select x.kommo_id, x.contact_id from kommo_contacts x
    where x.account_id = $1 and x.kommo_id in (select unnest($2::bigint[])) and not x.is_gone"""
_PUT_LEADS = f"""-- kommo.put_leads
    with {_LEADS.rows(2)}
    insert into kommo_leads as x (account_id, {_LEADS.names}, is_gone)
    select $1, {_LEADS.values}, false from n order by n.kommo_id
    on conflict (account_id, kommo_id) do update set
        lead_id = excluded.lead_id, kommo_pipeline_id = excluded.kommo_pipeline_id,
        contacts = excluded.contacts, updated_at = excluded.updated_at,
        digest = excluded.digest, said = excluded.said, is_gone = false"""
_PUT_CONTACTS = f"""-- kommo.put_contacts
    with {_CONTACTS.rows(2)}
    insert into kommo_contacts as x (account_id, {_CONTACTS.names}, is_gone)
    select $1, {_CONTACTS.values}, false from n order by n.kommo_id
    on conflict (account_id, kommo_id) do update set
        contact_id = excluded.contact_id, phone = excluded.phone, email = excluded.email,
        updated_at = excluded.updated_at, digest = excluded.digest, said = excluded.said,
        is_gone = false"""
_TABLES = {RemoteKind.LEAD: "kommo_leads", RemoteKind.CONTACT: "kommo_contacts"}
_BURY = {
    kind: f"""-- kommo.bury
        update {table} x set is_gone = true
        where x.account_id = $1 and x.kommo_id in (select unnest($2::bigint[]))"""
    for kind, table in _TABLES.items()
}
_BETWEEN = {
    kind: f"""-- kommo.between
        select x.kommo_id from {table} x
        where x.account_id = $1 and x.kommo_id > $2 and x.kommo_id <= $3 and not x.is_gone
        order by x.kommo_id"""
    for kind, table in _TABLES.items()
}
_MIRRORED_LEADS = """-- kommo.mirrored_leads
    select x.lead_id as id from kommo_leads x
    where x.account_id = $1 and x.lead_id = any($2) and not x.is_gone"""
_MIRRORED_CONTACTS = """-- kommo.mirrored_contacts
    select x.contact_id as id from kommo_contacts x
    where x.account_id = $1 and x.contact_id = any($2) and not x.is_gone"""
_REPOINT = """-- kommo.repoint
    update kommo_contacts x set contact_id = $3
    where x.account_id = $1 and x.contact_id in (select unnest($2::bigint[]))"""
_FORGET_PIPELINE = """-- kommo.forget_pipeline
    delete from kommo_leads x where x.account_id = $1 and x.kommo_pipeline_id = $2"""
_FORGET_ALL = """-- kommo.forget_all
    with people as (delete from kommo_contacts x where x.account_id = $1)
    delete from kommo_leads x where x.account_id = $1"""

_LAST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class PostgresKommoStore(KommoStore):
    """One account's connection and mirror."""

    scope: Scope

    async def get(self) -> KommoLink:
        """Return the connection, locked; raises NotConfigured."""
        row = await self.scope.first(_GET)
        if row is None:
            raise NotConfigured
        return struct(row, KommoLink)

    async def hold(self, token: int) -> KommoLink:
        """Return the connection, locked; raises NotConfigured, Conflict `lease_lost`."""
        row = await self.scope.first(_HOLD)
        if row is None:
            raise NotConfigured
        if row["token"] != token:
            raise Conflict("lease_lost", "somebody else keeps the mirror")
        return struct(row, KommoLink)

    async def add(self, link: KommoLink, sealed: bytes) -> None:
        """Store the account's first connection with its sealed credentials."""
        await self.scope.fetch(_ADD, *_values(link), sealed)

    async def save(self, link: KommoLink) -> None:
        """Store a changed connection; raises NotConfigured."""
        if await self.scope.first(_SAVE, *_values(link)) is None:
            raise NotConfigured

    async def sealed(self) -> bytes:
        """Return the sealed credentials, locked with the connection; raises NotConfigured."""
        row = await self.scope.first(_GET_SEALED)
        if row is None:
            raise NotConfigured
        return bytes(row["sealed"])

    async def reseal(self, sealed: bytes) -> None:
        """Store other credentials; raises NotConfigured."""
        if await self.scope.first(_RESEAL, sealed) is None:
            raise NotConfigured

    async def dictionaries(self) -> KommoDictionaries:
        """Return what Kommo's words mean."""
        row = await self.scope.first(_DICTIONARIES)
        return KommoDictionaries() if row is None else struct(row, KommoDictionaries)

    async def put_dictionaries(self, said: KommoDictionaries) -> None:
        """Store what Kommo's words mean; raises NotConfigured."""
        words = [getattr(said, name) for name in _WORDS]
        if await self.scope.first(_PUT_DICTIONARIES, *words) is None:
            raise NotConfigured

    async def leads(self, kommo_ids: Collection[KommoId]) -> list[KnownLead]:
        """Return what is kept of some leads, by Kommo's id."""
        return structs(await self.scope.fetch(_KNOWN_LEADS, list(kommo_ids)), KnownLead)

    async def leads_with(self, contact_ids: Collection[KommoId]) -> list[KnownLead]:
        """Return the leads that have one of these contacts and are not gone, by Kommo's id."""
        return structs(await self.scope.fetch(_LEADS_WITH, list(contact_ids)), KnownLead)

    async def contacts(
        self, kommo_ids: Collection[KommoId], phones: Collection[PhoneNumber]
    ) -> list[KnownContact]:
        """Return what is kept of some contacts and of all that have to do with them, by id."""
        rows = await self.scope.fetch(_KNOWN_CONTACTS, list(kommo_ids), list(phones))
        return structs(rows, KnownContact)

    async def people(self, kommo_ids: Collection[KommoId]) -> dict[KommoId, ContactId]:
        """Return the contacts here of those contacts that are not gone."""
        rows = await self.scope.fetch(_PEOPLE, list(kommo_ids))
        return {row["kommo_id"]: row["contact_id"] for row in rows}

    async def put_leads(self, records: Sequence[LeadRecord]) -> None:
        """Keep what Kommo says of leads; raises NotFound for a lead of another account."""
        if records:
            await self.scope.fetch(_PUT_LEADS, *_LEADS.arrays(records))

    async def put_contacts(self, records: Sequence[ContactRecord]) -> None:
        """Keep what Kommo says of contacts; raises NotFound for another account's contact."""
        if records:
            await self.scope.fetch(_PUT_CONTACTS, *_CONTACTS.arrays(records))

    async def bury(self, kind: RemoteKind, kommo_ids: Collection[KommoId]) -> None:
        """Remember that leads or contacts are gone there."""
        await self.scope.fetch(_BURY[kind], list(kommo_ids))

    async def between(
        self, kind: RemoteKind, after: KommoId, upto: KommoId | None
    ) -> list[KommoId]:
        """Return the ids after one and up to another that are not gone, in order."""
        last = _LAST_ID if upto is None else upto
        return [row["kommo_id"] for row in await self.scope.fetch(_BETWEEN[kind], after, last)]

    async def mirrored_leads(self, lead_ids: Collection[LeadId]) -> set[LeadId]:
        """Return which of the leads are a mirror of one there."""
        return {row["id"] for row in await self.scope.fetch(_MIRRORED_LEADS, list(lead_ids))}

    async def mirrored_contacts(self, contact_ids: Collection[ContactId]) -> set[ContactId]:
        """Return which of the contacts are a mirror of one there."""
        rows = await self.scope.fetch(_MIRRORED_CONTACTS, list(contact_ids))
        return {row["id"] for row in rows}

    async def repoint(self, others: Collection[ContactId], kept: ContactId) -> None:
        """Let the mirrors that some contacts are be another contact's."""
        await self.scope.fetch(_REPOINT, list(others), kept)

    async def forget_pipeline(self, kommo_id: KommoId) -> None:
        """Keep nothing any more of the leads in a pipeline there."""
        await self.scope.fetch(_FORGET_PIPELINE, kommo_id)

    async def forget_all(self) -> None:
        """Keep nothing any more of all leads and contacts."""
        await self.scope.fetch(_FORGET_ALL)


class KommoViews(Reader):
    """What an account reads of its mirror."""

    async def kommo(self) -> KommoLink:
        """Return the connection to Kommo; raises NotConfigured."""
        rows = await self._fetch(_VIEW)
        if not rows:
            raise NotConfigured
        return struct(rows[0], KommoLink)

    async def kommo_counts(self) -> KommoCounts:
        """Return how many rows the mirror of Kommo has."""
        return struct((await self._fetch(_COUNTS))[0], KommoCounts)

    async def kommo_pipelines(self) -> list[KommoPipeline]:
        """Return Kommo's pipelines in their order, as it said last; raises NotConfigured."""
        rows = await self._fetch(_PIPELINES)
        if not rows:
            raise NotConfigured
        mirrors = {KommoId(int(key)): value for key, value in rows[0]["mirrors"].items()}
        said = convert(rows[0]["pipelines"] or [], list[RemotePipeline])
        return pipelines_shown(said, rows[0]["connected"], mirrors)


def _values(link: KommoLink) -> list[object]:
    return [getattr(link, name) for name in _LINK_COLUMNS]
