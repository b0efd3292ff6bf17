"""OAuth: a pair is renewed before its end, once for all, and kept before it is used."""

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from msgspec.structs import replace

from clarin_core.errors import Unavailable
from clarin_core.ports.crm import (
    CrmConnection,
    CrmError,
    CrmList,
    CrmSync,
    CrmUnauthorized,
    LongLivedToken,
    OAuthTokens,
    RenewTokens,
    TokenKeeper,
)
from support.kommo.faults import Fault
from support.kommo.pairs import LIFE
from support.kommo.stage import SUBDOMAIN, KommoStage, staged

MINUTE = 60.0


@dataclass
class Keeper(TokenKeeper):
    """What a storage does: one renewal at a time, kept before it is returned."""

    kept: OAuthTokens
    is_broken: bool = False
    history: list[str] = field(default_factory=list)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def renew(self, used: OAuthTokens, exchange: RenewTokens) -> OAuthTokens:
        async with self.lock:
            if self.kept == used:
                renewed = await exchange(self.kept)
                if self.is_broken:
                    raise Unavailable("the storage")
                self.history.append(renewed.access_token)
                self.kept = renewed
            return self.kept


@dataclass
class Wallet:
    """A stage whose account is read in the name of a pair."""

    stage: KommoStage
    keeper: Keeper

    @property
    def connection(self) -> CrmConnection:
        """What a process knows that starts now."""
        return CrmConnection(subdomain=SUBDOMAIN, credentials=self.keeper.kept, keeper=self.keeper)

    @property
    def exchanges(self) -> int:
        """How often a pair was spent."""
        return len(self.stage.account.pairs.spent)


Story = Callable[[Wallet, CrmSync], Awaitable[None]]


@asynccontextmanager
async def with_a_pair() -> AsyncIterator[Wallet]:
    async with staged() as stage:
        pairs = stage.account.pairs
        stage.account.token = None
        access, refresh = pairs.new(stage.hours())
        tokens = OAuthTokens(
            client_id=pairs.client_id,
            client_secret=pairs.client_secret,
            redirect_uri=pairs.redirect_uri,
            access_token=access,
            refresh_token=refresh,
            expires_at=stage.hours() + LIFE,
        )
        yield Wallet(stage, Keeper(tokens))


def tell(story: Story) -> None:
    async def told() -> None:
        async with (
            asyncio.timeout(60),
            with_a_pair() as wallet,
            wallet.stage.crm.connect(wallet.connection) as crm,
        ):
            await story(wallet, crm)

    asyncio.run(told())


def test_a_fresh_pair_is_not_renewed() -> None:
    async def story(wallet: Wallet, crm: CrmSync) -> None:
        for _ in range(3):
            await crm.leads(CrmList())
        assert (wallet.exchanges, wallet.stage.requests) == (0, 3)

    tell(story)


def test_a_pair_is_renewed_some_minutes_before_its_end() -> None:
    """No request is refused for it, and the new pair lasts as long as told."""

    async def story(wallet: Wallet, crm: CrmSync) -> None:
        wallet.stage.forward(LIFE.total_seconds() - 4 * MINUTE)
        for _ in range(3):
            await crm.leads(CrmList())
        assert (wallet.exchanges, wallet.stage.requests) == (1, 4)
        assert wallet.keeper.kept.expires_at == wallet.stage.account.pairs.expires_at

    tell(story)


def test_a_refused_token_is_renewed_once() -> None:
    """One refusal, one renewal, one more request: the caller sees the answer only."""

    async def story(wallet: Wallet, crm: CrmSync) -> None:
        id = wallet.stage.book.add_lead()
        wallet.stage.account.pairs.access = "revoked by somebody"
        assert [lead.id for lead in (await crm.leads(CrmList())).items] == [id]
        assert (wallet.exchanges, wallet.stage.requests) == (1, 3)

    tell(story)


def test_a_crowd_renews_once() -> None:
    """Many requests of several processes at once, all with a token that is over."""

    async def story(wallet: Wallet, crm: CrmSync) -> None:
        async with wallet.stage.crm.connect(wallet.connection) as other:
            wallet.stage.forward(LIFE.total_seconds() + 1)
            await asyncio.gather(*((crm, other)[at % 2].leads(CrmList()) for at in range(12)))
        assert (wallet.exchanges, wallet.stage.account.pairs.misused) == (1, 0)

    tell(story)


def test_a_pair_is_kept_before_it_is_used() -> None:
    """If it cannot be kept nobody uses it: who starts anew would not know it."""

    async def story(wallet: Wallet, crm: CrmSync) -> None:
        wallet.stage.forward(LIFE.total_seconds() + 1)
        wallet.keeper.is_broken = True
        with pytest.raises(Unavailable):
            await crm.leads(CrmList())
        used = {asked.bearer for asked in wallet.stage.account.asked}
        assert wallet.stage.account.pairs.access not in used

    tell(story)


def test_a_storage_that_is_away_does_not_stop_who_has_a_good_token() -> None:
    """Early renewals may fail: there are some minutes for them."""

    async def story(wallet: Wallet, crm: CrmSync) -> None:
        wallet.stage.forward(LIFE.total_seconds() - 4 * MINUTE)
        wallet.stage.account.faults.plan(*[Fault.BROKEN, None] * 2)
        for _ in range(2):
            assert (await crm.leads(CrmList())).is_empty
        assert wallet.exchanges == 0

    tell(story)


def test_a_spent_pair_needs_a_human() -> None:
    """It is told as such, and not tried over and over."""

    async def story(wallet: Wallet, crm: CrmSync) -> None:
        wallet.stage.account.pairs.new(wallet.stage.hours())
        with pytest.raises(CrmUnauthorized):
            await crm.leads(CrmList())
        assert wallet.stage.requests == 2
        assert wallet.stage.account.pairs.misused == 1

    tell(story)


def test_a_token_that_is_refused_after_all_is_not_renewed_again() -> None:
    """One renewal a request, or two sides would go on for ever."""

    async def story(wallet: Wallet, crm: CrmSync) -> None:
        wallet.stage.account.pairs.life = timedelta(0)
        wallet.stage.account.pairs.access = "revoked by somebody"
        with pytest.raises(CrmUnauthorized):
            await crm.leads(CrmList())
        assert wallet.stage.requests == 3

    tell(story)


def test_a_renewal_that_fails_in_passing_is_tried_again() -> None:
    """With the same pair, which is not spent by that."""

    async def story(wallet: Wallet, crm: CrmSync) -> None:
        wallet.stage.forward(LIFE.total_seconds() + 1)
        wallet.stage.account.faults.plan(Fault.BROKEN, Fault.BAD_GATEWAY)
        assert (await crm.leads(CrmList())).is_empty
        assert (wallet.exchanges, wallet.stage.requests) == (1, 4)

    tell(story)


def test_an_answer_that_is_lost_costs_the_pair() -> None:
    """Nobody can help that: it was spent, and the new one is on its way to nobody."""

    async def story(wallet: Wallet, crm: CrmSync) -> None:
        wallet.stage.forward(LIFE.total_seconds() + 1)
        wallet.stage.account.faults.plan(Fault.RESET)
        with pytest.raises(CrmUnauthorized):
            await crm.leads(CrmList())

    tell(story)


def test_renewals_take_turns_like_all_requests() -> None:
    """They are requests, too; a block at their door stops all the others."""

    async def story(wallet: Wallet, crm: CrmSync) -> None:
        wallet.stage.forward(LIFE.total_seconds() + 1)
        wallet.stage.account.faults.plan(Fault.BLOCKED)
        for _ in range(2):
            with pytest.raises(CrmError):
                await crm.leads(CrmList())
        assert wallet.stage.requests == 1

    tell(story)


def test_nothing_tells_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    """R26: no text of anything, no log of any library, no error with all that led to it."""
    told: list[str] = []

    async def story(wallet: Wallet, crm: CrmSync) -> None:
        stage = wallet.stage
        stage.book.add_lead()
        by_hand = LongLivedToken(token="token-canary")
        told.extend(map(repr, (by_hand, wallet.connection, crm, stage.crm)))
        told.extend(map(str, (by_hand, wallet.connection, replace(by_hand))))
        for fault in (Fault.RESET, Fault.TRUNCATED, Fault.REFUSED, Fault.CUT_OFF):
            stage.account.faults.plan(*[fault] * 6)
            with pytest.raises(CrmError) as failure:
                await crm.leads(CrmList())
            told.extend(traceback.format_exception(failure.value))
            stage.account.faults.calm()
        stage.forward(LIFE.total_seconds() + 1)
        stage.account.faults.plan(*[Fault.RESET] * 6)
        for _ in range(2):
            with pytest.raises(CrmError) as spent:
                await crm.leads(CrmList())
            told.extend(traceback.format_exception(spent.value))

    with caplog.at_level(logging.DEBUG):
        tell(story)
    assert len(told) > 20
    assert "canary" not in "".join(told) + caplog.text
