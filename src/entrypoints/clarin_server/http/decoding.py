"""Requests become values; what does not is refused with the field's name."""

import asyncio
import re
from collections.abc import AsyncIterator
from functools import cache, lru_cache
from typing import Any, TypeVar, get_args, get_origin
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct
from sanic import Request
from sanic.exceptions import RequestTimeout
from sanic.http import Http

from clarin_core.domain.ids import ID_MAX
from clarin_core.errors import Invalid, Malformed, NotFound, TooLarge, Unsupported
from clarin_server.http.reserve import Take

BODY_BYTES_MAX = 1024 * 1024
_QUERY_BYTES_MAX = 4096
_QUERY_FIELDS_MAX = 50
_ID = re.compile(r"[1-9][0-9]{0,18}")
_FIELD = re.compile(r"`\$\.([A-Za-z_]\w{0,63})|(?:required|unknown) field `([^`]{1,64})`")
# The library's words, and ours for those that would repeat what was sent (R26).
_REASONS = {
    "Invalid enum value": "is none of the known values",
    "Object contains unknown field": "is not a field of this request",
    "Object missing required field": "is needed",
}
_MALFORMED_WHEN_OUT_OF_BOUNDS = {"page", "limit", "after", "sort"}

_BODY_S = 10
_BODY_BYTES_PER_S = 256 * 1024

T = TypeVar("T", bound=Struct)


def _uncounted(_: int) -> None:
    pass


async def read_body(request: Request, limit: int, take: Take = _uncounted) -> bytes:
    """Return the whole body; raises TooLarge before more than `limit` bytes are kept.

    `take` hears of each part's size before it is kept. A client gets so long for it as the
    size that it has announced deserves, however often it sends a byte.
    """
    stream = request.stream
    if not isinstance(stream, Http) or not stream.request_body:
        return b""
    try:
        async with asyncio.timeout(_patience_s(request, limit)):
            return await _read_all(stream, limit, take)
    except TimeoutError as error:
        raise RequestTimeout("the body took too long") from error


async def stream_body(request: Request, limit: int) -> AsyncIterator[bytes]:
    """Give the body part by part; raises TooLarge before more than `limit` bytes are given.

    A client gets as long for it as for one that is read whole, and whoever takes the parts, too.
    """
    stream = request.stream
    if not isinstance(stream, Http) or not stream.request_body:
        return
    until = asyncio.get_running_loop().time() + _patience_s(request, limit)
    size = 0
    while True:
        try:
            async with asyncio.timeout_at(until):
                part = await stream.read()
        except TimeoutError as error:
            raise RequestTimeout("the body took too long") from error
        if part is None:
            return
        size += len(part)
        if size > limit:
            raise TooLarge("the body", f"{limit} bytes")
        yield part


def _patience_s(request: Request, limit: int) -> float:
    """Return how long the body may take; raises TooLarge, Unsupported for an encoded one."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Unsupported("an encoded body is not read here")
    announced = int(request.headers.get("content-length") or 0)
    if announced > limit:
        raise TooLarge("the body", f"{limit} bytes")
    return _BODY_S + (announced or limit) / _BODY_BYTES_PER_S


async def _read_all(stream: Http, limit: int, take: Take) -> bytes:
    parts, size = [], 0
    while (part := await stream.read()) is not None:
        size += len(part)
        if size > limit:
            raise TooLarge("the body", f"{limit} bytes")
        take(len(part))
        parts.append(part)
    return b"".join(parts)


def decode_body(request: Request, body: bytes, decoder: "msgspec.json.Decoder[T]") -> T:
    """Return a JSON body as its type; an absent body is an empty object."""
    if body:
        kind, _, parameters = request.headers.get("content-type", "").partition(";")
        charset = parameters.strip().lower().replace('"', "")
        if kind.strip().lower() != "application/json" or charset not in ("", "charset=utf-8"):
            raise Unsupported("the body must be application/json in UTF-8")
    try:
        return decoder.decode(body or b"{}")
    except msgspec.ValidationError as error:
        raise Invalid(field_of(error) or "body", reason_of(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed("body", "is not JSON in UTF-8 of a sane depth") from error


def decode_query(request: Request, type_: type[T]) -> T:
    """Return the query as its type; lists are repeated or parted by commas."""
    decoded: T = _decoded(request.query_string, type_)
    return decoded


@lru_cache(maxsize=1024)  # Most queries are asked again, and nobody can change a decoded one.
def _decoded(query: str, type_: type[T]) -> T:
    given = _pairs(query)
    parameters = _parameters(type_)
    values: dict[str, Any] = {}
    for name, texts in given.items():
        if name not in parameters:
            raise Malformed(name[:64], "is not a parameter of this list")
        values[name] = _value(name, texts, takes_many=parameters[name])
    try:
        return msgspec.convert(values, type_, strict=False)
    except msgspec.ValidationError as error:
        field = field_of(error) or "query"
        malformed = field in _MALFORMED_WHEN_OUT_OF_BOUNDS or "`bool`" in str(error)
        raise (Malformed if malformed else Invalid)(field, reason_of(error)) from error


def decode_id(what: str, text: str) -> int:
    """Return an id of the path; anything else is as unknown as an unknown id."""
    if _ID.fullmatch(text) and int(text) <= ID_MAX:
        return int(text)
    raise NotFound(what.removesuffix("_id"), "with this id")


def _pairs(query: str) -> dict[str, list[str]]:
    if len(query) > _QUERY_BYTES_MAX:
        raise Malformed("query", f"is longer than {_QUERY_BYTES_MAX} bytes")
    try:
        pairs = parse_qsl(
            query,
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_QUERY_FIELDS_MAX,
        )
    except ValueError as error:
        raise Malformed("query", "is not UTF-8 or has too many parameters") from error
    found: dict[str, list[str]] = {}
    for name, text in pairs:
        found.setdefault(name, []).append(text)
    return found


@cache  # To look at a type's hints takes longer than all the rest.
def _parameters(type_: type[Struct]) -> dict[str, bool]:
    """Return the names of a query's parameters, and whether each takes several values."""
    return {field.name: _is_collection(field.type) for field in msgspec.structs.fields(type_)}


def _value(name: str, texts: list[str], *, takes_many: bool) -> object:
    if takes_many:
        return [part for text in texts for part in text.split(",")]
    if len(texts) > 1:
        raise Malformed(name, "is given more than once")
    return texts[0]


def _is_collection(type_: object) -> bool:
    if get_origin(type_) in (list, tuple, set, frozenset):
        return True
    return any(_is_collection(part) for part in get_args(type_))


def field_of(error: msgspec.ValidationError) -> str | None:
    """Return the name of the field that was wrong, None when it was the whole."""
    found = _FIELD.search(str(error))
    return (found[1] or found[2]) if found else None


def reason_of(error: msgspec.ValidationError) -> str:
    """Return what was wrong, in words that repeat nothing of what was sent."""
    text, _, _ = str(error).partition(" - at `")
    ours = (reason for beginning, reason in _REASONS.items() if text.startswith(beginning))
    return next(ours, text[0].lower() + text[1:])
