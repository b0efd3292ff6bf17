"""People at work: random changes of an account, from a seed, with all that hurts a mirror.

Many changes share a second; some do not move `updated_at`; tags and contacts come and go; leads
change pipelines; people are merged; things are deleted, restored and purged.
"""

import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeVar

from clarin_core.domain.ids import KommoId
from clarin_core.domain.remote import (
    RemoteContact,
    RemoteKind,
    RemoteLead,
    RemoteLink,
    RemoteReach,
    RemoteValues,
)
from clarin_memory import RemoteBook

_LEAD, _CONTACT = RemoteKind.LEAD, RemoteKind.CONTACT
_NAMES = ("Luz", "Ñusta Quispe", "", "Taller de ajedrez", "x" * 300, "👩‍👩‍👧‍👦", "O'Neil; --")
_PHONES = ("+51 987 654 321", "987654321", "01 444 1234", "'987-654-321", "no tiene", "00 51 9")

T = TypeVar("T")


class Storm:
    """Changes a book; the same seed changes it in the same way."""

    def __init__(self, book: RemoteBook, seed: int) -> None:
        self._book = book
        self._random = random.Random(seed)
        self._works: list[tuple[int, Callable[[], None]]] = [
            (4, self._add_lead),
            (3, self._add_contact),
            (6, self._edit_lead),
            (4, self._edit_contact),
            (3, self._tag),
            (3, self._link),
            (2, self._move_many),
            (2, self._delete),
            (1, self._restore),
            (1, self._purge),
            (1, self._merge),
            (1, self._rename),
        ]

    def settle(self, leads: int) -> None:
        """Let there be an account with some leads, and about as many people."""
        for at in range(2):
            self._book.add_pipeline(f"Embudo {at}", "Nuevo", "Contactado", "Propuesta")
            self._book.add_user(f"Vendedora {at}")
            for kind in RemoteKind:
                self._book.add_tag(kind, f"Etiqueta {at}")
                self._book.add_field(kind, f"Campo {at}")
        for _ in range(leads):
            self._add_contact()
            self._add_lead()

    def blow(self, changes: int) -> None:
        """Change some things."""
        weights, works = zip(*self._works, strict=True)
        for work in self._random.choices(works, weights, k=changes):
            work()

    def _one(self, some: list[T]) -> T | None:
        return self._random.choice(some) if some else None

    def _ids(self, kind: RemoteKind) -> list[KommoId]:
        return list(self._book.real[kind])

    def _add_lead(self) -> None:
        self._book.add_lead(**self._lead_values())

    def _add_contact(self) -> None:
        self._book.add_contact(**self._contact_values())

    def _lead_values(self) -> dict[str, Any]:
        pipeline = self._random.choice(self._book.pipelines)
        stage = self._random.choice(pipeline.stages[1:])
        return {
            "name": self._random.choice(_NAMES),
            "price": self._random.choice([None, Decimal(0), Decimal(350), Decimal("99.5")]),
            "pipeline_id": pipeline.id,
            "stage_id": stage.id,
            "responsible_id": self._random.choice([None, self._book.users[0].id]),
            "contacts": self._links(),
            "tags": self._tags(_LEAD),
            "fields": self._fields(_LEAD),
        }

    def _contact_values(self) -> dict[str, Any]:
        phones = self._random.sample(_PHONES, self._random.randrange(3))
        return {
            "name": self._random.choice(_NAMES),
            "phones": [RemoteReach(text=text, label="MOB") for text in phones],
            "emails": [RemoteReach(text="luz@example.com")] * self._random.randrange(2),
            "tags": self._tags(_CONTACT),
        }

    def _links(self) -> list[RemoteLink]:
        people = self._ids(_CONTACT)
        some = self._random.sample(people, min(len(people), self._random.randrange(3)))
        return [RemoteLink(contact_id=id, is_main=at == 0) for at, id in enumerate(some)]

    def _tags(self, kind: RemoteKind) -> list[Any]:
        tags = self._book.tags[kind]
        return self._random.sample(tags, self._random.randrange(len(tags) + 1))

    def _fields(self, kind: RemoteKind) -> list[RemoteValues]:
        return [
            RemoteValues(field_id=one.id, name=one.name, type=one.type, values=["sí"])
            for one in self._book.fields[kind]
            if self._random.random() < 0.3
        ]

    def _edit_lead(self) -> None:
        self._edit(_LEAD, self._lead_values())

    def _edit_contact(self) -> None:
        self._edit(_CONTACT, self._contact_values())

    def _edit(self, kind: RemoteKind, values: dict[str, Any]) -> None:
        if id := self._one(self._ids(kind)):
            some = self._random.sample(sorted(values), self._random.randrange(1, len(values)))
            self._book.change(kind, id, **{name: values[name] for name in some})

    def _tag(self) -> None:
        """Tag something without a word in `updated_at`."""
        kind = self._random.choice([_LEAD, _CONTACT])
        if id := self._one(self._ids(kind)):
            self._book.change(kind, id, is_quiet=True, tags=self._tags(kind))

    def _link(self) -> None:
        if id := self._one(self._ids(_LEAD)):
            self._book.change(_LEAD, id, is_quiet=True, contacts=self._links())

    def _move_many(self) -> None:
        """Move half of the leads in one second."""
        ids = self._ids(_LEAD)
        places = self._lead_values()
        for id in self._random.sample(ids, len(ids) // 2):
            where = {name: places[name] for name in ("pipeline_id", "stage_id")}
            self._book.change(_LEAD, id, **where)

    def _delete(self) -> None:
        kind = self._random.choice([_LEAD, _CONTACT])
        if id := self._one(self._ids(kind)):
            self._book.delete(kind, id)

    def _restore(self) -> None:
        kind = self._random.choice([_LEAD, _CONTACT])
        if id := self._one(list(self._book.bin[kind])):
            self._book.restore(kind, id)

    def _purge(self) -> None:
        kind = self._random.choice([_LEAD, _CONTACT])
        if id := self._one(list(self._book.bin[kind])):
            self._book.purge(kind, id)

    def _merge(self) -> None:
        kind = self._random.choice([_LEAD, _CONTACT])
        if len(ids := self._ids(kind)) > 1:
            self._book.merge(kind, *self._random.sample(ids, 2))

    def _rename(self) -> None:
        """Rename a tag everywhere, without a word anywhere."""
        kind = self._random.choice([_LEAD, _CONTACT])
        self._book.rename_tag(self._book.tags[kind][0].id, f"Etiqueta {self._random.random()}")


def content(book: RemoteBook) -> dict[RemoteKind, dict[KommoId, RemoteLead | RemoteContact]]:
    """Return what a mirror has to show in the end."""
    return {kind: dict(book.real[kind]) for kind in RemoteKind}
