"""An account of another CRM, whole, with people who go on changing it.

What they do is visible after `lag` seconds, each change by itself, so that a list may not show
yet what has been updated already. Times are whole seconds of the other side's clock, which may
differ from ours.
"""

from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from typing import Any, NamedTuple

from msgspec.structs import replace

from clarin_core.domain.ids import KommoId
from clarin_core.domain.pipelines import StageKind
from clarin_core.domain.remote import (
    HintKind,
    RemoteAccount,
    RemoteContact,
    RemoteDeletion,
    RemoteField,
    RemoteHint,
    RemoteKind,
    RemoteLead,
    RemoteLink,
    RemotePipeline,
    RemoteStage,
    RemoteTag,
    RemoteUser,
)
from clarin_core.ports.small import Clock

WON, LOST = KommoId(142), KommoId(143)
_FIRST_ID = 1_000
_TOLD = {"tags", "contacts"}  # Changes that are told as a hint, too.

RemoteEntity = RemoteLead | RemoteContact


class _Change(NamedTuple):
    visible_at: datetime
    version: int
    kind: RemoteKind
    id: KommoId
    entity: RemoteEntity | None


class RemoteBook:
    """The account: what it is, what is shown of it, and what can happen to it."""

    def __init__(
        self,
        clock: Clock,
        *,
        subdomain: str = "acme",
        lag: Callable[[], float] = float,
        skew: timedelta = timedelta(),
    ) -> None:
        self._clock = clock
        self._lag = lag
        self._skew = skew
        self._ids = count(_FIRST_ID)
        self._versions = count(1)
        self._coming: list[_Change] = []
        self._shown: dict[RemoteKind, dict[KommoId, _Change]] = {kind: {} for kind in RemoteKind}
        self.account = RemoteAccount(id=self.new_id(), name="Acme", subdomain=subdomain)
        self.pipelines: list[RemotePipeline] = []
        self.users: list[RemoteUser] = []
        self.tags: dict[RemoteKind, list[RemoteTag]] = {kind: [] for kind in RemoteKind}
        self.fields: dict[RemoteKind, list[RemoteField]] = {kind: [] for kind in RemoteKind}
        self.real: dict[RemoteKind, dict[KommoId, RemoteEntity]] = {k: {} for k in RemoteKind}
        self.bin: dict[RemoteKind, dict[KommoId, RemoteEntity]] = {k: {} for k in RemoteKind}
        self.hints: list[RemoteHint] = []
        self.unsorted: set[KommoId] = set()
        self.hidden: set[KommoId] = set()

    def now(self) -> datetime:
        """Return the other side's time, to the second."""
        return (self._clock() + self._skew).replace(microsecond=0)

    def new_id(self) -> KommoId:
        """Return an id that nothing has; all kinds of things have different ones."""
        return KommoId(next(self._ids))

    def add_pipeline(self, name: str, *stages: str) -> RemotePipeline:
        """Add a pipeline: where leads arrive, its stages, and the ends that all pipelines have."""
        own = self.new_id()
        kinds = [(self.new_id(), stage, StageKind.OPEN) for stage in ("Incoming", *stages)]
        kinds += [(WON, "Won", StageKind.WON), (LOST, "Lost", StageKind.LOST)]
        pipeline = RemotePipeline(
            id=own,
            name=name,
            position=len(self.pipelines) + 1,
            is_main=not self.pipelines,
            stages=[
                RemoteStage(
                    pipeline_id=own,
                    id=id,
                    name=stage,
                    color="#99ccff",
                    position=10 * (at + 1),
                    kind=kind,
                    is_incoming=at == 0,
                )
                for at, (id, stage, kind) in enumerate(kinds)
            ],
        )
        self.pipelines.append(pipeline)
        return pipeline

    def add_user(self, name: str) -> KommoId:
        """Let somebody work there."""
        self.users.append(RemoteUser(id=self.new_id(), name=name))
        return self.users[-1].id

    def add_tag(self, kind: RemoteKind, name: str) -> RemoteTag:
        """Add a tag of leads or of contacts."""
        self.tags[kind].append(RemoteTag(id=self.new_id(), name=name))
        return self.tags[kind][-1]

    def rename_tag(self, id: KommoId, name: str) -> None:
        """Let a tag have another name, wherever it is; nothing tells."""
        for kind in RemoteKind:
            self.tags[kind] = _renamed(self.tags[kind], id, name)
            for one in list(self.real[kind].values()):
                if any(tag.id == id for tag in one.tags):
                    self._put(kind, replace(one, tags=_renamed(one.tags, id, name)))

    def add_field(self, kind: RemoteKind, name: str, *, type: str = "text") -> RemoteField:
        """Invent a field."""
        position = len(self.fields[kind]) + 1
        field = RemoteField(id=self.new_id(), kind=kind, name=name, type=type, position=position)
        self.fields[kind].append(field)
        return field

    def add_lead(self, **values: object) -> KommoId:
        """Add a lead: in the first stage where a lead can be, unless told otherwise."""
        if not self.pipelines:
            self.add_pipeline("Ventas", "Nuevo", "Contactado")
        first = self.pipelines[0]
        places: dict[str, object] = {"pipeline_id": first.id, "stage_id": first.stages[1].id}
        return self._add(RemoteKind.LEAD, RemoteLead, places | values)

    def add_contact(self, **values: object) -> KommoId:
        """Add a person."""
        return self._add(RemoteKind.CONTACT, RemoteContact, values)

    def change(
        self, kind: RemoteKind, id: KommoId, *, is_quiet: bool = False, **values: object
    ) -> None:
        """Change a lead or contact; a quiet change leaves `updated_at` as it is."""
        moment = {} if is_quiet else {"updated_at": self.now()}
        self._put(kind, replace(self.real[kind][id], **moment, **values))
        if is_quiet or _TOLD & values.keys():
            self._tell(HintKind.CHANGED, kind, id)

    def delete(self, kind: RemoteKind, *ids: KommoId) -> None:
        """Put some in the recycle bin; a person leaves its leads."""
        for id in ids:
            self.bin[kind][id] = replace(self.real[kind].pop(id), updated_at=self.now())
            self._show(kind, id, None)
            self._tell(HintKind.DELETED, kind, id)
            self._unlink(id)

    def restore(self, kind: RemoteKind, *ids: KommoId) -> None:
        """Take some out of the recycle bin, as they were."""
        for id in ids:
            self._put(kind, replace(self.bin[kind].pop(id), updated_at=self.now()))
            self._tell(HintKind.RESTORED, kind, id)

    def purge(self, kind: RemoteKind, *ids: KommoId) -> None:
        """Empty the recycle bin of some; nothing tells."""
        for id in ids:
            del self.bin[kind][id]

    def merge(self, kind: RemoteKind, keep: KommoId, gone: KommoId) -> None:
        """Let one become part of another; it is gone without a trace but the hint of who stays."""
        del self.real[kind][gone]
        self._show(kind, gone, None)
        self.change(kind, keep)
        self._tell(HintKind.MERGED, kind, keep)
        self._unlink(gone, instead=keep)

    def listed(self, kind: RemoteKind, since: datetime | None) -> list[RemoteEntity]:
        """Return what a list shows now: all by id, or those updated since, by that time."""
        shown = [one for one in self.shown(kind) if one.id not in self.unsorted]
        if since is None:
            return sorted(shown, key=lambda one: one.id)
        recent = (one for one in shown if one.updated_at >= since)
        return sorted(recent, key=lambda one: (one.updated_at, one.id))

    def found(self, kind: RemoteKind, ids: Collection[KommoId]) -> list[RemoteEntity]:
        """Return those of some ids that there are."""
        return [one for one in self.shown(kind) if one.id in ids]

    def deleted(self, kind: RemoteKind) -> list[RemoteDeletion]:
        """Return what is in the recycle bin, latest first."""
        found = [RemoteDeletion(id=e.id, updated_at=e.updated_at) for e in self.bin[kind].values()]
        return sorted(found, key=lambda one: (one.updated_at, one.id), reverse=True)

    def told(self, since: datetime) -> list[RemoteHint]:
        """Return hints, the latest first."""
        return [hint for hint in reversed(self.hints) if hint.at >= since]

    def shown(self, kind: RemoteKind) -> Iterable[RemoteEntity]:
        """Yield what is visible by now."""
        while self._coming and self._coming[0].visible_at <= self._clock():
            change = heappop(self._coming)
            known = self._shown[change.kind].get(change.id)
            if known is None or known.version < change.version:
                self._shown[change.kind][change.id] = change
        for change in self._shown[kind].values():
            if change.entity is not None and change.id not in self.hidden:
                yield change.entity

    def _add(
        self,
        kind: RemoteKind,
        entity: type[RemoteLead] | type[RemoteContact],
        values: dict[str, object],
    ) -> KommoId:
        given: dict[str, Any] = {"id": self.new_id(), "name": "", "created_at": self.now()}
        added = entity(**given | {"updated_at": self.now()} | values)
        self._put(kind, added)
        return added.id

    def _put(self, kind: RemoteKind, entity: RemoteEntity) -> None:
        self.real[kind][entity.id] = entity
        self._show(kind, entity.id, entity)

    def _show(self, kind: RemoteKind, id: KommoId, entity: RemoteEntity | None) -> None:
        visible_at = self._clock() + timedelta(seconds=self._lag())
        heappush(self._coming, _Change(visible_at, next(self._versions), kind, id, entity))

    def _tell(self, what: HintKind, kind: RemoteKind, id: KommoId) -> None:
        told = RemoteHint(
            id=f"01{next(self._versions):08}", what=what, kind=kind, entity_id=id, at=self.now()
        )
        self.hints.append(told)

    def _unlink(self, gone: KommoId, *, instead: KommoId | None = None) -> None:
        """Take a person who is gone out of its leads; who stays after a merge has them then."""
        for lead in list(self.real[RemoteKind.LEAD].values()):
            assert isinstance(lead, RemoteLead)
            links = {link.contact_id: link.is_main for link in lead.contacts}
            if gone in links:
                was_main = links.pop(gone)
                if instead is not None:
                    links[instead] = links.get(instead, False) or was_main
                kept = [RemoteLink(contact_id=id, is_main=main) for id, main in links.items()]
                self.change(RemoteKind.LEAD, lead.id, is_quiet=True, contacts=kept)


def _renamed(tags: list[RemoteTag], id: KommoId, name: str) -> list[RemoteTag]:
    return [replace(tag, name=name) if tag.id == id else tag for tag in tags]
