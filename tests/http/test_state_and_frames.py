"""A screen that loads once and then only listens shows what a fresh load would show (R5)."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, get_args

from clarin_core.domain.devices import PairingCode
from clarin_core.domain.events import Event
from clarin_core.domain.ids import AccountId, DeviceId
from clarin_core.domain.inbound import (
    EditSeen,
    Inbound,
    Peer,
    PeerSeen,
    ReactionSeen,
    RevokeSeen,
    VoteSeen,
)
from clarin_core.domain.inbox_events import ContactsSynced, DeviceCodeShown, MediaChanged
from clarin_core.domain.jid import Identity
from clarin_core.domain.messages import MessageKind, MessageStatus, Poll
from clarin_core.domain.outbox import OutboxKind
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.remote import RemoteLink, RemoteReach
from clarin_core.ports.messaging import SentAs
from clarin_core.testing.tenants import lid
from clarin_core.usecases.sending import SendingUseCases
from support.screen import Frame, live_screen, run
from support.serving import House, Person, mirror_kommo, now, serving
from support.shelf import Shelf
from support.talk import ANA, EVA, Ear, at, receipt, said

IDA = Peer(identity=Identity.of_phone(PhoneNumber("+51911222333")))
HIDDEN = Peer(identity=lid("77"))

Rows = dict[int, dict[str, Any]]

NOUNS = {
    "lead": "leads", "contact": "contacts", "tag": "tags", "pipeline": "pipelines",
    "quick_reply": "quick-replies", "device": "devices", "chat": "chats",
}  # fmt: skip
UNSEEN = {MediaChanged.__struct_config__.tag}
"""The event of files; the history of messages has it."""
OF_OTHERS = {"tags", "stage_name", "display_name", "avatar_url"}
OF_THE_CONTACT = {"phone", "email", "company", "last_name", "short_name", "age", "contact_name"}


@dataclass
class Board:
    """What a screen shows: each noun's rows, and the number up to which they are known."""

    rows: dict[str, Rows]
    seqs: dict[str, int]

    def follow(self, frames: list[Frame], later: "Board") -> None:
        """Hear all frames up to a later board, which must then be this one."""
        for frame in frames:
            if frame["seq"] > max(later.seqs.values()):
                break
            self.hear(frame, later)
            if frame["event"] in ("new_message", "message_sent"):
                self.hear_messages(frame, later)
        assert self.rows == later.rows

    def hear(self, frame: Frame, fresh: "Board") -> None:
        """Follow one frame; what it does not carry is fetched, and so is `fresh`."""
        noun = frame["event"].removesuffix("_update").removesuffix("_status")
        if noun not in NOUNS or frame["seq"] <= self.seqs[noun]:
            return
        data = frame["data"]
        if frame["event"] == "device_status":
            data = data | {"action": "updated", "id": data["device_id"]}
        for key in data.get("merged_ids", []):
            self.rows[noun].pop(key, None)
        for key in data.get("ids") or [data["id"]]:
            self._change(noun, key, data, fresh)
        if (noun, data["action"]) == ("tag", "deleted"):
            self._forget_tag(data["id"])

    def _forget_tag(self, tag_id: int) -> None:
        for noun in ("lead", "contact", "chat"):
            for row in self.rows[noun].values():
                row["tag_ids"] = row["tag_ids"] - {tag_id}

    def hear_messages(self, frame: Frame, fresh: "Board") -> None:
        """Show chats as they are after their new messages."""
        if frame["seq"] <= self.seqs["chat"]:
            return
        for news in frame["data"].get("messages", [frame["data"]]):
            if "chat" in news:
                self._change("chat", news["chat_id"], news | {"action": "updated"}, fresh)

    def _unite(self, gone: int, data: dict[str, Any]) -> None:
        """Show a chat with what another one had."""
        rows, key = self.rows["chat"], data["merged_into"]
        known = [rows.pop(one, {}) for one in (gone, key)]
        tag_ids = frozenset().union(*(row.get("tag_ids", ()) for row in known))
        rows[key] = shown(data["chat"]) | {"tag_ids": tag_ids}

    def _change(self, noun: str, key: int, data: dict[str, Any], fresh: "Board") -> None:
        rows, action = self.rows[noun], data["action"]
        known = rows.get(key, {})
        if action == "deleted":
            rows.pop(key, None)
        elif noun == "chat" and action == "merged":
            self._unite(key, data)
        elif noun == "chat" and key not in rows and key in fresh.rows[noun]:
            rows[key] = dict(fresh.rows[noun][key])  # Its frames do not say whom it is with.
        elif action == "tagged" and key in rows:
            known["tag_ids"] = known["tag_ids"] | set(data["tag_ids"])
        elif action == "untagged" and key in rows:
            known["tag_ids"] = known["tag_ids"] - set(data["tag_ids"])
        elif action in ("created", "updated", "moved", "merged") and noun in data:
            rows[key] = shown(data[noun]) | {"tag_ids": known.get("tag_ids", frozenset())}
        elif key in fresh.rows[noun]:
            rows[key] = dict(fresh.rows[noun][key])


def test_the_state_and_the_frames_after_it_are_the_later_state() -> None:
    """R5: from every moment of a history that has every kind of event, to the next and the last."""

    async def story() -> None:
        async with serving() as house, live_screen(house.ana) as ana:
            boards = [await load(house.ana)]
            for step in STEPS:
                await step(house)
                boards.append(await load(house.ana))
            frames = await ana.until(boards[-1].seqs["lead"])
            for before, after in pairwise(boards):
                deepcopy(before).follow(frames, after)
            for board in boards:
                board.follow(frames, boards[-1])
            page = await house.ana.get("/api/events/stream", limit=1000)
            told = {recorded["event"]["name"] for recorded in page["data"]}
            assert told == {kind.__struct_config__.tag for kind in get_args(Event)} - UNSEEN

    run(story())


async def load(person: Person) -> Board:
    """Return what a screen gets when it loads; each list has its own place in the log."""
    board = Board({}, {})
    for noun, path in NOUNS.items():
        answer = await person.ask("GET", f"/api/{path}", params={"limit": 200})
        board.seqs[noun] = int(answer.headers["clarin-seq"])
        rows = answer.json()["data"]
        if noun == "chat":
            rows += (await person.get("/api/chats", limit=200, archived=True))["data"]
        board.rows[noun] = {row["id"]: shown(row) for row in rows}
    return board


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row without what other rows say: names of tags and stages, the contact's fields."""
    others = OF_OTHERS | (OF_THE_CONTACT if "status" in row else set())
    if row.get("source") == "whatsapp":
        others = others | {"name"}  # A lead that opened itself has none of its own.
    own = {key: value for key, value in row.items() if key not in others}
    return own | {"tag_ids": frozenset(row.get("tag_ids", ()))}


async def upload(house: House) -> None:
    """Import two people."""
    file = ("a.csv", b"nombre,telefono\nSol,987111222\nMar,987111333\n", "text/csv")
    answer = await house.ana.ask("POST", "/api/import/csv", files={"file": file})
    assert answer.is_success, answer.text
    while await house.services.imports.run_pending():
        pass


async def drop(house: House, path: str, **query: Any) -> None:
    """Delete what is there."""
    answer = await house.ana.ask("DELETE", f"/api{path}", **query)
    assert answer.is_success, answer.text


async def show_code(house: House) -> None:
    """Let a device show its code, as whoever runs it does."""
    code = PairingCode(device_id=DeviceId(1), code="2@x", is_qr=True, expires_at=now())
    async with house.services.storage.begin(AccountId(house.ana.account_id)) as tx:
        tx.emit(DeviceCodeShown(code=code))
        tx.emit(ContactsSynced(device_id=DeviceId(1), count=3))


@asynccontextmanager
async def second_device(house: House) -> AsyncIterator[Ear]:
    """Have the second device for a while."""
    services, account_id = house.services, AccountId(house.ana.account_id)
    found = await Ear.of(services.storage, account_id, DeviceId(2), clock=services.clock)
    yield found
    await services.storage.leases.release(found.lease)


def hear(*heard: Inbound) -> Callable[[House], Awaitable[Any]]:
    """Return a step in which the second device hears something."""

    async def step(house: House) -> None:
        async with second_device(house) as ear:
            await ear.hear(heard)

    return step


async def deliver(house: House) -> None:
    """Let the second device do what waits; a message is named by its errand."""
    sending = SendingUseCases(house.services.storage, now)
    async with second_device(house) as ear:
        while errand := await sending.begin(ear.lease, wa_message_id=None):
            is_message = errand.item.kind is OutboxKind.SEND
            sent = SentAs(wa_message_id="OURS", at=now()) if is_message else None
            await sending.done(ear.lease, errand.item, sent)


def post(path: str, **body: Any) -> Callable[[House], Awaitable[Any]]:
    """Return a step that posts."""
    return lambda house: house.ana.post(f"/api{path}", **body)


def put(path: str, **body: Any) -> Callable[[House], Awaitable[Any]]:
    """Return a step that puts."""
    return lambda house: house.ana.put(f"/api{path}", **body)


async def mirror_a_pipeline(house: House) -> None:
    """Connect a pipeline of Kommo; the lead and the contact that are there come."""
    crm = house.services.kommo.crm
    assert isinstance(crm, Shelf)
    ana = crm.book("acme").add_contact(name="Ana", phones=[RemoteReach(text="987000999")])
    crm.book("acme").add_lead(name="Nube", contacts=[RemoteLink(contact_id=ana)])
    (pipeline,) = await house.ana.get("/api/kommo/pipelines")
    await house.ana.post(f"/api/kommo/pipelines/{pipeline['kommo_id']}/connect")
    await mirror_kommo(house.ana)


def tag(kind: str, key: int, tag_id: int) -> dict[str, Any]:
    """Return who gets or loses a tag."""
    return {"entity_type": kind, "entity_id": key, "tag_id": tag_id}


# Memory gives ids from 1; the pipeline 2 and its six stages are those of the other account.
STEPS: list[Callable[[House], Awaitable[Any]]] = [
    post("/tags", name="vip"),
    post("/leads", name="Luz", phone="987654321", tags=["vip", "nuevo"]),
    post("/leads", name="Mar", value=100, currency="PEN"),
    put("/leads/1", name="Luz María", email="luz@ejemplo.pe"),
    put("/leads/2", phone="987000111", notes="llamar"),
    put("/leads/1", stage_id=2),
    put("/leads/2", status="won"),
    lambda house: house.ana.put("/api/leads/1", assigned_to=house.beto.user_id),
    post("/contacts", name="Sol", phone="987222333"),
    put("/contacts/1", company="Luz SAC"),
    post("/tags/assign", **tag("lead", 2, 1)),
    post("/tags/assign", **tag("contact", 3, 1)),
    post("/tags/remove", **tag("lead", 2, 1)),
    post("/tags/remove", **tag("contact", 3, 1)),
    post("/tags/assign", **tag("lead", 2, 2)),
    put("/tags/1", name="VIP!", color="#ff0000"),
    lambda house: drop(house, "/leads/2"),
    lambda house: drop(house, "/contacts/3"),
    post("/leads/2/restore"),
    post("/contacts/3/restore"),
    lambda house: drop(house, "/tags/2"),
    post("/pipelines", name="Cobranza", stages=[{"name": "Uno"}, {"name": "Dos"}]),
    put("/pipelines/1/stages/1", name="Recién llegados"),
    lambda house: drop(house, "/pipelines/1/stages/2", params={"move_to": 3}),
    put("/pipelines/3", is_default=True),
    post("/leads", name="Río", contact_id=3),
    lambda house: drop(house, "/pipelines/1", params={"move_to": 13}),
    lambda house: drop(house, "/leads/batch", json={"ids": [1, 3]}),
    post("/contacts", name="Sole", email="sol@ejemplo.pe"),
    post("/tags/assign", **tag("contact", 4, 1)),
    post("/leads", name="Lago", contact_id=4),
    post("/contacts/merge", keep_id=3, merge_ids=[4]),
    post("/quick-replies", shortcut="hola", title="Saludo", body="¡Hola!"),
    put("/quick-replies/1", body="¡Buenas!"),
    post("/quick-replies", shortcut="adiós", title="Adiós", body="¡Hasta luego!"),
    lambda house: drop(house, "/quick-replies/1"),
    post("/devices", name="Ventas"),
    put("/devices/1", name="Ventas Lima"),
    post("/devices/1/connect"),
    show_code,
    post("/devices", name="Cobranza"),
    lambda house: drop(house, "/devices/1"),
    put("/kommo/credentials", subdomain="acme", token="un-token"),
    mirror_a_pipeline,
    hear(said(ANA, "A", 1), said(EVA, "B", 2)),
    post("/chats/new", device_id=2, phone="911222333", initial_message="hola"),
    deliver,
    hear(receipt(IDA, MessageStatus.READ, "OURS"), said(IDA, "C", 3, is_from_me=True)),
    post("/chats/1/read"),
    lambda house: house.ana.put(
        "/api/chats/1", name="La vecina", is_pinned=True, assigned_to=house.beto.user_id
    ),
    post("/tags/assign", **tag("chat", 1, 1)),
    post("/tags/assign", **tag("chat", 2, 1)),
    post("/tags/remove", **tag("chat", 1, 1)),
    hear(EditSeen(chat=ANA, wa_message_id="A", body="dice otra cosa", at=at(4))),
    hear(said(ANA, "D", 5), said(EVA, "E", 5), said(ANA, "F", 6)),
    hear(RevokeSeen(chat=ANA, wa_message_id="F", at=at(7))),
    hear(ReactionSeen(chat=ANA, wa_message_id="A", sender=ANA, emoji="👍", at=at(8))),
    hear(said(ANA, "P", 8, kind=MessageKind.POLL, poll=Poll(options=["a", "b"], selectable=1))),
    hear(VoteSeen(chat=ANA, wa_message_id="P", voter=ANA, options=["?"], at=at(9))),
    put("/chats/2", is_archived=True),
    hear(said(HIDDEN, "G", 10)),
    post("/tags", name="frío"),
    post("/tags/assign", **tag("chat", 4, 3)),
    hear(PeerSeen(chat=Peer(identity=HIDDEN.identity, other=EVA.identity))),
    lambda house: drop(house, "/chats/1"),
    hear(said(ANA, "H", 11)),
    lambda house: drop(house, "/chats/batch", json={"ids": [2, 3]}),
    post("/chats/new", device_id=2, phone="911222333"),
    put("/settings/account", name="Luz y Mar"),
    lambda house: house.ana.post(
        f"/api/admin/users/{house.beto.user_id}/accounts",
        account_id=house.ana.account_id,
        role="admin",
    ),
    upload,
]
