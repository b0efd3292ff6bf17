"""Which leads a filter lets through, as conditions on the table `l`."""

from msgspec import UNSET

from clarin_core.domain.leads import LeadFilter, TagsMode
from clarin_core.domain.phone import PhoneNumber
from clarin_postgres.conditions import Conditions
from clarin_postgres.search import on_contact, phone_pattern, text_pattern

_SAME = ("pipeline_id", "stage_id", "contact_id", "assigned_to", "source")
_LIVENESS = {False: "l.deleted_at is null", True: "l.deleted_at is not null"}
_TAGGED = {
    TagsMode.ANY: """l.id in (
        select x.lead_id from lead_tags x
        where x.account_id = $1 and x.tag_id = any({0}::bigint[]))""",
    TagsMode.ALL: """l.id in (
        select x.lead_id from lead_tags x
        where x.account_id = $1 and x.tag_id = any({0}::bigint[])
        group by x.lead_id having count(*) = cardinality({0}::bigint[]))""",
}
_PHONE = """l.contact_id in (
    select c.id from contacts c where c.account_id = $1 and c.phone = {0})"""
_FOUND = "l.id, l.created_at, l.updated_at, l.stage_id, l.value"


def lead_conditions(
    query: LeadFilter, phone: PhoneNumber | None, *, deleted: bool = False
) -> Conditions:
    """Return the conditions; a phone that nobody can read lets nothing through."""
    where = Conditions("l.account_id = $1", _LIVENESS[deleted])
    given = query.given()
    if query.status is not UNSET:
        where.add("l.status = {0}", query.status.value)
    for name in _SAME:
        if name in given:
            where.add(f"l.{name} = {{0}}", given[name])
    if query.created_from is not UNSET:
        where.add("l.created_at >= {0}", query.created_from)
    if query.created_to is not UNSET:
        where.add("l.created_at < {0}", query.created_to)
    if query.tag_ids is not UNSET:
        where.add(_TAGGED[query.tags_mode], sorted(query.tag_ids))
    if query.phone is not UNSET:
        where.add(_PHONE, phone)
    return where


def searched_leads(text: str, where: Conditions) -> Conditions:
    """Return `where` as conditions on `found`: the leads that hold a text, or whose contacts do.

    Each half is found by its own index; an OR over both tables could use neither. All of it is
    found once, for the total and for the page.
    """
    pattern, digits = where.bind(text_pattern(text)), phone_pattern(text)
    of_contact = on_contact(pattern, digits and where.bind(digits))
    return where.within(f"""
        select {_FOUND} from leads l where {where} and l.search like {pattern} escape '\\'
        union
        select {_FOUND} from contacts c
        join leads l on l.account_id = c.account_id and l.contact_id = c.id
        where c.account_id = $1 and {of_contact} and {where}""")
