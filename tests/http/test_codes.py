"""Codes that link a phone: administrators see them, nobody else, and no log."""

from datetime import timedelta

import pytest

from clarin_core.domain.devices import PairingCode
from clarin_core.domain.ids import AccountId, DeviceId
from clarin_core.domain.inbox_events import DeviceCodeShown
from support.screen import Frame, live_screen, run
from support.serving import House, now, serving

SECRET = "2@a-code-that-links-a-phone"


async def show(house: House) -> None:
    """Let a device of Ana's account show its code, as whoever runs it does."""
    until = now() + timedelta(seconds=20)
    code = PairingCode(device_id=DeviceId(1), code=SECRET, is_qr=True, expires_at=until)
    async with house.services.storage.begin(AccountId(house.ana.account_id)) as tx:
        tx.emit(DeviceCodeShown(code=code))


def codes(frames: list[Frame]) -> list[str | None]:
    """Return the codes in the frames of codes."""
    return [frame["data"].get("qr_code") for frame in frames if frame["event"] == "qr_code"]


def test_only_administrators_see_a_code(capfd: pytest.CaptureFixture[str]) -> None:
    """Section 9: live, from the ring and from the log; agents miss no number, and no log tells."""

    async def story() -> None:
        async with serving() as house:
            await show(house)
            async with live_screen(house.ana) as ana, live_screen(house.beto) as beto:
                start = ana.hello["data"]["seq"]
                await show(house)
                for there, code in ((ana, SECRET), (beto, None)):
                    assert codes(await there.until(start + 1)) == [code]
                    assert codes(await there.resume(start)) == [code]
                    assert codes(await there.resume(start - 1)) == [code, code]

    run(story())
    told = capfd.readouterr()
    assert "request" in told.out
    assert SECRET not in told.out + told.err


def test_who_administers_no_more_sees_no_more_codes() -> None:
    """R24: an open socket follows the role of its user."""

    async def story() -> None:
        async with serving() as house, live_screen(house.beto) as beto:
            start = beto.hello["data"]["seq"]
            seen = []
            for role in ("admin", "agent"):
                await house.ana.put(f"/api/members/{house.beto.user_id}", role=role)
                await house.hub.check_sign_ins()
                await show(house)
                start += 2
                seen += codes(await beto.until(start))
            assert seen == [SECRET, None]

    run(story())
