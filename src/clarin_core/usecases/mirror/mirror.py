"""Keeping one account's mirror of Kommo, pass by pass, while a lease lasts.

What a pass stores it stores page by page: rows, events and how far the mirror has come commit
together, so that a kill at any moment costs at most what was not stored. The next pass, here or
elsewhere, begins where the last one ended.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec import json

from clarin_core.domain.events import KommoAdvanced
from clarin_core.domain.ids import AccountId
from clarin_core.domain.kommo import KommoFault, KommoLease, KommoLink, Trouble, progress_of
from clarin_core.errors import Unavailable
from clarin_core.ports.crm import (
    Crm,
    CrmBlocked,
    CrmConnection,
    CrmCredentials,
    CrmError,
    CrmForbidden,
    CrmGarbage,
    CrmHeavyPage,
    CrmPaymentDue,
    CrmRateLimited,
    CrmRefused,
    CrmUnauthorized,
    OAuthTokens,
    RenewTokens,
    TokenKeeper,
)
from clarin_core.ports.small import Clock, SealBroken, SecretBox
from clarin_core.ports.storage import Storage
from clarin_core.ports.transaction import Transaction
from clarin_core.usecases.mirror.backfill import BackfillRun
from clarin_core.usecases.mirror.follow import (
    follow,
    forget_ladder,
    look_into_the_bin,
    read_again,
)
from clarin_core.usecases.mirror.keeper import Keeper, Watch, see_nothing
from clarin_core.usecases.mirror.sweep import Sweeping

_SEAL_AGAIN = timedelta(minutes=1)
_PIPELINES_EVERY = timedelta(minutes=1)
_WORDS_EVERY = timedelta(minutes=30)
_NOTED_EVERY = timedelta(seconds=15)
_ONCE = timedelta.max

_TROUBLES = {
    CrmRateLimited: Trouble.RATE_LIMITED,
    CrmHeavyPage: Trouble.GARBAGE,
    CrmGarbage: Trouble.GARBAGE,
    CrmBlocked: Trouble.BLOCKED,
    CrmPaymentDue: Trouble.PAYMENT_DUE,
    CrmUnauthorized: Trouble.UNAUTHORIZED,
    CrmForbidden: Trouble.FORBIDDEN,
    CrmRefused: Trouble.REFUSED,
}


_decode = json.Decoder[CrmCredentials](CrmCredentials).decode


class KeysChanged(Exception):
    """There are other credentials now: the connection is to be opened anew."""


@dataclass(frozen=True, slots=True)
class KommoMirror:
    """The mirror of one account, in the hands of whoever has its lease."""

    keeper: Keeper
    keys: int

    @property
    def account_id(self) -> AccountId:
        """Whose mirror it is."""
        return self.keeper.account_id

    async def go_on(self) -> bool:
        """Do what is due; return whether Kommo could be asked.

        Raises KeysChanged, and Conflict `lease_lost` when somebody else keeps the mirror now.
        What Kommo does wrong is stored and shown in the status, and nothing is lost.
        """
        link = await self._link()
        if link.keys != self.keys:
            raise KeysChanged
        at = self.keeper.clock()
        if not link.may_go_on(at):
            return False
        try:
            await self._pass(at)
        except CrmError as error:
            forget_ladder(self.keeper)
            await self._fail(fault_of(error, at=self.keeper.clock()))
            return False
        await self._succeed(at)
        return True

    async def _pass(self, at: datetime) -> None:
        await self._check_filters(at)
        theirs = await self._learn(at)
        if (await self._link()).state.backfill is not None:
            await BackfillRun(self.keeper).run(theirs or await self.keeper.learn_pipelines())
            self.keeper.moments.done.pop("noted", None)  # Somebody may wait for its end.
        await follow(self.keeper, (await self._link()).state, at)
        await look_into_the_bin(self.keeper, at)
        await read_again(self.keeper, (await self._link()).state)
        await Sweeping(self.keeper).run((await self._link()).state)

    async def _link(self) -> KommoLink:
        return await self.keeper.storage.views(self.keeper.account_id).kommo()

    async def _check_filters(self, at: datetime) -> None:
        """Raise CrmRefused where lists by time are the whole list: each pass would read it all."""
        if self.keeper.moments.is_due("filters", _ONCE, at):
            if not await self.keeper.ask(self.keeper.remote.filters_work()):
                raise FiltersIgnored
            self.keeper.moments.note("filters", at)

    async def _learn(self, at: datetime) -> datetime | None:
        """Read the words that may have another meaning by now; return the other side's time."""
        moments = self.keeper.moments
        if moments.is_due("words", _WORDS_EVERY, at):
            theirs = await self.keeper.learn_all()
            moments.note("words", at)
        elif moments.is_due("pipelines", _PIPELINES_EVERY, at):
            theirs = await self.keeper.learn_pipelines()
        else:
            return None
        moments.note("pipelines", at)
        return theirs

    async def _succeed(self, began: datetime) -> None:
        """Remember that all was read that there was when the pass began."""
        link = await self._link()
        is_mended = link.fault is not None and link.fault.trouble is not Trouble.MASS_DELETION
        if not is_mended and not self.keeper.moments.is_due("noted", _NOTED_EVERY, began):
            return
        self.keeper.moments.note("noted", began)
        async with self.keeper.writing() as pages:
            pages.link.last_ok_at = began
            if is_mended:
                pages.link.fault = None
                self.keeper.tell(pages)
            await pages.tx.kommo.save(pages.link)

    async def _fail(self, fault: KommoFault) -> None:
        async with self.keeper.writing() as pages:
            await _note_fault(pages.tx, pages.link, fault, at=pages.at)
        self.keeper.watch(f"failed {fault.trouble.value}", 1)


async def _note_fault(tx: Transaction, link: KommoLink, fault: KommoFault, *, at: datetime) -> None:
    if link.fail(fault):
        tx.emit(KommoAdvanced(progress=progress_of(link, at)))
    await tx.kommo.save(link)


class FiltersIgnored(CrmRefused):
    """Lists by time are not honoured for this account."""

    reason = "does not honour lists by time"


def fault_of(error: CrmError, *, at: datetime) -> KommoFault:
    """Return what is remembered of an error; without a next try somebody must act."""
    trouble = _TROUBLES.get(type(error), Trouble.UNREACHABLE)
    if isinstance(error, FiltersIgnored):
        trouble = Trouble.NO_FILTERS
    retry_at = None if trouble.needs_a_person else at + timedelta(seconds=error.retry_after_s)
    return KommoFault(trouble=trouble, text=str(error), since=at, retry_at=retry_at)


@dataclass(frozen=True, slots=True)
class StoredTokens(TokenKeeper):
    """The OAuth tokens of one account's connection, sealed in the storage.

    Only whoever has the mirror's lease renews them. No row is locked while Kommo is asked: that
    may take longer than anybody waits for a lock, and a transaction that was ended for it would
    lose the new pair.
    """

    storage: Storage
    box: SecretBox
    account_id: AccountId

    async def renew(self, used: OAuthTokens, exchange: RenewTokens) -> OAuthTokens:
        """Return tokens that are not `used`: newer ones that are kept, or those of `exchange`."""
        async with self.storage.begin(self.account_id) as tx:
            kept = await self._kept(tx)
        if isinstance(kept, OAuthTokens) and kept.access_token != used.access_token:
            return kept
        renewing = asyncio.ensure_future(self._exchange(used, exchange))
        try:
            return await asyncio.shield(renewing)
        except asyncio.CancelledError:
            await asyncio.wait([renewing])
            raise

    async def _exchange(self, used: OAuthTokens, exchange: RenewTokens) -> OAuthTokens:
        fresh = await exchange(used)
        try:
            return await self._store(used, fresh)
        except Unavailable:
            return await self._store(used, fresh)

    async def _store(self, used: OAuthTokens, fresh: OAuthTokens) -> OAuthTokens:
        """Keep the new pair, unless somebody entered other credentials meanwhile."""
        async with self.storage.begin(self.account_id) as tx:
            kept = await self._kept(tx)
            if isinstance(kept, OAuthTokens):
                if kept.access_token != used.access_token:
                    return kept
                await tx.kommo.reseal(seal_credentials(self.box, self.account_id, fresh))
        return fresh

    async def _kept(self, tx: Transaction) -> CrmCredentials:
        return read_credentials(self.box, self.account_id, await tx.kommo.sealed())


@dataclass(frozen=True, slots=True)
class KommoMirrors:
    """Opens the mirrors of accounts for whoever has their leases."""

    storage: Storage
    clock: Clock
    crm: Crm
    box: SecretBox
    watch: Watch = see_nothing

    @asynccontextmanager
    async def open(self, lease: KommoLease) -> AsyncIterator[KommoMirror]:
        """Connect; raises NotConfigured, or SealBroken for credentials that are lost."""
        account_id = lease.account_id
        views = self.storage.views(account_id)
        async with self.storage.begin(account_id) as tx:
            link, sealed = await tx.kommo.hold(lease.token), await tx.kommo.sealed()
        try:
            credentials = read_credentials(self.box, account_id, sealed)
        except SealBroken as error:
            await self._note(lease, error)
            raise
        async with self.crm.connect(self._connection(link, credentials, account_id)) as remote:
            keeper = Keeper(
                storage=self.storage,
                clock=self.clock,
                remote=remote,
                account_id=account_id,
                region=(await views.account()).default_region,
                token=lease.token,
                watch=self.watch,
            )
            yield KommoMirror(keeper, link.keys)

    async def _note(self, lease: KommoLease, error: SealBroken) -> None:
        """Show that somebody has to enter credentials anew, or to bring the old secret back."""
        at = self.clock()
        again = at + _SEAL_AGAIN
        fault = KommoFault(trouble=Trouble.UNAUTHORIZED, text=str(error), since=at, retry_at=again)
        async with self.storage.begin(lease.account_id) as tx:
            await _note_fault(tx, await tx.kommo.hold(lease.token), fault, at=at)

    def _connection(
        self, link: KommoLink, credentials: CrmCredentials, account_id: AccountId
    ) -> CrmConnection:
        tokens = StoredTokens(self.storage, self.box, account_id)
        is_oauth = isinstance(credentials, OAuthTokens)
        return CrmConnection(
            subdomain=link.subdomain, credentials=credentials, keeper=tokens if is_oauth else None
        )


def seal_credentials(box: SecretBox, account_id: AccountId, credentials: CrmCredentials) -> bytes:
    """Return credentials sealed for an account."""
    return box.seal(account_id, json.encode(credentials))


def read_credentials(box: SecretBox, account_id: AccountId, sealed: bytes) -> CrmCredentials:
    """Return an account's credentials; raises SealBroken."""
    credentials: CrmCredentials = _decode(box.unseal(account_id, sealed))
    return credentials
