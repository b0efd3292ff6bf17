"""Which leads a filter lets through, as conditions on the table `l`."""

from msgspec import UNSET

from clarin_core.domain.leads import LeadFilter, TagsMode
from clarin_core.domain.phone import PhoneNumber
from clarin_postgres.conditions import Conditions
from clarin_postgres.search import phone_pattern, text_pattern

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
# Two searches by index and their union: an OR over both tables could use neither index.
_SEARCH = """l.id in (
    select x.id from leads x where x.account_id = $1 and x.search like {0} escape '\\'
    union
    select x.id from contacts c
    join leads x on x.account_id = c.account_id and x.contact_id = c.id
    where c.account_id = $1 and """
_IN_CONTACT = "c.search like {0} escape '\\')"
_IN_CONTACT_OR_PHONE = "(c.search like {0} escape '\\' or c.phone like {1}))"


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
    _add_conditions_on_others(query, phone, where)
    return where


def _add_conditions_on_others(
    query: LeadFilter, phone: PhoneNumber | None, where: Conditions
) -> None:
    if query.tag_ids is not UNSET:
        where.add(_TAGGED[query.tags_mode], sorted(query.tag_ids))
    if query.phone is not UNSET:
        where.add(_PHONE, phone)
    if query.search is not UNSET:
        text, digits = text_pattern(query.search), phone_pattern(query.search)
        if digits is None:
            where.add(_SEARCH + _IN_CONTACT, text)
        else:
            where.add(_SEARCH + _IN_CONTACT_OR_PHONE, text, digits)
