"""Running the service over HTTP: accounts, users, and who works where."""

import pytest

from support.examples import new_user
from support.houses import refused, tell
from support.serving import PASSWORD, House, sign_in


def test_a_new_tenant_begins_to_work(address: str) -> None:
    """An account with its pipeline, a user in it who signs in, a second account, and the end."""

    async def story(house: House) -> None:
        ana = house.ana
        account = await ana.post(
            "/api/admin/accounts", name="Andes", default_region="CL", timezone="America/Santiago"
        )
        path = f"/api/admin/accounts/{account['id']}"
        new = new_user()
        user = await ana.post("/api/admin/users", **new, account_id=account["id"], role="admin")
        assert not {"password", "password_hash", "token_version"} & user.keys()
        dora = await sign_in(house.http, new["username"])
        assert dora.account_id == account["id"]
        (pipeline,) = (await dora.get("/api/pipelines"))["data"]
        assert (pipeline["is_default"], len(pipeline["stages"])) == (True, 6)
        lead = await dora.post("/api/leads", phone="9 8765 4321")
        assert lead["phone"] == "+56987654321"
        assert [member["user_id"] for member in (await dora.get("/api/members"))["data"]] == [
            user["id"]
        ]
        refused(await ana.ask("DELETE", path), 409, "invalid_state")

        await ana.put(path, is_active=False)
        refused(await dora.ask("GET", "/api/me"), 401, "unauthorized")
        said = {"username": new["username"], "password": PASSWORD}
        refused(await house.http.post("/api/auth/login", json=said), 401, "unauthorized")
        await ana.put(path, is_active=True)
        assert (await dora.get("/api/me"))["role"] == "admin"

    tell(story, address=address)


def test_a_user_works_in_several_accounts(address: str) -> None:
    """Memberships: one default; joining twice changes the role; ending one leaves the other."""

    async def story(house: House) -> None:
        ana, carla = house.ana, house.carla
        path = f"/api/admin/users/{carla.user_id}/accounts"
        there = ana.account_id
        await ana.post(path, account_id=there, role="agent")
        places = await ana.post(path, account_id=there, role="admin", is_default=True)
        assert [(place["account_id"], place["role"], place["is_default"]) for place in places] == [
            (there, "admin", True), (carla.account_id, "admin", False),
        ]  # fmt: skip
        assert await carla.get("/api/me/accounts") == places
        assert (await ana.ask("DELETE", f"{path}/{there}")).status_code == 204
        refused(await ana.ask("DELETE", f"{path}/{there}"), 404, "not_found")
        assert len(await ana.get(path)) == 1
        assert (await carla.get("/api/me"))["account"]["id"] == carla.account_id
        unknown = await ana.ask("POST", path, json={"account_id": 2**40})
        refused(unknown, 422, "validation_failed", "account_id")

    tell(story, address=address)


def test_names_and_addresses_of_users_are_their_own(address: str) -> None:
    """Section 3.1: unique through all accounts, ignoring case."""

    async def story(house: House) -> None:
        ana, new = house.ana, new_user()
        user = await ana.post("/api/admin/users", **new)
        other = new_user()
        for same in ({"username": new["username"].upper()}, {"email": new["email"].title()}):
            answer = await ana.ask("POST", "/api/admin/users", json={**other, **same})
            refused(answer, 409, "conflict")
        carla = house.carla
        taken = await carla.ask("PUT", "/api/settings/profile", json={"email": new["email"]})
        refused(taken, 409, "conflict")
        found = await ana.get("/api/admin/users", search=new["username"])
        assert [one["id"] for one in found["data"]] == [user["id"]]

    tell(story, address=address)


def test_administrators_choose_who_works_with_them(address: str) -> None:
    """Section 7: a colleague is made, promoted, removed; sockets and tokens end with the place."""

    async def story(house: House) -> None:
        carla, new = house.carla, new_user()
        member = await carla.post("/api/members", **new)
        assert (member["role"], "password" in member) == ("agent", False)
        dora = await sign_in(house.http, new["username"])
        refused(await dora.ask("POST", "/api/tags", json={"name": "x"}), 403, "forbidden")
        path = f"/api/members/{member['user_id']}"
        assert (await carla.put(path, role="admin"))["role"] == "admin"
        await dora.post("/api/tags", name="y")
        own = await dora.ask("DELETE", path)
        refused(own, 422, "validation_failed", "user_id")
        assert (await carla.ask("DELETE", path)).status_code == 204
        refused(await dora.ask("GET", "/api/me"), 401, "unauthorized")
        refused(await carla.ask("PUT", path, json={"role": "agent"}), 404, "not_found")

    tell(story, address=address)


@pytest.mark.parametrize("change", [{"is_active": False}, {"password": "otra clave larga"}])
def test_nobody_shuts_the_own_door(change: dict[str, object]) -> None:
    """One's own activity and password are not changed from above."""

    async def story(house: House) -> None:
        path = f"/api/admin/users/{house.ana.user_id}"
        refused(await house.ana.ask("PUT", path, json=change), 422, "validation_failed", *change)
        assert (await house.ana.ask("GET", "/api/me")).status_code == 200

    tell(story)


def test_administrators_set_their_own_account(address: str) -> None:
    """Region and zone are checked; the region counts from the next request on."""

    async def story(house: House) -> None:
        carla = house.carla
        for field, value in (("default_region", "XX"), ("timezone", "Mars/Olympus")):
            answer = await carla.ask("PUT", "/api/settings/account", json={field: value})
            refused(answer, 422, "validation_failed", field)
        await carla.put("/api/settings/account", default_region="EC", timezone="America/Guayaquil")
        assert (await carla.post("/api/contacts", phone="987654321"))["phone"] == "+593987654321"
        assert (await carla.get("/api/settings"))["account"]["timezone"] == "America/Guayaquil"

    tell(story, address=address)


def test_administrators_set_whether_chats_open_leads(address: str) -> None:
    """CH19: on from the beginning, and shown either way."""

    async def story(house: House) -> None:
        carla = house.carla
        shown = [(await carla.get("/api/settings"))["account"]["leads_from_chats"]]
        for wanted in (False, True):
            changed = await carla.put("/api/settings/account", leads_from_chats=wanted)
            read = (await carla.get("/api/settings"))["account"]["leads_from_chats"]
            shown += [changed["leads_from_chats"], read]
        assert shown == [True, False, False, True, True]

    tell(story, address=address)
