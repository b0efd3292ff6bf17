"""Values become answers; errors become the one shape that every error has."""

import re
from asyncio import CancelledError
from collections.abc import Iterator, Mapping
from functools import lru_cache
from random import getrandbits
from typing import Any, Final

import msgspec
from msgspec import UNSET
from sanic import HTTPResponse, Request
from sanic.exceptions import SanicException
from sanic.helpers import has_message_body

from clarin_core.domain.cache import Entry
from clarin_core.domain.idempotency import StoredAnswer
from clarin_core.domain.paging import Page
from clarin_core.errors import (
    AlreadyRunning,
    ClarinError,
    Conflict,
    Invalid,
    Kind,
)

STATUS: Final[Mapping[Kind, int]] = {
    Kind.MALFORMED: 400,
    Kind.INVALID: 422,
    Kind.UNAUTHORIZED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.TOO_LARGE: 413,
    Kind.UNSUPPORTED: 415,
    Kind.GONE: 410,
    Kind.RATE_LIMITED: 429,
    Kind.UNAVAILABLE: 503,
}
_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    413: "too_large",
    414: "bad_request",
    417: "bad_request",
    431: "too_large",
    503: "unavailable",
}
HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
_JSON = "application/json"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

REPLAYED: Final = "Idempotency-Replayed"
"""The header of an answer that was given before."""

encoder = msgspec.json.Encoder()
_as_bytes = lru_cache(maxsize=64)(str.encode)  # Names of headers, which are few.


class Answer(HTTPResponse):
    """An answer of JSON. What its headers have of a client was looked at: nothing is to be cleaned.

    An empty one, as Sanic adds, is left out.
    """

    __slots__ = ()

    @property
    def processed_headers(self) -> Iterator[tuple[bytes, bytes]]:
        """The headers, as bytes."""
        if has_message_body(self.status):
            self.headers.setdefault("content-type", self.content_type)
        return (
            (_as_bytes(name), str(value).encode())
            for name, value in self.headers.items()
            if value != ""
        )


def new_request_id() -> str:
    """Return a name for a request, which nobody needs to be unable to guess."""
    return f"{getrandbits(64):016x}"


def request_id_of(request: Request | None) -> str:
    """Return the caller's request id if it is a plain one, else a new one, always the same."""
    if request is None:
        return new_request_id()
    known: str | None = getattr(request.ctx, "request_id", None)
    if known is None:
        sent = request.headers.get("x-request-id", "")
        known = sent if _REQUEST_ID.fullmatch(sent) else new_request_id()
        request.ctx.request_id = known
    return known


def answer(value: object, status: int, request_id: str) -> HTTPResponse:
    """Return a value as JSON; a page's place in the log goes into the header Clarin-Seq."""
    if value is None:
        return Answer(status=status, headers=_headers(request_id))
    seq = None
    if isinstance(value, Page) and value.seq is not UNSET:
        seq, value.seq = value.seq, UNSET
    body, version = encoder.encode(value), getattr(value, "version", None)
    return Answer(body, status, _headers(request_id, version, seq), _JSON)


def kept_answer(entry: Entry, request_id: str) -> HTTPResponse:
    """Return a kept read as `answer` would."""
    headers = _headers(request_id, entry.version, entry.page_seq)
    return Answer(entry.body, 200, headers, _JSON)


def _headers(request_id: str, version: int | None = None, seq: int | None = None) -> dict[str, str]:
    headers = {**HEADERS, "X-Request-ID": request_id}
    if seq is not None:
        headers["Clarin-Seq"] = str(seq)
    if version:
        headers["ETag"] = f'"{version}"'
    return headers


def to_store(value: object, status: int) -> StoredAnswer:
    """Return the answer that shows a value, to be given again."""
    return StoredAnswer(status, encoder.encode(value), getattr(value, "version", None))


def answer_again(stored: StoredAnswer, request_id: str, *, is_repeated: bool) -> HTTPResponse:
    """Return a stored answer; the header Idempotency-Replayed says that it is not the first."""
    headers = _headers(request_id, stored.version)
    if is_repeated:
        headers[REPLAYED] = "true"
    return Answer(stored.body, stored.status, headers, _JSON)


def problem(error: BaseException, request_id: str) -> HTTPResponse:
    """Return an error as `{error, code, request_id, fields?, id?}`; a bug says nothing else."""
    status, code, text = _status_code_text(error)
    body: dict[str, Any] = {"error": text, "code": code, "request_id": request_id}
    if isinstance(error, Invalid):
        body["fields"] = {error.field: error.reason}
    if isinstance(error, Conflict) and error.id is not None:
        body["id"] = error.id
    response = answer(body, status, request_id)
    if status in (429, 503) or isinstance(error, AlreadyRunning):
        response.headers["Retry-After"] = str(getattr(error, "retry_after_s", 1))
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _status_code_text(error: BaseException) -> tuple[int, str, str]:
    if isinstance(error, ClarinError):
        return STATUS[error.kind], error.code, str(error)
    if isinstance(error, SanicException) and error.status_code in _CODES:
        code = _CODES[error.status_code]
        return error.status_code, code, code.replace("_", " ")
    if isinstance(error, CancelledError):  # The caller hung up, or the server goes down.
        return 503, "unavailable", "the request was cut off"
    return 500, "internal", "internal error"
