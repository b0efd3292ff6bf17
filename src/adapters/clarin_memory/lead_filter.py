"""Which leads a filter lets through."""

from collections.abc import Callable, Collection, Iterator, Mapping

from msgspec import UNSET

from clarin_core.domain.contacts import ContactDraft
from clarin_core.domain.ids import TagId
from clarin_core.domain.leads import Lead, LeadFilter, TagsMode
from clarin_core.domain.tags import TagTarget
from clarin_memory.contacts import mentions, phone_or_none
from clarin_memory.search import Needle
from clarin_memory.state import AccountTables
from clarin_memory.tags import tag_ids_on

Test = Callable[[Lead], bool]

_SAME = ("status", "pipeline_id", "stage_id", "contact_id", "assigned_to", "source")
_NOBODY = ContactDraft()
TAG_TESTS: Mapping[TagsMode, Callable[[frozenset[TagId], Collection[TagId]], bool]] = {
    TagsMode.ALL: lambda wanted, tag_ids: wanted.issubset(tag_ids),
    TagsMode.ANY: lambda wanted, tag_ids: not wanted.isdisjoint(tag_ids),
}
"""Whether the wanted tags are among those of a record."""


def lead_filter(query: LeadFilter, tables: AccountTables, region: str) -> Test:
    """Return a function that tells whether a lead is let through, deleted or not.

    A phone is read as in `region`; one that cannot be read lets nothing through.
    """
    tests = [*_tests_of_lead(query), *_tests_of_others(query, tables, region)]
    return lambda lead: all(test(lead) for test in tests)


def _tests_of_lead(query: LeadFilter) -> Iterator[Test]:
    given = query.given()
    same = {name: given[name] for name in _SAME if name in given}
    yield lambda lead: all(getattr(lead, name) == value for name, value in same.items())
    first, end = query.created_from, query.created_to
    if first is not UNSET:
        yield lambda lead: lead.created_at >= first
    if end is not UNSET:
        yield lambda lead: lead.created_at < end


def _tests_of_others(query: LeadFilter, tables: AccountTables, region: str) -> Iterator[Test]:
    if query.tag_ids is not UNSET:
        has_tags = TAG_TESTS[query.tags_mode]
        wanted = query.tag_ids
        yield lambda lead: has_tags(wanted, tag_ids_on(tables, TagTarget.LEAD, lead.id))
    if query.phone is not UNSET:
        phone = phone_or_none(query.phone, region)
        yield lambda lead: phone is not None and _person(tables, lead).phone == phone
    if query.search is not UNSET:
        needle = Needle(query.search)
        yield lambda lead: needle.is_in(lead.name) or mentions(_person(tables, lead), needle)


def _person(tables: AccountTables, lead: Lead) -> ContactDraft:
    """Return what is known of a lead's person, which is nothing without a contact."""
    contact = None if lead.contact_id is None else tables.contacts.peek(lead.contact_id)
    return contact or _NOBODY
