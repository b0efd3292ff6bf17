"""People who change a CRM while it is read: everything that can happen to leads and contacts.

Many changes share a second; some are quiet: nothing of them is in `updated_at`.
"""

import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from clarin_core.domain.ids import KommoId
from clarin_core.domain.remote import RemoteKind, RemoteLink, RemoteReach, RemoteValues
from clarin_memory import RemoteBook

LEAD, CONTACT = RemoteKind.LEAD, RemoteKind.CONTACT
PHONES = ("987 654 321", "+51 987 654 322", "'987-654-323", "00 51 9", "nada", "01 444 1234")
NAMES = ("Ana Quispe", "Luz", "  Ñusta  Mamani ", "", "José\u00a0Pérez", "👩‍👩‍👧‍👦", "O'Neil; --")
TAGS = ("VIP", "vip ", "frío", "Mayorista", "de lunes a viernes")


class Storm:
    """Changes an account of a CRM at random; the same seed gives the same storm."""

    def __init__(self, book: RemoteBook, seed: int) -> None:
        self.book = book
        self.chance = random.Random(seed)
        self.tags = {kind: [book.add_tag(kind, name) for name in TAGS] for kind in RemoteKind}
        self.count = 0

    def rage(self, times: int = 1) -> None:
        """Let some things happen."""
        for _ in range(times):
            self.count += 1
            self.chance.choice(DEEDS)(self)

    def one(self, kind: RemoteKind) -> KommoId | None:
        """Return somebody who is there."""
        known = sorted(self.book.real[kind])
        return self.chance.choice(known) if known else None

    def change(self, kind: RemoteKind, **values: Any) -> None:
        if (one := self.one(kind)) is not None:
            self.book.change(kind, one, **values)

    def add_lead(self) -> None:
        self.book.add_lead(
            name=self.chance.choice(NAMES), price=Decimal(self.chance.randrange(5000)) / 4,
            tags=self.some_tags(LEAD), contacts=self.some_people(), fields=self.some_fields(),
            **self.place(),
        )  # fmt: skip

    def add_contact(self) -> None:
        self.book.add_contact(
            name=self.chance.choice(NAMES), phones=self.some_phones(),
            tags=self.some_tags(CONTACT),
        )  # fmt: skip

    def rename(self) -> None:
        self.change(self.chance.choice([LEAD, CONTACT]), name=self.chance.choice(NAMES))

    def fill_in(self) -> None:
        responsible = self.chance.choice([None, *(one.id for one in self.book.users)])
        self.change(LEAD, fields=self.some_fields(), responsible_id=responsible)

    def move(self) -> None:
        self.change(LEAD, **self.place())

    def price(self) -> None:
        self.change(LEAD, price=self.chance.choice([None, Decimal(7), Decimal("0.5")]))

    def tag(self) -> None:
        kind = self.chance.choice([LEAD, CONTACT])
        self.change(kind, tags=self.some_tags(kind), is_quiet=self.chance.random() < 0.5)

    def link(self) -> None:
        self.change(LEAD, contacts=self.some_people(), is_quiet=self.chance.random() < 0.5)

    def phone(self) -> None:
        self.change(CONTACT, phones=self.some_phones(), emails=self.some_emails())

    def bulk(self) -> None:
        """Change many in one second, as a bulk action does."""
        place = self.place()
        for one in self.chance.sample(
            sorted(self.book.real[LEAD]), k=len(self.book.real[LEAD]) // 2
        ):
            self.book.change(LEAD, one, **place)

    def delete(self) -> None:
        kind = self.chance.choice([LEAD, CONTACT])
        if (one := self.one(kind)) is not None:
            self.book.delete(kind, one)

    def restore(self) -> None:
        kind = self.chance.choice([LEAD, CONTACT])
        if thrown := sorted(self.book.bin[kind]):
            self.book.restore(kind, self.chance.choice(thrown))

    def purge(self) -> None:
        kind = self.chance.choice([LEAD, CONTACT])
        if thrown := sorted(self.book.bin[kind]):
            self.book.purge(kind, self.chance.choice(thrown))

    def merge(self) -> None:
        kind = self.chance.choice([LEAD, CONTACT])
        known = sorted(self.book.real[kind])
        if len(known) > 2:
            keep, gone = self.chance.sample(known, k=2)
            self.book.merge(kind, keep, gone)

    def rename_tag(self) -> None:
        kind = self.chance.choice([LEAD, CONTACT])
        renamed = self.chance.choice(self.book.tags[kind])
        self.book.rename_tag(renamed.id, f"Etiqueta {self.chance.randrange(99)}")
        self.tags = {one: self.book.tags[one] for one in RemoteKind}

    def place(self) -> dict[str, Any]:
        pipeline = self.chance.choice(self.book.pipelines)
        stage = self.chance.choice(pipeline.stages[1:])
        return {"pipeline_id": pipeline.id, "stage_id": stage.id}

    def some_tags(self, kind: RemoteKind) -> list[Any]:
        return self.chance.sample(self.tags[kind], k=self.chance.randrange(3))

    def some_phones(self) -> list[RemoteReach]:
        return [
            RemoteReach(text=one) for one in self.chance.sample(PHONES, k=self.chance.randrange(3))
        ]

    def some_emails(self) -> list[RemoteReach]:
        texts = ("ana@example.com", "no es un correo", "LUZ@example.com")
        return [
            RemoteReach(text=one) for one in self.chance.sample(texts, k=self.chance.randrange(2))
        ]

    def some_fields(self) -> list[RemoteValues]:
        return [
            RemoteValues(field_id=one.id, name=one.name, type=one.type, values=["sí"])
            for one in self.book.fields[LEAD]
            if self.chance.random() < 0.3
        ]

    def some_people(self) -> list[RemoteLink]:
        known = sorted(self.book.real[CONTACT])
        found = self.chance.sample(known, k=min(len(known), self.chance.randrange(3)))
        main = self.chance.choice(found) if found else None
        return [RemoteLink(contact_id=one, is_main=one == main) for one in found]


DEEDS: tuple[Callable[[Storm], None], ...] = (
    Storm.add_lead, Storm.add_lead, Storm.add_lead, Storm.add_contact, Storm.add_contact,
    Storm.rename, Storm.fill_in, Storm.move, Storm.move, Storm.price, Storm.tag, Storm.tag,
    Storm.link, Storm.link, Storm.phone, Storm.bulk, Storm.delete, Storm.restore, Storm.purge,
    Storm.merge, Storm.rename_tag,
)  # fmt: skip
