"""JIDs: the addresses of WhatsApp, and the identities of those who are reached by them.

A person is addressed by phone (`51987654321@s.whatsapp.net`) or by a linked id that hides the
phone (`123456789012345@lid`). The digits of a linked id are no phone, whatever they look like.
"""

import re
from enum import Enum, StrEnum
from typing import NamedTuple, Self

from msgspec import Struct

from clarin_core.domain.phone import PhoneNumber, digits, phone_from_jid
from clarin_core.errors import Invalid

_JID = re.compile(r"([^@:.\s]{1,64})(?:\.([0-9]{1,3}))?(?::([0-9]{1,5}))?@([a-z.]{1,32})", re.I)


class JidServer(Enum):
    """What kind of address it is."""

    PERSON = "s.whatsapp.net"
    LID = "lid"
    GROUP = "g.us"
    BROADCAST = "broadcast"
    CHANNEL = "newsletter"


_SERVERS = {server.value: server for server in JidServer} | {"c.us": JidServer.PERSON}


class Jid(NamedTuple):
    """An address; `device` is a companion of the user, 0 the phone itself."""

    user: str
    server: JidServer
    device: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `user[.agent][:device]@server`; raises Invalid, also for an unknown server."""
        match = _JID.fullmatch(text)
        server = _SERVERS.get(match[4].lower()) if match else None
        if match is None or server is None:
            raise Invalid("jid", "is not an address of WhatsApp")
        return cls(match[1], server, int(match[3] or 0))

    @property
    def bare(self) -> Self:
        """The same without the device: whoever is reached there."""
        return self._replace(device=0)

    def __str__(self) -> str:
        """Return what `parse` reads."""
        device = f":{self.device}" if self.device else ""
        return f"{self.user}{device}@{self.server.value}"


class IdentityKind(StrEnum):
    """By what somebody is known."""

    PHONE = "phone_jid"
    LID = "lid"
    GROUP = "group"


_OF_SERVER = {
    JidServer.PERSON: IdentityKind.PHONE,
    JidServer.LID: IdentityKind.LID,
    JidServer.GROUP: IdentityKind.GROUP,
}
_SERVER_OF = {kind: server for server, kind in _OF_SERVER.items()}


class Identity(Struct, frozen=True, order=True):
    """One name by which WhatsApp knows somebody; at most one contact of an account has it."""

    kind: IdentityKind
    value: str

    @classmethod
    def of_jid(cls, text: str) -> Self:
        """Return who is reached by an address; raises Invalid for broadcasts and channels."""
        jid = Jid.parse(text)
        if jid.server not in _OF_SERVER:
            raise Invalid("jid", "is nobody's address")
        if jid.server is JidServer.PERSON:
            return cls.of_phone(phone_from_jid(text))
        return cls(_OF_SERVER[jid.server], jid.user)

    @classmethod
    def of_phone(cls, phone: PhoneNumber) -> Self:
        """Return the identity of a phone."""
        return cls(IdentityKind.PHONE, digits(phone))

    @property
    def jid(self) -> str:
        """The address."""
        return str(Jid(self.value, _SERVER_OF[self.kind]))

    @property
    def phone(self) -> PhoneNumber | None:
        """The phone, unless it is known by something else."""
        return PhoneNumber(f"+{self.value}") if self.kind is IdentityKind.PHONE else None
