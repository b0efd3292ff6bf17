"""A generated board of leads, the filters that can be asked of it, and what they must find.

The model is a plain list of leads with a function that says what a filter lets through.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DataObject, SearchStrategy
from msgspec import UNSET, UnsetType

from clarin_core.domain.contacts import Contact, ContactDraft
from clarin_core.domain.ids import LeadId, PipelineId, StageId, TagId, UserId
from clarin_core.domain.leads import (
    Lead,
    LeadDraft,
    LeadFilter,
    LeadSort,
    LeadStatus,
    StageCount,
    TagsMode,
)
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.pipelines import Pipeline
from clarin_core.domain.tags import TagLink, TagTarget
from clarin_core.domain.text import fold
from clarin_core.testing.strategies import hours, maybe
from clarin_core.testing.tenants import LATER, Tenant

_PEOPLE = (
    ContactDraft(name="Ñandú Pérez", phone=PhoneNumber("+51987654321"), email="nandu@x.pe"),
    ContactDraft(name="zoë", phone=PhoneNumber("+5114441234")),
)
_NOBODY = ContactDraft()
_NAMES = st.sampled_from(["Luz María", "LUZ", "José 100%", "a_b", None])
_SOURCES = st.sampled_from(["web", "Web", None])
SEARCHES = (
    "luz", "Lúz  maria", "NANDU", "josé", "%", "_", "0%", "x.pe", "987 654", "+51 1", "nadie",
)  # fmt: skip
_SAME = ("status", "pipeline_id", "stage_id", "contact_id", "assigned_to", "source")


@dataclass(frozen=True, slots=True)
class Board:
    """What an account holds, as a plain model of it."""

    account: Tenant
    pipelines: list[Pipeline]
    people: list[Contact]
    tag_ids: list[TagId]
    owner: UserId
    leads: list[Lead] = field(default_factory=list)
    links: set[TagLink] = field(default_factory=set)

    @property
    def places(self) -> list[tuple[PipelineId, StageId]]:
        """All stages in the order of the board."""
        return [(pipeline.id, one.id) for pipeline in self.pipelines for one in pipeline.stages]

    def drafts(self) -> SearchStrategy[LeadDraft]:
        """Leads that may be anywhere on the board."""
        return st.builds(
            lambda place, **values: LeadDraft(
                pipeline_id=place and place[0], stage_id=place and place[1], **values
            ),
            maybe(st.sampled_from(self.places)),
            name=_NAMES,
            status=st.sampled_from(LeadStatus),
            contact_id=maybe(st.sampled_from([person.id for person in self.people])),
            assigned_to=maybe(st.just(self.owner)),
            source=_SOURCES,
            value=maybe(st.integers(0, 100)),
        )

    def questions(self) -> SearchStrategy[list[dict[str, Any]]]:
        """Fields of a `LeadFilter`: each filter alone, and some together."""
        one_of = {
            "status": st.sampled_from(LeadStatus),
            "pipeline_id": st.sampled_from([pipeline.id for pipeline in self.pipelines]),
            "stage_id": st.sampled_from([stage_id for _, stage_id in self.places]),
            "contact_id": st.sampled_from([person.id for person in self.people]),
            "assigned_to": st.just(self.owner),
            "tag_ids": st.frozensets(st.sampled_from(self.tag_ids), min_size=1),
            "phone": st.sampled_from([person.phone for person in self.people]),
            "source": _SOURCES.filter(bool),
            "created_from": hours(),
            "created_to": hours(),
        }
        together = st.lists(st.sets(st.sampled_from(sorted(one_of)), min_size=2), max_size=2)
        return st.builds(_questions, st.fixed_dictionaries(one_of), together)

    def found(self, query: LeadFilter, *, deleted: bool = False) -> list[Lead]:
        """Return what a filter must find, newest first."""
        rows = [one for one in self.leads if (one.deleted_at is not None) is deleted]
        newest = sorted(rows, key=lambda lead: (lead.created_at, lead.id), reverse=True)
        return [lead for lead in newest if self.lets_through(query, lead)]

    def listed(self, query: LeadFilter, sort: LeadSort, *, deleted: bool) -> list[LeadId]:
        """Return the list that a filter and an order must give."""
        found = self.found(query, deleted=deleted)
        orders = {
            LeadSort.NEWEST: found,
            LeadSort.OLDEST: found[::-1],
            LeadSort.UPDATED: sorted(found, key=lambda one: (one.updated_at, one.id), reverse=True),
        }
        return [lead.id for lead in orders[sort]]

    def counted(self, query: LeadFilter) -> list[StageCount]:
        """Return the totals that a filter must give."""
        count, value = Counter[StageId | None](), Counter[StageId | None]()
        for lead in self.found(query):
            count[lead.stage_id] += 1
            value[lead.stage_id] += lead.value or 0
        return [
            StageCount(pipeline_id=one, stage_id=stage, count=count[stage], value=value[stage])
            for one, stage in self.places
        ]

    def lets_through(self, query: LeadFilter, lead: Lead) -> bool:
        """Return whether a lead is what a filter asks for."""
        person = next((one for one in self.people if one.id == lead.contact_id), _NOBODY)
        checks = [
            *(getattr(query, name) in (UNSET, getattr(lead, name)) for name in _SAME),
            query.search is UNSET or _says(query.search, lead, person),
            query.phone in (UNSET, person.phone),
            isinstance(query.tag_ids, UnsetType) or self._has_tags(lead, query.tag_ids, query),
            query.created_from is UNSET or query.created_from <= lead.created_at,
            query.created_to is UNSET or lead.created_at < query.created_to,
        ]
        return all(checks)

    def _has_tags(self, lead: Lead, tag_ids: Collection[TagId], query: LeadFilter) -> bool:
        has = [TagLink(target_id=lead.id, tag_id=one) in self.links for one in tag_ids]
        return {TagsMode.ANY: any, TagsMode.ALL: all}[query.tags_mode](has)


def _questions(values: Mapping[str, Any], together: list[set[str]]) -> list[dict[str, Any]]:
    every = {"tag_ids": values["tag_ids"], "tags_mode": TagsMode.ALL}
    alone = [{name: value} for name, value in values.items()]
    return [{}, every, *alone, *({name: values[name] for name in names} for names in together)]


async def lay_out(account: Tenant, data: DataObject) -> Board:
    """Commit a board of up to six leads, some of them tagged or deleted."""
    pipelines = [account.pipeline, await account.add_pipeline("Postventa", "Uno", "Dos")]
    people = await account.add_contacts(*_PEOPLE)
    tags = await account.add_tags("vip", "Frío", "ámbar")
    tag_ids = [tag.id for tag in tags]
    board = Board(account, pipelines, people, tag_ids, await account.hire())
    for draft, at in data.draw(st.lists(st.tuples(board.drafts(), hours()), max_size=6)):
        board.leads.extend(await account.add_leads(draft, at=at))
    await _tag_some(board, data)
    await _delete_some(board, data)
    return board


async def _tag_some(board: Board, data: DataObject) -> None:
    possible = [
        TagLink(target_id=lead.id, tag_id=tag_id)
        for lead in board.leads
        for tag_id in board.tag_ids
    ]
    chosen = data.draw(st.lists(st.booleans(), min_size=len(possible), max_size=len(possible)))
    board.links.update(link for link, is_put in zip(possible, chosen, strict=True) if is_put)
    await board.account.link(TagTarget.LEAD, *board.links)


async def _delete_some(board: Board, data: DataObject) -> None:
    fates = st.lists(st.integers(0, 3), min_size=len(board.leads), max_size=len(board.leads))
    for lead, fate in zip(board.leads, data.draw(fates), strict=True):
        lead.deleted_at = {0: LATER}.get(fate)
    async with board.account.begin() as tx:
        await tx.leads.get_many([lead.id for lead in board.leads])
        await tx.leads.save(board.leads)


def _says(search: str, lead: Lead, person: ContactDraft) -> bool:
    texts = (lead.name, person.name, person.email)
    digits = "".join(filter(str.isdigit, search))
    is_number = bool(digits) and not set(search) - set("+0123456789 ")
    in_phone = is_number and person.phone is not None and digits in person.phone
    return in_phone or any(fold(search) in fold(text or "") for text in texts)
