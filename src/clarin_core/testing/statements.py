"""Laws of cost: a view is one statement, and a batch is no more of them than two rows are."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from clarin_core.domain.contacts import ContactDraft
from clarin_core.domain.events import EventQuery
from clarin_core.domain.ids import ContactId, ImportId, KommoId, LeadId, SessionId, TagId, UserId
from clarin_core.domain.imports import RowOutcome, RowResult
from clarin_core.domain.jid import Identity
from clarin_core.domain.leads import LeadFilter, StageMove
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.tags import Tag, TagOrigin, TagTarget
from clarin_core.ports.transaction import Transaction
from clarin_core.ports.views import Views
from clarin_core.testing.contract import Capability, Contract, CountsStatements, law
from clarin_core.testing.events import gone
from clarin_core.testing.inbox_batches import INBOX_BATCHES, gather_inbox
from clarin_core.testing.listings import LISTINGS, OF_ONE, Listing
from clarin_core.testing.mirrors import MIRROR_BATCHES, add_link
from clarin_core.testing.tenancy import VIEWS, furnish
from clarin_core.testing.tenants import LATER, NOON, Tenant, draft, lid, links_of

TWO, MANY = 2, 40
OF_ACCOUNT = [listing for listing in LISTINGS if listing not in OF_ONE]

OTHER_VIEWS: Mapping[str, Callable[[Views], Awaitable[Any]]] = {
    "lead counts": lambda views: views.lead_counts(LeadFilter(search="luz")),
    "account": lambda views: views.account(),
    "stats": lambda views: views.stats(),
    "events": lambda views: views.events(EventQuery()),
    "position": lambda views: views.position(),
    "kommo": lambda views: views.kommo(),
    "kommo counts": lambda views: views.kommo_counts(),
    "kommo pipelines": lambda views: views.kommo_pipelines(),
}


@dataclass(frozen=True)
class Crowd:
    """Many rows of an account, to work on in one go."""

    account: Tenant
    leads: Sequence[LeadId]
    people: Sequence[ContactId]
    tags: Sequence[Tag]
    import_id: ImportId

    def moves(self, size: int) -> list[StageMove]:
        """Return a move of each of some leads."""
        stage = self.account.stages[0]
        return [StageMove(lead_id=one, to_stage=stage, at=LATER) for one in self.leads[:size]]


Batch = Callable[[Transaction, Crowd, int], Awaitable[Any]]

BATCHES: Mapping[str, Batch] = {
    "add leads": lambda tx, crowd, n: tx.leads.add(
        [draft(contact_id=crowd.people[0])] * n, at=NOON
    ),
    "save leads": lambda tx, crowd, n: _save_leads(tx, crowd.leads[:n]),
    "log moves": lambda tx, crowd, n: tx.leads.log_moves(crowd.moves(n)),
    "open leads": lambda tx, crowd, n: tx.leads.open_in(
        crowd.account.pipeline.id, crowd.people[:n]
    ),
    "leads of contacts": lambda tx, crowd, n: tx.leads.of_contacts(crowd.people[:n]),
    "leads by Kommo": lambda tx, crowd, n: tx.leads.by_kommo([KommoId(k + 1) for k in range(n)]),
    "leads in stages": lambda tx, crowd, n: tx.leads.in_stages(crowd.account.stages, limit=n),
    "new contacts": lambda tx, crowd, n: tx.contacts.claim(_people(n, known=False), at=NOON),
    "known contacts": lambda tx, crowd, n: tx.contacts.claim(_people(n, known=True), at=NOON),
    "new identities": lambda tx, crowd, n: tx.contacts.identities(_lids(n), at=NOON),
    "put identities": lambda tx, crowd, n: _put_identities(tx, crowd.people[0], n),
    "identities of contacts": lambda tx, crowd, n: tx.contacts.identities_of(crowd.people[:n]),
    "look leads up": lambda tx, crowd, n: tx.leads.look_up(crowd.leads[:n], [KommoId(1)] * n),
    "look contacts up": lambda tx, crowd, n: tx.contacts.look_up(
        crowd.people[:n], [one.phone for one in _people(n, known=True) if one.phone]
    ),
    "pipelines by Kommo": lambda tx, crowd, n: tx.pipelines.by_kommo(
        [KommoId(k + 1) for k in range(n)]
    ),
    "links": lambda tx, crowd, n: tx.tags.links(TagTarget.LEAD, crowd.leads[:n]),
    "names of contacts": lambda tx, crowd, n: tx.contacts.names(crowd.people[:n]),
    "save contacts": lambda tx, crowd, n: _save_contacts(tx, crowd.people[:n]),
    "people by name": lambda tx, crowd, n: tx.contacts.phoneless(_words(n), source="csv_import"),
    "claim tags": lambda tx, crowd, n: tx.tags.claim(_words(n), origin=TagOrigin.LOCAL, at=NOON),
    "known tags": lambda tx, crowd, n: tx.tags.known([TagId(k + 1) for k in range(n)]),
    "link": lambda tx, crowd, n: tx.tags.link(
        TagTarget.LEAD, links_of(crowd.leads[:n], crowd.tags), origin=TagOrigin.LOCAL
    ),
    "unlink": lambda tx, crowd, n: tx.tags.unlink(
        TagTarget.LEAD, links_of(crowd.leads[:n], crowd.tags)
    ),
    "outcomes": lambda tx, crowd, n: _save_outcomes(tx, crowd.import_id, n),
    "members": lambda tx, crowd, n: tx.members.active([UserId(k + 1) for k in range(n)]),
    "events": lambda tx, crowd, n: _emit(tx, n),
}
"""Every operation that takes many rows."""


class StatementLaws(Contract):
    """What reads and writes may cost; for adapters that count their statements."""

    @pytest.mark.parametrize("listing", OF_ACCOUNT, ids=str)
    @law(needs=Capability.COUNTING)
    async def test_a_page_is_one_statement(self, account: Tenant, listing: Listing) -> None:
        """Ports: rows, tags, stages and total come together, however many they are."""
        await listing.grow(account, 12)
        await listing.page(account)
        queries: list[dict[str, Any]] = [{"limit": 1}, {"limit": 200}, {"page": 3}, {"after": ""}]
        costs = [await self._cost(listing.page(account, **fields)) for fields in queries]
        assert costs == [1] * len(queries)

    @law(needs=Capability.COUNTING)
    async def test_a_view_is_one_statement(self, account: Tenant) -> None:
        """Ports: whatever is read of one thing is read at once, and so in one snapshot."""
        own = await furnish(account)
        for listing in OF_ONE:
            await listing.grow(account, 12)
        async with account.begin() as tx:
            for views in (account.views, tx.views):
                for kind, look in VIEWS:
                    assert await self._cost(look(views, own[kind])) == 1
                for name, view in OTHER_VIEWS.items():
                    assert (name, await self._cost(view(views))) == (name, 1)

    @law(needs=Capability.COUNTING)
    async def test_a_look_at_many_accounts_is_one_statement(self, account: Tenant) -> None:
        """Ports: positions and standings, for one and for many."""
        for size in (1, MANY):
            keys = [(SessionId(number + 1), account.id) for number in range(size)]
            assert await self._cost(self.storage.positions([account.id] * size)) == 1
            assert await self._cost(self.storage.standings(keys, at=NOON)) == 1

    @law(needs=Capability.COUNTING)
    async def test_a_step_with_a_lease_is_one_statement(self, account: Tenant) -> None:
        """Reliability 2.7: what is done every few seconds for each device costs little."""
        device, leases = await account.add_device(), self.storage.leases
        lease = await leases.lease(account.key_of(device), "a", timedelta(hours=1))
        assert lease is not None
        assert await self._cost(leases.wanted()) == 1
        assert await self._cost(leases.renew([lease], timedelta(hours=1))) == 1
        assert await self._cost(leases.calls([lease.key], at=NOON)) == 1
        async with account.begin() as tx:
            assert await self._cost(tx.devices.hold(device.id, lease.token)) == 1
        assert await self._cost(leases.release(lease)) == 1
        assert await self._cost(leases.lease(lease.key, "b", timedelta(hours=1))) == 1

    @law(needs=Capability.COUNTING)
    async def test_a_step_with_a_mirror_s_lease_is_one_statement(self, account: Tenant) -> None:
        """Reliability 2.7: the same for who keeps a mirror."""
        await add_link(account)
        leases, ttl = self.storage.kommo_leases, timedelta(hours=1)
        lease = await leases.lease(account.id, "a", ttl)
        assert lease is not None
        assert await self._cost(leases.wanted()) == 1
        assert await self._cost(leases.renew(lease, ttl)) == 1
        async with account.begin() as tx:
            assert await self._cost(tx.kommo.hold(lease.token)) == 1
        assert await self._cost(leases.release(lease)) == 1
        assert await self._cost(leases.lease(account.id, "b", ttl)) == 1

    @pytest.mark.parametrize("name", BATCHES)
    @law(needs=Capability.COUNTING)
    async def test_a_batch_costs_no_more_than_two_rows(self, account: Tenant, name: str) -> None:
        """Ports: batches cost a constant number of statements."""
        crowds = [await gather_crowd(account), await gather_crowd(await account.stranger())]
        few, many = [
            await self._cost(_commit(crowd, BATCHES[name], size))
            for crowd, size in zip(crowds, (TWO, MANY), strict=True)
        ]
        assert many <= few

    @pytest.mark.parametrize("name", INBOX_BATCHES)
    @law(needs=Capability.COUNTING)
    async def test_a_batch_of_an_inbox_costs_no_more_than_two_rows(
        self, account: Tenant, name: str
    ) -> None:
        """Ports: batches cost a constant number of statements."""
        costs = []
        for tenant, size in ((account, TWO), (await account.stranger(), MANY)):
            crowd = await gather_inbox(tenant, MANY)
            async with tenant.begin() as tx:
                costs.append(await self._cost(INBOX_BATCHES[name](tx, crowd, size)))
        assert costs[1] <= costs[0]

    @pytest.mark.parametrize("name", MIRROR_BATCHES)
    @law(needs=Capability.COUNTING)
    async def test_a_batch_of_a_mirror_costs_no_more_than_two_rows(
        self, account: Tenant, name: str
    ) -> None:
        """Ports: batches cost a constant number of statements."""
        costs = []
        for tenant, size in ((account, TWO), (await account.stranger(), MANY)):
            crowd = await gather_crowd(tenant)
            async with tenant.begin() as tx:
                batch = MIRROR_BATCHES[name]
                costs.append(await self._cost(batch(tx, crowd.leads[:size], crowd.people[:size])))
        assert costs == [1, 1]

    async def _cost(self, work: Awaitable[Any]) -> int:
        counter = self.storage
        assert isinstance(counter, CountsStatements)
        before = counter.statements_run()
        await work
        return counter.statements_run() - before


async def gather_crowd(account: Tenant) -> Crowd:
    """Commit forty leads and contacts, two tags and an import."""
    leads = await account.add_leads(*[draft()] * MANY)
    people = await account.add_contacts(*_people(MANY, known=True))
    tags, job = await account.add_tags("vip", "frío"), await account.add_import()
    return Crowd(account, [one.id for one in leads], [one.id for one in people], tags, job.id)


async def _commit(crowd: Crowd, batch: Batch, size: int) -> None:
    async with crowd.account.begin() as tx:
        await batch(tx, crowd, size)


async def _save_leads(tx: Transaction, ids: Sequence[LeadId]) -> None:
    await tx.leads.save(await tx.leads.get_many(ids))


async def _save_contacts(tx: Transaction, ids: Sequence[ContactId]) -> None:
    await tx.contacts.save(await tx.contacts.get_many(ids))


async def _save_outcomes(tx: Transaction, import_id: ImportId, size: int) -> None:
    outcomes = [RowOutcome(row=row, result=RowResult.CREATED) for row in range(1, size + 1)]
    await tx.imports.save(await tx.imports.get(import_id), outcomes)


async def _emit(tx: Transaction, size: int) -> None:
    tx.emit(*map(gone, range(size)))


def _people(size: int, *, known: bool) -> list[ContactDraft]:
    kind = "+5191000" if known else "+5192000"
    return [ContactDraft(phone=PhoneNumber(f"{kind}{number:04}")) for number in range(size)]


def _lids(size: int) -> list[Identity]:
    return [lid(str(number)) for number in range(size)]


async def _put_identities(tx: Transaction, contact_id: ContactId, size: int) -> None:
    known = await tx.contacts.identities(_lids(size), at=NOON)
    rows = [replace(row, contact_id=contact_id) for row in known.values()]
    await tx.contacts.put_identities(rows)


def _words(size: int) -> list[str]:
    return [f"palabra {number}" for number in range(size)]
