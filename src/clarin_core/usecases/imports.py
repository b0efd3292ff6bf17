"""What one can do with imports: look at a file, upload it, run it, fetch what was refused."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from itertools import chain

from msgspec import structs

from clarin_core.domain.actor import Actor, Cause
from clarin_core.domain.contacts import Contact
from clarin_core.domain.csv_import import (
    ImportRow,
    ImportTable,
    RejectedRow,
    parse_csv,
    rejects_csv,
)
from clarin_core.domain.events import (
    EventAction,
    ImportAdvanced,
    ImportFinished,
    PipelineChanged,
    TagCreated,
)
from clarin_core.domain.ids import AccountId, ContactId, ImportId, PipelineId, TagId
from clarin_core.domain.import_people import (
    SOURCE,
    People,
    Person,
    Reading,
    is_known_by_name,
    name_of,
)
from clarin_core.domain.import_places import Place, Places, WantedPipeline, wanted_pipelines
from clarin_core.domain.import_plan import (
    Applied,
    LeadPlan,
    Record,
    apply_readings,
    contact_events,
    lead_events,
    outcomes_of,
)
from clarin_core.domain.imports import (
    BATCH_ROWS,
    PREVIEW_ROWS,
    ImportDraft,
    ImportJob,
    ImportKind,
    ImportOptions,
    ImportPreview,
    RowOutcome,
)
from clarin_core.domain.leads import Lead
from clarin_core.domain.pipelines import Pipeline
from clarin_core.domain.tags import TagLink, TagOrigin, TagTarget, tag_key
from clarin_core.errors import ClarinError, Unavailable
from clarin_core.ports.small import Clock
from clarin_core.ports.storage import Storage
from clarin_core.ports.transaction import Transaction
from clarin_core.usecases.pipelines import add_stages
from clarin_core.usecases.tags import add_links


@dataclass(frozen=True, slots=True)
class _File:
    """A file that was read: its rows, and the pipelines that its leads need."""

    table: ImportTable
    wanted: list[WantedPipeline]


@dataclass(frozen=True, slots=True)
class ImportUseCases:
    """What one can do with imports. One method is one use case."""

    storage: Storage
    clock: Clock
    batch_rows: int = BATCH_ROWS

    async def preview(self, actor: Actor, options: ImportOptions, content: bytes) -> ImportPreview:
        """Show how a file would be read; nothing is written (IM3)."""
        actor.require_admin()
        table = (await _read(content, options.import_type, actor.region)).table
        readable = [row for row in table.rows if isinstance(row, ImportRow)]
        rejected = [row for row in table.rows if isinstance(row, RejectedRow)]
        return ImportPreview(
            encoding=table.encoding,
            separator=table.separator,
            columns=table.columns,
            ignored=table.ignored,
            valid=len(readable),
            invalid=len(rejected),
            rows=readable[:PREVIEW_ROWS],
            rejects=rejected[:PREVIEW_ROWS],
        )

    async def upload(self, actor: Actor, options: ImportOptions, content: bytes) -> ImportJob:
        """Keep a file that will be imported soon; one that cannot be read is refused at once.

        Raises Conflict `already_imported` with the id of the import that had the same bytes.
        """
        actor.require_admin()
        file = await _read(content, options.import_type, actor.region)
        draft = ImportDraft(
            kind=options.import_type,
            overwrite=options.overwrite,
            filename=options.filename,
            sha256=(await asyncio.to_thread(sha256, content)).hexdigest(),
            region=actor.region,
            origin=structs.replace(actor.origin, cause=Cause.IMPORT, user_id=actor.user_id),
            rows=len(file.table.rows),
        )
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            job = await tx.imports.add(draft, content, at=self.clock())
            tx.emit(ImportAdvanced(job=job))
        return job

    async def rejects(self, actor: Actor, import_id: ImportId) -> bytes:
        """Return the rows refused so far, with the reasons, as a CSV file to be mended."""
        actor.require_admin()
        views = self.storage.views(actor.account_id)
        job = await views.import_job(import_id)
        content = await views.import_content(import_id)
        return await asyncio.to_thread(_rejects, content, job)

    async def run_pending(self) -> bool:
        """Run the imports that wait, each to its end; return whether there were any.

        Several processes may do so at the same time: each batch locks its import, and since the
        oldest comes first, two imports of one account never meet. An import that cannot go on
        ends as failed. Raises Unavailable when the store does not answer, and what nobody
        expected, so that no bug is hidden; call again then for the imports that are left.
        """
        pending = await self.storage.pending_imports()
        waiting: dict[AccountId, Unavailable] = {}
        for account_id, import_id in pending:
            if account_id not in waiting:
                try:
                    await self._run_or_fail(account_id, import_id)
                except Unavailable as error:  # It may be this import: the others still run.
                    waiting[account_id] = error
        for reason in waiting.values():
            raise reason
        return bool(pending)

    async def _run_or_fail(self, account_id: AccountId, import_id: ImportId) -> None:
        try:
            await self._run(account_id, import_id)
        except Unavailable:
            raise
        except ClarinError as error:
            await self._fail(account_id, import_id, str(error))
        except Exception:
            await self._fail(account_id, import_id, "internal error")
            raise

    async def _run(self, account_id: AccountId, import_id: ImportId) -> None:
        views = self.storage.views(account_id)
        job = await views.import_job(import_id)
        file = await _read(await views.import_content(import_id), job.kind, job.region)
        places = await self._prepare(account_id, job, file.wanted)
        while await self._advance(account_id, job, file.table, places):
            pass

    async def _prepare(
        self, account_id: AccountId, job: ImportJob, wanted: list[WantedPipeline]
    ) -> Places:
        """Make the pipelines and stages that are missing, before any row needs them."""
        at = self.clock()
        async with self.storage.begin(account_id, job.origin) as tx:
            await tx.imports.get(job.id)  # Two runners would make a pipeline twice.
            places = Places(await tx.pipelines.all())
            for one in wanted:
                pipeline = places.pipeline(one.name)
                if pipeline is None:
                    made = await tx.pipelines.add(one.to_make(), is_default=False, at=at)
                    tx.emit(PipelineChanged(action=EventAction.CREATED, pipeline=made))
                    places.put(made)
                elif missing := one.missing_in(pipeline):
                    places.put(await add_stages(tx, pipeline, missing, at=at))
        return places

    async def _advance(
        self, account_id: AccountId, job: ImportJob, table: ImportTable, places: Places
    ) -> bool:
        """Import the next rows in one transaction; return whether there are more."""
        at = self.clock()
        async with self.storage.begin(account_id, job.origin) as tx:
            now = await tx.imports.get(job.id)
            if not now.is_pending:
                return False
            rows = table.rows[now.rows_done : now.rows_done + self.batch_rows]
            outcomes = await _Batch(tx, now, places, at).run(rows)
            is_last = now.rows_done + len(outcomes) >= len(table.rows)
            now.advance(outcomes, is_last=is_last, at=at)
            await tx.imports.save(now, outcomes)
            tx.emit(ImportFinished(job=now) if is_last else ImportAdvanced(job=now))
        return not is_last

    async def _fail(self, account_id: AccountId, import_id: ImportId, error: str) -> None:
        async with self.storage.begin(account_id) as tx:
            job = await tx.imports.get(import_id)
            if job.is_pending:
                job.fail(error, at=self.clock())
                await tx.imports.save(job, [])
                tx.emit(ImportFinished(job=job))


@dataclass(frozen=True, slots=True)
class _Batch:
    """The next rows of one import in one transaction.

    Each kind of record is read and stored with one call, whatever the number of rows; only
    the pipelines that the rows name are read one by one.
    """

    tx: Transaction
    job: ImportJob
    places: Places
    at: datetime

    async def run(self, rows: Sequence[ImportRow | RejectedRow]) -> list[RowOutcome]:
        """Apply rows in order; return the outcomes of all, or of those before one that must wait.

        The first row never waits.
        """
        readable = [row for row in rows if isinstance(row, ImportRow)]
        if self.job.kind is ImportKind.CONTACTS:
            applied = await self._apply_contacts(readable)
        else:
            applied = await self._apply_leads(readable)
        return outcomes_of(rows, applied)

    async def _apply_contacts(self, rows: Sequence[ImportRow]) -> list[Applied]:
        """Apply rows to contacts alone; Kommo ids in a file are those of leads."""
        readings = await self._people([structs.replace(row, kommo_id=None) for row in rows], [])
        contacts = await self._claim(readings)
        applied = apply_readings(readings, contacts, None, {}, job=self.job, at=self.at)
        await self._store_contacts(contacts)
        await self._tag(TagTarget.CONTACT, applied)
        return applied

    async def _apply_leads(self, rows: Sequence[ImportRow]) -> list[Applied]:
        places = await self._places(rows)
        kommo_ids = {row.kommo_id for row in rows if row.kommo_id is not None}
        known = list((await self.tx.leads.by_kommo(kommo_ids)).values()) if kommo_ids else []
        readings = await self._people(rows, known)
        contacts = await self._claim(readings)
        searched = {contacts[one.owner].entity.id for one in readings if not one.row.kommo_id}
        others = await self.tx.leads.of_contacts(searched) if searched else []
        plan = LeadPlan([*known, *others], job=self.job, at=self.at)
        applied = apply_readings(readings, contacts, plan, places, job=self.job, at=self.at)
        await self._store_contacts(contacts)
        await self._store_leads(plan)
        await self._tag(TagTarget.LEAD, applied)
        return applied

    async def _places(self, rows: Sequence[ImportRow]) -> dict[int, Place]:
        """Return the place of each row; none of them changes until the end."""
        named = {row.row: self.places.of(row) for row in rows}
        stages = {place.pipeline.id: place.stage.id for place in named.values()}
        kept = dict[PipelineId, Pipeline]()
        for pipeline_id, stage_id in sorted(stages.items()):
            kept[pipeline_id] = await self.tx.pipelines.of_stage(stage_id)
        return {row: place.within(kept[place.pipeline.id]) for row, place in named.items()}

    async def _people(self, rows: Sequence[ImportRow], leads: Sequence[Lead]) -> list[Reading]:
        """Return whom the rows mean, up to the first one that must wait."""
        owners = {lead.contact_id for lead in leads if lead.contact_id is not None}
        contacts = await self.tx.contacts.get_many(owners) if owners else []
        names = {name_of(row) for row in rows if is_known_by_name(row)}
        named = await self.tx.contacts.phoneless(names, source=SOURCE) if names else {}
        people = People(contacts, leads, named, overwrite=self.job.overwrite)
        return people.read(rows)

    async def _claim(self, readings: Iterable[Reading]) -> dict[Person, Record[Contact]]:
        """Return the contact of every person; who has none gets one."""
        named = chain.from_iterable((one.person, one.owner, one.former) for one in readings)
        people = [person for person in dict.fromkeys(named) if person]
        found = {one: (one.known, False) for one in people if isinstance(one.known, Contact)}
        if unknown := [one for one in people if one not in found]:
            claimed = await self.tx.contacts.claim([one.known for one in unknown], at=self.at)
            found.update(zip(unknown, claimed, strict=True))
        records = dict[ContactId, Record[Contact]]()
        return {
            person: records.setdefault(contact.id, Record(contact, is_new))
            for person, (contact, is_new) in found.items()
        }

    async def _store_contacts(self, contacts: Mapping[Person, Record[Contact]]) -> None:
        records = list(dict.fromkeys(contacts.values()))
        if changed := [record.entity for record in records if record.changed]:
            await self.tx.contacts.save(changed)
        self.tx.emit(*contact_events(records))

    async def _store_leads(self, plan: LeadPlan) -> None:
        if new := plan.new:
            leads = await self.tx.leads.add([record.draft() for record in new], at=self.at)
            for record, lead in zip(new, leads, strict=True):
                record.store(lead)
        if altered := plan.altered:
            await self.tx.leads.save([record.entity for record in altered])
        if moves := plan.moves:
            await self.tx.leads.log_moves(moves)
        self.tx.emit(*lead_events(plan))

    async def _tag(self, target: TagTarget, applied: Sequence[Applied]) -> None:
        """Put the rows' tags on their records; a tag counts for the first row that brings it."""
        ids = await self._tag_ids(name for one in applied for name in one.row.tags)
        links = [
            {TagLink(target_id=one.target_id, tag_id=ids[tag_key(name)]) for name in one.row.tags}
            for one in applied
        ]
        if wanted := set[TagLink]().union(*links):
            new = set(await add_links(self.tx, target, wanted))
            for one, own in zip(applied, links, strict=True):
                one.is_changed |= not new.isdisjoint(own)
                new -= own

    async def _tag_ids(self, names: Iterable[str]) -> dict[str, TagId]:
        """Return the tags with these names by key; missing ones are made as first spelled."""
        spelled = dict[str, str]()
        for name in names:
            spelled.setdefault(tag_key(name), name)
        if not spelled:
            return {}
        keys = sorted(spelled)
        ordered = [spelled[key] for key in keys]
        claimed = await self.tx.tags.claim(ordered, origin=TagOrigin.LOCAL, at=self.at)
        if made := [tag for tag, is_new in claimed if is_new]:
            self.tx.emit(TagCreated(tags=made))
        return {key: tag.id for key, (tag, _) in zip(keys, claimed, strict=True)}


async def _read(content: bytes, kind: ImportKind, region: str) -> _File:
    """Read a file beside the event loop, since a large one takes seconds."""
    return await asyncio.to_thread(_read_now, content, kind, region)


def _read_now(content: bytes, kind: ImportKind, region: str) -> _File:
    table = parse_csv(content, region=region)
    wanted = [] if kind is ImportKind.CONTACTS else wanted_pipelines(table.rows)
    return _File(table, wanted)


def _rejects(content: bytes, job: ImportJob) -> bytes:
    """Reading a file again gives the same rows; those not reached yet are left out."""
    table = parse_csv(content, region=job.region)
    done = table.rows[: job.rows_done]
    return rejects_csv(table.header, [row for row in done if isinstance(row, RejectedRow)])
