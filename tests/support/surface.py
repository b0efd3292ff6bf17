"""The HTTP surface as data: its operations, what they take, and a request that succeeds."""

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NewType, get_args, get_origin

import httpx
import msgspec
from msgspec import Meta, Struct

from clarin_core.domain.ids import ID_MAX, ImportId, MessageId
from clarin_core.domain.paging import Page
from clarin_server.http.routes import ROWS
from clarin_server.http.rows import Row
from support.behind import become, connect
from support.examples import EXAMPLES, FRESH, csv_file, new_quick_reply, new_user
from support.said import BECOMING
from support.serving import House, Person, mirror_kommo, sign_in
from support.stocking import two_devices

_PLACEHOLDER = re.compile(r"<(\w+)>")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request names a record: `kind` is the type of the id."""

    where: str
    name: str
    kind: str
    is_list: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation; `row` is None for those that are written by hand."""

    method: str
    path: str
    row: Row | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_public(self) -> bool:
        return self.row is not None and self.row.is_public

    @property
    def is_repeatable(self) -> bool:
        """Whether an Idempotency-Key counts."""
        return self.row.is_repeatable if self.row else self.path.endswith("/csv")

    @property
    def takes_links(self) -> bool:
        """Whether a signed link is enough."""
        return self.path in ("/api/media/upload", "/api/media/file/<key>")

    @property
    def is_list(self) -> bool:
        """Whether it answers with a page."""
        return self.row is not None and get_origin(self.row.hints["return"]) is Page

    @property
    def input(self) -> type[Struct] | None:
        """Type of what the query or the body says."""
        return self.row.input[1] if self.row and self.row.input else None

    @property
    def where(self) -> str:
        """Where the input is."""
        return "query" if self.row and self.row.reads_query else "body"

    @property
    def in_path(self) -> list[str]:
        return _PLACEHOLDER.findall(self.path)

    @property
    def places(self) -> list[Place]:
        """Return all places that take an id."""
        hints = self.row.hints if self.row else {"import_id": ImportId, "key": str}
        in_path = [
            Place("path", name, kind)
            for name in self.in_path
            if (kind := "RecordId" if hints[name] is int else kind_of(hints[name]))
        ]
        fields = msgspec.structs.fields(self.input) if self.input else ()
        in_input = [
            Place(self.where, one.name, kind, is_list(one.type))
            for one in fields
            if (kind := kind_of(one.type))
        ]
        return in_path + in_input


class Request(Struct, frozen=True):
    """What is asked: placeholders of the path, query, JSON body, form."""

    method: str
    template: str
    path: Mapping[str, Any]
    query: Mapping[str, Any] = {}
    body: Mapping[str, Any] | None = None
    files: Mapping[str, Any] | None = None

    @property
    def url(self) -> str:
        return _PLACEHOLDER.sub(lambda found: str(self.path[found[1]]), self.template)

    @property
    def options(self) -> dict[str, Any]:
        """What httpx takes."""
        form = {"files": self.files} if self.files else {}
        body = {"json": self.body} if self.body is not None else {}
        return {"params": self.query, **form, **body}

    def at(self, name: str, text: str) -> "Request":
        """Return the request with another text in its path."""
        return msgspec.structs.replace(self, path={**self.path, name: text})

    def naming(self, place: Place, id_: int) -> "Request":
        """Return the request with another id in one place."""
        value = [id_] if place.is_list else id_
        changed = {**(getattr(self, place.where) or {}), place.name: value}
        if place.name == "device_id" and changed.pop("chat_id", None):
            changed["to"] = "987654321"  # Either a chat, or a phone from a device.
        if place.is_list and place.where == "query":
            changed[place.name] = str(id_)
        return msgspec.structs.replace(self, **{place.where: changed})


@dataclass(frozen=True, slots=True)
class Stock:
    """Records of one account, and by kind the ids that stand for them.

    A device that has chats cannot be removed, and so they are on another one.
    """

    ids: Mapping[str, int]
    key: str
    stages: list[int]
    other_stage: int
    other_contact: int
    other_message: int
    chat_device: int
    account: int


def kind_of(hint: Any) -> str | None:
    """Return the name of the id type in a type, None if there is no id in it."""
    if isinstance(hint, NewType):
        return hint.__name__ if hint.__name__.endswith("Id") else None
    if Meta(ge=1, le=ID_MAX) in get_args(hint):
        return "RecordId"
    return next(filter(None, map(kind_of, get_args(hint))), None)


def is_list(hint: Any) -> bool:
    """Return whether a type holds a list."""
    return get_origin(hint) in (list, tuple, frozenset) or any(map(is_list, get_args(hint)))


BY_HAND = (
    Operation("POST", "/api/import/csv"),
    Operation("POST", "/api/import/csv/preview"),
    Operation("GET", "/api/imports/<import_id>/rejects"),
    Operation("POST", "/api/media/upload"),
    Operation("GET", "/api/media/file/<key>"),
)
OPERATIONS = tuple(Operation(row.method, f"/api{row.path}", row) for row in ROWS) + BY_HAND
PUT_TOO = {one.path for one in OPERATIONS if one.method == "PUT"}
DISTINCT = tuple(one for one in OPERATIONS if one.method != "PATCH" or one.path not in PUT_TOO)
"""The same without those that do what a PUT of the path does."""
REPEATABLE = tuple(operation for operation in OPERATIONS if operation.is_repeatable)
PROTECTED = tuple(operation for operation in OPERATIONS if not operation.is_public)


def request(operation: Operation, stock: Stock) -> Request:
    """Return a request about the stock's records that an administrator may make."""
    path = {name: _in_path(operation, name, stock) for name in operation.in_path}
    if operation.row is None:
        files = {"file": ("gente.csv", csv_file(), "text/csv")}
        is_upload = operation.method == "POST"
        return Request(operation.method, operation.path, path, files=files if is_upload else None)
    asked = Request(operation.method, operation.path, path)
    if operation.input is None or operation.where == "query":
        return asked
    return msgspec.structs.replace(asked, body=EXAMPLES[operation.input](stock))


def _in_path(operation: Operation, name: str, stock: Stock) -> Any:
    kinds = {place.name: place.kind for place in operation.places if place.where == "path"}
    if name == "key":
        return stock.key
    return stock.ids[kinds[name]] if name in kinds else "lead"


async def stock_of(person: Person) -> Stock:
    """Fill an account: a pipeline of two stages with a lead in it that has a contact and a tag."""
    stages = [{"name": "Primero"}, {"name": "Segundo"}]
    pipeline = await person.post("/api/pipelines", name=f"Mayoristas {next(FRESH)}", stages=stages)
    device, chat_device = await two_devices(person)
    reply = await person.post("/api/quick-replies", **new_quick_reply())
    tag = await person.post("/api/tags", name=f"vip {next(FRESH)}")
    phone = f"98{next(FRESH):07}"
    placed = {"stage_id": pipeline["stages"][0]["id"], "tag_ids": [tag["id"]]}
    lead = await person.post("/api/leads", name="Luz", phone=phone, **placed)
    other = await person.post("/api/contacts", name="Lucía")
    form = {"file": ("gente.csv", csv_file(), "text/csv")}
    job = (await person.ask("POST", "/api/import/csv", files=form)).json()
    written = {"device_id": chat_device, "to": f"97{next(FRESH):07}", "body": "hola"}
    message, other_message = [await person.post("/api/messages/send", **written) for _ in "ab"]
    file = (await person.ask("POST", "/api/media/upload", files=form)).json()
    pipelines = await person.get("/api/pipelines")
    default = next(one for one in pipelines["data"] if one["is_default"])
    return Stock(
        ids={
            "AccountId": person.account_id,
            "ChatId": message["chat_id"],
            "ContactId": lead["contact_id"],
            "DeviceId": device,
            "ImportId": job["id"],
            "KommoId": await kommo_of(person),
            "LeadId": lead["id"],
            "MessageId": message["id"],
            "MediaId": file["id"],
            "PipelineId": pipeline["id"],
            "QuickReplyId": reply["id"],
            "RecordId": lead["id"],
            "StageId": pipeline["stages"][0]["id"],
            "TagId": tag["id"],
            "UserId": person.user_id,
        },
        key=file["key"],
        stages=[stage["id"] for stage in pipeline["stages"]],
        other_stage=default["stages"][0]["id"],
        other_contact=other["id"],
        other_message=other_message["id"],
        chat_device=chat_device,
        account=person.account_id,
    )


async def kommo_of(person: Person) -> int:
    """Connect an account to a Kommo of its own; return one of the pipelines there."""
    credentials = {"subdomain": f"a{person.account_id}", "token": "un-token"}
    if not (await person.get("/api/kommo/status"))["is_configured"]:
        await person.put("/api/kommo/credentials", **credentials)
    return int((await person.get("/api/kommo/pipelines"))[0]["kommo_id"])


async def prepare(operation: Operation, person: Person, stock: Stock) -> None:
    """Bring the records into the state in which the operation succeeds."""
    if str(operation) == "POST /api/kommo/sync":
        await person.post(f"/api/kommo/pipelines/{stock.ids['KommoId']}/connect")
        await mirror_kommo(person)
    if operation.path.endswith("/restore"):
        noun = "leads" if "lead" in operation.path else "contacts"
        key = stock.ids["LeadId" if noun == "leads" else "ContactId"]
        assert (await person.ask("DELETE", f"/api/{noun}/{key}")).status_code == 204
    if operation.path.endswith(("/unlink", "/sync-contacts")):
        await connect(person, stock.ids["DeviceId"])
    if status := BECOMING.get(operation.path):
        for message_id in (stock.ids["MessageId"], stock.other_message):
            await become(person, MessageId(message_id), status)


async def tenants_of(ana: Person, stock: Stock) -> Stock:
    """Return the stock of one who runs the service: an empty account, and a user of no account."""
    account = await ana.post("/api/admin/accounts", name="Estrella")
    user = await ana.post("/api/admin/users", **new_user())
    ids = {**stock.ids, "AccountId": account["id"], "UserId": user["id"]}
    return replace(stock, ids=ids)


async def colleagues_of(ana: Person, stock: Stock) -> Stock:
    """Return the stock of one who administers an account: a member whom one may change."""
    member = await ana.post("/api/members", **new_user())
    return replace(stock, ids={**stock.ids, "UserId": member["user_id"]})


async def successes(house: House) -> AsyncIterator[tuple[Operation, httpx.Response]]:
    """Ask every operation for what it does, as one who may, and yield its answer."""
    name = await name_of(house.ana)
    for one in PROTECTED:
        ana = await sign_in(house.http, name)
        stock = await stock_of(ana)
        if one.path.startswith("/api/admin/"):
            stock = await tenants_of(ana, stock)
        if one.path.startswith("/api/members/"):
            stock = await colleagues_of(ana, stock)
        if str(one).startswith("DELETE /api/admin/users/"):
            path = f"/api/admin/users/{stock.ids['UserId']}/accounts"
            await ana.post(path, account_id=stock.ids["AccountId"])
        if str(one) == "DELETE /api/devices/<device_id>":  # One with chats stays.
            empty = await ana.post("/api/devices", name="Sin chats")
            stock = replace(stock, ids={**stock.ids, "DeviceId": empty["id"]})
        await prepare(one, ana, stock)
        asked = request(one, stock)
        yield one, await ana.ask(one.method, asked.url, **asked.options)


async def name_of(person: Person) -> str:
    """Return the name with which a person signs in."""
    return str((await person.get("/api/me"))["user"]["username"])


async def picture(person: Person) -> dict[str, Any]:
    """Return all that a person's account shows, and where its log stands."""
    nouns = ("leads", "contacts", "tags", "pipelines", "members", "imports")
    lists = (*nouns, "chats", "devices", "quick-replies")
    shown = {name: await person.get(f"/api/{name}", limit=200) for name in lists}
    shown["deleted"] = await person.get("/api/leads", deleted=True)
    shown["settings"] = await person.get("/api/settings")
    shown["log"] = await person.get("/api/events/stream", limit=1000)
    return shown


def leaves(value: Any) -> Iterator[Any]:
    """Yield the plain values of a JSON value."""
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from leaves(part)
    else:
        yield value
