"""Files in and out: forms that are stored as they come, bytes that are sent as they are read.

Who asks has a credential, or a link that stands for one. What goes out is what we found it to be,
is never run by a browser, and is shown by it only where nothing in it could be.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import Final, TypeVar
from urllib.parse import quote

import msgspec
import structlog
from sanic import HTTPResponse, Request

from clarin_core.domain.actor import Actor
from clarin_core.domain.ids import AccountId
from clarin_core.domain.media import MediaView, NewFile, label_of
from clarin_core.domain.media_links import Signed
from clarin_core.domain.media_types import is_shown
from clarin_core.errors import ClarinError, Forbidden, Invalid
from clarin_core.ports.web import FETCH_BYTES_MAX
from clarin_server.http.answers import answer, request_id_of
from clarin_server.http.auth import allow_origin
from clarin_server.http.decoding import decode_query, stream_body
from clarin_server.http.form_stream import FormStream
from clarin_server.http.forms import Part, boundary_of
from clarin_server.http.limits import Limits
from clarin_server.http.ranges import NotSatisfiable, Span, span_of
from clarin_server.http.reserve import Reserve
from clarin_server.http.socket import Requests
from clarin_server.services import Services
from clarin_server.settings import (
    DOWNLOADS_MAX,
    DOWNLOADS_PER_ACCOUNT_MAX,
    FILE_UPLOADS_MAX,
    FILE_UPLOADS_PER_ACCOUNT_MAX,
    Settings,
)

_FORM_BYTES_MAX: Final = FETCH_BYTES_MAX + 64 * 1024  # The largest file that there is, and a form.
_FIELDS = {"media_type"}
_POLICY = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"
_UNSAFE = str.maketrans(dict.fromkeys('"\\%', "_"))

T = TypeVar("T")

_log = structlog.get_logger(component="API")


class Files:
    """The hand-written handlers of files; what they hold in memory is bounded by their number."""

    def __init__(self, services: Services, limits: Limits, settings: Settings) -> None:
        self._media = services.media
        self._limits = limits
        self._origins = settings.cors_origins
        self._uploads = Reserve(total=FILE_UPLOADS_MAX, per_account=FILE_UPLOADS_PER_ACCOUNT_MAX)
        self._downloads = Reserve(total=DOWNLOADS_MAX, per_account=DOWNLOADS_PER_ACCOUNT_MAX)

    async def upload(self, request: Request) -> HTTPResponse:
        """Keep the file of a form."""
        actor = await self._uploader(request)
        with self._uploads.share(actor.account_id) as take:
            take(1)
            boundary = boundary_of(request.headers.get("content-type", ""))
            form = FormStream(stream_body(request, _FORM_BYTES_MAX), boundary)
            part = await form.open()
            async with aclosing(form.content()) as content:
                file = await self._media.upload(actor, _new_file(form.fields, part), content)
        return answer(file, 201, request_id_of(request))

    async def file(self, request: Request, key: str) -> HTTPResponse:
        """Give a file, or a part of it."""
        account_id = await self._account(request, key)
        file = await self._media.file(account_id, key)
        headers, size = _headers(request, file), file.size or 0
        if request.headers.get("if-none-match") == headers["ETag"]:
            return HTTPResponse(status=304, headers=headers)
        try:
            span = span_of(request, size, headers["ETag"])
        except NotSatisfiable:
            return _not_satisfiable(request, size)
        status = 200 if span is None else 206
        if span is not None:
            headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{size}"
        span = span or Span(0, size)
        headers["Content-Length"] = str(span.stop - span.start)
        response = HTTPResponse(None, status, headers, file.mimetype)
        if request.method == "HEAD":
            return response
        with self._downloads.share(account_id) as take:
            take(1)
            content = self._media.content(account_id, key, start=span.start, stop=span.stop)
            return await self._send(request, response, content)

    async def _uploader(self, request: Request) -> Actor:
        def check(signed: Signed) -> Actor:
            return self._media.who_uploads(signed, request_id=request_id_of(request))

        actor = await self._linked(request, check)
        return actor or await self._limits.signed_in(request)

    async def _account(self, request: Request, key: str) -> AccountId:
        account_id = await self._linked(request, lambda one: self._media.whose_file(one, key))
        return account_id or (await self._limits.signed_in(request)).account_id

    async def _linked(self, request: Request, check: Callable[[Signed], T]) -> T | None:
        """Return what a link allows, None where there is none; a wrong one is a stranger's."""
        if not request.query_string:
            return None
        try:
            signed = decode_query(request, Signed)
            allowed = check(signed)
        except (Invalid, Forbidden) as error:
            await self._limits.stranger(request)
            raise Forbidden("a link that is ours and has not expired") from error
        await self._limits.by_link(request, signed.account)
        return allowed

    async def _send(
        self, request: Request, response: HTTPResponse, content: AsyncIterator[bytes]
    ) -> HTTPResponse:
        """Send as much at a time as the client takes.

        Until the first piece is there an error has an answer; later the connection is ended, for
        that is what tells the client that this was not all.
        """
        first = await anext(content)
        allow_origin(request, response, self._origins)
        await request.respond(response)
        try:
            await response.send(first)
            async for piece in content:
                await response.send(piece)
            await response.eof()
        except ClarinError as error:
            _log.warning("a file broke off", reason=str(error), request_id=request_id_of(request))
            assert isinstance(request.stream, Requests)
            request.stream.break_off()
        return response


def _new_file(fields: Mapping[str, Part], file: Part) -> NewFile:
    """Return what a form says of its file; the file's name is a label."""
    if unknown := fields.keys() - _FIELDS:
        raise Invalid(min(unknown)[:64], "is not a field of this form")
    given = {name: part.text for name, part in fields.items()}
    if label := label_of(file.filename or ""):
        given["filename"] = label
    try:
        return msgspec.convert(given, NewFile)
    except msgspec.ValidationError as error:
        raise Invalid("media_type", "is none of the known values") from error


def _headers(request: Request, file: MediaView) -> dict[str, str]:
    shown = "inline" if is_shown(file.mimetype) else "attachment"
    name = file.filename or f"{file.type.value}-{file.id}"
    plain = name.encode("ascii", "replace").decode().replace("?", "_").translate(_UNSAFE)
    return {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=300",
        "Content-Disposition": f"{shown}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, '')}",
        "Content-Security-Policy": _POLICY,
        "ETag": f'"{file.sha256}"',
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Request-ID": request_id_of(request),
    }


def _not_satisfiable(request: Request, size: int) -> HTTPResponse:
    request_id = request_id_of(request)
    told = {"error": f"the file has {size} bytes", "code": "range_not_satisfiable"}
    response = answer(told | {"request_id": request_id}, 416, request_id)
    response.headers["Content-Range"] = f"bytes */{size}"
    return response
