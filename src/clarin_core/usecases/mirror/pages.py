"""What a page of Kommo does to an account: one transaction, whatever the number of its rows.

Of leads it costs at most 17 statements, of contacts 19, and two when nothing on it is new. What
is said twice writes nothing and tells nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from clarin_core.domain.crm_diff import (
    Local,
    Places,
    bury,
    news,
    plan_leads,
    relink,
    tag_changes,
)
from clarin_core.domain.crm_people import (
    LocalPeople,
    PeoplePlan,
    bury_people,
    phone_of,
    plan_people,
)
from clarin_core.domain.crm_places import (
    arrange,
    free_name,
    gone_stages,
    missing_stages,
    name_stages,
    new_pipeline,
    new_stage,
    places_in,
)
from clarin_core.domain.events import EventAction, LeadUpdated, PipelineChanged, TagCreated
from clarin_core.domain.ids import ContactId, KommoId, StageId
from clarin_core.domain.kommo import KnownContact, KnownLead, KommoLink
from clarin_core.domain.leads import Lead
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.pipelines import Pipeline
from clarin_core.domain.remote import RemoteContact, RemoteKind, RemoteLead, RemotePipeline
from clarin_core.domain.tags import TagLink, TagOrigin, TagTarget, tag_key
from clarin_core.domain.text import caseless
from clarin_core.ports.transaction import Transaction
from clarin_core.usecases.tags import add_links, remove_links


class UnknownPlaces(Exception):
    """Leads are where nobody knew of a place: the pipelines must be read anew."""


@dataclass(frozen=True, slots=True)
class Pages:
    """Applies pages to one account, inside a transaction that holds the connection."""

    tx: Transaction
    link: KommoLink
    region: str
    at: datetime

    async def leads(
        self, batch: Sequence[RemoteLead], *, is_full: bool = False, is_sure: bool = False
    ) -> int:
        """Apply leads in any order; return how many said anything new.

        Raises UnknownPlaces, unless the caller `is_sure` that there are no other ones: such a
        lead is left out then.
        """
        known = {one.kommo_id: one for one in await self.tx.kommo.leads([one.id for one in batch])}
        fresh = news(batch, known, is_full=is_full)
        await self.bury_leads([one.id for one in fresh if one.is_deleted])
        ours = [one for one in fresh if not one.is_deleted and self._is_ours(one, known)]
        if not ours:
            return 0
        places = await self._places(ours)
        placed = [one for one in ours if (one.pipeline_id, one.stage_id) in places]
        if len(placed) < len(ours) and not is_sure:
            raise UnknownPlaces
        await self._store_leads(placed, known, places)
        return len(placed)

    async def contacts(self, batch: Sequence[RemoteContact], *, is_full: bool = False) -> int:
        """Apply contacts in any order; return how many said anything new."""
        ids = [one.id for one in batch]
        phones = {phone for one in batch if (phone := phone_of(one, self.region)) is not None}
        found = await self.tx.kommo.contacts(ids, phones)
        known = {one.kommo_id: one for one in found}
        fresh = news(batch, known, is_full=is_full)
        await self.bury_contacts([one.id for one in fresh if one.is_deleted])
        live = [one for one in fresh if not one.is_deleted]
        if live:
            await self._store_contacts(live, known)
        return len(live)

    async def bury_leads(self, kommo_ids: Collection[KommoId]) -> None:
        """Hide leads that are gone there; those that were not known are not known now."""
        known = [one for one in await self._known_leads(kommo_ids) if not one.is_gone]
        if not known:
            return
        leads = await self.tx.leads.look_up([one.lead_id for one in known], [])
        hidden = bury(leads, at=self.at)
        if hidden is not None:
            await self.tx.leads.save(hidden.leads)
            self.tx.emit(hidden)
        await self.tx.kommo.bury(RemoteKind.LEAD, [one.kommo_id for one in known])

    async def bury_contacts(self, kommo_ids: Collection[KommoId]) -> None:
        """Let contacts go that are gone there.

        Their leads are to be read again, and so is who claims their phones.
        """
        found = await self.tx.kommo.contacts(kommo_ids, []) if kommo_ids else []
        gone = [one for one in found if one.kommo_id in kommo_ids and not one.is_gone]
        if not gone:
            return
        gone_ids = [one.kommo_id for one in gone]
        rest = [one for one in found if one.kommo_id not in gone_ids and not one.is_gone]
        heirs = {one.contact_id: one.kommo_id for one in reversed(rest)}
        contacts = await self.tx.contacts.look_up([one.contact_id for one in gone], [])
        self.tx.emit(*bury_people(contacts, gone_ids, heirs, at=self.at))
        await self.tx.contacts.save(contacts)
        await self.tx.kommo.bury(RemoteKind.CONTACT, gone_ids)
        leads = await self.tx.kommo.leads_with(gone_ids)
        self.link.state.read_again(RemoteKind.LEAD, (one.kommo_id for one in leads))
        self.link.state.read_again(RemoteKind.CONTACT, heirs.values())
        await self._offer({one.phone for one in gone if one.phone is not None}, gone_ids)

    async def _known_leads(self, kommo_ids: Collection[KommoId]) -> list[KnownLead]:
        return await self.tx.kommo.leads(kommo_ids) if kommo_ids else []

    def _is_ours(self, said: RemoteLead, known: Mapping[KommoId, KnownLead]) -> bool:
        """Tell whether a lead is mirrored: in a connected pipeline, or there from before."""
        return said.id in known or said.pipeline_id in self.link.connected

    async def _places(self, leads: Sequence[RemoteLead]) -> Places:
        """Return the places of pipelines here; one that is known there only is made."""
        wanted = sorted({lead.pipeline_id for lead in leads})
        pipelines = await self.tx.pipelines.by_kommo(wanted)
        missing = {*wanted}.difference(one.kommo_id or KommoId(0) for one in pipelines)
        if missing:
            words = await self.tx.kommo.dictionaries()
            said = [one for one in words.pipelines if one.id in missing]
            pipelines += [await make_pipeline(self.tx, one, at=self.at) for one in said]
        return places_in(pipelines)

    async def _store_leads(
        self, batch: Sequence[RemoteLead], known: Mapping[KommoId, KnownLead], places: Places
    ) -> None:
        people = {link.contact_id for said in batch for link in said.contacts}
        local = Local(
            known=known,
            leads=await self._leads(batch, known),
            people=await self.tx.kommo.people(people) if people else {},
            places=places,
            currency=self.link.currency,
        )
        plan = plan_leads(batch, local, at=self.at)
        if drafts := plan.drafts:
            plan.store(await self.tx.leads.add(drafts, at=self.at))
        if altered := plan.altered:
            await self.tx.leads.save(altered)
        if moves := plan.moves:
            await self.tx.leads.log_moves(moves)
        self.tx.emit(*plan.events())
        await self._tag(TagTarget.LEAD, plan.tags)
        await self.tx.kommo.put_leads(plan.records)

    async def _leads(
        self, batch: Sequence[RemoteLead], known: Mapping[KommoId, KnownLead]
    ) -> dict[KommoId, Lead]:
        """Return the leads here by Kommo's ids; a live one stands before a hidden one."""
        ids = [said.id for said in batch]
        rows = await self.tx.leads.look_up([one.lead_id for one in known.values()], ids)
        by_id = {row.id: row for row in rows}
        mirrors = {key: by_id[one.lead_id] for key, one in known.items() if one.lead_id in by_id}
        live = {row.kommo_id: row for row in rows if row.deleted_at is None and row.kommo_id}
        return mirrors | live

    async def _store_contacts(
        self, batch: Sequence[RemoteContact], known: Mapping[KommoId, KnownContact]
    ) -> None:
        phones = {phone for one in batch if (phone := phone_of(one, self.region)) is not None}
        rows = await self.tx.contacts.look_up([one.contact_id for one in known.values()], phones)
        local = LocalPeople(
            known=known,
            contacts={row.id: row for row in rows},
            holders={row.phone: row for row in rows if row.phone and row.deleted_at is None},
            region=self.region,
        )
        plan = plan_people(batch, local, at=self.at)
        await self._save_people(plan)
        self.tx.emit(*plan.events())
        await self._tag(TagTarget.CONTACT, plan.tags)
        await self.tx.kommo.put_contacts(plan.records)
        await self._relink(plan, known)
        await self._offer(plan.freed, [one.id for one in batch])

    async def _save_people(self, plan: PeoplePlan) -> None:
        """Store contacts; whoever had another phone lets go of it before anybody gets it."""
        if plan.had_phones:
            letting_go = [one for one in plan.altered if one.id in plan.had_phones]
            await self.tx.contacts.save([replace(one, phone=None) for one in letting_go])
        if drafts := plan.drafts:
            plan.store(await self.tx.contacts.claim(drafts, at=self.at))
        if altered := plan.altered:
            await self.tx.contacts.save(altered)

    async def _relink(self, plan: PeoplePlan, known: Mapping[KommoId, KnownContact]) -> None:
        """Give leads that came first their contact."""
        people = {one.said.id: one.contact.id for one in plan.changes if one.contact is not None}
        new = {key: one for key, one in people.items() if not _is_at(known.get(key), one)}
        if not new:
            return
        waiting = [one for one in await self.tx.kommo.leads_with(new) if one.contacts[0] in new]
        if waiting:
            rows = await self.tx.leads.look_up([one.lead_id for one in waiting], [])
            by_id = {row.id: row for row in rows}
            leads = {one.kommo_id: by_id[one.lead_id] for one in waiting if one.lead_id in by_id}
            if changed := relink(leads, waiting, new, at=self.at):
                await self.tx.leads.save(changed)
                self.tx.emit(LeadUpdated(leads=changed, changed=["contact_id"]))

    async def _offer(self, phones: Collection[PhoneNumber], but: Collection[KommoId]) -> None:
        """Let those be read again who claim a phone that nobody has any more."""
        if phones:
            claims = await self.tx.kommo.contacts([], phones)
            live = {one.kommo_id for one in claims if not one.is_gone and one.phone in phones}
            self.link.state.read_again(RemoteKind.CONTACT, live.difference(but))

    async def _tag(self, target: TagTarget, wanted: Mapping[int, frozenset[str]]) -> None:
        """Put Kommo's tags on records and take others of its own off; local ones stay (TG5)."""
        spelled = {tag_key(name): name for names in wanted.values() for name in sorted(names)}
        ids = {}
        if spelled:
            keys = sorted(spelled)
            names = [spelled[key] for key in keys]
            claimed = await self.tx.tags.claim(names, origin=TagOrigin.KOMMO, at=self.at)
            if made := [tag for tag, is_new in claimed if is_new]:
                self.tx.emit(TagCreated(tags=made))
            ids = {key: tag.id for key, (tag, _) in zip(keys, claimed, strict=True)}
        links = [
            TagLink(target_id=target_id, tag_id=ids[tag_key(name)])
            for target_id, names in wanted.items()
            for name in names
        ]
        now = await self.tx.tags.links(target, wanted.keys(), origin=TagOrigin.KOMMO)
        put, off = tag_changes(now, links)
        if put:
            await add_links(self.tx, target, put, origin=TagOrigin.KOMMO)
        if off:
            await remove_links(self.tx, target, off)


async def make_pipeline(tx: Transaction, said: RemotePipeline, *, at: datetime) -> Pipeline:
    """Make the pipeline that mirrors one there."""
    taken = {caseless(pipeline.name) for pipeline in await tx.pipelines.all()}
    pipeline = await tx.pipelines.add(new_pipeline(said, taken), is_default=False, at=at)
    name_stages(pipeline, said.stages[: len(pipeline.stages)])
    arrange(pipeline, said, (), at=at)
    await tx.pipelines.save(pipeline)
    tx.emit(PipelineChanged(action=EventAction.CREATED, pipeline=pipeline))
    return pipeline


async def mirror_pipelines(
    tx: Transaction,
    before: Sequence[RemotePipeline],
    said: Sequence[RemotePipeline],
    *,
    at: datetime,
) -> None:
    """Let the pipelines here be as those there, where anything is said that is new."""
    old = {one.id: one for one in before}
    new = {one.id: one for one in said if old.get(one.id) != one}
    for shared in await tx.pipelines.by_kommo(new.keys()) if new else []:
        assert shared.kommo_id is not None
        pipeline, now = await tx.pipelines.get(shared.id), new[shared.kommo_id]
        known = old.get(shared.kommo_id)
        if known is not None and known.name != now.name:
            others = [one for one in await tx.pipelines.all() if one.id != pipeline.id]
            pipeline.name = free_name(now, {caseless(one.name) for one in others})
        await _mirror_pipeline(tx, pipeline, now, at=at)


async def _mirror_pipeline(
    tx: Transaction, pipeline: Pipeline, said: RemotePipeline, *, at: datetime
) -> None:
    if missing := missing_stages(said, pipeline):
        await tx.pipelines.add_stages(pipeline.id, [new_stage(one) for one in missing])
        pipeline.stages = (await tx.pipelines.get(pipeline.id)).stages
        name_stages(pipeline, missing)
    empty = [one for one in gone_stages(said, pipeline) if await _is_empty(tx, one)]
    arrange(pipeline, said, empty, at=at)
    await tx.pipelines.save(pipeline)
    tx.emit(PipelineChanged(action=EventAction.UPDATED, pipeline=pipeline))


async def _is_empty(tx: Transaction, stage_id: StageId) -> bool:
    return not await tx.leads.in_stages([stage_id], limit=1)


def _is_at(known: KnownContact | None, contact_id: ContactId) -> bool:
    return known is not None and not known.is_gone and known.contact_id == contact_id
