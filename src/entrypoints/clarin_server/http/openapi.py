"""OpenAPI 3.1 from the same rows that route, encoded once, and its page for people."""

import inspect
import re
from collections.abc import Iterable
from enum import Enum
from importlib.metadata import version
from typing import Any

import msgspec
from msgspec import Struct
from sanic import HTTPResponse, Request

from clarin_core.domain.idempotency import KEY_PATTERN
from clarin_core.domain.ids import ID_MAX
from clarin_core.domain.imports import ImportJob, ImportOptions, ImportPreview
from clarin_core.domain.media import MediaView, NewUrlFile
from clarin_server.http.answers import encoder
from clarin_server.http.context import App
from clarin_server.http.page import docs_page
from clarin_server.http.repeating import KEY_HEADER
from clarin_server.http.routes import ROWS
from clarin_server.http.rows import Row

# The numbers of our rules, and what Python raises: of no interest to who calls.
_OURS = re.compile(
    r" \((?:[A-Z]{1,2}\d+(?:-[A-Z]{1,2}\d+)?(?:, )?)+\)|; raises \w+|\n?Raises [^.]+\."
)
_REF = "#/components/schemas/{name}"
_ERROR = {
    "type": "object",
    "required": ["error", "code", "request_id"],
    "properties": {
        "error": {"type": "string"},
        "code": {"type": "string"},
        "fields": {"type": "object", "additionalProperties": {"type": "string"}},
        "id": {"type": "integer", "description": "the record that stands in the way"},
        "request_id": {"type": "string"},
    },
}
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "the version that was seen, as the ETag of an answer; stands for `version`",
    "schema": {"type": "string", "pattern": r'^(\*|(W/)?"[0-9]{1,9}")$'},
}
_IDEMPOTENCY_KEY = {
    "name": KEY_HEADER,
    "in": "header",
    "required": False,
    "description": "something random; a request that is sent again with its key has one effect, "
    "and for at least 24 hours the same answer, marked `Idempotency-Replayed: true`",
    "schema": {"type": "string", "pattern": KEY_PATTERN},
}
_TICKET = {
    "name": "ticket",
    "in": "query",
    "required": False,
    "description": "of `POST /api/auth/ws-ticket`, instead of the bearer header",
    "schema": {"type": "string", "maxLength": 128},
}
_OF_A_LINK = [
    {"name": name, "in": "query", "required": False, "schema": {"type": kind}}
    for name, kind in (
        ("account", "integer"), ("user", "integer"), ("expires", "integer"), ("signature", "string")
    )
]  # fmt: skip
_LINK_IS_ENOUGH: list[dict[str, list[str]]] = [{"bearer": []}, {}]
_BY_LINK = "Needs no credential with a link of `{}`, which has all parameters of the query."
_STATUSES = {101: "switched", 200: "done", 503: "not now"}
_FAILURE = {
    "description": "an error",
    "content": {"application/json": {"schema": {"$ref": _REF.format(name="Error")}}},
}
_RETRY_AFTER = {
    "description": "how many seconds to wait",
    "required": True,
    "schema": {"type": "integer", "minimum": 1},
}
_TOO_MANY = _FAILURE | {
    "description": "too many requests or tries",
    "headers": {"Retry-After": _RETRY_AFTER},
}
_NOT_NOW = _TOO_MANY | {"description": "too much at once, or a part is away"}
# What any operation may answer that counts who asks.
_FAILURES = {"429": _TOO_MANY, "default": _FAILURE}
_ABOUT = """Leads, contacts, pipelines and tags of one account, by its credential.

Lists are `{data,total,page,limit}` by page or `{data,limit,next}` by cursor (`after=`, empty for
the first page). Absent means null or empty. Every list carries the header `Clarin-Seq`: the
number of the account's last event in the same snapshot. `GET /ws` delivers the events after it."""
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

Schema = dict[str, Any]


def document(rows: Iterable[Row] = ROWS) -> Schema:
    """Return the description of the whole HTTP surface."""
    rows = list(rows)
    schemas = _Schemas(rows)
    paths: Schema = {}
    for row in rows:
        path = "/api" + row.path.replace("<", "{").replace(">", "}")
        paths.setdefault(path, {})[row.method.lower()] = _operation(row, schemas)
    for path, method, operation in _by_hand(schemas):
        paths.setdefault(path, {})[method] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Clarin", "version": version("clarin"), "description": _ABOUT},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": schemas.named | {"Error": _ERROR},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def add_documents(app: App) -> None:
    """Route /openapi.json and /docs."""
    described = document()
    as_json = encoder.encode(described)
    as_page = docs_page(described).encode()

    async def openapi(_: Request) -> HTTPResponse:
        return HTTPResponse(as_json, content_type="application/json")

    async def docs(_: Request) -> HTTPResponse:
        headers = {"Content-Security-Policy": _PAGE_POLICY, "X-Content-Type-Options": "nosniff"}
        return HTTPResponse(as_page, 200, headers, "text/html; charset=utf-8")

    for path, handler in (("/openapi.json", openapi), ("/docs", docs)):
        app.add_route(handler, path, methods=["GET", "HEAD"], stream=True)


class _Schemas:
    """The schemas of all inputs and answers, named once."""

    def __init__(self, rows: list[Row]) -> None:
        inputs = [row.input[1] for row in rows if row.input]
        answers = [row.hints["return"] for row in rows]
        extra = [ImportJob, ImportOptions, ImportPreview, NewUrlFile, MediaView]
        wanted = [type_ for type_ in (*inputs, *answers, *extra) if type_ is not type(None)]
        found, self.named = msgspec.json.schema_components(wanted, ref_template=_REF)
        self._of = dict(zip(map(repr, wanted), found, strict=True))
        for schema in self.named.values():
            if {"data", "limit", "seq"} <= set(schema.get("properties", ())):
                del schema["properties"]["seq"]  # It travels in the header Clarin-Seq.

    def of(self, type_: object) -> Schema:
        """Return the schema of a type."""
        return self._of[repr(type_)]

    def fields(self, type_: type[Struct]) -> Schema:
        """Return the component of a Struct: its properties and which are required."""
        name = self.of(type_)["$ref"].rsplit("/", 1)[1]
        return self.named[name]  # type: ignore[no-any-return]  # msgspec says Any


def _operation(row: Row, schemas: _Schemas) -> Schema:
    text = _OURS.sub("", inspect.getdoc(row.operation) or "")
    summary, _, rest = text.partition("\n")
    suffix = "_patch" if row.method == "PATCH" else ""
    operation: Schema = {
        "operationId": f"{_tag(row)}_{row.operation.__name__}{suffix}",
        "tags": [_tag(row)],
        "summary": summary,
        "parameters": _parameters(row, schemas),
        "responses": _responses(row.status, schemas, row.hints["return"]),
    }
    if who := _for_whom(row):
        rest = f"{rest}\n\n{who}"
    if rest.strip():
        operation["description"] = rest.strip()
    if row.is_public:
        operation["security"] = []
    if row.input and not row.reads_query:
        content = {"application/json": {"schema": schemas.of(row.input[1])}}
        needed = bool(schemas.fields(row.input[1]).get("required"))
        operation["requestBody"] = {"required": needed, "content": content}
    return operation


def _parameters(row: Row, schemas: _Schemas) -> list[Schema]:
    found = [_in_path(row, name) for name in row.in_path]
    if row.is_conditional:
        found.append(_IF_MATCH)
    if row.is_repeatable:
        found.append(_IDEMPOTENCY_KEY)
    if row.input and row.reads_query:
        found += _in_query(schemas.fields(row.input[1]))
    return found


def _in_path(row: Row, name: str) -> Schema:
    hint = row.hints[name]
    if isinstance(hint, type) and issubclass(hint, Enum):
        schema: Schema = {"enum": [word.value for word in hint]}
    else:
        schema = {"type": "integer", "minimum": 1, "maximum": ID_MAX}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _in_query(fields: Schema) -> list[Schema]:
    required = fields.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": schema}
        | ({"style": "form", "explode": False} if schema.get("type") == "array" else {})
        for name, schema in fields["properties"].items()
    ]


def _responses(status: int, schemas: _Schemas, answer: object) -> Schema:
    good: Schema = {"description": "done"}
    if answer is not type(None):
        good["content"] = {"application/json": {"schema": schemas.of(answer)}}
    return {str(status): good, **_FAILURES}


def _for_whom(row: Row) -> str:
    if _tag(row) == "admin":
        return "For those who run the service."
    return "For administrators." if row.for_admins else ""


def _tag(row: Row) -> str:
    return row.path.split("/")[1]


def _by_hand(schemas: _Schemas) -> list[tuple[str, str, Schema]]:
    """Describe what the binder does not route."""
    return [
        ("/api/import/csv", "post", _upload("Import a CSV file in the background.", 202, schemas)),
        ("/api/import/csv/preview", "post", _upload("Say how a file is read.", 200, schemas)),
        ("/api/imports/{import_id}/rejects", "get", _rejects()),
        ("/api/media/upload", "post", _file_upload(schemas)),
        ("/api/media/file/{key}", "get", _file()),
        ("/health", "get", _probe("Say that the process lives.", 200)),
        ("/ready", "get", _probe("Say whether requests can be answered; 503 when not.", 200, 503)),
        ("/metrics", "get", _probe("Give the figures in the text format of Prometheus.", 200)),
        ("/ws", "get", _socket()),
    ]


def _socket() -> Schema:
    described = _probe("Upgrade to a WebSocket: `hello`, then every change of the account.", 101)
    responses = described["responses"] | _FAILURES | {"503": _NOT_NOW}
    return described | {
        "security": [{"bearer": []}, {}],
        "parameters": [_TICKET],
        "responses": responses,
    }


def _upload(summary: str, status: int, schemas: _Schemas) -> Schema:
    fields = schemas.fields(ImportOptions)["properties"]
    properties = {name: fields[name] for name in ("import_type", "overwrite")}
    properties["file"] = {"type": "string", "contentMediaType": "text/csv"}
    form = {"type": "object", "required": ["file"], "properties": properties}
    return {
        "tags": ["imports"],
        "summary": summary,
        "parameters": [_IDEMPOTENCY_KEY] if status == 202 else [],
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": {"schema": form}},
        },
        "responses": _responses(status, schemas, ImportJob if status == 202 else ImportPreview),
    }


def _rejects() -> Schema:
    id_ = {"type": "integer", "minimum": 1, "maximum": ID_MAX}
    return {
        "tags": ["imports"],
        "summary": "Download the rows that were not imported, with the reasons.",
        "parameters": [{"name": "import_id", "in": "path", "required": True, "schema": id_}],
        "responses": {
            "200": {"description": "a CSV file", "content": {"text/csv": {}}},
            **_FAILURES,
        },
    }


def _file_upload(schemas: _Schemas) -> Schema:
    media_type = schemas.fields(NewUrlFile)["properties"]["media_type"]
    properties = {"media_type": media_type, "file": {"type": "string"}}
    form = {"type": "object", "required": ["file"], "properties": properties}
    return {
        "tags": ["media"],
        "summary": "Keep a file, which is what its first bytes say.",
        "description": "Fields stand before the file. What no message has after a day is removed. "
        + _BY_LINK.format("/media/upload-url"),
        "security": _LINK_IS_ENOUGH,
        "parameters": _OF_A_LINK,
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}},
        "responses": _responses(201, schemas, MediaView),
    }


def _file() -> Schema:
    key = {"name": "key", "in": "path", "required": True, "schema": {"type": "string"}}
    headers = [
        {"name": name, "in": "header", "required": False, "schema": {"type": "string"}}
        for name in ("Range", "If-Range", "If-None-Match")
    ]
    return {
        "tags": ["media"],
        "summary": "Give the bytes of a file, or one part of them.",
        "description": _BY_LINK.format("/media/{media_id}/link"),
        "security": _LINK_IS_ENOUGH,
        "parameters": [key, *_OF_A_LINK, *headers],
        "responses": {
            "200": {"description": "the file", "content": {"*/*": {}}},
            "206": {"description": "the part that Range names", "content": {"*/*": {}}},
            "304": {"description": "what If-None-Match names"},
            "416": _FAILURE | {"description": "the file has no such part"},
            **_FAILURES,
        },
    }


def _probe(summary: str, *statuses: int) -> Schema:
    return {
        "tags": ["service"],
        "summary": summary,
        "security": [],
        "responses": {str(status): {"description": _STATUSES[status]} for status in statuses},
    }
