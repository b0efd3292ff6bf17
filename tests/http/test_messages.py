"""The surface of messages: answered at once, told to every screen, and sent once."""

from clarin_core.domain.ids import MessageId
from clarin_core.domain.messages import MessageStatus
from support.behind import become
from support.houses import refused, tell
from support.screen import live_screen
from support.serving import House
from support.surface import stock_of

KEY = {"Idempotency-Key": "0a4f8c1e"}


def test_a_message_is_answered_at_once_and_told_to_all(address: str) -> None:
    """CH12, CH13: 202 with the message, which waits; the same request again sends nothing."""

    async def story(house: House) -> None:
        stock = await stock_of(house.ana)
        body = {
            "chat_id": stock.ids["ChatId"], "body": "mira", "media_id": stock.ids["MediaId"],
        }  # fmt: skip
        async with live_screen(house.ana) as ana:
            answers = [
                await house.beto.ask("POST", "/api/messages/send", json=body, headers=KEY)
                for _ in range(2)
            ]
            assert [answer.status_code for answer in answers] == [202, 202]
            assert answers[0].content == answers[1].content
            message = answers[0].json()
            assert (message["status"], message["actor"]) == ("queued", house.beto.user_id)
            assert message["media"].keys() == {
                "id",
                "type",
                "mimetype",
                "filename",
                "size",
                "state",
            }
            assert await house.beto.get(f"/api/messages/{message['id']}") == message
            (frame,) = await ana.settle()
            assert frame["event"] == "new_message"
            assert frame["data"]["message"] == message
            assert frame["data"]["chat"]["last_message"] == "mira"

    tell(story, address=address)


def test_what_may_not_wait_is_refused_at_once(address: str) -> None:
    """409 device_not_connected with the device's id; a key may be used for it again."""

    async def story(house: House) -> None:
        stock = await stock_of(house.ana)
        body = {"chat_id": stock.ids["ChatId"], "body": "hola", "queue": False}
        for _ in range(2):
            answer = await house.beto.ask("POST", "/api/messages/send", json=body, headers=KEY)
            refused(answer, 409, "device_not_connected")
            assert answer.json()["id"] == stock.chat_device
        body |= {"queue": True}
        answer = await house.beto.ask("POST", "/api/messages/send", json=body, headers=KEY)
        assert answer.status_code == 202

    tell(story, address=address)


def test_a_person_settles_what_nobody_knows(address: str) -> None:
    """Section 6: sends it again, once for each key, or takes it for not sent."""

    async def story(house: House) -> None:
        stock = await stock_of(house.ana)
        key = MessageId(stock.ids["MessageId"])
        await become(house.ana, key, MessageStatus.UNKNOWN)
        given_up = await house.beto.post(f"/api/messages/{key}/give-up")
        assert (given_up["status"], given_up["error"]) == ("failed", "given up")
        answer = await house.beto.ask("POST", f"/api/messages/{key}/give-up")
        refused(answer, 409, "invalid_state")
        for number in range(2):
            answer = await house.beto.ask("POST", f"/api/messages/{key}/retry", headers=KEY)
            assert (answer.status_code, answer.json()["status"]) == (202, "queued")
            assert ("idempotency-replayed" in answer.headers) == bool(number)
        stale = {"If-Match": '"1"'}
        answer = await house.beto.ask("POST", f"/api/messages/{key}/retry", headers=stale)
        refused(answer, 409, "version_conflict")

    tell(story, address=address)


def test_an_account_says_how_often_doubt_is_repeated(address: str) -> None:
    """Never, unless an administrator wants it once."""

    async def story(house: House) -> None:
        path = "/api/settings/account"
        assert "resend_unknown" not in (await house.beto.get("/api/settings"))["account"]
        await house.ana.put(path, resend_unknown="once")
        assert (await house.beto.get("/api/settings"))["account"]["resend_unknown"] == "once"
        answer = await house.ana.ask("PUT", path, json={"resend_unknown": "twice"})
        refused(answer, 422, "validation_failed", "resend_unknown")
        answer = await house.beto.ask("PUT", path, json={"resend_unknown": "never"})
        refused(answer, 403, "forbidden")

    tell(story, address=address)


def test_a_list_would_be_too_long_to_forward_to(address: str) -> None:
    """Section 5: one to twenty chats, each of them once."""

    async def story(house: House) -> None:
        stock = await stock_of(house.ana)
        asked = {"message_id": stock.ids["MessageId"]}
        for chats in ([], list(range(1, 22)), ["1"], [0]):
            answer = await house.ana.ask(
                "POST", "/api/messages/forward", json=asked | {"chat_ids": chats}
            )
            refused(answer, 422, "validation_failed", "chat_ids")
        twice = [stock.ids["ChatId"]] * 2
        assert len(await house.ana.post("/api/messages/forward", **asked, chat_ids=twice)) == 1

    tell(story, address=address)
