"""Imports: files come in as multipart forms, rejected rows go out as CSV."""

import re
from typing import Any

import msgspec
from sanic import HTTPResponse, Request
from sanic.request import parse_multipart_form

from clarin_core.domain.csv_table import BYTES_MAX
from clarin_core.domain.ids import ImportId
from clarin_core.domain.imports import ImportOptions
from clarin_core.errors import Invalid, Malformed, Unsupported
from clarin_server.http.answers import answer, request_id_of
from clarin_server.http.auth import authenticate
from clarin_server.http.decoding import decode_id, read_body
from clarin_server.services import Services

_FORM_BYTES_MAX = BYTES_MAX + 64 * 1024
_BOUNDARY = re.compile(r'boundary="?([^";]{1,200})"?')
_FIELDS = {"import_type", "overwrite"}


class Uploads:
    """The hand-written handlers: the binder reads JSON only."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def preview(self, request: Request) -> HTTPResponse:
        """Say how a file would be read."""
        actor, _ = await authenticate(request, self._services.sign_in)
        request.ctx.actor = actor
        actor.require_admin()
        options, content = await _form(request)
        preview = await self._services.imports.preview(actor, options, content)
        return answer(preview, 200, request_id_of(request))

    async def upload(self, request: Request) -> HTTPResponse:
        """Take a file in; it is imported in the background."""
        actor, _ = await authenticate(request, self._services.sign_in)
        request.ctx.actor = actor
        actor.require_admin()
        options, content = await _form(request)
        job = await self._services.imports.upload(actor, options, content)
        return answer(job, 202, request_id_of(request))

    async def rejects(self, request: Request, import_id: str) -> HTTPResponse:
        """Give back the rows that were not imported, with the reasons."""
        actor, _ = await authenticate(request, self._services.sign_in)
        request.ctx.actor = actor
        key = ImportId(decode_id("import_id", import_id))
        content = await self._services.imports.rejects(actor, key)
        headers = {
            "Content-Disposition": f'attachment; filename="rejects-{key}.csv"',
            "X-Content-Type-Options": "nosniff",
            "X-Request-ID": request_id_of(request),
        }
        return HTTPResponse(content, 200, headers, "text/csv; charset=utf-8")


async def _form(request: Request) -> tuple[ImportOptions, bytes]:
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    boundary = _BOUNDARY.search(parameters)
    if kind.strip().lower() != "multipart/form-data" or boundary is None:
        raise Unsupported("the body must be multipart/form-data with the field file")
    body = await read_body(request, _FORM_BYTES_MAX)
    try:
        fields, files = parse_multipart_form(body, boundary[1].encode())
    except (ValueError, UnicodeError, IndexError, KeyError, AttributeError) as error:
        raise Malformed("body", "is not a readable form") from error
    uploads = files.get("file")
    if not uploads:
        raise Invalid("file", "is needed")
    return _options(fields, uploads.name), uploads.body


def _options(fields: Any, filename: str) -> ImportOptions:
    """Return the form's other fields; the file's name is a label, its path is dropped."""
    given = {name: fields.get(name) for name in fields}
    if unknown := set(given) - _FIELDS:
        raise Invalid(min(unknown)[:64], "is not a field of this form")
    label = re.split(r"[/\\\\]", filename)[-1]
    label = "".join(char for char in label if char.isprintable())[:255] or "import.csv"
    try:
        return msgspec.convert(given | {"filename": label}, ImportOptions, strict=False)
    except msgspec.ValidationError as error:
        name = "overwrite" if "`bool`" in str(error) else "import_type"
        raise Invalid(name, "is none of the known values") from error
