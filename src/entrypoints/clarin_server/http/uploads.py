"""Imports: files come in as multipart forms, rejected rows go out as CSV."""

import asyncio
import dataclasses
from collections.abc import Mapping

import msgspec
from sanic import HTTPResponse, Request

from clarin_core.domain.actor import Actor
from clarin_core.domain.csv_table import BYTES_MAX
from clarin_core.domain.idempotency import IdempotencyKey
from clarin_core.domain.ids import ImportId
from clarin_core.domain.imports import ImportOptions
from clarin_core.domain.media import label_of
from clarin_core.errors import Invalid
from clarin_core.ports.storage import Storage
from clarin_core.usecases.idempotency import Once
from clarin_server.http.answers import HEADERS, answer, request_id_of
from clarin_server.http.decoding import decode_id, read_body
from clarin_server.http.forms import Part, boundary_of, read_form, texts_of
from clarin_server.http.limits import Limits
from clarin_server.http.repeating import Repeating, key_of
from clarin_server.http.reserve import Reserve, Take
from clarin_server.services import Services
from clarin_server.settings import UPLOAD_BYTES_MAX, UPLOAD_BYTES_PER_ACCOUNT_MAX

_FORM_BYTES_MAX = BYTES_MAX + 64 * 1024
_FIELDS = {"import_type", "overwrite"}


class Uploads:
    """The hand-written handlers: the binder reads JSON only."""

    def __init__(self, services: Services, limits: Limits) -> None:
        self._services = services
        self._limits = limits
        once = Once(services.storage, services.clock)
        self._repeating = Repeating(once, "POST /import/csv", 202)
        self._reserve = Reserve(total=UPLOAD_BYTES_MAX, per_account=UPLOAD_BYTES_PER_ACCOUNT_MAX)

    async def preview(self, request: Request) -> HTTPResponse:
        """Say how a file would be read."""
        actor = await self._admin(request)
        with self._reserve.share(actor.account_id) as take:
            options, content = await _form(request, take)
            preview = await self._services.imports.preview(actor, options, content)
        return answer(preview, 200, request_id_of(request))

    async def upload(self, request: Request) -> HTTPResponse:
        """Take a file in; it is imported in the background."""
        actor = await self._admin(request)
        with self._reserve.share(actor.account_id) as take:
            options, content = await _form(request, take)
            if key := key_of(request):
                return await self._upload_once(request, key, actor, options, content)
            job = await self._services.imports.upload(actor, options, content)
        return answer(job, 202, request_id_of(request))

    async def _upload_once(
        self,
        request: Request,
        key: IdempotencyKey,
        actor: Actor,
        options: ImportOptions,
        content: bytes,
    ) -> HTTPResponse:
        async def upload(storage: Storage) -> object:
            imports = dataclasses.replace(self._services.imports, storage=storage)
            return await imports.upload(actor, options, content)

        said = {"options": options}
        named = await asyncio.to_thread(self._repeating.named, key, actor, said, content)
        return await self._repeating.answer(request, actor, named, upload)

    async def rejects(self, request: Request, import_id: str) -> HTTPResponse:
        """Give back the rows that were not imported, with the reasons."""
        actor = await self._admin(request)
        key = ImportId(decode_id("import_id", import_id))
        with self._reserve.share(actor.account_id) as take:
            take(BYTES_MAX)
            content = await self._services.imports.rejects(actor, key)
        headers = {
            **HEADERS,
            "Content-Disposition": f'attachment; filename="rejects-{key}.csv"',
            "X-Request-ID": request_id_of(request),
        }
        return HTTPResponse(content, 200, headers, "text/csv; charset=utf-8")

    async def _admin(self, request: Request) -> Actor:
        actor = await self._limits.signed_in(request)
        actor.require_admin()
        return actor


async def _form(request: Request, take: Take) -> tuple[ImportOptions, bytes]:
    boundary = boundary_of(request.headers.get("content-type", ""))
    fields = read_form(await read_body(request, _FORM_BYTES_MAX, take), boundary)
    file = fields.pop("file", None)
    if file is None or file.filename is None:
        raise Invalid("file", "is needed")
    return _options(fields, file.filename), file.content


def _options(fields: Mapping[str, Part], filename: str) -> ImportOptions:
    """Return the form's other fields; the file's name is a label, its path is dropped."""
    given = texts_of(fields, _FIELDS)
    given["filename"] = label_of(filename) or "import.csv"
    try:
        return msgspec.convert(given, ImportOptions, strict=False)
    except msgspec.ValidationError as error:
        name = "overwrite" if "`bool`" in str(error) else "import_type"
        raise Invalid(name, "is none of the known values") from error
