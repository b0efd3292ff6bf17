"""Every operation of the surface: who may ask, how it refuses, and what all answers share."""

import base64
import json
from datetime import timedelta

import httpx

from clarin_core.domain.ids import AccountId, SessionId, UserId
from clarin_core.ports.small import Claims
from clarin_core.ports.views import Views
from clarin_core.testing.watch import Watch
from clarin_core.usecases.sign_in import ACCESS_LIFE
from clarin_security import JwtIssuer
from clarin_server.http.rows import get
from support.examples import EXAMPLES
from support.houses import problem, refused, tell
from support.serving import SECRET, House, Person, sign_in
from support.surface import (
    OPERATIONS,
    PROTECTED,
    Operation,
    leaves,
    name_of,
    picture,
    prepare,
    request,
    stock_of,
    successes,
    tenants_of,
)
from support.wire import at_work

ADMINS_ONLY = {
    "POST /api/tags",
    "PUT /api/tags/<tag_id>",
    "PATCH /api/tags/<tag_id>",
    "DELETE /api/tags/<tag_id>",
    "POST /api/devices",
    "PUT /api/devices/<device_id>",
    "PATCH /api/devices/<device_id>",
    "DELETE /api/devices/<device_id>",
    "POST /api/devices/<device_id>/connect",
    "POST /api/devices/<device_id>/disconnect",
    "PUT /api/kommo/credentials",
    "POST /api/kommo/pipelines/<kommo_id>/connect",
    "DELETE /api/kommo/pipelines/<kommo_id>/connect",
    "POST /api/kommo/sync",
    "POST /api/devices/<device_id>/pair",
    "POST /api/devices/<device_id>/sync-contacts",
    "POST /api/devices/<device_id>/unlink",
    "POST /api/quick-replies",
    "PUT /api/quick-replies/<quick_reply_id>",
    "PATCH /api/quick-replies/<quick_reply_id>",
    "DELETE /api/quick-replies/<quick_reply_id>",
    "POST /api/pipelines",
    "PUT /api/pipelines/<pipeline_id>",
    "PATCH /api/pipelines/<pipeline_id>",
    "DELETE /api/pipelines/<pipeline_id>",
    "POST /api/pipelines/<pipeline_id>/stages",
    "PUT /api/pipelines/<pipeline_id>/stages/reorder",
    "PUT /api/pipelines/<pipeline_id>/stages/<stage_id>",
    "PATCH /api/pipelines/<pipeline_id>/stages/<stage_id>",
    "DELETE /api/pipelines/<pipeline_id>/stages/<stage_id>",
    "DELETE /api/leads/batch",
    "DELETE /api/chats/batch",
    "DELETE /api/contacts/batch",
    "POST /api/contacts/merge",
    "POST /api/contacts/merge/preview",
    "PUT /api/settings/account",
    "PATCH /api/settings/account",
    "POST /api/import/csv",
    "POST /api/import/csv/preview",
    "GET /api/events/stream",
    "GET /api/imports",
    "GET /api/imports/<import_id>",
    "GET /api/imports/<import_id>/rows",
    "GET /api/imports/<import_id>/rejects",
    "POST /api/members",
    "PUT /api/members/<user_id>",
    "PATCH /api/members/<user_id>",
    "DELETE /api/members/<user_id>",
}
"""What an agent may not do in the own account (section 7 of the domain reference)."""

ABOVE_ACCOUNTS = {str(one) for one in OPERATIONS if one.path.startswith("/api/admin/")}


def segment(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def unsigned(token: str) -> str:
    _, payload, _ = token.split(".")
    return f"{segment({'alg': 'none', 'typ': 'at+jwt'})}.{payload}."


def credentials(ana: Person, watch: Watch) -> dict[str, str | None]:
    """Return what does not count as one, by what is wrong with it."""
    key = UserId(ana.user_id), AccountId(ana.account_id), SessionId(1)
    live = Claims(*key, 0, watch.at + ACCESS_LIFE)
    ended = live._replace(expires_at=watch.at - timedelta(seconds=1))
    nowhere = live._replace(account_id=AccountId(2**40))
    ours = JwtIssuer(SECRET, life=ACCESS_LIFE)
    stranger = JwtIssuer(b"another key, long enough for this", life=ACCESS_LIFE)
    head, payload, signature = ana.token.split(".")
    return {
        "absent": None,
        "empty": "Bearer",
        "basic": "Basic YW5hOnVuYSBjbGF2ZSBsYXJnYQ==",
        "malformed": "Bearer not.a.token",
        "bytes": "Bearer \xff\xfe",
        "endless": "Bearer " + "a" * 5000,
        "forged": f"Bearer {stranger.issue(live)}",
        "unsigned": f"Bearer {unsigned(ana.token)}",
        "tampered": f"Bearer {head}.{payload[:-2]}AA.{signature}",
        "expired": f"Bearer {ours.issue(ended)}",
        "of no account": f"Bearer {ours.issue(nowhere)}",
        "refresh": f"Bearer {ana.refresh_token}",
    }


def test_every_operation_needs_a_credential() -> None:
    """A credential that does not count gets one answer from all operations, whatever they are."""
    watch = Watch()

    async def story(house: House) -> None:
        for wrong, credential in credentials(house.ana, watch).items():
            answers = [await anonymous(house, one, credential) for one in PROTECTED]
            bodies = {json.dumps(problem(answer)) for answer in answers}
            assert {answer.status_code for answer in answers} == {401}, wrong
            assert len(bodies) == 1, (wrong, bodies)
            assert {answer.headers["www-authenticate"] for answer in answers} == {"Bearer"}

    tell(story, clock=watch)


async def anonymous(house: House, one: Operation, credential: str | None) -> httpx.Response:
    path = one.path.replace("<", "").replace(">", "")
    headers = {} if credential is None else {b"Authorization": credential.encode("latin-1")}
    return await house.http.request(one.method, path, headers=headers, content=b"not read")


def test_every_operation_succeeds_for_those_who_may(address: str) -> None:
    """Each answers with its status in JSON, absent instead of null; records have ETags."""

    async def story(house: House) -> None:
        async for one, answer in successes(house):
            check_good(one, answer)

    tell(story, address=address)


def check_good(one: Operation, response: httpx.Response) -> None:
    expected = (
        one.row.status if one.row else {"csv": 202, "upload": 201}.get(one.path.split("/")[-1], 200)
    )
    assert response.status_code == expected, (str(one), response.text)
    assert response.headers["x-content-type-options"] == "nosniff"
    is_file = one.path.endswith("<key>")
    kept = "private, max-age=300" if is_file else "no-store"
    assert response.headers["cache-control"] == kept
    assert response.headers["x-request-id"]
    if one.path.endswith("/rejects"):
        assert response.headers["content-type"].startswith("text/csv")
    elif expected == 204:
        assert response.content == b""
    elif is_file:
        assert response.headers["content-type"].startswith("text/plain")
    else:
        body = response.json()
        assert response.headers["content-type"] == "application/json"
        assert None not in set(leaves(body)), (str(one), body)
        version = body.get("version") if isinstance(body, dict) else None
        assert response.headers.get("etag") == (f'"{version}"' if version else None)


def test_agents_may_not_administer_their_account() -> None:
    """Section 7: 403 to an agent for what needs an administrator, and nothing is changed."""

    async def story(house: House) -> None:
        stock = await stock_of(house.ana)
        before = await picture(house.ana)
        for one in PROTECTED:
            if str(one) in ADMINS_ONLY | ABOVE_ACCOUNTS:
                asked = request(one, stock)
                response = await house.beto.ask(one.method, asked.url, **asked.options)
                refused(response, 403, "forbidden")
        assert await picture(house.ana) == before

    tell(story)


def test_agents_may_do_the_rest() -> None:
    """Section 7: all that is not an administrator's."""

    async def story(house: House) -> None:
        name = await name_of(house.beto)
        for one in PROTECTED:
            if str(one) not in ADMINS_ONLY | ABOVE_ACCOUNTS:
                stock = await stock_of(house.ana)
                await prepare(one, house.ana, stock)
                beto = await sign_in(house.http, name)
                asked = request(one, stock)
                response = await beto.ask(one.method, asked.url, **asked.options)
                assert response.is_success, (str(one), response.text)

    tell(story)


def test_administrators_of_an_account_do_not_run_the_service() -> None:
    """Section 7: accounts and users of all tenants are for super administrators only."""

    async def story(house: House) -> None:
        stock = await tenants_of(house.ana, await stock_of(house.ana))
        listed = "/api/admin/accounts", "/api/admin/users"
        before = [await house.ana.get(path) for path in listed]
        for one in OPERATIONS:
            if str(one) in ABOVE_ACCOUNTS:
                asked = request(one, stock)
                response = await house.carla.ask(one.method, asked.url, **asked.options)
                refused(response, 403, "forbidden")
        assert [await house.ana.get(path) for path in listed] == before

    tell(story)


def test_the_table_of_roles_is_what_the_rows_say() -> None:
    """A renamed operation cannot slip out of the table, and the rows say it to OpenAPI."""
    assert {str(one) for one in OPERATIONS} >= ADMINS_ONLY
    said = {str(one) for one in OPERATIONS if one.row and one.row.for_admins}
    assert said == {name for name in ADMINS_ONLY if "/import/csv" not in name} - {
        "GET /api/imports/<import_id>/rejects"
    }


def test_what_is_for_one_role_is_not_kept() -> None:
    """Whoever is answered from what is kept is not asked for a role."""
    assert get("/tags", Views.tags).is_kept
    assert not get("/tags", Views.tags, for_admins=True).is_kept


def test_every_input_of_a_body_has_an_example() -> None:
    """So that the tests of this folder ask every operation something that succeeds."""
    bodies = {one.input for one in OPERATIONS if one.input and one.where == "body"}
    assert bodies == EXAMPLES.keys()


def test_what_does_not_exist_is_not_found() -> None:
    """Unknown paths, also those that are almost known, and ids that no record can have."""

    async def story(house: House) -> None:
        for path in ("/", "/api", "/api/nothing", "/api//leads", "/leads", "/api/leads/1/x"):
            refused(await house.ana.ask("GET", path), 404, "not_found")
        known = (await house.ana.post("/api/leads", name="Luz"))["id"]
        assert (await house.ana.ask("GET", f"/api/leads/{known}")).status_code == 200
        spelt = (f"0{known}", f"+{known}", f"{known}.0", f"%3{known}", f"{known}%20", f"{known}%00")
        for text in (*spelt, "0", "-1", "1e3", "x", "٣", str(2**63), str(2**64 + known), "9" * 30):
            refused(await house.ana.ask("GET", f"/api/leads/{text}"), 404, "not_found")

    tell(story)


def test_a_wrong_method_is_told_which_ones_are_right() -> None:
    """405 with Allow, as HTTP demands; nothing is done."""

    async def story(house: House) -> None:
        paths = {one.path for one in OPERATIONS}
        for path in sorted(paths):
            methods = {one.method for one in OPERATIONS if one.path == path}
            wrong = min({"DELETE", "GET", "PATCH", "POST", "PUT"} - methods)
            response = await house.ana.ask(wrong, path.replace("<", "").replace(">", ""))
            if response.status_code == 404:
                continue  # Another operation's placeholder takes the same path.
            refused(response, 405, "method_not_allowed")
            assert methods <= set(response.headers["allow"].split(", "))
        for odd in ("OPTIONS", "TRACE", "PROPFIND"):
            refused(await house.ana.ask(odd, "/api/leads"), 405, "method_not_allowed")

    tell(story)


def test_head_is_get_without_the_body() -> None:
    """The same status and headers, for good answers and for bad ones."""

    async def story(house: House) -> None:
        stock = await stock_of(house.ana)
        asked = [request(one, stock).url for one in PROTECTED if one.method == "GET"]
        for path in [*asked, "/api/leads/999999", "/api/leads?limit=x", "/health", "/docs"]:
            got = await house.ana.ask("GET", path, headers={"X-Request-ID": "same"})
            head = await house.ana.ask("HEAD", path, headers={"X-Request-ID": "same"})
            assert (head.status_code, head.content) == (got.status_code, b""), path
            assert dict(head.headers) == dict(got.headers), path

    tell(story)


def test_a_request_keeps_its_id() -> None:
    """A plain X-Request-ID comes back and is kept with the events; any other is replaced."""

    async def story(house: House) -> None:
        ana = house.ana
        for plain in ("a", "b4-C_9.x", "x" * 64):
            for path in ("/api/me", "/api/nothing", "/api/leads/9", "/health"):
                response = await ana.ask("GET", path, headers={"X-Request-ID": plain})
                assert response.headers["x-request-id"] == plain
        for odd in ("", "x" * 65, "a b", "a;b", "<i>", "ñ", '"'):
            named = {"X-Request-ID": odd.encode()}
            response = await ana.ask("GET", "/api/nothing", headers=named)
            assert response.headers["x-request-id"] not in ("", odd)
            problem(response)
        headers = {"X-Request-ID": "mine"}
        await ana.ask("POST", "/api/leads", json={"name": "Luz"}, headers=headers)
        page = await ana.get("/api/events/stream")
        assert page["data"][-1]["origin"]["request_id"] == "mine"

    tell(story)


ORIGIN = "https://crm.ejemplo.pe"


def test_pages_of_listed_origins_may_read_answers() -> None:
    """2.11: an explicit list, never reflected, never null; errors can be read like the rest."""

    async def story(house: House) -> None:
        asked = (
            ("GET", "/api/me"),
            ("GET", "/api/nothing"),
            ("POST", "/api/me"),
            ("GET", "/api/leads/9"),
        )
        for method, path in asked:
            for origin in (
                ORIGIN,
                "https://evil.example",
                "null",
                ORIGIN + ".evil",
                "http" + ORIGIN[5:],
            ):
                response = await house.ana.ask(method, path, headers={"Origin": origin})
                allowed = response.headers.get("access-control-allow-origin")
                assert allowed == (ORIGIN if origin == ORIGIN else None), (path, origin)
                assert response.headers["vary"] == "Origin"
                assert "access-control-allow-credentials" not in response.headers
            assert "access-control-allow-origin" not in (await house.ana.ask(method, path)).headers

    tell(story, cors_origins=(ORIGIN,))


def test_browsers_may_ask_first() -> None:
    """A preflight needs no credential and promises what the operations read."""

    async def story(house: House) -> None:
        async def ask(origin: str) -> httpx.Response:
            headers = {"Origin": origin, "Access-Control-Request-Method": "PUT"}
            return await house.http.request("OPTIONS", "/api/leads/7", headers=headers)

        told = await ask(ORIGIN)
        assert told.status_code == 204
        assert told.headers["access-control-allow-origin"] == ORIGIN
        assert "PUT" in told.headers["access-control-allow-methods"]
        assert "Authorization" in told.headers["access-control-allow-headers"]
        for origin in ("null", "https://evil.example"):
            assert not [name for name in (await ask(origin)).headers if name.startswith("access-")]

    tell(story, cors_origins=(ORIGIN,))


def test_too_many_requests_at_once_are_refused_early() -> None:
    """Section 4: the rest waits with Retry-After instead of piling up; health still answers."""

    async def story(house: House) -> None:
        body = b'{"name":"Luz"}'
        async with at_work(house, body) as line:
            answer = await house.ana.ask("GET", "/api/me")
            refused(answer, 503, "unavailable")
            assert int(answer.headers["retry-after"]) >= 1
            assert (await house.http.get("/health")).status_code == 200
            await line.send(body)
            assert (await line.head()).startswith(b"HTTP/1.1 201 ")
        assert (await house.ana.ask("GET", "/api/me")).status_code == 200

    tell(story, requests_in_flight_max=1)
