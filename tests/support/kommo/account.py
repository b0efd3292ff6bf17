"""One account as its API shows it: the semantics of lists, filters and credentials."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple, TypeVar

from clarin_core.domain.ids import KommoId
from clarin_core.domain.remote import RemoteDeletion, RemoteKind
from clarin_memory.remote import RemoteBook, RemoteEntity
from support.kommo import shapes
from support.kommo.faults import Faults
from support.kommo.gate import Gate
from support.kommo.hours import Hours
from support.kommo.pairs import Pairs

_LIMIT_MAX, _EVENTS_MAX, _LIMIT = 250, 100, 50
_URL_BYTES_MAX = 8 * 1024
_KINDS = {"/leads": RemoteKind.LEAD, "/contacts": RemoteKind.CONTACT}
_OF_KIND = re.compile(r"/(lead|contact)s/(tags|custom_fields)")


Ordered = TypeVar("Ordered", RemoteDeletion, RemoteEntity)


class Asked(NamedTuple):
    """A request, as far as it matters."""

    method: str
    path: str
    target: str
    params: dict[str, list[str]]
    bearer: str | None

    def one(self, name: str) -> str | None:
        return self.params[name][-1] if name in self.params else None

    def number(self, name: str) -> int | None:
        text = self.one(name)
        return None if text is None else int(text)


class Reply(NamedTuple):
    """A status, and JSON or HTML."""

    status: int
    json: Any = None
    html: str | None = None
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def body(self) -> bytes:
        if self.json is not None:
            return json.dumps(self.json).encode()
        return (self.html or "").encode()

    @property
    def media_type(self) -> str:
        if self.html is not None:
            return "text/html"
        return "application/hal+json" if self.status < 400 else "application/problem+json"


class Listing(NamedTuple):
    """A list, and how each of its items is shown."""

    name: str
    items: Sequence[Any]
    shape: Callable[[Any], Any]


def problem(status: int, title: str) -> Reply:
    return Reply(status, {"title": title, "type": "about:blank", "status": status, "detail": "…"})


def nginx(status: int, title: str) -> Reply:
    return Reply(status, html=f"<html><head><title>{status} {title}</title></head></html>")


NOTHING = Reply(204)


@dataclass
class KommoAccount:
    """The account, its manners, and what was asked of it."""

    hours: Hours
    book: RemoteBook
    faults: Faults = field(default_factory=Faults)
    token: str | None = None
    pairs: Pairs = field(default_factory=Pairs)
    are_filters_on: bool = True
    is_from_inclusive: bool = False
    is_unpaid: bool = False
    may_see_users: bool = True
    heavy_above: int = _LIMIT_MAX
    ids_max: int = _LIMIT_MAX
    url_bytes_max: int = _URL_BYTES_MAX
    asked: list[Asked] = field(default_factory=list)
    spoil: Callable[[str, list[Any]], list[Any]] = field(default=lambda _, items: items)

    def __post_init__(self) -> None:
        self.gate = Gate(self.hours.seconds)

    def answer(self, asked: Asked) -> Reply:
        """Return what Kommo says, if nothing goes wrong on the way."""
        self.asked.append(asked)
        if refusal := self._refusal(asked):
            return refusal
        if asked.path == "/account":
            shape = shapes.account(self.book.account, are_filters_on=self.are_filters_on)
            return Reply(200, shape)
        if asked.path == "/users" and not self.may_see_users:
            return problem(403, "Forbidden")
        found = self._found(asked)
        return problem(404, "Not Found") if found is None else self._listed(asked, found)

    def _refusal(self, asked: Asked) -> Reply | None:
        if asked.method != "GET":
            raise AssertionError(f"{asked.method} {asked.path} was sent to Kommo")
        if len(asked.target) > self.url_bytes_max:
            return nginx(414, "Request-URI Too Large")
        if asked.bearer != self.token and not self.pairs.counts(asked.bearer, self.hours()):
            return problem(401, "Unauthorized")
        if self.is_unpaid:
            return problem(402, "Payment Required")
        if (asked.number("limit") or 0) > _LIMIT_MAX:
            return problem(400, "Bad Request")
        if (asked.number("limit") or 0) > self.heavy_above:
            return nginx(504, "Gateway Time-out")
        if len(asked.params.get("filter[id][]", [])) > self.ids_max:
            return problem(400, "Bad Request")
        return None

    def _found(self, asked: Asked) -> Listing | None:
        """Return what a path lists: all of it, and how each item is shown."""
        if kind := _KINDS.get(asked.path):
            return self._entities(kind, asked)
        if asked.path == "/leads/pipelines":
            return Listing("pipelines", self.book.pipelines[::-1], shapes.pipeline)
        if asked.path == "/users":
            return Listing("users", self.book.users, shapes.user)
        if asked.path == "/events":
            return Listing("events", self._events(asked), lambda one: one)
        if match := _OF_KIND.fullmatch(asked.path):
            kind = RemoteKind(match[1])
            if match[2] == "tags":
                return Listing("tags", self.book.tags[kind], shapes.tag)
            return Listing("custom_fields", self.book.fields[kind], shapes.field)
        return None

    def _listed(self, asked: Asked, listing: Listing) -> Reply:
        """Return a page of a list: by offset, over whatever the list is just now."""
        name, items, shape = listing
        most = _EVENTS_MAX if name == "events" else _LIMIT_MAX
        limit, page = min(asked.number("limit") or _LIMIT, most), asked.number("page") or 1
        if name == "pipelines":
            limit = len(items) or 1
        shown = [shape(one) for one in items[(page - 1) * limit : page * limit]]
        if not (part := self.spoil(name, shown)):
            return NOTHING
        links = shapes.links(asked.target)
        if len(items) > page * limit:
            links["next"] = {"href": f"https://acme.kommo.com{asked.path}?page={page + 1}"}
        return Reply(200, {"_page": page, "_links": links, "_embedded": {name: part}})

    def _entities(self, kind: RemoteKind, asked: Asked) -> Listing:
        if asked.one("with") == "only_deleted":
            gone = _ordered(self.book.deleted(kind), asked)
            return Listing(f"{kind.value}s", gone, shapes.deletion)
        ids = {KommoId(int(text)) for text in asked.params.get("filter[id][]", [])}
        if ids and self.are_filters_on:
            shown: Sequence[RemoteEntity] = self.book.found(kind, ids)
        else:
            shown = self._in_range(self.book.listed(kind, None), asked)
        has_contacts = "contacts" in (asked.one("with") or "")
        as_lead = partial(shapes.lead, with_contacts=has_contacts)
        shape = as_lead if kind is RemoteKind.LEAD else shapes.contact
        return Listing(f"{kind.value}s", _ordered(shown, asked), shape)

    def _in_range(self, listed: list[RemoteEntity], asked: Asked) -> list[RemoteEntity]:
        exact = asked.number("filter[updated_at]")
        start = asked.number("filter[updated_at][from]")
        end = asked.number("filter[updated_at][to]")
        if not self.are_filters_on or (exact, start, end) == (None, None, None):
            return listed

        def is_in(at: int) -> bool:
            is_after = start is None or at > start or (self.is_from_inclusive and at == start)
            return is_after and (end is None or at <= end) and exact in (None, at)

        return [one for one in listed if is_in(shapes.seconds(one.updated_at))]

    def _events(self, asked: Asked) -> list[Any]:
        start = datetime.fromtimestamp(asked.number("filter[created_at][from]") or 0, UTC)
        told = [shapes.event(one) for one in self.book.told(start)]
        types, entities = asked.one("filter[type]"), asked.one("filter[entity]")
        return [
            one
            for one in told
            if (types is None or one["type"] in types.split(","))
            and (entities is None or one["entity_type"] in entities.split(","))
        ]


def _ordered(shown: Sequence[Ordered], asked: Asked) -> Sequence[Ordered]:
    """Return entities in the order that was asked for; in none at all if none was."""
    orders = {name[6:-1]: some[-1] for name, some in asked.params.items() if name[:6] == "order["}
    if not orders:
        return sorted(shown, key=lambda one: hash((one.id * 2_654_435_761) % 2**32))
    ((name, way),) = orders.items()
    return sorted(shown, key=lambda one: (getattr(one, name), one.id), reverse=way == "desc")
