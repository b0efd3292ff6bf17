"""What the core needs of WhatsApp: devices that talk, and tell what is said to them.

A *session* is one device while somebody holds its lease. What it hears comes as `Delivery`, in
order, and is acknowledged when it is stored: whatever was not comes again, to this session or to
the next one, if the adapter can do that (`redelivers`).
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol

from msgspec import Struct

from clarin_core.domain.devices import DeviceKey
from clarin_core.domain.inbound import Activity, Inbound, PeerSeen, Presence
from clarin_core.domain.jid import Identity
from clarin_core.domain.media import MediaType
from clarin_core.domain.messages import Card, Location, Poll, Quoted
from clarin_core.domain.phone import PhoneNumber
from clarin_core.errors import ClarinError, Kind


class Step(Enum):
    """How the session of a device goes on.

    After a disconnection it may connect again by itself: it has ended when `heard` has.
    """

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    LOGGED_OUT = "logged_out"
    REPLACED = "replaced"
    BANNED = "banned"
    OUTDATED = "outdated"
    PAIRING_ENDED = "pairing_ended"


LAST_STEPS = frozenset(Step) - {Step.CONNECTED, Step.DISCONNECTED}
"""Those after which a session has ended."""


class SessionStep(
    Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="step"
):
    """A change of the session itself; `restricted_for` comes with a ban."""

    step: Step
    reason: str | None = None
    restricted_for: timedelta | None = None


class CodeShown(Struct, frozen=True, kw_only=True, tag_field="type", tag="code"):
    """A code that links a phone: to be drawn as a QR, or to be typed."""

    code: str
    is_qr: bool
    expires_at: datetime


class Paired(Struct, frozen=True, kw_only=True, tag_field="type", tag="paired"):
    """The device belongs to a phone from now on; `jid` is its own full address."""

    jid: str
    phone: PhoneNumber


Heard = Inbound | Presence | SessionStep | CodeShown | Paired


class Delivery(Struct, frozen=True):
    """Something that a session heard."""

    heard: Heard
    ack: Callable[[], Awaitable[None]]


class Outgoing(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message to be sent; `media` are the bytes of a file, `body` its caption."""

    to: Identity
    wa_message_id: str | None = None
    body: str | None = None
    quoted: Quoted | None = None
    media: bytes | None = None
    media_type: MediaType | None = None
    mimetype: str | None = None
    filename: str | None = None
    location: Location | None = None
    cards: list[Card] = []
    poll: Poll | None = None


class SentAs(Struct, frozen=True, kw_only=True):
    """How WhatsApp names a message, and when it took it."""

    wa_message_id: str
    at: datetime


class NotSent(ClarinError):
    """It surely never reached the wire: to try again later is safe."""

    kind = Kind.UNAVAILABLE
    code = "not_sent"


class Refused(ClarinError):
    """WhatsApp said no, and will say so again: there is nobody, or it is not allowed."""

    kind = Kind.INVALID
    code = "refused"


class OutcomeUnknown(ClarinError):
    """Nobody can say whether it was sent."""

    kind = Kind.UNAVAILABLE
    code = "outcome_unknown"


class Session(Protocol):
    """One device at work. Each call raises NotSent, Refused or OutcomeUnknown, and nothing else."""

    def heard(self) -> AsyncIterator[Delivery]:
        """Give all that the device has heard since it was opened; ends when the session does.

        There is one listener. Who takes nothing holds up what comes after it, and no call.
        """
        ...

    async def send(self, message: Outgoing) -> SentAs:
        """Send a message.

        Where the adapter honours ids, a message with the same `wa_message_id` is delivered once,
        however often it is sent.
        """
        ...

    async def edit(self, to: Identity, wa_message_id: str, body: str) -> None:
        """Let an own message say something else."""
        ...

    async def revoke(self, to: Identity, wa_message_id: str) -> None:
        """Take an own message back."""
        ...

    async def react(self, to: Identity, wa_message_id: str, emoji: str, *, is_own: bool) -> None:
        """React to a message; `is_own` tells whose it is, an empty `emoji` takes it back."""
        ...

    async def mark_read(self, to: Identity, wa_message_ids: list[str]) -> None:
        """Tell the other side that its messages were read."""
        ...

    async def type(self, to: Identity, activity: Activity) -> None:
        """Show the other side that somebody types, or stopped to."""
        ...

    async def fetch(self, source: bytes) -> bytes:
        """Return the bytes of a file that was offered; raises Refused when they are gone."""
        ...

    async def contacts(self) -> list[PeerSeen]:
        """Return whom the phone knows, with their names."""
        ...

    async def pair_code(self, phone: PhoneNumber) -> str:
        """Return a code to be typed on that phone, instead of the QR."""
        ...

    async def log_out(self) -> None:
        """Unlink the device from its phone."""
        ...


class Messaging(Protocol):
    """Opens sessions."""

    @property
    def honours_ids(self) -> bool:
        """Whether a message keeps the id that we give it, and is delivered once under it."""
        ...

    @property
    def redelivers(self) -> bool:
        """Whether what was not acknowledged comes again."""
        ...

    def session(self, key: DeviceKey, *, jid: str | None) -> AbstractAsyncContextManager[Session]:
        """Open a device: as `jid`, or to be paired when None.

        Opening does not wait for WhatsApp: what becomes of it is heard. Leaving disconnects.
        """
        ...
