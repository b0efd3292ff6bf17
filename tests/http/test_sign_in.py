"""Signing in over HTTP: what counts, what has ended, how often one may try (R24, R25, R26)."""

import json
from typing import Any

import httpx
import pytest

from clarin_core.testing.watch import Watch
from support.examples import new_user
from support.houses import problem, refused, tell
from support.serving import PASSWORD, House, Person, sign_in
from support.surface import name_of

OTHER_PASSWORD = "otra clave larga"


async def login(house: House, username: str, password: str = PASSWORD) -> httpx.Response:
    said = {"username": username, "password": password}
    return await house.http.post("/api/auth/login", json=said)


async def refresh(house: House, token: str) -> httpx.Response:
    return await house.http.post("/api/auth/refresh", json={"refresh_token": token})


async def counts(house: House, token: str) -> bool:
    """Return whether an access token counts; one that does not is 401."""
    answer = await house.http.get("/api/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code in (200, 401), answer.text
    return answer.status_code == 200


async def check_ended(house: House, person: Person) -> None:
    """Neither token of a sign-in counts any more."""
    assert not await counts(house, person.token)
    refused(await refresh(house, person.refresh_token), 401, "unauthorized")


def test_one_signs_in_by_name_or_address_in_any_case(address: str) -> None:
    """Decision 8: the answer has tokens for one account, the user and the accounts."""

    async def story(house: House) -> None:
        name = await name_of(house.ana)
        for login_name in (name, name.upper(), f" {name} ", f"{name}@ejemplo.pe".title()):
            told = (await login(house, login_name)).json()
            assert told.keys() == {
                "token", "refresh_token", "expires_at", "account_id", "user", "accounts",
            }  # fmt: skip
            assert (told["account_id"], told["user"]["username"]) == (house.ana.account_id, name)
            assert [place["account_id"] for place in told["accounts"]] == [house.ana.account_id]
            assert await counts(house, told["token"])

    tell(story, address=address)


def test_who_guesses_learns_nothing() -> None:
    """R25: one answer for unknown names, wrong passwords and users who may not sign in."""

    async def story(house: House) -> None:
        beto, carla = await name_of(house.beto), await name_of(house.carla)
        path = f"/api/admin/users/{house.beto.user_id}"
        await house.ana.put(path, is_active=False)
        answers = [
            await login(house, "nadie"),
            await login(house, carla, "no es esta"),
            await login(house, carla, ""),
            await login(house, carla, PASSWORD.upper()),
            await login(house, beto),
            await login(house, beto, "no es esta"),
            await login(house, ""),
            await login(house, "a\0b"),
            await login(house, "x" * 255, "x" * 1024),
        ]
        assert {answer.status_code for answer in answers} == {401}
        assert len({json.dumps(problem(answer)) for answer in answers}) == 1
        for shape in ({}, {"username": "a"}, {"username": 1, "password": "x"},
                      {"username": "a", "password": "x" * 1025},
                      {"username": "x" * 256, "password": "x"},
                      {"username": "a", "password": "x", "admin": True}):  # fmt: skip
            answer = await house.http.post("/api/auth/login", json=shape)
            refused(answer, 422, "validation_failed")

    tell(story)


def test_a_name_can_be_tried_ten_times() -> None:
    """R25: then 429 with the wait, also with the right password, until a quarter has passed."""
    watch = Watch()

    async def story(house: House) -> None:
        name = await name_of(house.carla)
        for _ in range(10):
            refused(await login(house, name, "no es esta"), 401, "unauthorized")
            watch.forward(minutes=1)
        for tried in (name, name.upper(), f" {name}"):
            answer = await login(house, tried)
            refused(answer, 429, "rate_limited")
            assert 295 <= int(answer.headers["retry-after"]) <= 301
        assert (await login(house, await name_of(house.beto))).status_code == 200
        watch.forward(seconds=int(answer.headers["retry-after"]))
        assert (await login(house, name)).status_code == 200

    tell(story, clock=watch)


def test_an_address_can_try_fifty_times() -> None:
    """R25: whatever the names; who signs in well uses up no try of the address."""
    watch = Watch()

    async def story(house: House) -> None:
        name = await name_of(house.carla)
        for number in range(49):
            refused(await login(house, f"nadie {number}"), 401, "unauthorized")
            assert (await login(house, name)).status_code == 200
        refused(await login(house, "nadie", "x"), 401, "unauthorized")
        answer = await login(house, name)
        refused(answer, 429, "rate_limited")
        watch.forward(seconds=int(answer.headers["retry-after"]))
        assert (await login(house, name)).status_code == 200

    tell(story, clock=watch)


def test_an_access_token_lives_a_quarter_of_an_hour() -> None:
    """2.11: then the refresh token brings a new pair, for 30 days from its last use."""
    watch = Watch()

    async def story(house: House) -> None:
        watch.forward(minutes=14, seconds=59)
        assert await counts(house, house.ana.token)
        watch.forward(seconds=1)
        assert not await counts(house, house.ana.token)
        watch.forward(days=29)
        told = (await refresh(house, house.ana.refresh_token)).json()
        assert await counts(house, told["token"])
        watch.forward(days=31)
        refused(await refresh(house, told["refresh_token"]), 401, "unauthorized")

    tell(story, clock=watch)


def test_a_refresh_token_counts_once(address: str) -> None:
    """2.11: it rotates, and whoever uses an old one again ends the whole sign-in."""

    async def story(house: House) -> None:
        first = house.beto.refresh_token
        second = (await refresh(house, first)).json()
        third = (await refresh(house, second["refresh_token"])).json()
        assert len({first, second["refresh_token"], third["refresh_token"]}) == 3
        assert await counts(house, third["token"])
        refused(await refresh(house, first), 401, "unauthorized")
        refused(await refresh(house, third["refresh_token"]), 401, "unauthorized")
        for token in (house.beto.token, second["token"], third["token"]):
            assert not await counts(house, token)
        assert await counts(house, house.ana.token)

    tell(story, address=address)


def test_odd_refresh_tokens_do_not_count() -> None:
    """They end nobody's sign-in either."""

    async def story(house: House) -> None:
        number, _, secret = house.ana.refresh_token.partition(".")
        for token in ("", ".", "x", number, f"{number}.", f".{secret}", f"0{number}x.{secret}",
                      f"9999999.{secret}", f"{'9' * 18}.{secret}", f"{'9' * 30}.{secret}",
                      f"-1.{secret}", f"٣.{secret}", house.ana.token[:250]):  # fmt: skip
            refused(await refresh(house, token), 401, "unauthorized")
        assert await counts(house, house.ana.token)
        assert (await refresh(house, house.ana.refresh_token)).status_code == 200

    tell(story)


def test_signing_out_ends_one_sign_in_at_once(address: str) -> None:
    """R24: its access token, its refresh token and its tickets; others go on."""

    async def story(house: House) -> None:
        other = await sign_in(house.http, await name_of(house.ana))
        assert (await house.ana.ask("POST", "/api/auth/logout")).status_code == 204
        await check_ended(house, house.ana)
        assert await counts(house, other.token)
        refused(await house.ana.ask("POST", "/api/auth/logout"), 401, "unauthorized")

    tell(story, address=address)


def test_a_new_password_ends_other_sign_ins(address: str) -> None:
    """2.11: the one who changes it goes on with new tokens; the old password is over."""

    async def story(house: House) -> None:
        name = await name_of(house.ana)
        other = await sign_in(house.http, name)
        change = {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}
        told = await house.ana.put("/api/settings/password", **change)
        await check_ended(house, other)
        await check_ended(house, house.ana)
        refused(await login(house, name), 401, "unauthorized")
        assert (await login(house, name, OTHER_PASSWORD)).status_code == 200

        assert told["token"] != house.ana.token

    tell(story, address=address)


def test_the_one_with_the_new_password_goes_on() -> None:
    """The tokens of the answer count; the used one of before is a stolen one from then on."""

    async def story(house: House) -> None:
        change = {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}
        told = await house.ana.put("/api/settings/password", **change)
        assert await counts(house, told["token"])
        assert (await refresh(house, told["refresh_token"])).status_code == 200

    tell(story)


def test_a_password_is_changed_by_who_knows_it() -> None:
    """A wrong one and a short one are refused, and nothing ends."""

    async def story(house: House) -> None:
        for change, field in (
            ({"current_password": "no", "new_password": OTHER_PASSWORD}, "current_password"),
            ({"current_password": PASSWORD, "new_password": "corta"}, "new_password"),
            ({"current_password": PASSWORD, "new_password": "x" * 129}, "new_password"),
            ({"new_password": OTHER_PASSWORD}, "current_password"),
        ):
            answer = await house.ana.ask("PUT", "/api/settings/password", json=change)
            refused(answer, 422, "validation_failed", field)
        assert await counts(house, house.ana.token)

    tell(story)


def test_one_works_in_one_account_at_a_time(address: str) -> None:
    """Section 7: switching needs a membership and gives tokens with the role there."""

    async def story(house: House) -> None:
        beto, there = house.beto, house.carla.account_id
        choice = {"account_id": there}
        refused(await beto.ask("POST", "/api/auth/switch-account", json=choice), 404, "not_found")
        path = f"/api/admin/users/{beto.user_id}/accounts"
        await house.ana.post(path, account_id=there, role="admin")
        told = await beto.post("/api/auth/switch-account", **choice)
        assert (told["account_id"], len(told["accounts"])) == (there, 2)
        me = await as_told(house, told, "/api/me")
        assert (me["account"]["id"], me["role"]) == (there, "admin")
        again = (await refresh(house, told["refresh_token"])).json()
        assert again["account_id"] == there
        refused(await refresh(house, beto.refresh_token), 401, "unauthorized")

    tell(story, address=address)


async def as_told(house: House, told: dict[str, Any], path: str) -> Any:
    headers = {"Authorization": f"Bearer {told['token']}"}
    return (await house.http.get(path, headers=headers)).json()


@pytest.mark.parametrize("how", ["membership", "user", "account", "password", "role"])
def test_who_may_no_longer_work_is_out_at_once(how: str, address: str) -> None:
    """R24, TN4: what an administrator takes away ends access and refresh tokens at once."""

    async def story(house: House) -> None:
        carla, ana = house.carla, house.ana
        user = f"/api/admin/users/{carla.user_id}"
        assert await counts(house, carla.token)
        if how == "membership":
            await ana.ask("DELETE", f"{user}/accounts/{carla.account_id}")
        elif how == "user":
            await ana.put(user, is_active=False)
        elif how == "account":
            await ana.put(f"/api/admin/accounts/{carla.account_id}", is_active=False)
        elif how == "password":
            await ana.put(user, password=OTHER_PASSWORD)
        else:
            await ana.put(user, is_super_admin=True)
        await check_ended(house, carla)

    tell(story, address=address)


def test_a_role_is_read_with_each_request() -> None:
    """2.11: it is not trusted from the token."""

    async def story(house: House) -> None:
        path = f"/api/admin/users/{house.beto.user_id}/accounts"
        tag = {"name": "nueva"}
        refused(await house.beto.ask("POST", "/api/tags", json=tag), 403, "forbidden")
        await house.ana.post(path, account_id=house.ana.account_id, role="admin")
        assert (await house.beto.ask("POST", "/api/tags", json=tag)).status_code == 201
        await house.ana.post(path, account_id=house.ana.account_id, role="agent")
        refused(await house.beto.ask("POST", "/api/tags", json=tag), 403, "forbidden")

    tell(story)


async def upgrade(house: House, ticket: str) -> int:
    """Return how a socket with a ticket is answered; what a socket says is tested elsewhere."""
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    async with house.http.stream("GET", "/ws", params={"ticket": ticket}, headers=headers) as one:
        return one.status_code


def test_a_ticket_counts_once_and_for_30_seconds() -> None:
    """2.11: 4.4.3; one that is used, late, made up or of an ended sign-in does not count."""
    watch = Watch()

    async def story(house: House) -> None:
        async def ticket() -> str:
            return str((await house.ana.post("/api/auth/ws-ticket"))["ticket"])

        used, late = await ticket(), await ticket()
        assert await upgrade(house, used) == 101
        assert await upgrade(house, used) == 401
        watch.forward(seconds=31)
        assert await upgrade(house, late) == 401
        for odd in ("x", "x" * 128, "x" * 5000, "\0", "٣"):
            assert await upgrade(house, odd) == 401
        last = await ticket()
        await house.ana.ask("POST", "/api/auth/logout")
        assert await upgrade(house, last) == 401

    tell(story, clock=watch)


PHONE = "987 651 234"
SECRETS = ("c4n4r10-clave-larga", "c4n4r10.token.falso", "987651234", "987 651 234", PASSWORD)


def test_no_secret_is_repeated(capfd: pytest.CaptureFixture[str]) -> None:
    """R26: passwords, tokens and phones are in no line of any log and in no error's body."""
    bodies: list[str] = []
    tokens: list[str] = []

    async def story(house: House) -> None:
        tokens.extend([house.ana.token, house.ana.refresh_token])
        bodies.extend([answer.text async for answer in whispers(house) if answer.is_error])

    tell(story)
    out = capfd.readouterr()
    said = "\n".join([out.out, out.err, *bodies])
    assert "/api/auth/login" in said
    assert [secret for secret in (*SECRETS, *tokens) if secret in said] == []


async def whispers(house: House) -> Any:
    """Yield the answers to requests that fail in all ways with secrets in them."""
    secret, token, ana = SECRETS[0], SECRETS[1], house.ana
    yield await login(house, secret, secret)
    yield await login(house, await name_of(ana), secret)
    yield await house.http.post("/api/auth/login", content=b'{"password": "' + secret.encode())
    yield await refresh(house, token)
    yield await house.http.get("/api/me", headers={"Authorization": f"Bearer {token}"})
    yield await house.http.get("/ws", params={"ticket": token})
    yield await house.http.get("/ws", params={"token": ana.token})
    yield await ana.ask("GET", f"/api/{secret}")
    yield await ana.ask("GET", "/api/leads", params={"phone": PHONE, "sort": secret})
    yield await ana.ask("GET", "/api/leads", params={"limit": PHONE})
    yield await ana.ask("GET", f"/api/leads/{secret}")
    for field in ("name", "phone", "email", "status", "custom_fields", "value", "stage_id"):
        yield await ana.ask("PUT", "/api/leads/9", json={field: secret})
        yield await ana.ask("POST", "/api/leads", json={field: PHONE + "x"})
    user = new_user() | {"password": secret}
    await ana.post("/api/admin/users", **user)
    yield await ana.ask("POST", "/api/admin/users", json=user)
    yield await ana.ask("POST", "/api/admin/users", json={**user, "role": secret})
    change = {"current_password": secret, "new_password": secret}
    yield await ana.ask("PUT", "/api/settings/password", json=change)
    await ana.post("/api/contacts", phone=PHONE)
    yield await ana.ask("POST", "/api/contacts", json={"phone": PHONE})
