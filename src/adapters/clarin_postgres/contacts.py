"""Contacts."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from clarin_core.domain.contacts import (
    Contact,
    ContactDraft,
    ContactIdentity,
)
from clarin_core.domain.ids import ContactId
from clarin_core.domain.jid import Identity, IdentityKind
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.text import fold
from clarin_core.errors import Conflict, Contention, NotFound
from clarin_core.ports.stores import ContactStore
from clarin_postgres.columns import Columns
from clarin_postgres.connection import Row
from clarin_postgres.errors import POSTGRES
from clarin_postgres.paging import struct, structs
from clarin_postgres.scope import Scope
from clarin_postgres.search import searched_of_contact
from clarin_postgres.totals import gain

DISPLAY_NAME = (
    "coalesce(c.custom_name, nullif(concat_ws(' ', c.name, c.last_name), ''), c.push_name, c.phone)"
)
"""What people see of a contact `c`, as `Contact.display_name` says (CT3)."""

CONTACT = (
    "c.id, c.phone, c.name, c.last_name, c.short_name, c.custom_name, c.push_name, "
    "c.avatar_url, c.email, c.company, c.age, c.notes, c.source, c.is_group, "
    "c.do_not_contact, c.kommo_id, c.created_at, c.updated_at, c.version, c.deleted_at, "
    "c.merged_into"
)
"""The columns of a contact `c`."""

_TRIES = 4  # The last one only sees that nothing is missing.

_DRAFT = {
    "phone": "text",
    "name": "text",
    "last_name": "text",
    "short_name": "text",
    "custom_name": "text",
    "push_name": "text",
    "avatar_url": "text",
    "email": "text",
    "company": "text",
    "age": "smallint",
    "notes": "text",
    "source": "text",
    "is_group": "boolean",
    "do_not_contact": "boolean",
    "kommo_id": "bigint",
    "search": "text",
    "name_key": "text",
}
_LIFE = {
    "id": "bigint",
    "created_at": "timestamptz",
    "updated_at": "timestamptz",
    "version": "integer",
    "deleted_at": "timestamptz",
    "merged_into": "bigint",
}
_DERIVED = {
    "search": searched_of_contact,
    "name_key": lambda contact: fold(contact.full_name),
}
_NEW = Columns(_DRAFT, derived=_DERIVED)
_CHANGED = Columns({**_DRAFT, **_LIFE}, derived=_DERIVED)

_GET = f"""-- contacts.get
    select {CONTACT} from contacts c
    where c.account_id = $1 and c.id = $2 and (c.deleted_at is not null) = $3
    for no key update"""
_GET_MANY = f"""-- contacts.get_many
    select {CONTACT} from contacts c
    where c.account_id = $1 and c.id = any($2)
    order by c.id for no key update"""
_LOOK_UP = f"""-- contacts.look_up
    select {CONTACT} from contacts c
    where c.account_id = $1 and c.id in (
        select unnest($2::bigint[])
        union
        select k.id from contacts k
        where k.account_id = $1 and k.phone in (select unnest($3::text[]))
            and k.deleted_at is null
    )
    order by c.id for no key update"""
_NAMES = f"""-- contacts.names
    select c.id, {DISPLAY_NAME} as name from contacts c
    where c.account_id = $1 and c.id = any($2) and c.deleted_at is null
        and {DISPLAY_NAME} is not null"""
# New phones in their order, so that two claims of the same ones wait and do not deadlock.
# A set to join with, here and in `leads`: before the tables have statistics, PostgreSQL takes
# an account for small, and would compare each of its rows with each phone of a list.
_CLAIM = f"""-- contacts.claim
    with {_NEW.rows(3)},
    known as (
        select {CONTACT} from contacts c
        where c.account_id = $1 and c.phone in (select unnest($3::text[])) and c.deleted_at is null
        order by c.id for no key update
    ),
    born as (
        insert into contacts as c (account_id, {_NEW.names}, created_at, updated_at, version)
        select $1, {_NEW.values}, $2, $2, 1 from n
        where n.phone is null or not exists (select from known where known.phone = n.phone)
        order by n.phone, n.place
        on conflict (account_id, phone) where deleted_at is null and phone is not null do nothing
        returning {CONTACT}
    )
    select false as is_new, {CONTACT} from known c
    union all
    select true, {CONTACT} from born c"""
_SAVE = f"""-- contacts.save
    with {_CHANGED.rows(2)},
    rival as (
        select c.id from contacts c join n on n.phone = c.phone and n.deleted_at is null
        where c.account_id = $1 and c.deleted_at is null and c.id not in (select n.id from n)
        limit 1
    ),
    saved as (
        update contacts c set {_CHANGED.assignments} from n
        where c.account_id = $1 and c.id = n.id and not exists (select from rival)
        returning c.id, {gain("contacts", "c")} as gain
    )
    select (select rival.id from rival) as rival, array(select saved.id from saved) as ids,
        (select sum(saved.gain) from saved) as gain"""
_PHONELESS = f"""-- contacts.phoneless
    select {CONTACT}, c.name_key from contacts c
    where c.account_id = $1 and c.name_key = any($2)
        and md5(c.name_key) = any(array(select md5(k) from unnest($2::text[]) as k))
        and c.source = $3 and c.phone is null and c.deleted_at is null
    order by c.id for no key update"""

_IDENTITY = Columns(
    {"kind": "text", "value": "text", "contact_id": "bigint", "alias": "text"},
    derived={"kind": lambda row: row.identity.kind.value, "value": lambda row: row.identity.value},
)
# New ones in their order, as in `contacts.claim`.
_IDENTITIES = """-- contacts.identities
    with asked as (select a.kind, a.value from unnest($2::text[], $3::text[]) as a(kind, value)),
    known as (
        select i.kind, i.value, i.contact_id, i.alias from contact_identities i
        where i.account_id = $1 and (i.kind, i.value) in (select asked.kind, asked.value from asked)
        order by i.kind, i.value for no key update
    ),
    born as (
        insert into contact_identities as i (account_id, kind, value, created_at)
        select $1, a.kind, a.value, $4 from asked a
        where not exists (select from known k where k.kind = a.kind and k.value = a.value)
        order by a.kind, a.value
        on conflict (account_id, kind, value) do nothing
        returning i.kind, i.value, i.contact_id, i.alias
    )
    select k.kind, k.value, k.contact_id, k.alias from known k
    union all
    select b.kind, b.value, b.contact_id, b.alias from born b"""
_LOCK_IDENTITIES_OF = """-- contacts.lock_identities_of
    select i.kind, i.value, i.contact_id, i.alias from contact_identities i
    where i.account_id = $1 and i.contact_id = any($2)
    order by i.kind, i.value for no key update"""
_PUT_IDENTITIES = f"""-- contacts.put_identities
    with {_IDENTITY.rows(2)}
    update contact_identities i set contact_id = n.contact_id, alias = n.alias from n
    where i.account_id = $1 and i.kind = n.kind and i.value = n.value
    returning i.kind, i.value"""


@dataclass(frozen=True, slots=True)
class PostgresContactStore(ContactStore):
    """The contacts of one account."""

    scope: Scope

    async def get(self, contact_id: ContactId, *, deleted: bool = False) -> Contact:
        """Return a live contact (a deleted one when asked), locked; raises NotFound."""
        row = await self.scope.first(_GET, contact_id, deleted)
        if row is None:
            raise NotFound("contact", contact_id)
        return struct(row, Contact)

    async def get_many(self, contact_ids: Collection[ContactId]) -> list[Contact]:
        """Return contacts, deleted ones included, locked, by id; unknown ones are left out."""
        return structs(await self.scope.fetch(_GET_MANY, list(contact_ids)), Contact)

    async def look_up(
        self, contact_ids: Collection[ContactId], phones: Collection[PhoneNumber]
    ) -> list[Contact]:
        """Return contacts by their ids, deleted ones included, and live ones by their phones."""
        rows = await self.scope.fetch(_LOOK_UP, list(contact_ids), list(phones))
        return structs(rows, Contact)

    async def claim(
        self, drafts: Sequence[ContactDraft], *, at: datetime
    ) -> list[tuple[Contact, bool]]:
        """Return each draft's contact, locked, in the order given, and whether it is new."""
        with_phone = {draft.phone: draft for draft in reversed(drafts) if draft.phone is not None}
        without = [draft for draft in drafts if draft.phone is None]
        by_phone, born = await self._claim(with_phone, without, at)
        answer, strangers = [], iter(born)
        for draft in drafts:
            if draft.phone is None:
                answer.append((next(strangers), True))
            else:
                contact, is_new = by_phone[draft.phone]
                answer.append((contact, is_new))
                by_phone[draft.phone] = contact, False
        return answer

    async def names(self, contact_ids: Collection[ContactId]) -> dict[ContactId, str]:
        """Return what people see of some live contacts (CT3), as far as there is something."""
        rows = await self.scope.fetch(_NAMES, list(contact_ids))
        return {row["id"]: row["name"] for row in rows}

    async def save(self, contacts: Sequence[Contact]) -> None:
        """Store changed contacts; raises Conflict `duplicate_contact`, NotFound for a stranger."""
        if not contacts:
            return
        row = await self.scope.one(_SAVE, *_CHANGED.arrays(contacts))
        if row["rival"] is not None:
            raise Conflict("duplicate_contact", "a contact has this phone", id=row["rival"])
        self.scope.gains.contacts += row["gain"] or 0
        if missing := {contact.id for contact in contacts}.difference(row["ids"]):
            raise NotFound("contact", min(missing))

    async def phoneless(self, names: Collection[str], *, source: str) -> dict[str, Contact]:
        """Return live contacts of a source without a phone by folded name, the oldest of each."""
        keys = sorted({fold(name) for name in names})
        rows = await self.scope.fetch(_PHONELESS, keys, source)
        rows.sort(key=lambda row: (row["created_at"], row["id"]), reverse=True)
        return {row["name_key"]: struct(row, Contact) for row in rows}

    async def identities(
        self, identities: Collection[Identity], *, at: datetime
    ) -> dict[Identity, ContactIdentity]:
        """Return what is known of each identity, locked; one that nobody had is kept from now on.

        Who asks for one of the new ones at the same time is waited for.
        """
        found: dict[Identity, ContactIdentity] = {}
        for _ in range(_TRIES):
            asked = sorted({(one.kind.value, one.value) for one in identities if one not in found})
            if not asked:
                return found
            kinds, values = [kind for kind, _ in asked], [value for _, value in asked]
            rows = await self.scope.fetch(_IDENTITIES, kinds, values, at)
            found |= {row.identity: row for row in map(identity_of, rows)}
        raise Contention(POSTGRES)

    async def identities_of(self, contact_ids: Collection[ContactId]) -> list[ContactIdentity]:
        """Return the identities of some contacts, deleted ones included, locked."""
        rows = await self.scope.fetch(_LOCK_IDENTITIES_OF, list(contact_ids))
        return list(map(identity_of, rows))

    async def put_identities(self, rows: Collection[ContactIdentity]) -> None:
        """Store changed identities; raises NotFound for a stranger."""
        if not rows:
            return
        stored = await self.scope.fetch(_PUT_IDENTITIES, *_IDENTITY.arrays(rows))
        known = {(row["kind"], row["value"]) for row in stored}
        for row in rows:
            if (row.identity.kind.value, row.identity.value) not in known:
                raise NotFound("identity", row.identity.value)

    async def _claim(
        self,
        with_phone: dict[PhoneNumber, ContactDraft],
        without: list[ContactDraft],
        at: datetime,
    ) -> tuple[dict[PhoneNumber, tuple[Contact, bool]], list[Contact]]:
        """Return contacts by phone, and new ones in the order of the drafts without a phone.

        Who claims one of the phones at the same time is waited for.
        """
        found: dict[PhoneNumber, tuple[Contact, bool]] = {}
        born: list[Contact] = []
        for _ in range(_TRIES):
            drafts = [draft for phone, draft in with_phone.items() if phone not in found]
            drafts += without if len(born) < len(without) else []
            if not drafts:
                return found, born
            rows = await self.scope.fetch(_CLAIM, at, *_NEW.arrays(drafts))
            for contact, is_new in _claimed(rows):
                self.scope.gains.contacts += is_new
                if contact.phone is None:
                    born.append(contact)
                else:
                    found[contact.phone] = contact, is_new
        raise Contention(POSTGRES)


def _claimed(rows: Iterable[Row]) -> list[tuple[Contact, bool]]:
    """Return contacts by id: those without a phone were made in the order of their drafts."""
    claimed = [(struct(row, Contact), bool(row["is_new"])) for row in rows]
    return sorted(claimed, key=lambda one: one[0].id)


def identity_of(row: Row) -> ContactIdentity:
    """Return a row as what is known of an identity."""
    return ContactIdentity(
        identity=Identity(IdentityKind(row["kind"]), row["value"]),
        contact_id=row["contact_id"],
        alias=row["alias"],
    )
