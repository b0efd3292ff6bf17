"""Rows become handlers.

All that can be read from a row's signature is read once, at the start; a row that cannot be
bound stops the start. A request then passes these steps: credential and limit, path, body or
query, operation, answer.
"""

import dataclasses
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import UNSET, Struct
from sanic import HTTPResponse, Request

from clarin_core.domain.actor import Actor
from clarin_core.domain.command import Change, Command
from clarin_core.domain.idempotency import IdempotencyKey
from clarin_core.errors import Malformed
from clarin_core.ports.storage import Storage
from clarin_core.ports.views import Views
from clarin_core.usecases.idempotency import Once
from clarin_server.http.answers import answer, request_id_of
from clarin_server.http.decoding import (
    BODY_BYTES_MAX,
    decode_body,
    decode_id,
    decode_query,
    read_body,
)
from clarin_server.http.kept import KeptAnswers
from clarin_server.http.limits import Limits
from clarin_server.http.repeating import Repeating, key_of
from clarin_server.http.rows import Row
from clarin_server.http.tries import TRIES, patiently, tries_of
from clarin_server.services import Services

_WITHOUT_BODY = ("GET", "HEAD")

Handler = Callable[..., Coroutine[Any, Any, HTTPResponse]]


@dataclass(frozen=True, slots=True)
class _Input:
    name: str
    type_: type[Struct]
    decoder: "msgspec.json.Decoder[Struct]"

    def read(self, request: Request, body: bytes) -> Struct:
        if request.method in _WITHOUT_BODY or (request.method == "DELETE" and not body):
            value = decode_query(request, self.type_)
        else:
            value = decode_body(request, body, self.decoder)
        return _with_precondition(request, value) if isinstance(value, Change) else value


def bind(row: Row, services: Services, limits: Limits) -> Handler:
    """Return the handler of a row."""
    input_ = _input(row)
    tries = _operation(row, services)
    repeat = _repetition(row, services) if row.is_repeatable else None
    convert = {name: _from_path(row, name) for name in row.in_path}

    async def handle(request: Request, **path: str) -> HTTPResponse:
        arguments: dict[str, Any] = {}
        if row.is_public:
            address = await limits.stranger(request)
            if "address" in row.parameters:
                arguments["address"] = address
        else:
            arguments["actor"] = actor = await limits.signed_in(request)
            if row.for_admins:
                actor.require_admin()
            if not row.is_conditional:
                _refuse_precondition(request)
        arguments |= {name: convert[name](text) for name, text in path.items()}
        body = await read_body(request, BODY_BYTES_MAX)  # Also where nothing is wanted of it.
        if input_:
            arguments[input_.name] = input_.read(request, body)
        if repeat and (key := key_of(request)):
            return await repeat(request, key, arguments)
        value = await patiently(tries, arguments)
        return answer(value, row.status, request_id_of(request))

    return handle


def bind_kept(row: Row, services: Services, limits: Limits, kept: KeptAnswers) -> Handler:
    """Return the handler of a row that `is_kept`: whoever is in the account may read it."""
    input_ = _input(row)
    tries = _operation(row, services)
    convert = {name: _from_path(row, name) for name in row.in_path}

    async def handle(request: Request, **path: str) -> HTTPResponse:
        actor = await limits.signed_in(request)
        body = await read_body(request, BODY_BYTES_MAX)
        if known := kept.known(request, actor.account_id):
            return known
        arguments: dict[str, Any] = {name: convert[name](text) for name, text in path.items()}
        if input_:
            arguments[input_.name] = input_.read(request, body)
        if found := await kept.read(request, actor.account_id, row.operation.__name__, arguments):
            return found
        value = await patiently(tries, {"actor": actor, **arguments})
        return answer(value, row.status, request_id_of(request))

    return handle


def _input(row: Row) -> _Input | None:
    if row.input is None:
        return None
    name, type_ = row.input
    return _Input(name, type_, msgspec.json.Decoder(type_))


def _operation(row: Row, services: Services) -> list[Callable[..., Awaitable[Any]]]:
    """Return the tries of the operation: functions of its arguments by name, with the actor."""
    name = row.operation.__name__
    if row.owner != Views.__name__:
        return tries_of(services.owner_of(row.owner), name, services.storage)

    async def read(actor: Actor, **arguments: object) -> object:
        return await getattr(services.storage.views(actor.account_id), name)(**arguments)

    return [read] * TRIES


def _repetition(row: Row, services: Services) -> Callable[..., Awaitable[HTTPResponse]]:
    """Return what answers a request that has a key, by its arguments."""
    owner: Any = services.owner_of(row.owner)
    once = Once(services.storage, services.clock)
    repeating = Repeating(once, f"{row.method} {row.path}", row.status)

    async def repeat(
        request: Request, key: IdempotencyKey, arguments: dict[str, Any]
    ) -> HTTPResponse:
        async def operation(storage: Storage) -> object:
            joined = dataclasses.replace(owner, storage=storage)
            return await getattr(joined, row.operation.__name__)(**arguments)

        actor = arguments["actor"]
        said = {name: value for name, value in arguments.items() if name != "actor"}
        named = repeating.named(key, actor, said)
        takes_long = any(isinstance(one, Command) and one.takes_long for one in said.values())
        asked = {
            "request": request, "actor": actor, "named": named, "operation": operation,
            "looks_first": takes_long,
        }  # fmt: skip
        return await patiently([repeating.answer] * TRIES, asked)

    return repeat


def _from_path(row: Row, name: str) -> Callable[[str], Any]:
    """Return what makes a parameter of a path's text: an id, or a word of a closed list."""
    hint = row.hints[name]
    if isinstance(hint, type) and hint is not int:
        return lambda text: _word(name, text, hint)
    return lambda text: decode_id(name, text)


def _word(name: str, text: str, hint: type) -> object:
    try:
        return msgspec.convert(text, hint)
    except msgspec.ValidationError as error:
        raise Malformed(name, "is none of the known words") from error


def _with_precondition(request: Request, change: Change) -> Change:
    """Let If-Match stand for the field `version`."""
    tag = request.headers.get("if-match", "*")
    if tag == "*":
        return change
    digits = tag.removeprefix("W/").strip('"')
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
        raise Malformed("If-Match", "is not a version")
    if change.version not in (UNSET, int(digits)):
        raise Malformed("If-Match", "names another version than the field version")
    return msgspec.structs.replace(change, version=int(digits))


def _refuse_precondition(request: Request) -> None:
    """Raise Malformed rather than change what may not be as the caller saw it."""
    if request.method not in _WITHOUT_BODY and request.headers.get("if-match", "*") != "*":
        raise Malformed("If-Match", "does not count for this operation")
