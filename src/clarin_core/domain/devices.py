"""Devices: the WhatsApp numbers of an account, each linked as a companion of a phone.

What people want of a device (`is_wanted`) and how it is (`status`) are two things: whoever runs
the devices brings the second to the first, and keeps at it after a restart.
"""

from datetime import datetime, timedelta
from enum import Enum
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from clarin_core.domain.command import Change, Command, Phone
from clarin_core.domain.entity import Entity
from clarin_core.domain.ids import AccountId, DeviceId
from clarin_core.domain.paging import PageQuery
from clarin_core.domain.phone import PhoneNumber
from clarin_core.errors import Conflict

DeviceName = Annotated[str, Meta(min_length=1, max_length=100)]


class DeviceStatus(Enum):
    """How a device stands to WhatsApp."""

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    LOGGED_OUT = "logged_out"
    BANNED = "banned"
    REPLACED = "replaced"
    OUTDATED = "outdated"


_UP = (DeviceStatus.CONNECTING, DeviceStatus.CONNECTED)
_NEEDS_A_PERSON = (DeviceStatus.LOGGED_OUT, DeviceStatus.REPLACED, DeviceStatus.OUTDATED)
_PHONE_NOT_TOLD = "its phone was not told: unlink the device there, too"


class Device(Entity, kw_only=True, omit_defaults=True):
    """The entity; `jid` is its full address with the companion's number, None until paired."""

    id: DeviceId
    name: str
    phone: PhoneNumber | None = None
    jid: str | None = None
    status: DeviceStatus = DeviceStatus.DISCONNECTED
    is_wanted: bool = False
    reason: str | None = None
    last_seen_at: datetime | None = None
    restricted_until: datetime | None = None
    pairing_phone: PhoneNumber | None = None
    is_leaving: bool = False
    wants_contacts: bool = False

    def connect(self, at: datetime, *, phone: PhoneNumber | None = None) -> tuple[str, ...]:
        """Want it connected; nothing changes where it is or becomes so (section 6).

        A device that was logged out is paired anew: by a code to be scanned, with a `phone` also
        by one to be typed there.
        """
        values: dict[str, object] = {
            "is_wanted": True, "is_leaving": False, "pairing_phone": phone,
        }  # fmt: skip
        if self.status not in _UP:
            values |= {"status": DeviceStatus.CONNECTING, "reason": None}
        return self.alter(values, at=at)

    def disconnect(self, at: datetime) -> tuple[str, ...]:
        """Want it no longer; what it was told by WhatsApp stays."""
        values: dict[str, object] = {"is_wanted": False, "pairing_phone": None}
        if self.status in _UP:
            values |= {"status": DeviceStatus.DISCONNECTED, "reason": None}
        return self.alter(values, at=at)

    def become(
        self, status: DeviceStatus, *, reason: str | None = None, at: datetime
    ) -> tuple[str, ...]:
        """Be as WhatsApp says; what only a person can mend is not wanted any more."""
        values: dict[str, object] = {"status": status, "reason": reason}
        if status is DeviceStatus.CONNECTED:
            values |= {"last_seen_at": at, "restricted_until": None}
        if status is DeviceStatus.LOGGED_OUT:
            values |= {"jid": None, "is_leaving": False}
        if status in _NEEDS_A_PERSON:
            values |= {"is_wanted": False}
        return self.alter(values, at=at)

    def leave(self, at: datetime) -> tuple[str, ...]:
        """Want it unlinked from its phone, to be paired anew.

        One that people have disconnected is let go of here alone, since its keys may be lost.
        Raises Conflict for any other one that is not connected.
        """
        if self.status is DeviceStatus.DISCONNECTED and self.jid and not self.is_wanted:
            return self.become(DeviceStatus.LOGGED_OUT, reason=_PHONE_NOT_TOLD, at=at)
        self.require_connected()
        return self.alter({"is_wanted": False, "is_leaving": True}, at=at)

    def ask_for_contacts(self, at: datetime) -> tuple[str, ...]:
        """Want the names in its phone; raises Conflict unless it is connected."""
        self.require_connected()
        return self.alter({"wants_contacts": True}, at=at)

    def ban(self, time: timedelta, *, reason: str, at: datetime) -> tuple[str, ...]:
        """Be shut out for a time."""
        values = {"status": DeviceStatus.BANNED, "reason": reason, "restricted_until": at + time}
        return self.alter(values, at=at)

    def pair(self, jid: str, phone: PhoneNumber, *, at: datetime) -> tuple[str, ...]:
        """Belong to a phone from now on."""
        values = {"jid": jid, "phone": phone, "pairing_phone": None}
        return self.alter(values, at=at)

    def require_connected(self) -> None:
        """Raise Conflict `device_not_connected`."""
        if self.status is not DeviceStatus.CONNECTED:
            raise Conflict("device_not_connected", "the device is not connected", id=self.id)


class NewDevice(Command, frozen=True, kw_only=True):
    """A device to be paired."""

    name: DeviceName


class DeviceChange(Change, frozen=True, kw_only=True):
    """A partial update of a device."""

    name: DeviceName | UnsetType = UNSET


class PhonePairing(Command, frozen=True, kw_only=True):
    """The phone on which a code is to be typed."""

    phone: Phone


class DeviceQuery(PageQuery, frozen=True, kw_only=True):
    """Devices by id."""

    status: DeviceStatus | UnsetType = UNSET


class PairingCode(Struct, frozen=True, kw_only=True):
    """What a person shows to the phone; `is_qr` is a text to be drawn, else one to be typed."""

    device_id: DeviceId
    code: str
    is_qr: bool
    expires_at: datetime

    def __repr__(self) -> str:
        """Return it without the code, which no log and no error may show."""
        return f"PairingCode(device_id={self.device_id})"


class DeviceKey(Struct, frozen=True, kw_only=True):
    """A device above accounts, for whoever runs the devices of all."""

    account_id: AccountId
    device_id: DeviceId


class DeviceLease(Struct, frozen=True, kw_only=True):
    """The right to act for a device; a later one has a greater `token`, which shuts out earlier."""

    key: DeviceKey
    owner: str
    token: int
    expires_at: datetime
