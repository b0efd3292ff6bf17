"""What one can do with Kommo: connect it, say which pipelines are mirrored, see how that goes.

The mirror itself is kept by whoever has its lease: `mirror`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from msgspec import json, structs

from clarin_core.domain.actor import Actor
from clarin_core.domain.contacts import Contact
from clarin_core.domain.crm_diff import OWNED as OWNED_OF_LEAD
from clarin_core.domain.crm_diff import line
from clarin_core.domain.crm_people import OWNED as OWNED_OF_CONTACT
from clarin_core.domain.events import KommoAdvanced
from clarin_core.domain.ids import KommoId
from clarin_core.domain.kommo import (
    KommoCredentials,
    KommoDictionaries,
    KommoLink,
    KommoPhase,
    KommoPipeline,
    KommoProgress,
    KommoReport,
    KommoStatus,
    NotConfigured,
    progress_of,
    report_of,
    status_of,
)
from clarin_core.domain.kommo_sync import SyncState
from clarin_core.domain.leads import Lead
from clarin_core.domain.pipelines import Pipeline
from clarin_core.domain.remote import RemoteAccount, RemotePipeline
from clarin_core.errors import AlreadyRunning, Conflict, Invalid, NotFound
from clarin_core.ports.crm import (
    Crm,
    CrmConnection,
    CrmCredentials,
    CrmForbidden,
    CrmRefused,
    CrmUnauthorized,
    LongLivedToken,
    OAuthTokens,
)
from clarin_core.ports.small import Clock, SecretBox
from clarin_core.ports.storage import Storage
from clarin_core.ports.transaction import Transaction
from clarin_core.usecases.mirror.pages import make_pipeline

_PIPELINES_MAX = 50
_NAME_MAX = 255


@dataclass(frozen=True, slots=True)
class KommoUseCases:
    """What one can do with Kommo. One method is one use case."""

    storage: Storage
    clock: Clock
    crm: Crm
    box: SecretBox

    async def status(self, actor: Actor) -> KommoStatus:
        """Tell whether Kommo is configured, and how the connection is."""
        try:
            link = await self.storage.views(actor.account_id).kommo()
        except NotConfigured:
            return KommoStatus(is_configured=False)
        return status_of(link, self.clock())

    async def sync_status(self, actor: Actor) -> KommoProgress:
        """Tell how far the mirror is; raises NotConfigured."""
        return progress_of(await self.storage.views(actor.account_id).kommo(), self.clock())

    async def full_status(self, actor: Actor) -> KommoReport:
        """Tell all that is known of the mirror; raises NotConfigured."""
        views = self.storage.views(actor.account_id)
        return report_of(await views.kommo(), await views.kommo_counts(), self.clock())

    async def pipelines(self, actor: Actor) -> list[KommoPipeline]:
        """List Kommo's pipelines as it said last; raises NotConfigured."""
        return await self.storage.views(actor.account_id).kommo_pipelines()

    async def connected(self, actor: Actor) -> list[KommoPipeline]:
        """List the pipelines of Kommo that are mirrored; raises NotConfigured."""
        return [one for one in await self.pipelines(actor) if one.is_connected]

    async def put_credentials(self, actor: Actor, credentials: KommoCredentials) -> KommoStatus:
        """Try credentials out, and keep them if they count; they are never shown again.

        Raises Invalid for a token or a subdomain that Kommo does not know, and Conflict while
        pipelines of another account of Kommo are connected.
        """
        actor.require_admin()
        secret = _secret(credentials)
        account, pipelines = await self._try_out(credentials.subdomain, secret)
        sealed = self.box.seal(actor.account_id, json.encode(secret))
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            link = await self._put(tx, account, credentials.subdomain, sealed)
            words = await tx.kommo.dictionaries()
            if not link.connected:  # Else whoever keeps the mirror has to see the difference.
                said = structs.replace(words, pipelines=pipelines)
                await tx.kommo.put_dictionaries(said)
            tx.emit(KommoAdvanced(progress=progress_of(link, self.clock())))
        return status_of(link, self.clock())

    async def connect(self, actor: Actor, kommo_id: KommoId) -> KommoPipeline:
        """Mirror a pipeline from now on; all its leads come, and what happens to them follows."""
        actor.require_admin()
        at = self.clock()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            link = await tx.kommo.get()
            said = _pipeline(await tx.kommo.dictionaries(), kommo_id)
            if kommo_id not in link.connected:
                if len(link.connected) >= _PIPELINES_MAX:
                    raise Conflict("conflict", f"at most {_PIPELINES_MAX} pipelines are mirrored")
                if not await tx.pipelines.by_kommo([kommo_id]):
                    await make_pipeline(tx, said, at=at)
                link.connected.append(kommo_id)
                link.begin_backfill(at)
                await self._save(tx, link, at)
        return await self._shown(actor, kommo_id)

    async def disconnect(self, actor: Actor, kommo_id: KommoId) -> None:
        """Mirror a pipeline no longer; what is here stays, and is anybody's to change."""
        actor.require_admin()
        at = self.clock()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            link = await tx.kommo.get()
            if kommo_id not in link.connected:
                _pipeline(await tx.kommo.dictionaries(), kommo_id)
                return
            link.connected.remove(kommo_id)
            if not link.connected:
                link.state = SyncState()
            link.touch(at)
            await tx.kommo.forget_pipeline(kommo_id)
            await self._save(tx, link, at)

    async def sync(self, actor: Actor) -> KommoProgress:
        """Read everything anew, and mend what was changed here; Kommo is as it was all the while.

        Raises Conflict `invalid_state` without a connected pipeline, and AlreadyRunning.
        """
        actor.require_admin()
        at = self.clock()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            link = await tx.kommo.get()
            if link.phase is KommoPhase.IDLE:
                raise Conflict("invalid_state", "no pipeline is connected")
            if link.phase is KommoPhase.BACKFILL:
                raise AlreadyRunning("the sync")
            link.begin_backfill(at, is_full=True)
            await self._save(tx, link, at)
        return progress_of(link, at)

    async def _try_out(
        self, subdomain: str, secret: CrmCredentials
    ) -> tuple[RemoteAccount, list[RemotePipeline]]:
        connection = CrmConnection(subdomain=subdomain, credentials=secret)
        try:
            async with self.crm.connect(connection) as remote:
                account = await remote.account()
                return account, (await remote.pipelines()).items
        except (CrmUnauthorized, CrmForbidden):
            raise Invalid("token", "is not accepted by Kommo") from None
        except CrmRefused:
            raise Invalid("subdomain", "is none that Kommo knows") from None

    async def _put(
        self, tx: Transaction, account: RemoteAccount, subdomain: str, sealed: bytes
    ) -> KommoLink:
        """Store the connection, the first one or another."""
        at = self.clock()
        try:
            link = await tx.kommo.get()
        except NotConfigured:
            link = _new_link(account, subdomain, at)
            await tx.kommo.add(link, sealed)
            return link
        if link.remote_id != account.id:
            if link.connected:
                raise Conflict("invalid_state", "pipelines of another account are connected")
            await tx.kommo.forget_all()
            await tx.kommo.put_dictionaries(KommoDictionaries())
        link.subdomain, link.fault, link.keys = subdomain, None, link.keys + 1
        link.remote_id, link.name, link.currency = account.id, _name(account), account.currency
        link.touch(at)
        await tx.kommo.save(link)
        await tx.kommo.reseal(sealed)
        return link

    async def _save(self, tx: Transaction, link: KommoLink, at: datetime) -> None:
        await tx.kommo.save(link)
        tx.emit(KommoAdvanced(progress=progress_of(link, at)))

    async def _shown(self, actor: Actor, kommo_id: KommoId) -> KommoPipeline:
        return next(one for one in await self.pipelines(actor) if one.kommo_id == kommo_id)


async def refuse_mirrored_leads(
    tx: Transaction, leads: Iterable[Lead], changed: Iterable[str]
) -> None:
    """Raise Conflict `synced_field` for a change of what Kommo alone changes of a lead (KS7)."""
    theirs = [lead.id for lead in leads if lead.kommo_id is not None]
    fields = OWNED_OF_LEAD.intersection(changed)
    if theirs and fields and (found := await tx.kommo.mirrored_leads(theirs)):
        raise _synced("the lead", fields, min(found))


async def refuse_mirrored_contacts(
    tx: Transaction, contacts: Iterable[Contact], changed: Iterable[str]
) -> None:
    """Raise Conflict `synced_field` for a change of what Kommo alone changes of a contact (KS7)."""
    theirs = [contact.id for contact in contacts if contact.kommo_id is not None]
    fields = OWNED_OF_CONTACT.intersection(changed)
    if theirs and fields and (found := await tx.kommo.mirrored_contacts(theirs)):
        raise _synced("the contact", fields, min(found))


async def refuse_mirrored_pipeline(tx: Transaction, pipeline: Pipeline) -> None:
    """Raise Conflict `synced_field` for a change of the stages of a mirrored pipeline (KS7)."""
    if pipeline.kommo_id is None:
        return
    try:
        link = await tx.views.kommo()
    except NotConfigured:
        return
    if pipeline.kommo_id in link.connected:
        raise _synced("the pipeline", ["stages"], pipeline.id)


def _synced(what: str, fields: Iterable[str], key: int) -> Conflict:
    names = ", ".join(sorted(fields))
    return Conflict("synced_field", f"{what} is Kommo's: change {names} there", id=key)


def _secret(credentials: KommoCredentials) -> CrmCredentials:
    if credentials.token is not None:
        return LongLivedToken(token=credentials.token)
    return OAuthTokens(**credentials.oauth())


def _pipeline(words: KommoDictionaries, kommo_id: KommoId) -> RemotePipeline:
    for one in words.pipelines:
        if one.id == kommo_id:
            return one
    raise NotFound("pipeline", kommo_id)


def _new_link(account: RemoteAccount, subdomain: str, at: datetime) -> KommoLink:
    return KommoLink(
        subdomain=subdomain,
        remote_id=account.id,
        name=_name(account),
        currency=account.currency,
        state=SyncState(),
        created_at=at,
        updated_at=at,
        version=1,
    )


def _name(account: RemoteAccount) -> str:
    return line(account.name, longest=_NAME_MAX) or account.subdomain[:_NAME_MAX]
