"""A screen that loads once and then only listens shows what a fresh load would show (R5)."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from copy import deepcopy
from itertools import pairwise
from typing import Any, get_args

from clarin_core.domain.devices import PairingCode
from clarin_core.domain.events import Event
from clarin_core.domain.ids import AccountId, DeviceId, MediaId, MessageId
from clarin_core.domain.inbound import (
    EditSeen,
    Inbound,
    MediaOffer,
    Peer,
    PeerSeen,
    ReactionSeen,
    RevokeSeen,
    VoteSeen,
)
from clarin_core.domain.inbox_events import (
    ContactsSynced,
    DeviceCodeShown,
    MediaChanged,
    status_changed,
)
from clarin_core.domain.jid import Identity
from clarin_core.domain.media import Kept, MediaType
from clarin_core.domain.messages import MessageKind, MessageStatus, Poll
from clarin_core.domain.outbox import OutboxKind
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.remote import RemoteLink, RemoteReach
from clarin_core.ports.messaging import SentAs
from clarin_core.ports.transaction import Transaction
from clarin_core.testing.tenants import lid
from clarin_core.usecases.sending import SendingUseCases
from support.board import Board
from support.screen import live_screen, run
from support.serving import House, mirror_kommo, now, serving
from support.shelf import Shelf
from support.talk import ANA, EVA, Ear, at, receipt, said

MAR = Peer(identity=Identity.of_phone(PhoneNumber("+51987444555")))
IDA = Peer(identity=Identity.of_phone(PhoneNumber("+51911222333")))
HIDDEN = Peer(identity=lid("77"))

Step = Callable[[House], Awaitable[Any]]


def test_the_state_and_the_frames_after_it_are_the_later_state() -> None:
    """R5: from every moment of a history that has every kind of event, to the next and the last."""

    async def story() -> None:
        async with serving() as house, live_screen(house.ana) as ana:
            boards = [await Board.load(house.ana)]
            for step in HISTORY:
                await step(house)
                boards.append(await Board.load(house.ana))
            frames = await ana.until(boards[-1].seqs["lead"])
            for before, after in pairwise(boards):
                assert deepcopy(before).follow(frames, after) == after.rows
            for board in boards:
                assert board.follow(frames, boards[-1]) == boards[-1].rows
            page = await house.ana.get("/api/events/stream", limit=1000)
            told = {recorded["event"]["name"] for recorded in page["data"]}
            assert told == {kind.__struct_config__.tag for kind in get_args(Event)}

    run(story())


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


def within(house: House) -> AbstractAsyncContextManager[Transaction]:
    """Open a transaction for what no request and no device does."""
    return house.services.storage.begin(AccountId(house.ana.account_id))


async def show_code(house: House) -> None:
    """Let a device show its code, as whoever runs it does."""
    code = PairingCode(device_id=DeviceId(1), code="2@x", is_qr=True, expires_at=now())
    async with within(house) as tx:
        tx.emit(DeviceCodeShown(code=code))
        tx.emit(ContactsSynced(device_id=DeviceId(1), count=3))


async def fetch_file(house: House) -> None:
    """Have the bytes of a message's file, as whoever fetches them does."""
    async with within(house) as tx:
        media = await tx.media.get(MediaId(1))
        media.store(kept=Kept(media.type, media.mimetype, 7, "0" * 64), at=now())
        await tx.media.save(media)
        tx.emit(MediaChanged(media=media))


def doubt(key: int) -> Step:
    """Return a step after which nobody knows what became of a message."""

    async def step(house: House) -> None:
        async with within(house) as tx:
            message = await tx.messages.get(MessageId(key))
            message.end(MessageStatus.UNKNOWN, "nobody knows", at=now())
            await tx.messages.save([message])
            tx.emit(status_changed([message], []))

    return step


@asynccontextmanager
async def second_device(house: House) -> AsyncIterator[Ear]:
    """Have the second device for a while."""
    services, account_id = house.services, AccountId(house.ana.account_id)
    found = await Ear.of(services.storage, account_id, DeviceId(2), clock=services.clock)
    yield found
    await services.storage.leases.release(found.lease)


def hear(*heard: Inbound) -> Step:
    """Return a step in which the second device hears something."""

    async def step(house: House) -> None:
        async with second_device(house) as ear:
            await ear.hear(heard)

    return step


async def deliver(house: House) -> None:
    """Let the second device do what waits; WhatsApp names a message by its errand."""
    sending = SendingUseCases(house.services.storage, now)
    async with second_device(house) as ear:
        while errand := await sending.begin(ear.lease, wa_message_id=None):
            is_message = errand.item.kind is OutboxKind.SEND
            name = f"OURS{errand.item.message_id}"
            sent = SentAs(wa_message_id=name, at=now()) if is_message else None
            await sending.done(ear.lease, errand.item, sent)


def post(path: str, **body: Any) -> Step:
    """Return a step that posts."""
    return lambda house: house.ana.post(f"/api{path}", **body)


def put(path: str, **body: Any) -> Step:
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
PEOPLE: list[Step] = [
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
]
# All in chat 1; what is said from here waits until `deliver`.
MESSAGES: list[Step] = [
    post("/leads", name="Mar", phone="987444555"),
    post("/messages/send", device_id=2, to="987444555", body="hola"),
    post("/messages/edit", message_id=1, body="buenas"),
    post("/messages/send", chat_id=1, body="¿estás?"),
    post("/messages/delete", message_id=2),
    post("/messages/poll", chat_id=1, question="¿Cuándo?", options=["hoy", "ya"]),
    hear(
        said(MAR, "PHOTO", 1, kind=MessageKind.IMAGE, media=MediaOffer(
            type=MediaType.IMAGE, mimetype="image/png", source=b"?"
        )),
        said(MAR, "POLL", 2, is_from_me=True, kind=MessageKind.POLL, poll=Poll(
            options=["sí", "no"], selectable=1
        )),
    ),
    post("/messages/send", chat_id=1, body="sí", quoted_message_id=4),
    post("/messages/forward", message_id=3, chat_ids=[1]),
    doubt(3),
    post("/messages/3/give-up"),
    post("/messages/3/retry"),
    fetch_file,
    hear(receipt(MAR, MessageStatus.READ, "POLL")),
    hear(ReactionSeen(chat=MAR, wa_message_id="PHOTO", sender=MAR, emoji="👍", at=at(3))),
    hear(VoteSeen(chat=MAR, wa_message_id="POLL", voter=MAR, options=["sí"], at=at(3))),
    hear(EditSeen(chat=MAR, wa_message_id="PHOTO", body="mira bien", at=at(4))),
    hear(RevokeSeen(chat=MAR, wa_message_id="PHOTO", at=at(5))),
    doubt(6),
    hear(said(MAR, "ECHO", 6, is_from_me=True, body="sí")),
]  # fmt: skip
CHATS: list[Step] = [
    hear(said(ANA, "A", 1), said(EVA, "B", 2)),
    post("/chats/new", device_id=2, phone="911222333", initial_message="hola"),
    deliver,
    hear(receipt(IDA, MessageStatus.READ, "OURS10"), said(IDA, "C", 3, is_from_me=True)),
    post("/chats/2/read"),
    lambda house: house.ana.put(
        "/api/chats/2", name="La vecina", is_pinned=True, assigned_to=house.beto.user_id
    ),
    post("/tags/assign", **tag("chat", 2, 1)),
    post("/tags/assign", **tag("chat", 3, 1)),
    post("/tags/remove", **tag("chat", 2, 1)),
    hear(EditSeen(chat=ANA, wa_message_id="A", body="dice otra cosa", at=at(4))),
    hear(said(ANA, "D", 5), said(EVA, "E", 5), said(ANA, "F", 6)),
    hear(RevokeSeen(chat=ANA, wa_message_id="F", at=at(7))),
    hear(ReactionSeen(chat=ANA, wa_message_id="A", sender=ANA, emoji="👍", at=at(8))),
    hear(said(ANA, "P", 8, kind=MessageKind.POLL, poll=Poll(options=["a", "b"], selectable=1))),
    hear(VoteSeen(chat=ANA, wa_message_id="P", voter=ANA, options=["?"], at=at(9))),
    put("/chats/3", is_archived=True),
    hear(said(HIDDEN, "E", 5), said(HIDDEN, "G", 10)),
    post("/tags", name="frío"),
    post("/tags/assign", **tag("chat", 5, 3)),
    hear(PeerSeen(chat=Peer(identity=HIDDEN.identity, other=EVA.identity))),
    lambda house: drop(house, "/chats/2"),
    hear(said(ANA, "H", 11)),
    lambda house: drop(house, "/chats/batch", json={"ids": [3, 4]}),
    post("/chats/new", device_id=2, phone="911222333"),
]
ACCOUNT: list[Step] = [
    put("/settings/account", name="Luz y Mar"),
    lambda house: house.ana.post(
        f"/api/admin/users/{house.beto.user_id}/accounts",
        account_id=house.ana.account_id,
        role="admin",
    ),
    upload,
]
HISTORY = [*PEOPLE, *MESSAGES, *CHATS, *ACCOUNT]
