"""R24: what is remembered of a sign-in may let somebody in for a while, and keeps nobody out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from clarin_core.domain.accounts import PasswordChange
from clarin_core.errors import Unauthorized
from clarin_core.reads.cached import CachedStorage
from clarin_core.reads.feed import Feed
from clarin_core.reads.standings import STANDING_TTL
from clarin_core.usecases.sign_in import SignInUseCases
from clarin_memory import MemoryCache, MemoryPublisher
from support.gate import OTHER_PASSWORD, PASSWORD, Gate, gate
from support.races import fail

CHANGE = PasswordChange(current_password=PASSWORD, new_password=OTHER_PASSWORD)


@asynccontextmanager
async def another_process(at: Gate) -> AsyncIterator[SignInUseCases]:
    """Sign in over the storage of the gate, of whose hints this process hears none."""
    publisher = MemoryPublisher()
    async with (
        Feed(at.storage, publisher, fail) as feed,
        CachedStorage(at.storage, feed, publisher, MemoryCache(at.clock)) as storage,
    ):
        yield replace(at.sign_in, storage=storage)


def test_what_is_remembered_keeps_nobody_out() -> None:
    """A new password elsewhere: the new token counts here at once, the old one not for long."""

    async def story() -> None:
        async with gate() as at, another_process(at) as there:
            old = await at.enter(await at.user())
            actor, _ = await there.authenticate(old.token)
            new = await at.sign_in.change_password(actor, CHANGE)
            assert (await there.authenticate(old.token))[0] == actor
            assert (await there.authenticate(new.token))[0] == actor
            at.clock.forward(seconds=STANDING_TTL.total_seconds())
            with pytest.raises(Unauthorized):
                await there.authenticate(old.token)

    asyncio.run(story())
