"""Devices: what people want of one, and how it is (section 6 of the domain reference)."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from clarin_core.domain.devices import Device, DeviceStatus, PairingCode
from clarin_core.domain.ids import DeviceId
from clarin_core.errors import Conflict
from clarin_core.testing.tenants import LATER, NOON

UP = (DeviceStatus.CONNECTING, DeviceStatus.CONNECTED)


def device(**values: object) -> Device:
    made = Device(id=DeviceId(1), name="Ventas", created_at=NOON, updated_at=NOON, version=1)
    for name, value in values.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize("status", DeviceStatus)
def test_whatever_is_down_can_be_connected(status: DeviceStatus) -> None:
    """What is up stays as it is: only that it is wanted may be new."""
    one = device(status=status, reason="antes")
    one.connect(LATER)
    assert one.is_wanted
    assert one.status is (status if status in UP else DeviceStatus.CONNECTING)
    assert (one.reason is None) is (status not in UP)
    assert one.connect(LATER) == ()


@pytest.mark.parametrize("status", DeviceStatus)
def test_a_disconnected_device_is_not_wanted(status: DeviceStatus) -> None:
    """What WhatsApp said of it stays."""
    one = device(status=status, is_wanted=True)
    one.disconnect(LATER)
    assert not one.is_wanted
    assert one.status is (DeviceStatus.DISCONNECTED if status in UP else status)


@pytest.mark.parametrize("status", DeviceStatus)
def test_what_only_a_person_can_mend_is_not_wanted(status: DeviceStatus) -> None:
    """Section 6: no reconnecting in a loop; a lost connection is made anew by itself."""
    one = device(is_wanted=True, jid="51987654321:7@s.whatsapp.net")
    one.become(status, at=LATER)
    mended_alone = {*UP, DeviceStatus.DISCONNECTED, DeviceStatus.BANNED}
    assert one.is_wanted is (status in mended_alone)
    assert (one.jid is None) is (status is DeviceStatus.LOGGED_OUT)


def test_a_ban_lasts_for_a_time() -> None:
    """It ends with the next connection."""
    one = device()
    one.ban(timedelta(hours=1), reason="spam", at=NOON)
    banned = replace(one)
    one.become(DeviceStatus.CONNECTED, at=LATER)
    assert (banned.restricted_until, banned.last_seen_at) == (NOON + timedelta(hours=1), None)
    assert (one.restricted_until, one.last_seen_at) == (None, LATER)


def test_only_a_connected_device_is_required_to_be() -> None:
    """409 device_not_connected with the device's id."""
    device(status=DeviceStatus.CONNECTED).require_connected()
    with pytest.raises(Conflict) as caught:
        device().require_connected()
    assert (caught.value.code, caught.value.id) == ("device_not_connected", 1)


def test_a_code_does_not_show_itself() -> None:
    """Whatever ends up in a log, the code is not in it."""
    code = PairingCode(device_id=DeviceId(1), code="2@secret", is_qr=True, expires_at=NOON)
    assert "secret" not in f"{code} {code!r}"
