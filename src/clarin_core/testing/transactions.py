"""Laws of the unit of work: all or nothing, nobody else sees it, nobody overwrites it."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from clarin_core.domain.chats import Chat
from clarin_core.domain.contacts import ContactDraft, ContactIdentity
from clarin_core.domain.devices import Device, NewDevice
from clarin_core.domain.events import (
    Event,
    EventAction,
    EventQuery,
    LeadCreated,
    LeadUpdated,
    PipelineChanged,
    TagCreated,
)
from clarin_core.domain.ids import LeadId, UserId
from clarin_core.domain.inbox_events import QuickReplyCreated
from clarin_core.domain.leads import Lead, LeadDraft, StageMove
from clarin_core.domain.messages import Card, Message, Poll
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.pipelines import NewPipeline, NewStage, Pipeline
from clarin_core.domain.quick_replies import NewQuickReply, QuickReply
from clarin_core.domain.replies import Reaction
from clarin_core.domain.tags import NewTag, Tag, TagOrigin, TagTarget
from clarin_core.errors import Contention
from clarin_core.ports.transaction import Transaction
from clarin_core.testing import strategies
from clarin_core.testing.contract import Capability, Contract, law
from clarin_core.testing.inbox import PHOTO, Inbox, inbox_of, somebody
from clarin_core.testing.leads import first_place
from clarin_core.testing.mirrors import record_of
from clarin_core.testing.tenants import (
    LATER,
    NOON,
    Tenant,
    doomed,
    draft,
    leads_in,
    lid,
    links_of,
    picture_of,
    upload,
)

WRITERS = 8
PHONE = PhoneNumber("+51987654321")
HINT = "give cls.publisher to the storage in `open`, or declare that it lacks ANNOUNCING"


class TransactionLaws(Contract):
    """What `Storage.begin` promises."""

    @law(drafts=strategies.lead_batches())
    async def test_an_exception_leaves_no_trace(
        self, account: Tenant, drafts: list[LeadDraft]
    ) -> None:
        """R6: neither a row nor an event of a failed transaction is seen; the exception is."""
        before = await account.picture()
        async with doomed(account.begin()) as tx:
            tx.emit(LeadCreated(leads=await tx.leads.add(drafts, at=NOON)))
        assert await account.picture() == before

    @law()
    async def test_an_exception_undoes_every_kind_of_write(self, account: Tenant) -> None:
        """R6: additions, changes and removals of all stores are undone together."""
        old = await populate(account)
        before = await account.picture()
        async with doomed(account.begin()) as tx:
            await write_everything(tx, old)
        assert await account.picture() == before

    @law()
    async def test_a_clean_exit_commits_rows_and_events_together(self, account: Tenant) -> None:
        """R2: what was written is there afterwards, with its events and no other."""
        old = await populate(account)
        before = await account.picture()
        async with account.begin() as tx:
            events = await write_everything(tx, old)
        after = await account.picture()
        new = after["events"][len(before["events"]) :]
        assert [recorded.event for recorded in new] == events
        assert [kind for kind in before if before[kind] == after[kind]] == ["deleted leads"]

    @law()
    async def test_a_transaction_is_seen_by_its_own_eyes_only(self, account: Tenant) -> None:
        """R6: until the commit the views show what was there before."""
        old = await populate(account)
        before = await account.picture()
        async with account.begin() as tx:
            await write_everything(tx, old)
            assert await account.picture() == before

    @law()
    async def test_a_transaction_sees_what_it_wrote(self, account: Tenant) -> None:
        """A unit of work builds on its own steps."""
        async with account.begin() as tx:
            (lead,) = await tx.leads.add([draft()], at=NOON)
            lead.alter({"name": "Sol"}, at=LATER)
            await tx.leads.save([lead])
            assert await tx.leads.get(lead.id) == lead

    @law()
    async def test_the_views_of_a_transaction_show_what_it_wrote(self, account: Tenant) -> None:
        """They are those of the commit before there is one; only the log is as it was."""
        old = await populate(account)
        before = await account.picture()
        async with account.begin() as tx:
            await write_everything(tx, old)
            seen = await picture_of(tx.views)
        after = await account.picture()
        log = {"events", "position"}
        assert {kind: seen[kind] for kind in log} == {kind: before[kind] for kind in log}
        assert {**seen, **{kind: after[kind] for kind in log}} == after

    @law()
    async def test_a_cancelled_transaction_leaves_no_trace(self, account: Tenant) -> None:
        """R6: a client that goes away in the middle leaves neither rows nor locks."""
        lead = await account.add_lead()
        before = await account.picture()
        is_written = asyncio.Event()

        async def never_ends() -> None:
            async with account.begin() as tx:
                tx.emit(*await rename(tx, lead.id, "Sol"))
                is_written.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(never_ends())
        await is_written.wait()
        task.cancel()
        await asyncio.wait([task])
        assert await account.picture() == before
        async with account.begin() as tx:
            assert await tx.leads.get(lead.id) == lead

    @law()
    async def test_concurrent_changes_of_one_lead_all_count(self, account: Tenant) -> None:
        """R10: `get` locks, so that no read-modify-write is lost."""
        lead = await account.add_lead()

        async def change(number: int) -> None:
            async with account.begin() as tx:
                tx.emit(*await rename(tx, lead.id, f"Luz {number}"))

        await asyncio.gather(*map(change, range(WRITERS)))
        stored = await account.views.lead(lead.id)
        assert stored.version == lead.version + WRITERS
        versions = [told.version for told in leads_in(await account.events())]
        assert versions == list(range(lead.version, stored.version + 1))

    @law()
    async def test_an_attempt_counts_or_did_nothing(self, account: Tenant) -> None:
        """R10: whoever was overtaken is told Contention, and does it again."""
        lead = await account.add_lead()

        async def change(number: int) -> None:
            with suppress(Contention):
                async with self.storage.attempt(account.id) as tx:
                    tx.emit(*await rename(tx, lead.id, f"Luz {number}"))
                return
            await change(number)

        await asyncio.gather(*map(change, range(WRITERS)))
        versions = [told.version for told in leads_in(await account.events())]
        assert versions == list(range(lead.version, lead.version + WRITERS + 1))

    @law()
    async def test_accounts_do_not_wait_for_each_other(self, account: Tenant) -> None:
        """An open transaction holds up its own account at most."""
        other = await account.stranger()
        async with account.begin() as tx:
            (mine,) = await tx.leads.add([draft("Luz")], at=NOON)
            theirs = await other.add_lead("Sol")
            assert await other.lead_ids() == [theirs.id]
        assert await account.lead_ids() == [mine.id]

    @law()
    async def test_what_a_store_returns_is_a_copy(self, account: Tenant) -> None:
        """Changing an entity changes nothing until it is saved."""
        lead = await account.add_lead(custom_fields={"talla": "M"})
        tag, contact = (await account.add_tags("vip"))[0], await account.add_contact(name="Ana")
        inbox = await inbox_of(account)
        chat = await inbox.open_one()
        poll = Poll(options=["sí", "no"], selectable=1)
        (message,) = await inbox.say(inbox.said(chat, poll=poll))
        before = await account.picture()
        async with account.begin() as tx:
            stored = await tx.leads.get(lead.id)
            stored.name, stored.custom_fields["talla"] = "Sol", "XL"
            (await tx.tags.get(tag.id)).name = "otro"
            (await tx.contacts.get(contact.id)).name = "Eva"
            (await tx.pipelines.default()).stages.clear()
            (await tx.chats.get(chat.id)).name = "otro"
            said = await tx.messages.get(message.id)
            said.cards.append(Card(name="Eva", vcard=""))
            assert said.poll is not None
            said.poll.options.clear()
        assert await account.picture() == before

    @law()
    async def test_what_a_store_was_given_is_copied(self, account: Tenant) -> None:
        """Changing a draft, or an entity after `add` or `save`, changes nothing."""
        new = draft(custom_fields={"talla": "M"})
        async with account.begin() as tx:
            (lead,) = await tx.leads.add([new], at=NOON)
            new.custom_fields["talla"] = lead.custom_fields["talla"] = "S"
        async with account.begin() as tx:
            stored = await tx.leads.get(lead.id)
            stored.alter({"name": "Sol"}, at=LATER)
            await tx.leads.save([stored])
            stored.name, stored.custom_fields["talla"] = "Mar", "XL"
        view = await account.views.lead(lead.id)
        assert (view.name, view.custom_fields) == ("Sol", {"talla": "M"})

    @law()
    async def test_what_a_view_returns_is_a_copy(self, account: Tenant) -> None:
        """A reader cannot change what the next one reads."""
        lead = await account.add_lead(custom_fields={"talla": "M"})
        shown = await account.views.lead(lead.id)
        shown.name, shown.custom_fields["talla"] = "Sol", "XL"
        (await account.views.pipeline(account.pipeline.id)).stages.clear()
        assert (await account.views.lead(lead.id)).custom_fields == {"talla": "M"}
        assert await account.views.pipeline(account.pipeline.id) == account.pipeline

    @law(needs=Capability.ANNOUNCING)
    async def test_a_commit_with_events_is_announced_after_it(self, account: Tenant) -> None:
        """R3: the publisher hears the last number once the events can be read."""
        async with account.begin() as tx:
            tx.emit(*[LeadCreated(leads=[])] * 3)
            assert self.publisher.announced(account.id) == []
        assert set(self.publisher.announced(account.id)) == {3}, HINT
        async with self.storage.directory() as directory:
            (await directory.enter(account.id)).emit(LeadCreated(leads=[]))
        assert set(self.publisher.announced(account.id)) == {3, 4}

    @law(needs=Capability.ANNOUNCING)
    async def test_what_a_hint_brings_along_is_what_the_log_has(self, account: Tenant) -> None:
        """R3: whoever takes it need not read, and misses nothing; a hint may bring nothing."""
        events: list[Event] = [
            LeadCreated(leads=[]),
            TagCreated(tags=await account.add_tags("vip")),
        ]
        await account.emit(*events)
        page = await account.views.events(EventQuery())
        for hint in self.publisher.news(account.id):
            if brought := hint.appended:
                assert brought.epoch == page.position.epoch
                assert brought.read() == page.data[brought.first - 1 : hint.seq]

    @law(needs=Capability.ANNOUNCING)
    async def test_what_was_rolled_back_is_not_announced(self, account: Tenant) -> None:
        """R6: nobody is woken for nothing."""
        async with doomed(account.begin()) as tx:
            tx.emit(LeadCreated(leads=[]))
        assert self.publisher.announced(account.id) == []


async def rename(tx: Transaction, lead_id: LeadId, name: str) -> list[LeadUpdated]:
    """Read, think, write: return the event of a lead's new name."""
    lead = await tx.leads.get(lead_id)
    await asyncio.sleep(0)  # Where a store without locks would let another one read.
    changed = lead.alter({"name": name}, at=LATER)
    await tx.leads.save([lead])
    return [LeadUpdated(leads=[lead], changed=list(changed))]


@dataclass(frozen=True, slots=True)
class Belongings:
    """Something of every kind in an account."""

    account: Tenant
    lead: Lead
    tags: list[Tag]
    pipeline: Pipeline
    quick_reply: QuickReply
    devices: list[Device]
    agent: UserId
    inbox: Inbox
    chat: Chat
    message: Message


async def populate(account: Tenant) -> Belongings:
    """Commit something of every kind, with no events."""
    lead, contact = await account.add_lead("Ana"), await account.add_contact(phone=PHONE)
    tags = await account.add_tags("vip", "frío")
    await account.link(TagTarget.LEAD, *links_of([lead.id], tags))
    await account.link(TagTarget.CONTACT, *links_of([contact.id], tags))
    pipeline = await account.add_pipeline("Postventa", "Uno", "Dos")
    await account.add_import()
    inbox = await inbox_of(account)
    chat = await inbox.open_one(contact_id=contact.id)
    (message,) = await inbox.say(inbox.said(chat, wa_message_id="A"))
    reply, agent = await account.add_quick_reply("hola"), await account.hire()
    devices = [await account.add_device() for _ in range(2)]
    return Belongings(account, lead, tags, pipeline, reply, devices, agent, inbox, chat, message)


async def write_everything(tx: Transaction, old: Belongings) -> list[Event]:
    """Use every store of a transaction on what `populate` made; return the events."""
    lead, new = await _write_people(tx, old)
    tag = await _write_tags(tx, old)
    await _write_inbox(tx, old)
    reply = await _write_quick_replies(tx, old)
    await _write_devices(tx, old)
    pipeline = await _write_pipelines(tx, old)
    await tx.imports.add(upload(b"phone\n"), b"phone\n", at=LATER)
    await tx.kommo.put_leads([record_of(old.lead.id, 1)])
    tenant = await tx.account.get()
    tenant.alter({"name": "Otra"}, at=LATER)
    await tx.account.save(tenant)
    await tx.members.remove(old.agent)
    events: list[Event] = [
        PipelineChanged(action=EventAction.CREATED, pipeline=pipeline),
        QuickReplyCreated(quick_reply=reply),
        TagCreated(tags=[tag]),
        LeadUpdated(leads=[lead], changed=["name"]),
        LeadCreated(leads=[new]),
    ]
    tx.emit(*events)
    return events


async def _write_people(tx: Transaction, old: Belongings) -> tuple[Lead, Lead]:
    lead, place = await tx.leads.get(old.lead.id), first_place(old.account)
    lead.alter({"name": "Sol", **place}, at=LATER)
    await tx.leads.save([lead])
    move = StageMove(lead_id=lead.id, to_stage=place["stage_id"], at=LATER)
    await tx.leads.log_moves([move])
    (new,) = await tx.leads.add([draft("Mar")], at=LATER)
    ((contact, _), _) = await tx.contacts.claim(
        [ContactDraft(phone=PHONE), ContactDraft(email="eva@x.pe")], at=LATER
    )
    await tx.contacts.identities([lid("1")], at=LATER)
    row = ContactIdentity(identity=lid("1"), contact_id=contact.id)
    await tx.contacts.put_identities([row])
    contact.alter({"name": "Eva", "email": "Eva@x.pe"}, at=LATER)
    await tx.contacts.save([contact])
    return lead, new


async def _write_tags(tx: Transaction, old: Belongings) -> Tag:
    vip, cold = old.tags
    await tx.tags.remove(cold.id)
    await tx.tags.unlink(TagTarget.LEAD, links_of([old.lead.id], [vip]))
    new = await tx.tags.add(NewTag(name="nuevo"), origin=TagOrigin.LOCAL, at=LATER)
    await tx.tags.link(TagTarget.LEAD, links_of([old.lead.id], [new]), origin=TagOrigin.LOCAL)
    return new


async def _write_inbox(tx: Transaction, old: Belongings) -> None:
    inbox, chat = old.inbox, await tx.chats.get(old.chat.id)
    await tx.chats.claim([inbox.with_(somebody(7))], at=LATER)
    (media,) = await tx.media.add([PHOTO], at=LATER)
    (added,) = await tx.messages.add([inbox.said(chat, media_id=media.id, sent_at=LATER)], at=LATER)
    message = await tx.messages.get(old.message.id)
    message.edit("adiós", LATER, at=LATER)
    await tx.messages.save([message])
    await tx.messages.react(
        [Reaction(chat_id=chat.id, wa_message_id="A", sender=chat.identity, emoji="👍", at=LATER)]
    )
    chat.take([one for one in (added,) if one is not None], at=LATER)
    await tx.chats.save([chat])
    await tx.outbox.add([inbox.to_do(chat)], at=LATER)


async def _write_quick_replies(tx: Transaction, old: Belongings) -> QuickReply:
    await tx.quick_replies.remove(old.quick_reply.id)
    new = NewQuickReply(shortcut="gracias", title="Gracias", body="¡Gracias!")
    reply = await tx.quick_replies.add(new, at=LATER)
    reply.alter({"title": "Adiós"}, at=LATER)
    await tx.quick_replies.save(reply)
    return reply


async def _write_devices(tx: Transaction, old: Belongings) -> None:
    first, second = old.devices
    await tx.devices.remove(first.id)
    device = await tx.devices.get(second.id)
    device.connect(LATER)
    await tx.devices.save(device)
    await tx.devices.add(NewDevice(name="Cobranza"), at=LATER)


async def _write_pipelines(tx: Transaction, old: Belongings) -> Pipeline:
    await tx.pipelines.remove(old.pipeline.id)
    await tx.pipelines.add_stages(old.account.pipeline.id, [NewStage(name="Último")])
    new = NewPipeline(name="Recompra", stages=(NewStage(name="Uno"),))
    return await tx.pipelines.add(new, is_default=False, at=LATER)
