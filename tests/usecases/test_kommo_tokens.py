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


async def exchange(used: OAuthTokens) -> OAuthTokens:
    await asyncio.sleep(0)
    return replace(used, access_token="access-2", refresh_token="refresh-2")


async def kept(room: Mirroring) -> CrmCredentials:
    """Return what the next process finds."""
    async with room.tenant.begin() as tx:
        return read_credentials(room.kommo.box, room.tenant.id, await tx.kommo.sealed())


async def process(room: Mirroring) -> StoredTokens:
    """Put the first pair, and return what keeps it."""
    await room.kommo.put_credentials(room.ana, entered(FIRST))
    return StoredTokens(room.tenant.storage, room.kommo.box, room.tenant.id)


def entered(pair: OAuthTokens) -> KommoCredentials:
    return KommoCredentials(
        subdomain="acme", **{name: getattr(pair, name) for name in pair.__struct_fields__}
    )


def test_a_new_pair_is_kept_and_found() -> None:
    async def story(room: Mirroring) -> None:
        tokens = await process(room)
        fresh = await tokens.renew(FIRST, exchange)
        assert fresh.access_token == "access-2"
        assert await kept(room) == fresh

        async def never(_: OAuthTokens) -> OAuthTokens:
            raise AssertionError("somebody was faster")

        assert await tokens.renew(FIRST, never) == fresh

    tell(story)


@pytest.mark.parametrize(
    "other",
    [entered(replace(FIRST, access_token="theirs")), KommoCredentials(subdomain="acme", token="x")],
    ids=["a pair", "a token that lasts"],
)
def test_what_somebody_enters_meanwhile_stays(other: KommoCredentials) -> None:
    """Nor does anybody wait for Kommo who enters it."""

    async def story(room: Mirroring) -> None:
        tokens = await process(room)

        async def slowly(used: OAuthTokens) -> OAuthTokens:
            await room.kommo.put_credentials(room.ana, other)
            return await exchange(used)

        await tokens.renew(FIRST, slowly)
        found = await kept(room)
        assert found != FIRST
        assert getattr(found, "access_token", None) != "access-2"

    tell(story)


def test_who_is_cut_off_while_renewing_keeps_the_new_pair() -> None:
    """The old one is spent; a pass that fails, or a service that stops, must not lose both."""

    async def story(room: Mirroring) -> None:
        tokens, asked = await process(room), asyncio.Event()

        async def slowly(used: OAuthTokens) -> OAuthTokens:
            asked.set()
            for _ in range(9):
                await asyncio.sleep(0)
            return await exchange(used)

        renewing = asyncio.create_task(tokens.renew(FIRST, slowly))
        await asked.wait()
        renewing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await renewing
        found = await kept(room)
        assert isinstance(found, OAuthTokens)
        assert found.refresh_token == "refresh-2"

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
