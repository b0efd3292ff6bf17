"""Generated histories: whatever two accounts go through, state and events tell the same.

Each round runs one transaction of either account at the same time; some fail on purpose.
A plain `State` of each account is kept beside the storage, step by step. After every round
the lists must show it, and the log must replay to it.
"""

import asyncio
from copy import deepcopy
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from hypothesis import strategies as st

from clarin_core.domain.actor import SYSTEM, Origin
from clarin_core.domain.contacts import Contact, ContactQuery, ContactView
from clarin_core.domain.devices import DeviceQuery
from clarin_core.domain.events import Event, EventAction, PipelineChanged, State, replay
from clarin_core.domain.inbox_state import InboxState
from clarin_core.domain.leads import Lead, LeadQuery, LeadView
from clarin_core.domain.paging import Page, PageQuery
from clarin_core.domain.quick_replies import QuickReplyQuery
from clarin_core.domain.tags import TagLink, TagQuery
from clarin_core.testing import strategies
from clarin_core.testing.contract import Contract, law
from clarin_core.testing.steps import STEPS, Seed, Step, seeds
from clarin_core.testing.tenants import OnPurposeError, Tenant

Row = TypeVar("Row", Lead, Contact)
View = TypeVar("View")


class Work(NamedTuple):
    """One transaction."""

    steps: list[tuple[Step, Seed]]
    fails: bool
    origin: Origin


works = st.builds(
    Work,
    st.lists(st.tuples(st.sampled_from(STEPS), seeds), max_size=5),
    st.sampled_from([False, False, False, True]),
    strategies.origins(),
)


class HistoryLaws(Contract):
    """What holds for every history."""

    @law(rounds=st.lists(st.tuples(works, works), min_size=1, max_size=6))
    async def test_state_and_events_tell_the_same(
        self, account: Tenant, rounds: list[tuple[Work, Work]]
    ) -> None:
        """R3, R5, R6, properties 3, 14, 15: views == model == replay, numbers dense from 1."""
        lives = [Life(account), Life(await account.stranger())]
        for life in lives:
            await life.begin()
        for pair in rounds:
            await asyncio.gather(
                *(life.go_on(work) for life, work in zip(lives, pair, strict=True))
            )
            for life in lives:
                await life.check()


@dataclass
class Life:
    """An account's story: the model of its state, and all that was told."""

    account: Tenant
    state: State = field(default_factory=State)
    told: list[tuple[Origin, Event]] = field(default_factory=list)

    async def begin(self) -> None:
        """Tell of the pipeline that every account starts with."""
        pipeline = self.account.pipeline
        event = PipelineChanged(action=EventAction.CREATED, pipeline=pipeline)
        await self.account.emit(event)
        self.state.pipelines[pipeline.id] = pipeline
        self.told.append((SYSTEM, event))

    async def go_on(self, work: Work) -> None:
        """Run a transaction; the model follows only if it commits."""
        state, events = deepcopy(self.state), list[Event]()
        try:
            async with self.account.begin(work.origin) as tx:
                for step, seed in work.steps:
                    happened = await step(tx, state, seed)
                    tx.emit(*happened)
                    events += deepcopy(happened)
                if work.fails:
                    raise OnPurposeError
        except OnPurposeError:
            return
        self.state = state
        self.told += [(work.origin, event) for event in events]

    async def check(self) -> None:
        """Compare the lists with the model, and the log with all that was told."""
        log = await self.account.events()
        assert [recorded.seq for recorded in log] == list(range(1, len(self.told) + 1))
        assert [(recorded.origin, recorded.event) for recorded in log] == self.told
        assert replay(recorded.event for recorded in log) == self.state
        shown = await self._shown()
        live = {id for id, contact in self.state.contacts.items() if contact.deleted_at is None}
        self_seen = deepcopy(self.state)
        self_seen.contact_tags = {one for one in self.state.contact_tags if one.target_id in live}
        assert shown == self_seen

    async def _shown(self) -> State:
        """Return what the account's lists add up to; a deleted contact shows no tags."""
        views = self.account.views
        live = _all(await views.leads(LeadQuery(limit=200)))
        deleted = _all(await views.leads(LeadQuery(limit=200, deleted=True)))
        contacts = _all(await views.contacts(ContactQuery(limit=200)))
        async with self.account.begin() as tx:
            known = await tx.contacts.get_many(list(self.state.contacts))
        hidden = [contact for contact in known if contact.deleted_at is not None]
        replies = (await views.quick_replies(QuickReplyQuery(limit=200))).data
        devices = (await views.devices(DeviceQuery(limit=200))).data
        return State(
            inbox=InboxState(
                devices={one.id: one for one in devices},
                quick_replies={one.id: one for one in replies},
            ),
            leads={one.id: _without(one, Lead) for one in live + deleted},
            contacts={one.id: _without(one, Contact) for one in contacts}
            | {one.id: one for one in hidden},
            tags={one.id: one for one in (await views.tags(TagQuery(limit=200))).data},
            pipelines={one.id: one for one in (await views.pipelines(PageQuery())).data},
            lead_tags=_links(live + deleted),
            contact_tags=_links(contacts),
        )


def _all(page: Page[View]) -> list[View]:
    """Return the rows of a page that has all of a list, as its total says."""
    assert page.total == len(page.data)
    return page.data


def _without(view: Row, entity: type[Row]) -> Row:
    return entity(**{name: getattr(view, name) for name in entity.__struct_fields__})


def _links(views: list[LeadView] | list[ContactView]) -> set[TagLink]:
    return {TagLink(target_id=view.id, tag_id=one) for view in views for one in view.tag_ids}
