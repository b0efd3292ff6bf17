"""Tokens that rotate are kept: each counts once, and whoever comes next needs the last one."""

import asyncio
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from clarin_core.domain.kommo import KommoCredentials
from clarin_core.ports.crm import CrmCredentials, CrmUnreachable, OAuthTokens
from clarin_core.usecases.mirror.mirror import StoredTokens, read_credentials
from support.mirroring import Mirroring, tell

FIRST = OAuthTokens(
    client_id="id",
    client_secret="secret",
    redirect_uri="https://ejemplo.pe/kommo",
    access_token="access-1",
    refresh_token="refresh-1",
    expires_at=datetime(2026, 3, 2, tzinfo=UTC),
)


class Exchange:
    """Gives a second pair, and remembers what it was asked with."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, used: OAuthTokens) -> OAuthTokens:
        self.asked.append(used.refresh_token)
        await asyncio.sleep(0)
        return replace(used, access_token="access-2", refresh_token="refresh-2")


async def kept(room: Mirroring) -> CrmCredentials:
    """Return what the next process finds."""
    async with room.tenant.begin() as tx:
        return read_credentials(room.kommo.box, room.tenant.id, await tx.kommo.sealed())


async def process(room: Mirroring) -> StoredTokens:
    """Put the first pair, and return what keeps it."""
    credentials = KommoCredentials(
        subdomain="acme", **{name: getattr(FIRST, name) for name in FIRST.__struct_fields__}
    )
    await room.kommo.put_credentials(room.ana, credentials)
    return StoredTokens(room.tenant.storage, room.kommo.box, room.tenant.id)


def test_two_that_renew_at_once_renew_once_and_keep_it() -> None:
    async def story(room: Mirroring) -> None:
        tokens, exchange = await process(room), Exchange()
        pairs = await asyncio.gather(*(tokens.renew(FIRST, exchange) for _ in range(2)))
        assert exchange.asked == ["refresh-1"]
        assert [one.access_token for one in pairs] == ["access-2"] * 2
        assert await kept(room) == pairs[0]

    tell(story)


def test_a_renewal_that_fails_leaves_what_there_was() -> None:
    async def story(room: Mirroring) -> None:
        tokens = await process(room)

        async def fail(_: OAuthTokens) -> OAuthTokens:
            raise CrmUnreachable

        with pytest.raises(CrmUnreachable):
            await tokens.renew(FIRST, fail)
        assert await kept(room) == FIRST

    tell(story)
