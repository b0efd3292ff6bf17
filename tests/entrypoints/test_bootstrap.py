"""The first start fills an empty storage once, whole or not at all."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

import pytest

from clarin_core.domain.accounts import AccountQuery, NewUser, UserQuery
from clarin_core.domain.actor import Role
from clarin_core.domain.events import AccountChanged, EventQuery, MembershipChanged
from clarin_core.domain.paging import PageQuery
from clarin_core.errors import Conflict
from clarin_core.usecases.accounts import enrol
from clarin_memory import MemoryStorage
from clarin_security import Argon2Hasher, system_random
from clarin_server.bootstrap import FirstStart
from clarin_server.settings import Settings

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)

Result = TypeVar("Result")


def tell(story: Callable[[FirstStart], Awaitable[Result]]) -> Result:
    """Run a story with a first start over an empty storage."""

    async def run() -> Result:
        storage = MemoryStorage(clock=lambda: NOON)
        async with Argon2Hasher(memory_kib=64, passes=1) as hasher, storage:
            return await story(FirstStart(storage, lambda: NOON, hasher, system_random))

    return asyncio.run(run())


def test_an_empty_storage_gets_an_account_and_its_administrator() -> None:
    async def story(first: FirstStart) -> None:
        password = await first.make_account(Settings(account_name="Luz", admin_user="ana"))
        assert password is not None
        assert re.fullmatch("([a-z2-7]{6}-){3}[a-z2-7]{6}", password)
        async with first.storage.directory() as directory:
            (account,) = (await directory.accounts.page(AccountQuery())).data
            secret = await directory.users.secret("ana")
            assert secret is not None
            (place,) = await directory.users.memberships(secret.user.id)
        assert account.name == "Luz"
        assert (place.account_id, place.role, place.is_default) == (account.id, Role.ADMIN, True)
        assert secret.user.is_super_admin
        assert await first.hasher.verify(secret.password_hash, password)
        views = first.storage.views(account.id)
        (pipeline,) = (await views.pipelines(PageQuery())).data
        assert pipeline.is_default
        events = [recorded.event for recorded in (await views.events(EventQuery())).data]
        assert isinstance(events[0], AccountChanged)
        assert isinstance(events[-1], MembershipChanged)

    tell(story)


def test_a_given_password_is_taken_and_not_told() -> None:
    async def story(first: FirstStart) -> None:
        assert await first.make_account(Settings(admin_password="correct horse")) is None
        async with first.storage.directory() as directory:
            secret = await directory.users.secret("admin@localhost")
        assert secret is not None
        assert await first.hasher.verify(secret.password_hash, "correct horse")

    tell(story)


def test_a_second_start_changes_nothing() -> None:
    async def story(first: FirstStart) -> None:
        assert await first.make_account(Settings()) is not None
        assert await first.make_account(Settings(admin_user="other")) is None
        async with first.storage.directory() as directory:
            assert len((await directory.users.page(UserQuery())).data) == 1

    tell(story)


@pytest.mark.parametrize("names", [("admin", "admin"), ("ana", "beto")])
def test_of_starts_at_once_one_does_it(names: tuple[str, str]) -> None:
    async def story(first: FirstStart) -> None:
        settings = [Settings(admin_user=name, admin_email=f"{name}@localhost") for name in names]
        passwords = await asyncio.gather(*(first.make_account(each) for each in settings))
        assert sum(password is not None for password in passwords) == 1
        async with first.storage.directory() as directory:
            assert len((await directory.accounts.page(AccountQuery())).data) == 1
            assert len((await directory.users.page(UserQuery())).data) == 1

    tell(story)


def test_a_name_that_is_taken_leaves_no_account_and_is_told() -> None:
    async def story(first: FirstStart) -> None:
        stranger = NewUser(username="admin", email="x@example.com", password="correct horse")
        async with first.storage.directory() as directory:
            await enrol(directory, stranger, "hash", at=NOON)
        with pytest.raises(Conflict):
            await first.make_account(Settings())
        async with first.storage.directory() as directory:
            assert (await directory.accounts.page(AccountQuery())).data == []

    tell(story)
