"""Chats over HTTP: the inbox of a screen, and what it does with a chat."""

from typing import Any

from clarin_core.domain.ids import AccountId, DeviceId
from support.houses import refused, tell
from support.serving import House, Person
from support.talk import ANA, EVA, Ear, said


async def listen(house: House) -> tuple[int, Ear]:
    """Return a new device of ana's, and the ear of whoever runs it."""
    services, account = house.services, AccountId(house.ana.account_id)
    device = (await house.ana.post("/api/devices", name="Ventas"))["id"]
    ear = await Ear.of(services.storage, account, DeviceId(device), clock=services.clock)
    return device, ear


async def inbox(person: Person, **query: Any) -> list[int]:
    return [chat["id"] for chat in (await person.get("/api/chats", **query))["data"]]


def test_a_screen_shows_the_inbox_and_a_talk(address: str) -> None:
    """Section 8: the contact and its lead beside the talk, which is read from its end."""

    async def story(house: House) -> None:
        ana = house.ana
        _, ear = await listen(house)
        await ear.hear([said(ANA, f"{n}", -9 - n) for n in range(5)])
        (chat,) = await inbox(ana)
        shown = await ana.get(f"/api/chats/{chat}")
        assert (shown["unread_count"], shown["display_name"]) == (5, "Sol")
        assert shown["contact"]["phone"] == "+51987654321"
        assert [lead["contact_name"] for lead in shown["leads"]] == ["Sol"]
        path, bodies, after = f"/api/chats/{chat}/messages", list[str](), ""
        while after is not None:
            page = await ana.get(path, limit=2, after=after)
            bodies += [message["body"] for message in page["data"]]
            after = page.get("next")
        assert bodies == [f"dice {n}" for n in range(5)]
        found = await ana.get(path, search="DICE 3")
        assert [message["body"] for message in found["data"]] == ["dice 3"]
        read = await ana.post(f"/api/chats/{chat}/read")
        assert "unread_count" not in read
        assert read["leads"] == shown["leads"]

    tell(story, address=address)


def test_an_inbox_is_filtered() -> None:
    """Section 8: each filter by its name in the query, alone and together."""

    async def story(house: House) -> None:
        ana, beto = house.ana, house.beto
        device, ear = await listen(house)
        await ear.hear([said(ANA, "a", -2), said(EVA, "b", -1)])
        eva, ana_chat = await inbox(ana)
        tags = [(await ana.post("/api/tags", name=name))["id"] for name in ("vip", "frío")]
        for chat, tag in ((ana_chat, tags[0]), (ana_chat, tags[1]), (eva, tags[0])):
            assigned = {"entity_type": "chat", "entity_id": chat, "tag_id": tag}
            await ana.post("/api/tags/assign", **assigned)
        await ana.put(f"/api/chats/{ana_chat}", assigned_to=beto.user_id, name="La vecina")
        await ana.post(f"/api/chats/{ana_chat}/read")
        both = f"{tags[0]},{tags[1]}"
        for query, found in (
            ({"device_ids": device}, [eva, ana_chat]),
            ({"device_ids": 2**40}, []),
            ({"tag_ids": both}, [eva, ana_chat]),
            ({"tag_ids": both, "tags_mode": "all"}, [ana_chat]),
            ({"unread_only": True}, [eva]),
            ({"assigned_to": beto.user_id}, [ana_chat]),
            ({"search": "vecina"}, [ana_chat]),
            ({"search": "654322"}, [eva]),
            ({"archived": True}, []),
            ({"tag_ids": tags[0], "unread_only": True, "search": "sol"}, [eva]),
        ):
            assert await inbox(ana, **query) == found, query
        await ana.put(f"/api/chats/{eva}", is_archived=True)
        assert (await inbox(ana), await inbox(ana, archived=True)) == ([ana_chat], [eva])

    tell(story)


def test_a_chat_is_found_or_opened_by_phone() -> None:
    """Section 8: both are 200, since whoever asks need not know; only phones are."""

    async def story(house: House) -> None:
        device, _ = await listen(house)
        asked = {"device_id": device, "phone": "987 654 321"}
        for _ in range(2):
            answer = await house.beto.ask("POST", "/api/chats/new", json=asked)
            assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
            assert answer.json()["identity"] == {"kind": "phone_jid", "value": "51987654321"}
        bad = await house.beto.ask("POST", "/api/chats/new", json=asked | {"phone": "12"})
        refused(bad, 422, "invalid_phone", "phone")

    tell(story)
