"""Laws of isolation: another account's id is an id that does not exist, in every place.

The tables name every operation that takes an id, so that a new one is a new line here.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec.structs import replace

from clarin_core.domain.contacts import ContactDraft, ContactIdentity, ContactQuery
from clarin_core.domain.events import TagDeleted
from clarin_core.domain.ids import ContactId, DeviceId, LeadId, QuickReplyId, StageId, TagId
from clarin_core.domain.imports import OutcomeQuery
from clarin_core.domain.leads import LeadFilter, LeadQuery, StageLeadQuery, StageMove
from clarin_core.domain.paging import PageQuery
from clarin_core.domain.tags import TagLink, TagOrigin, TagTarget
from clarin_core.errors import ClarinError, NotFound
from clarin_core.ports.transaction import Transaction
from clarin_core.testing.contract import Contract, law
from clarin_core.testing.inbox_tenancy import (
    INBOX_FILTERS,
    INBOX_GETTERS,
    INBOX_LINKS,
    INBOX_LOOK_UPS,
    INBOX_SAVES,
    INBOX_VIEWS,
    Ids,
    Look,
    Step,
    furnish_inbox,
)
from clarin_core.testing.mirrors import (
    MIRROR_LINKS,
    MIRROR_LOOK_UPS,
    MIRROR_SAVES,
    furnish_mirror,
)
from clarin_core.testing.tenants import LATER, NOON, Tenant, draft, lid, links_of

_UNKNOWN = 2**62
_KOMMO = 7

VIEWS: list[tuple[str, Look]] = [
    ("lead", lambda views, id: views.lead(id)),
    ("lead", lambda views, id: views.lead_history(id, PageQuery())),
    ("lead", lambda views, id: views.tags_of(TagTarget.LEAD, id)),
    ("stage", lambda views, id: views.leads_by_stage(id, StageLeadQuery())),
    ("contact", lambda views, id: views.contact(id)),
    ("contact", lambda views, id: views.contact_identities(id)),
    ("contact", lambda views, id: views.tags_of(TagTarget.CONTACT, id)),
    ("pipeline", lambda views, id: views.pipeline(id)),
    ("device", lambda views, id: views.device(id)),
    ("import", lambda views, id: views.import_job(id)),
    ("import", lambda views, id: views.import_outcomes(id, OutcomeQuery())),
    ("import", lambda views, id: views.import_content(id)),
    *INBOX_VIEWS,
]
"""Every view of one thing, after the kind of id that it takes."""

FILTERS: list[tuple[str, Look]] = [
    ("stage", lambda views, id: views.leads(LeadQuery(stage_id=id))),
    ("pipeline", lambda views, id: views.leads(LeadQuery(pipeline_id=id))),
    ("contact", lambda views, id: views.leads(LeadQuery(contact_id=id))),
    ("member", lambda views, id: views.leads(LeadQuery(assigned_to=id))),
    ("tag", lambda views, id: views.leads(LeadQuery(tag_ids=frozenset({id})))),
    ("tag", lambda views, id: views.contacts(ContactQuery(tag_ids=frozenset({id})))),
    ("stage", lambda views, id: views.lead_counts(LeadFilter(stage_id=id))),
    ("tag", lambda views, id: views.lead_counts(LeadFilter(tag_ids=frozenset({id})))),
    *INBOX_FILTERS,
]
"""Every filter that takes an id."""

GETTERS: list[tuple[str, Step]] = [
    ("lead", lambda tx, id, _: tx.leads.get(id)),
    ("deleted lead", lambda tx, id, _: tx.leads.get(id, deleted=True)),
    ("contact", lambda tx, id, _: tx.contacts.get(id)),
    ("deleted contact", lambda tx, id, _: tx.contacts.get(id, deleted=True)),
    ("pipeline", lambda tx, id, _: tx.pipelines.get(id)),
    ("stage", lambda tx, id, _: tx.pipelines.of_stage(id)),
    ("tag", lambda tx, id, _: tx.tags.get(id)),
    ("import", lambda tx, id, _: tx.imports.get(id)),
    ("import", lambda tx, id, _: tx.imports.content(id)),
    ("device", lambda tx, id, _: tx.devices.get(id)),
    ("device", lambda tx, id, _: tx.devices.hold(id, 1)),
    ("quick reply", lambda tx, id, _: tx.quick_replies.get(id)),
    ("member", lambda tx, id, _: tx.members.get(id)),
    *INBOX_GETTERS,
]
"""Every read of one thing in a transaction."""

LOOK_UPS: list[tuple[str, Step]] = [
    ("lead", lambda tx, id, _: tx.leads.get_many([id])),
    ("contact", lambda tx, id, own: tx.leads.open_in(own["pipeline"], [id])),
    ("pipeline", lambda tx, id, own: tx.leads.open_in(id, [own["contact"]])),
    ("contact", lambda tx, id, _: tx.leads.of_contacts([id])),
    ("stage", lambda tx, id, _: tx.leads.in_stages([id], limit=10)),
    ("kommo", lambda tx, id, _: tx.leads.by_kommo([id])),
    ("contact", lambda tx, id, _: tx.contacts.get_many([id])),
    ("contact", lambda tx, id, _: tx.contacts.identities_of([id])),
    ("contact", lambda tx, id, _: tx.contacts.names([id])),
    ("contact", lambda tx, id, _: tx.tags.links(TagTarget.CONTACT, [id])),
    ("lead", lambda tx, id, _: tx.tags.links(TagTarget.LEAD, [id])),
    ("tag", lambda tx, id, _: tx.tags.known([id])),
    ("member", lambda tx, id, _: tx.members.active([id])),
    ("lead", lambda tx, id, own: tx.tags.unlink(TagTarget.LEAD, [_link(id, own["tag"])])),
    ("tag", lambda tx, id, own: tx.tags.unlink(TagTarget.LEAD, [_link(own["lead"], id)])),
    ("chat", lambda tx, id, own: tx.tags.unlink(TagTarget.CHAT, [_link(id, own["tag"])])),
    *INBOX_LOOK_UPS,
    *MIRROR_LOOK_UPS,
]
"""Every look-up and removal that leaves out what it does not know."""

LINKS: list[tuple[str, Step]] = [
    ("contact", lambda tx, id, _: tx.leads.add([draft(contact_id=id)], at=NOON)),
    ("pipeline", lambda tx, id, _: tx.leads.add([draft(pipeline_id=id)], at=NOON)),
    ("contact", lambda tx, id, own: _merge_into(tx, own["contact"], id)),
    ("stage", lambda tx, id, own: _put(tx, own, pipeline_id=own["pipeline"], stage_id=id)),
    ("contact", lambda tx, id, own: _put(tx, own, contact_id=id)),
    ("tag", lambda tx, id, own: _tag(tx, TagTarget.LEAD, own["lead"], id)),
    ("tag", lambda tx, id, own: _tag(tx, TagTarget.CONTACT, own["contact"], id)),
    ("tag", lambda tx, id, own: _tag(tx, TagTarget.CHAT, own["chat"], id)),
    ("chat", lambda tx, id, own: _tag(tx, TagTarget.CHAT, id, own["tag"])),
    ("lead", lambda tx, id, own: _tag(tx, TagTarget.LEAD, id, own["tag"])),
    ("contact", lambda tx, id, own: _tag(tx, TagTarget.CONTACT, id, own["tag"])),
    ("contact", lambda tx, id, _: _identify(tx, id)),
    ("lead", lambda tx, id, own: tx.leads.log_moves([_move(id, own["stage"])])),
    *INBOX_LINKS,
    *MIRROR_LINKS,
]
"""Every write that points to something else."""

SAVES: list[tuple[str, Step]] = [
    ("lead", lambda tx, id, own: _save_lead_as(tx, own["lead"], id)),
    ("contact", lambda tx, id, own: _save_contact_as(tx, own["contact"], id)),
    ("tag", lambda tx, id, _: tx.tags.remove(id)),
    ("pipeline", lambda tx, id, _: tx.pipelines.remove(id)),
    ("device", lambda tx, id, own: _save_device_as(tx, own["device"], id)),
    ("device", lambda tx, id, _: tx.devices.remove(id)),
    ("quick reply", lambda tx, id, own: _save_reply_as(tx, own["quick reply"], id)),
    ("quick reply", lambda tx, id, _: tx.quick_replies.remove(id)),
    ("member", lambda tx, id, _: tx.members.remove(id)),
    *INBOX_SAVES,
    *MIRROR_SAVES,
]
"""Every change and removal by id."""


class TenancyLaws(Contract):
    """R22: nothing of another account can be read, changed, linked to or detected."""

    @law()
    async def test_a_foreign_id_is_not_found(self, account: Tenant) -> None:
        """R22, TN2: by error and text, it is an id that nobody has."""
        own, foreign = await furnish(account), await furnish(await account.stranger())
        looks = [(kind, ask) for kind, look in VIEWS for ask in _looking(account, look)]
        steps = [(kind, _stepping(account, step, own)) for kind, step in GETTERS]
        for kind, ask in looks + steps:
            unknown = await outcome(ask, _UNKNOWN)
            assert await outcome(ask, foreign[kind]) == unknown
            assert unknown[0] is NotFound

    @law()
    async def test_a_foreign_id_matches_nothing(self, account: Tenant) -> None:
        """R22: filters, look-ups and removals treat it like an id that nobody has."""
        own, foreign = await furnish(account), await furnish(await account.stranger())
        looks = [(kind, ask) for kind, look in FILTERS for ask in _looking(account, look)]
        steps = [(kind, _stepping(account, step, own)) for kind, step in LOOK_UPS]
        for kind, ask in looks + steps:
            assert await outcome(ask, foreign[kind]) == await outcome(ask, _UNKNOWN)

    @law()
    async def test_a_link_to_a_foreign_id_is_refused(self, account: Tenant) -> None:
        """TN2, TG1: like a link to an id that nobody has, and neither account changes."""
        other = await account.stranger()
        own, foreign = await furnish(account), await furnish(other)
        before = [await account.picture(), await other.picture()]
        for kind, step in LINKS:
            ask = _stepping(account, step, own)
            refused = await outcome(ask, foreign[kind])
            assert refused == await outcome(ask, _UNKNOWN)
            assert issubclass(refused[0], ClarinError)
        assert [await account.picture(), await other.picture()] == before

    @law()
    async def test_nothing_foreign_can_be_changed(self, account: Tenant) -> None:
        """R22: a change or removal by a foreign id touches nothing."""
        other = await account.stranger()
        own, foreign = await furnish(account), await furnish(other)
        before = [await account.picture(), await other.picture()]
        for kind, step in SAVES:
            ask = _stepping(account, step, own)
            assert await outcome(ask, foreign[kind]) == await outcome(ask, _UNKNOWN)
        assert [await account.picture(), await other.picture()] == before

    @law()
    async def test_each_account_of_a_directory_shows_itself(self, account: Tenant) -> None:
        """R22: a transaction that is in several accounts mixes none of what they show."""
        tenants = [account, await account.stranger()]
        leads = [await tenant.add_lead() for tenant in tenants]
        async with self.storage.directory() as directory:
            entered = [await directory.enter(tenant.id) for tenant in tenants]
            for tx, lead in [*zip(entered, leads, strict=True)] * 2:
                shown = (await tx.views.leads(LeadQuery())).data
                assert [one.id for one in shown] == [lead.id]

    @law()
    async def test_accounts_show_nothing_of_each_other(self, account: Tenant) -> None:
        """R22: every list and count is the account's own."""
        other, before = await account.stranger(), await account.picture()
        await furnish(other)
        await other.emit(TagDeleted(tag_id=TagId(1)))
        after = await account.picture()
        kinds = (
            "leads", "deleted leads", "contacts", "tags", "devices", "quick replies", "imports",
            "members", "events", "chats", "messages",
        )  # fmt: skip
        assert [after[kind] for kind in kinds] == [[]] * len(kinds)
        assert after["pipelines"] == [account.pipeline]
        assert after == before


async def outcome(ask: Callable[[int], Awaitable[Any]], id: int) -> tuple[type, str]:
    """Return what an operation answers, or its error without the id that it was asked for."""
    try:
        answer = await ask(id)
    except ClarinError as error:
        return type(error), str(error).replace(str(id), "…")
    return type(answer), str(answer)


async def furnish(account: Tenant) -> dict[str, Any]:
    """Commit one thing of every kind and return their ids by kind."""
    contact, hidden = await account.add_contacts(*map(_named, ("Ana", "Eva")))
    lead = await account.add_lead(contact_id=contact.id, kommo_id=_KOMMO + account.id)
    deleted = await account.add_lead("Sol")
    await account.delete_lead(deleted.id)
    await account.delete_contact(hidden)
    (tag,) = await account.add_tags("vip")
    await account.identify(contact, lid("1"))
    await account.link(TagTarget.LEAD, *links_of([lead.id], [tag]))
    pipeline = await account.add_pipeline("Otro", "Uno")
    await furnish_mirror(account, lead, contact)
    return {
        "lead": lead.id, "deleted lead": deleted.id, "contact": contact.id,
        "deleted contact": hidden.id, "tag": tag.id, "pipeline": pipeline.id,
        "stage": pipeline.stages[0].id, "import": (await account.add_import()).id,
        "device": (await account.add_device()).id,
        "quick reply": (await account.add_quick_reply("hola")).id,
        "member": await account.hire(), "kommo": _KOMMO + account.id, "mirrored": lead.id * 2,
        **await furnish_inbox(account, contact.id),
    }  # fmt: skip


def _looking(account: Tenant, look: Look) -> list[Callable[[int], Awaitable[Any]]]:
    """Return the ways to look: from outside, and from within a transaction."""
    return [
        lambda id: look(account.views, id),
        _stepping(account, lambda tx, id, _: look(tx.views, id), {}),
    ]


def _stepping(account: Tenant, step: Step, own: Ids) -> Callable[[int], Awaitable[Any]]:
    async def ask(id: int) -> object:
        async with account.begin() as tx:
            return await step(tx, id, own)

    return ask


def _named(name: str) -> ContactDraft:
    return ContactDraft(name=name)


def _link(target_id: int, tag_id: int) -> TagLink:
    return TagLink(target_id=target_id, tag_id=TagId(tag_id))


def _move(lead_id: int, stage_id: int) -> StageMove:
    return StageMove(lead_id=LeadId(lead_id), to_stage=StageId(stage_id), at=LATER)


async def _merge_into(tx: Transaction, own: ContactId, id: ContactId) -> None:
    contact = await tx.contacts.get(own)
    await tx.contacts.save([replace(contact, merged_into=id)])


async def _identify(tx: Transaction, id: ContactId) -> None:
    await tx.contacts.identities([lid("2")], at=NOON)
    await tx.contacts.put_identities([ContactIdentity(identity=lid("2"), contact_id=id)])


async def _tag(tx: Transaction, target: TagTarget, target_id: int, tag_id: int) -> None:
    await tx.tags.link(target, [_link(target_id, tag_id)], origin=TagOrigin.LOCAL)


async def _put(tx: Transaction, own: Ids, **fields: int) -> None:
    lead = await tx.leads.get(LeadId(own["lead"]))
    await tx.leads.save([replace(lead, **fields)])


async def _save_lead_as(tx: Transaction, own: LeadId, id: int) -> None:
    lead = await tx.leads.get(own)
    await tx.leads.save([replace(lead, id=id, name="ajeno")])


async def _save_contact_as(tx: Transaction, own: ContactId, id: int) -> None:
    contact = await tx.contacts.get(own)
    await tx.contacts.save([replace(contact, id=id, name="ajeno")])


async def _save_reply_as(tx: Transaction, own: QuickReplyId, id: int) -> None:
    reply = await tx.quick_replies.get(own)
    await tx.quick_replies.save(replace(reply, id=id, shortcut="ajeno"))


async def _save_device_as(tx: Transaction, own: DeviceId, id: int) -> None:
    device = await tx.devices.get(own)
    await tx.devices.save(replace(device, id=id, name="ajeno"))
