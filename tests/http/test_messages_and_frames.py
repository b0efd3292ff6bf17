"""A screen that loads once and then only listens shows what a fresh load would show (R5)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from clarin_core.domain.devices import DeviceKey, PairingCode
from clarin_core.domain.ids import AccountId, DeviceId, MediaId, MessageId
from clarin_core.domain.inbound import (
    EditSeen,
    Inbound,
    MediaOffer,
    MessageSeen,
    Peer,
    ReactionSeen,
    ReceiptSeen,
    RevokeSeen,
    VoteSeen,
)
from clarin_core.domain.inbox_events import DeviceCodeShown, MediaChanged, status_changed
from clarin_core.domain.jid import Identity
from clarin_core.domain.media import Kept, MediaType
from clarin_core.domain.messages import MessageKind, MessageStatus, Poll
from clarin_core.domain.phone import PhoneNumber
from clarin_core.usecases.inbox import InboxUseCases
from clarin_security import system_random
from support.screen import Frame, live_screen, run
from support.serving import House, Person, now, serving
from support.shown_messages import ABOUT_MESSAGES, follow, load_messages

Rows = dict[int, dict[str, Any]]

NOUNS = {
    "lead": "leads", "contact": "contacts", "tag": "tags", "pipeline": "pipelines",
    "quick_reply": "quick-replies", "device": "devices",
}  # fmt: skip
OF_OTHERS = {"tags", "stage_name"}
OF_THE_CONTACT = {"phone", "email", "company", "last_name", "short_name", "age", "contact_name"}


@dataclass
class Board:
    """What a screen shows: each noun's rows, and the number up to which they are known."""

    rows: dict[str, Rows]
    seqs: dict[str, int]

    def hear(self, frame: Frame, fresh: "Board") -> None:
        """Follow one frame; what it does not carry is fetched, and so is `fresh`."""
        noun = noun_of(frame)
        if noun is None or frame["seq"] <= self.seqs[noun]:
            return
        if noun == "message":
            follow(self.rows[noun], frame, fresh.rows[noun])
        else:
            self._follow(noun, frame, fresh)

    def _follow(self, noun: str, frame: Frame, fresh: "Board") -> None:
        data = frame["data"]
        if frame["event"] == "device_status":
            data = data | {"action": "updated", "id": data["device_id"]}
        for key in data.get("merged_ids", []):
            self.rows[noun].pop(key, None)
        for key in data.get("ids") or [data["id"]]:
            self._change(noun, key, data, fresh)
        if (noun, data["action"]) == ("tag", "deleted"):
            for other in ("lead", "contact"):
                for row in self.rows[other].values():
                    row["tag_ids"] = row["tag_ids"] - {data["id"]}

    def _change(self, noun: str, key: int, data: dict[str, Any], fresh: "Board") -> None:
        rows, action = self.rows[noun], data["action"]
        known = rows.get(key, {})
        if action == "deleted":
            rows.pop(key, None)
        elif action == "tagged" and key in rows:
            known["tag_ids"] = known["tag_ids"] | set(data["tag_ids"])
        elif action == "untagged" and key in rows:
            known["tag_ids"] = known["tag_ids"] - set(data["tag_ids"])
        elif action in ("created", "updated", "moved", "merged") and noun in data:
            rows[key] = shown(data[noun]) | {"tag_ids": known.get("tag_ids", frozenset())}
        elif key in fresh.rows[noun]:
            rows[key] = dict(fresh.rows[noun][key])


def test_the_state_and_the_frames_after_it_are_the_later_state() -> None:
    """R5: from every moment of a history that has every kind of event."""

    async def story() -> None:
        async with serving() as house, live_screen(house.ana) as ana:
            boards = [await load(house.ana)]
            for step in STEPS:
                await step(house)
                boards.append(await load(house.ana))
            frames = await ana.until(boards[-1].seqs["lead"])
            for board in boards:
                for frame in frames:
                    board.hear(frame, boards[-1])
                assert board.rows == boards[-1].rows
            page = await house.ana.get("/api/events/stream", limit=1000)
            told = {recorded["event"]["name"] for recorded in page["data"]}
            assert MediaChanged.__struct_config__.tag in told

    run(story())


def noun_of(frame: Frame) -> str | None:
    """Return what a frame is about, None for what no screen of these shows."""
    if frame["event"] in ABOUT_MESSAGES:
        return "message"
    noun: str = frame["event"].removesuffix("_update").removesuffix("_status")
    return noun if noun in NOUNS else None


async def load(person: Person) -> Board:
    """Return what a screen gets when it loads; each list has its own place in the log."""
    board = Board({}, {})
    for noun, path in NOUNS.items():
        answer = await person.ask("GET", f"/api/{path}", params={"limit": 200})
        board.seqs[noun] = int(answer.headers["clarin-seq"])
        board.rows[noun] = {row["id"]: shown(row) for row in answer.json()["data"]}
    board.seqs["message"] = board.seqs["lead"]
    board.rows["message"] = await load_messages(person)
    return board


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row without what other rows say: names of tags and stages, the contact's fields."""
    others = OF_OTHERS | (OF_THE_CONTACT if "status" in row else set())
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


def hear(*heard: Inbound) -> Callable[[House], Awaitable[None]]:
    """Return a step in which a device hears something."""

    async def step(house: House) -> None:
        storage = house.services.storage
        key = DeviceKey(account_id=AccountId(house.ana.account_id), device_id=DeviceId(2))
        lease = await storage.leases.lease(key, "node", timedelta(hours=1))
        assert lease is not None
        inbox = InboxUseCases(storage, now, system_random)
        await inbox.receive(lease, heard)
        await storage.leases.release(lease)

    return step


async def fetch_file(house: House) -> None:
    """Have the bytes of a message's file, as whoever fetches them does."""
    async with house.services.storage.begin(AccountId(house.ana.account_id)) as tx:
        media = await tx.media.get(MediaId(1))
        media.store(kept=Kept(media.type, media.mimetype, 7, "0" * 64), at=now())
        await tx.media.save(media)
        tx.emit(MediaChanged(media=media))


def doubt(key: int) -> Callable[[House], Awaitable[None]]:
    """Return a step after which nobody knows what became of a message."""

    async def step(house: House) -> None:
        async with house.services.storage.begin(AccountId(house.ana.account_id)) as tx:
            message = await tx.messages.get(MessageId(key))
            message.end(MessageStatus.UNKNOWN, "nobody knows", at=now())
            await tx.messages.save([message])
            tx.emit(status_changed([message], []))

    return step


def post(path: str, **body: Any) -> Callable[[House], Awaitable[Any]]:
    """Return a step that posts."""
    return lambda house: house.ana.post(f"/api{path}", **body)


def put(path: str, **body: Any) -> Callable[[House], Awaitable[Any]]:
    """Return a step that puts."""
    return lambda house: house.ana.put(f"/api{path}", **body)


def tag(kind: str, key: int, tag_id: int) -> dict[str, Any]:
    """Return who gets or loses a tag."""
    return {"entity_type": kind, "entity_id": key, "tag_id": tag_id}


EVA = Peer(identity=Identity.of_phone(PhoneNumber("+51987444555")))
PHOTO = MessageSeen(
    chat=EVA, wa_message_id="PHOTO", is_from_me=False, sender=EVA, kind=MessageKind.IMAGE,
    body="mira", sent_at=now(),
    media=MediaOffer(type=MediaType.IMAGE, mimetype="image/png", source=b"?"),
)  # fmt: skip
POLL = MessageSeen(
    chat=EVA, wa_message_id="POLL", is_from_me=True, kind=MessageKind.POLL, body="¿Vienes?",
    sent_at=now(), poll=Poll(options=["sí", "no"], selectable=1),
)  # fmt: skip
ECHO = MessageSeen(
    chat=EVA, wa_message_id="ECHO", is_from_me=True, kind=MessageKind.TEXT, body="sí",
    sent_at=now(),
)  # fmt: skip

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
    post("/leads", name="Eva", phone="987444555"),
    post("/messages/send", device_id=2, to="987444555", body="hola"),
    post("/messages/edit", message_id=1, body="buenas"),
    post("/messages/send", chat_id=1, body="¿estás?"),
    post("/messages/delete", message_id=2),
    post("/messages/poll", chat_id=1, question="¿Cuándo?", options=["hoy", "ya"]),
    hear(PHOTO, POLL),
    post("/messages/send", chat_id=1, body="sí", quoted_message_id=4),
    post("/messages/forward", message_id=3, chat_ids=[1]),
    doubt(3),
    post("/messages/3/give-up"),
    post("/messages/3/retry"),
    fetch_file,
    hear(ReceiptSeen(chat=EVA, wa_message_ids=["POLL"], status=MessageStatus.READ, at=now())),
    hear(ReactionSeen(chat=EVA, wa_message_id="PHOTO", sender=EVA, emoji="👍", at=now())),
    hear(VoteSeen(chat=EVA, wa_message_id="POLL", voter=EVA, options=["sí"], at=now())),
    hear(EditSeen(chat=EVA, wa_message_id="PHOTO", body="mira bien", at=now())),
    hear(RevokeSeen(chat=EVA, wa_message_id="PHOTO", at=now())),
    doubt(6),
    hear(ECHO),
    put("/settings/account", name="Luz y Mar"),
    lambda house: house.ana.post(
        f"/api/admin/users/{house.beto.user_id}/accounts",
        account_id=house.ana.account_id,
        role="admin",
    ),
    upload,
]
