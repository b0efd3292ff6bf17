"""The OpenAPI document as one readable page: no script, nothing from another host."""

import re
from html import escape
from itertools import groupby
from typing import Any

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --key: #6366f1 }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line) }
nav a { margin-right: 1rem } a { color: var(--key) }
details { border: 1px solid var(--line); border-radius: 6px; margin: .5rem 0; padding: .4rem .8rem }
summary { cursor: pointer } summary span { color: #888 }
code, pre { font: 14px/1.4 ui-monospace, monospace }
b.method { display: inline-block; width: 4.8rem; color: var(--key) }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 }
td, th { text-align: left; border-bottom: 1px solid var(--line); padding: .2rem .5rem .2rem 0 }
pre { background: var(--soft); padding: .6rem; border-radius: 6px; overflow-x: auto }
"""

_CODE = re.compile(r"`([^`]+)`")

Schema = dict[str, Any]


def docs_page(document: Schema) -> str:
    """Return the page as HTML."""
    operations = [
        (operation["tags"][0], method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    operations.sort(key=lambda found: found[0])
    groups = {tag: list(some) for tag, some in groupby(operations, key=lambda found: found[0])}
    schemas = document["components"]["schemas"]
    links = "".join(f'<a href="#{escape(tag)}">{escape(tag)}</a>' for tag in groups)
    parts = [_group(tag, some, schemas) for tag, some in groups.items()]
    info = document["info"]
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width'>"
        f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style>"
        f"<h1>{escape(info['title'])} <small>{escape(info['version'])}</small></h1>"
        f"<p>{_prose(info['description'])}</p>"
        "<p>The same as data: <a href=/openapi.json>/openapi.json</a></p>"
        f"<nav>{links}</nav>{''.join(parts)}</html>"
    )


def _prose(text: str) -> str:
    """Return text as HTML, with what stands between ticks as code."""
    return _CODE.sub(r"<code>\1</code>", escape(text))


def _group(tag: str, operations: list[tuple[str, str, str, Schema]], schemas: Schema) -> str:
    shown = (_operation(method, path, found, schemas) for _, method, path, found in operations)
    return f'<h2 id="{escape(tag)}">{escape(tag)}</h2>{"".join(shown)}'


def _operation(method: str, path: str, operation: Schema, schemas: Schema) -> str:
    head = (
        f"<summary><b class=method>{method}</b><code>{escape(path)}</code> "
        f"<span>{_prose(operation['summary'])}</span></summary>"
    )
    text = f"<p>{_prose(operation['description'])}</p>" if "description" in operation else ""
    access = "" if operation.get("security") == [] else "<p>Needs a bearer token.</p>"
    inputs = _table("Parameters", [_parameter(p) for p in operation.get("parameters", ())])
    body = _body(operation, schemas)
    answers = _table("Answers", [_answer(*found) for found in operation["responses"].items()])
    return f"<details>{head}{text}{access}{inputs}{body}{answers}</details>"


def _body(operation: Schema, schemas: Schema) -> str:
    contents = operation.get("requestBody", {}).get("content", {})
    tables = []
    for media, content in contents.items():
        schema = content["schema"]
        if "$ref" in schema:
            schema = schemas[schema["$ref"].rsplit("/", 1)[1]]
        required = schema.get("required", ())
        rows = [
            (name, _type(field), "required" if name in required else "")
            for name, field in schema.get("properties", {}).items()
        ]
        tables.append(_table(f"Body ({media})", rows))
    return "".join(tables)


def _parameter(parameter: Schema) -> tuple[str, str, str]:
    needed = "required" if parameter["required"] else ""
    return parameter["name"], _type(parameter["schema"]), f"{parameter['in']} {needed}"


def _answer(status: str, answer: Schema) -> tuple[str, str, str]:
    schemas = [content.get("schema", {}) for content in answer.get("content", {}).values()]
    return status, ", ".join(_type(schema) for schema in schemas), answer["description"]


def _table(title: str, rows: list[tuple[str, str, str]]) -> str:
    if not rows:
        return ""
    lines = "".join(
        f"<tr><td><code>{escape(name)}</code><td>{escape(kind)}<td>{escape(remark)}"
        for name, kind, remark in rows
    )
    return f"<table><tr><th colspan=3>{escape(title)}{lines}</table>"


def _type(schema: Schema) -> str:
    """Return a schema in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"].rsplit("/", 1)[1])
    if "anyOf" in schema:
        return " or ".join(_type(part) for part in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    bounds = [f"{word} {schema[key]}" for key, word in _BOUNDS.items() if key in schema]
    return " ".join([str(schema.get("format") or schema.get("type", "any")), *bounds])


_BOUNDS = {
    "minLength": "≥",
    "maxLength": "≤",
    "minimum": "≥",
    "maximum": "≤",
    "pattern": "like",
}
