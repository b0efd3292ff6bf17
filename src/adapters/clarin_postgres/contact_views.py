"""Contacts, as an account reads them."""

from msgspec import UNSET

from clarin_core.domain.contacts import (
    DUPLICATES_SHOWN_MAX,
    ContactIdentity,
    ContactQuery,
    ContactView,
    DuplicateGroup,
    DuplicateQuery,
    DuplicateReason,
)
from clarin_core.domain.ids import ContactId
from clarin_core.domain.paging import Page
from clarin_core.domain.phone import PhoneNumber
from clarin_core.errors import NotFound
from clarin_postgres.conditions import Conditions
from clarin_postgres.connection import Row
from clarin_postgres.contacts import CONTACT, identity_of
from clarin_postgres.paging import NEWEST, Listing, Order, in_seconds, page_of, struct
from clarin_postgres.reader import REGION, Reader
from clarin_postgres.search import phone_pattern, text_pattern
from clarin_postgres.tags import tags_beside

_TAGS = tags_beside("contact_tags", "contact_id", "c.id")
_SHOWN = f"{in_seconds(CONTACT)}, t.tags, t.tag_ids"


def live_contact(contact_id: str) -> str:
    """Return the statement that reads a live contact as it is shown."""
    return f"""select {_SHOWN} from contacts c
    {_TAGS}
    where c.account_id = $1 and c.id = {contact_id} and c.deleted_at is null"""


_LISTING = Listing(
    "contacts.page", "contacts c", "c",
    cut=CONTACT, shown=_SHOWN, joins=_TAGS, kept="contacts",
)  # fmt: skip
_VIEW = f"""-- contacts.view
    {live_contact("$2")}"""
_TAGGED = """c.id in (
    select x.contact_id from contact_tags x
    where x.account_id = $1 and x.tag_id = any({0}::bigint[]))"""
_WITH_CHATS = """c.id in (
    select h.contact_id from chats h
    where h.account_id = $1 and h.device_id = {0} and h.deleted_at is null)"""
_IDENTITIES_OF = """-- contacts.identities_of
    select i.kind, i.value, i.contact_id, i.alias from contacts c
    left join contact_identities i on i.account_id = c.account_id and i.contact_id = c.id
    where c.account_id = $1 and c.id = $2 and c.deleted_at is null
    order by i.kind, i.value"""


def _sharing(reason: DuplicateReason) -> str:
    """Return the statement that finds contacts which share something, the keys in their order."""
    key = f"c.{reason.value}_key"
    return f"""
        select '{reason.value}' as reason, {key} as value, count(*) as count, min(c.id) as oldest,
            (array_agg(c.id order by c.id))[1:{DUPLICATES_SHOWN_MAX}] as ids
        from contacts c
        where c.account_id = $1 and c.deleted_at is null and not c.is_group and {key} is not null
        group by {key} having count(*) > 1"""


_TWINS = " union all ".join(map(_sharing, DuplicateReason))
_BY_OLDEST = Order(("oldest", "reason"), (int, str))
_DUPLICATES = Listing(
    "contacts.duplicates", "found f", "f",
    cut="f.reason, f.value, f.count, f.oldest, f.ids",
    shown="f.reason, f.value, f.count, f.oldest, p.contacts",
    joins=f"""left join lateral (
        select json_agg(to_json(s) order by s.id) as contacts from (
            select {_SHOWN} from contacts c
            {_TAGS}
            where c.account_id = $1 and c.id = any(f.ids)
        ) s
    ) p on true""",
)  # fmt: skip


class ContactViews(Reader):
    """What an account reads of its contacts."""

    async def contact(self, contact_id: ContactId) -> ContactView:
        """Return a live contact; raises NotFound."""
        rows = await self._fetch(_VIEW, contact_id)
        if not rows:
            raise NotFound("contact", contact_id)
        return struct(rows[0], ContactView)

    async def contacts(self, query: ContactQuery) -> Page[ContactView]:
        """Return a page of contacts, newest first."""
        told = "" if query.phone is UNSET else REGION

        async def fetch(phone: PhoneNumber | None) -> list[Row]:
            where = _conditions(query, phone)
            text = _LISTING.statement(
                query,
                NEWEST,
                where,
                account_id=self._account_id,
                told=told,
                know_totals=self._know_totals,
            )
            return await self._fetch(text, *where.arguments)

        rows = await self._fetch_by_phone(query.phone, fetch)
        return page_of(rows, query, NEWEST, self._account_id, ContactView)

    async def duplicates(self, query: DuplicateQuery) -> Page[DuplicateGroup]:
        """Return a page of groups of live contacts that may be one person."""
        where = Conditions("true").within(_TWINS)
        text = _DUPLICATES.statement(query, _BY_OLDEST, where, account_id=self._account_id)
        rows = await self._fetch(text, *where.arguments)
        return page_of(rows, query, _BY_OLDEST, self._account_id, DuplicateGroup)

    async def contact_identities(self, contact_id: ContactId) -> list[ContactIdentity]:
        """Return by what WhatsApp knows a live contact, by kind and value; raises NotFound."""
        rows = await self._fetch(_IDENTITIES_OF, contact_id)
        if not rows:
            raise NotFound("contact", contact_id)
        return [identity_of(row) for row in rows if row["kind"] is not None]


def _conditions(query: ContactQuery, phone: PhoneNumber | None) -> Conditions:
    where = Conditions("c.account_id = $1", "c.deleted_at is null")
    if query.search is not UNSET:
        text, digits = text_pattern(query.search), phone_pattern(query.search)
        if digits is None:
            where.add("c.search like {0} escape '\\'", text)
        else:
            where.add("(c.search like {0} escape '\\' or c.phone like {1})", text, digits)
    if query.device_id is not UNSET:
        where.add(_WITH_CHATS, query.device_id)
    if query.phone is not UNSET:
        where.add("c.phone = {0}", phone)
    if query.has_phone is not UNSET:
        where.add("c.phone is not null" if query.has_phone else "c.phone is null")
    if query.is_group is not UNSET:
        where.add("c.is_group" if query.is_group else "not c.is_group")
    if query.tag_ids is not UNSET:
        where.add(_TAGGED, sorted(query.tag_ids))
    return where
