"""Laws of lists: the pages of every list, by number and by cursor."""

from uuid import uuid4

import pytest
from hypothesis import strategies as st
from msgspec import UNSET

from clarin_core.domain.accounts import AccountQuery, UserQuery
from clarin_core.domain.leads import LeadQuery, LeadSort, LeadStatus
from clarin_core.errors import ClarinError, Kind
from clarin_core.testing import strategies
from clarin_core.testing.contract import Contract, law
from clarin_core.testing.listings import BATCHED, LISTINGS, Listing
from clarin_core.testing.tenants import HASH, Tenant, draft, person, settle

ROWS = 5
LIMITS = range(1, ROWS + 3)

every_list = pytest.mark.parametrize("listing", LISTINGS, ids=str)
long_lists = pytest.mark.parametrize("listing", BATCHED, ids=str)


class PagingLaws(Contract):
    """What every method of `Views` that returns a `Page` promises."""

    @every_list
    @law()
    async def test_pages_by_number_make_up_the_list(
        self, account: Tenant, listing: Listing
    ) -> None:
        """Section 1: no row twice, none missing, whatever the limit; each tells the total."""
        await listing.grow(account, ROWS)
        rows = await listing.rows(account)
        assert len(set(map(str, rows))) == len(rows) >= ROWS
        for limit in LIMITS:
            pages = await listing.by_number(account, limit)
            assert [row for page in pages for row in page.data] == rows
            assert [(page.page, page.limit) for page in pages] == [
                (number + 1, limit) for number in range(len(pages))
            ]
            assert {page.total for page in pages} == {len(rows)}
            assert {page.next for page in pages} == {UNSET}

    @every_list
    @law()
    async def test_pages_by_cursor_make_up_the_list(
        self, account: Tenant, listing: Listing
    ) -> None:
        """Property 8: the same rows in the same order; the last page says that it is the last."""
        await listing.grow(account, ROWS)
        rows = await listing.rows(account)
        for limit in LIMITS:
            pages = await listing.by_cursor(account, limit)
            assert [row for page in pages for row in page.data] == rows
            assert len(pages) == -(-len(rows) // limit)
            assert {(page.page, page.total, page.limit) for page in pages} == {
                (UNSET, UNSET, limit)
            }

    @law(names=st.lists(strategies.tag_names(), max_size=5))
    async def test_a_cursor_carries_any_name(self, account: Tenant, names: list[str]) -> None:
        """Section 1: where a list is ordered by name, the longest names are no obstacle."""
        await account.add_tags(*names)
        tags = next(listing for listing in LISTINGS if listing.name == "tags")
        pages = await tags.by_cursor(account, 1)
        assert [row for page in pages for row in page.data] == await tags.rows(account)

    @every_list
    @law()
    async def test_a_walk_by_cursor_meets_each_row_once(
        self, account: Tenant, listing: Listing
    ) -> None:
        """Property 8: rows that come in between neither hide others nor show them twice."""
        await listing.grow(account, 2 * ROWS)
        before = await listing.rows(account)
        pages = await listing.by_cursor(account, 3, meanwhile=1)
        met = [str(row) for page in pages for row in page.data]
        assert len(met) == len(set(met))
        assert [row for row in met if row in set(map(str, before))] == list(map(str, before))

    @every_list
    @law()
    async def test_a_page_after_the_last_is_empty(self, account: Tenant, listing: Listing) -> None:
        """Section 1: it still tells the total."""
        await listing.grow(account, ROWS)
        total = len(await listing.rows(account))
        page = await listing.page(account, limit=10, page=9)
        assert (page.data, page.total, page.page) == ([], total, 9)

    @long_lists
    @law()
    async def test_a_page_has_at_most_200_rows(self, account: Tenant, listing: Listing) -> None:
        """Section 1: larger limits are cut, by number and by cursor."""
        await listing.grow(account, 201)
        page = await listing.page(account, limit=10**6)
        assert (len(page.data), page.limit, page.total) == (200, 200, 201)
        pages = await listing.by_cursor(account, 10**6)
        assert [len(page.data) for page in pages] == [200, 1]

    @every_list
    @law()
    async def test_a_cursor_counts_in_its_account_only(
        self, account: Tenant, listing: Listing
    ) -> None:
        """R22: neither another account's cursor nor an invented one is read."""
        other = await account.stranger()
        await listing.grow(other, ROWS)
        await listing.grow(account, ROWS)
        theirs = (await listing.page(other, limit=2, after="")).next
        for cursor in (theirs, "nonsense", f"{theirs}A"):
            with pytest.raises(ClarinError) as caught:
                await listing.page(account, limit=2, after=cursor)
            assert caught.value.kind in (Kind.INVALID, Kind.MALFORMED)

    @law()
    async def test_a_cursor_counts_for_its_filter_only(self, account: Tenant) -> None:
        """Reliability 5: a cursor is bound to the filters and the order that it was made for."""
        await account.add_leads(*[draft()] * ROWS)
        cursor = (await account.views.leads(LeadQuery(limit=2, after=""))).next
        for fields in ({"sort": LeadSort.OLDEST}, {"status": LeadStatus.NEW}, {"deleted": True}):
            with pytest.raises(ClarinError):
                await account.views.leads(LeadQuery(limit=2, after=cursor, **fields))

    @law()
    async def test_accounts_are_listed_by_id(self, account: Tenant) -> None:
        """The list of all accounts is searched by name, pages like any other."""
        name = f"Ñandú {uuid4().hex}"
        ids = [(await settle(self.storage, name=name)).id for _ in range(3)]
        async with self.storage.directory() as directory:
            first = await directory.accounts.page(AccountQuery(search=name.lower(), limit=2))
            second = await directory.accounts.page(AccountQuery(search=name, limit=2, page=2))
            begin = await directory.accounts.page(AccountQuery(search=name, limit=2, after=""))
            rest = await directory.accounts.page(
                AccountQuery(search=name, limit=2, after=begin.next)
            )
            closed = await directory.accounts.page(AccountQuery(search=name, is_active=False))
        assert [one.id for one in first.data + second.data] == ids
        assert [one.id for one in begin.data + rest.data] == ids
        assert (first.total, second.total, rest.next, closed.total) == (3, 3, UNSET, 0)

    @law()
    async def test_users_are_listed_by_id(self, account: Tenant) -> None:
        """The list of all users is searched by name, pages like any other."""
        name = f"Ñusta{uuid4().hex}"
        async with self.storage.directory() as directory:
            for number in range(3):
                user = person(username=f"{name}{number}", is_active=number != 1)
                await directory.users.add(user, password_hash=HASH)
        async with self.storage.directory() as directory:
            users = directory.users
            begin = await users.page(UserQuery(search=name.lower(), limit=2, after=""))
            rest = await users.page(UserQuery(search=name.lower(), limit=2, after=begin.next))
            active = await users.page(UserQuery(search=name, is_active=True))
        shown = [user.username for user in begin.data + rest.data]
        assert shown == [f"{name}{number}" for number in range(3)]
        assert [user.username for user in active.data] == [shown[0], shown[2]]
        assert (active.total, rest.next) == (2, UNSET)
