"""The document tells the truth: it is valid, whole, and what is answered fits it (R23)."""

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from clarin_core.domain.command import Change
from clarin_core.domain.media_links import Signed
from clarin_server.http.openapi import document
from support.houses import PATIENCE_S, neighbour, tell
from support.serving import House, Person
from support.surface import DISTINCT, OPERATIONS, Operation, kommo_of, leaves, successes

DOCUMENT = msgspec.json.decode(msgspec.json.encode(document()))


def described(one: Operation) -> dict[str, Any]:
    """Return what the document says of an operation."""
    path = one.path.replace("<", "{").replace(">", "}")
    found: dict[str, Any] = DOCUMENT["paths"][path][one.method.lower()]
    return found


def strict(value: Any) -> Any:
    """Return a copy of the document in which no object has a field that is not named."""
    if isinstance(value, list):
        return [strict(part) for part in value]
    if not isinstance(value, dict):
        return value
    copy = {name: strict(part) for name, part in value.items()}
    if "properties" in copy and copy.get("type") == "object":
        copy.setdefault("additionalProperties", False)
    return copy


def test_the_document_is_served_and_valid() -> None:
    """OpenAPI 3.1, and every reference leads somewhere."""

    async def story(house: House) -> None:
        answer = await house.http.get("/openapi.json")
        assert answer.headers["content-type"] == "application/json"
        assert answer.json() == DOCUMENT

    tell(story)
    schemathesis.openapi.from_dict(DOCUMENT).validate()
    names = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    used = {leaf for leaf in leaves(DOCUMENT) if str(leaf).startswith("#/")}
    assert used <= names


def test_every_operation_is_described() -> None:
    """Neither more nor less than what is routed; each with a name of its own and a summary."""
    paths = DOCUMENT["paths"]
    described_ones = {
        f"{method.upper()} {path}"
        for path, methods in paths.items()
        for method in methods
        if path.startswith("/api")
    }
    routed = {str(one).replace("<", "{").replace(">", "}") for one in OPERATIONS}
    assert described_ones == routed
    ids = [described(one)["operationId"] for one in OPERATIONS if one.row]
    assert len(set(ids)) == len(ids)
    assert all(described(one)["summary"] for one in OPERATIONS)
    assert {"/health", "/ready", "/metrics", "/ws"} <= paths.keys()


@pytest.mark.parametrize("one", OPERATIONS, ids=str)
def test_a_description_names_all_that_is_read(one: Operation) -> None:
    """Parameters of path and query, the body, the credential and the status."""
    said = described(one)
    parameters = {(found["name"], found["in"]) for found in said.get("parameters", ())}
    wanted = {(name, "path") for name in one.in_path}
    fields = one.input.__struct_fields__ if one.input else ()
    if one.input and issubclass(one.input, Change):
        wanted |= {("If-Match", "header")}
    if one.is_repeatable:
        wanted |= {("Idempotency-Key", "header")}
    if one.where == "query":
        wanted |= {(name, "query") for name in fields}
    if one.takes_links:
        wanted |= {(name, "query") for name in Signed.__struct_fields__}
    if one.path.endswith("<key>"):
        wanted |= {(name, "header") for name in ("Range", "If-Range", "If-None-Match")}
    assert parameters == wanted
    has_form = one.row is None and one.method == "POST"
    has_body = one.input is not None and one.where == "body"
    assert ("requestBody" in said) == (has_form or has_body)
    assert (said.get("security") == []) == one.is_public
    assert {"429", "default"} <= said["responses"].keys()
    if one.row:
        assert str(one.row.status) in said["responses"]


def test_who_is_counted_is_told_so() -> None:
    """429 wherever a limit is, and 503 for sockets, with the time to wait; probes are free."""
    for path, methods in DOCUMENT["paths"].items():
        wanted = {"429"} if path.startswith("/api/") else set()
        for said in methods.values():
            told = {
                status
                for status, answer in said["responses"].items()
                if "Retry-After" in answer.get("headers", ())
            }
            assert told == ({"429", "503"} if path == "/ws" else wanted), path


def test_answers_fit_their_description() -> None:
    """Every operation's answer has the fields that are named, and no other."""
    schema = schemathesis.openapi.from_dict(strict(DOCUMENT))
    asked = []

    async def story(house: House) -> None:
        async for one, answer in successes(house):
            path = one.path.replace("<", "{").replace(">", "}")
            answer.request.read()  # So that the checker can look at a form, too.
            schema[path][one.method].validate_response(answer)
            asked.append(one)

    tell(story)
    assert len(asked) > 50


class Page(HTMLParser):
    """What a page says and what it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.said: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action")]

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def test_the_page_names_every_operation_and_loads_nothing() -> None:
    """A reader needs no other host and no script, and the browser is told so."""

    async def story(house: House) -> None:
        answer = await house.http.get("/docs")
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        page = Page(answer.text)
        assert not {"script", "link", "img", "iframe", "form", "object", "base"} & page.tags
        assert [link for link in page.links if not link.startswith(("#", "/"))] == []
        assert "url(" not in answer.text
        assert "@import" not in answer.text
        for one in OPERATIONS:
            assert one.path.replace("<", "{").replace(">", "}") in page.said, str(one)
            summary = described(one)["summary"].replace("`", "")  # Shown as code.
            assert summary in "".join(page.said), str(one)

    tell(story)


AnyCase = Case[Any]
ENDS_THE_SIGN_IN = {
    "POST /api/auth/logout",
    "PUT /api/settings/password",
    "POST /api/auth/switch-account",
}


def test_generated_requests_get_described_answers() -> None:
    """7.6: from the document alone, good and bad requests; bounded, the corpus goes deeper."""
    with neighbour() as next_door:
        url = str(next_door.house.http.base_url).rstrip("/")
        schema = schemathesis.openapi.from_dict(DOCUMENT)
        next_door.run(kommo_of(next_door.house.carla))  # Without one its reads are 503.
        for one in DISTINCT:
            if str(one) in ENDS_THE_SIGN_IN:
                continue
            is_above = one.path.startswith("/api/admin/")
            ask = asking(url, next_door.house.ana if is_above else next_door.house.carla)
            operation = schema[one.path.replace("<", "{").replace(">", "}")][one.method]
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                fuzz(operation.as_strategy(generation_mode=mode), ask)


def asking(url: str, person: Person) -> Callable[[AnyCase], None]:
    headers = {"Authorization": f"Bearer {person.token}"}

    def ask(case: AnyCase) -> None:
        answer = case.call(base_url=url, headers=headers, timeout=PATIENCE_S)
        # No schema can say all rules: a lead needs a name or a phone or a contact.
        case.validate_response(answer, excluded_checks=[positive_data_acceptance], headers=headers)

    return ask


def fuzz(cases: SearchStrategy[AnyCase], ask: Callable[[AnyCase], None]) -> None:
    """Ask some of the cases, the same ones each time."""

    @settings(
        max_examples=3,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def some(case: AnyCase) -> None:
        ask(case)

    some()
