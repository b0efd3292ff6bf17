"""What a device's host and whoever started it say to each other: frames over a socket.

A frame is its size in four bytes, and a value in MessagePack.
"""

from asyncio import IncompleteReadError, StreamReader
from enum import Enum

from msgspec import Struct, msgpack

from clarin_core.domain.inbound import Activity, PeerSeen
from clarin_core.domain.jid import Identity
from clarin_core.domain.phone import PhoneNumber
from clarin_core.ports.messaging import Heard, Outgoing, SentAs

WINDOW = 256
"""How many things a host tells that nobody has taken yet."""

_SIZE_BYTES = 4


class Send(Struct, frozen=True, tag="send"):
    """Send a message."""

    message: Outgoing


class Edit(Struct, frozen=True, tag="edit"):
    """Let an own message say something else."""

    to: Identity
    wa_message_id: str
    body: str


class Revoke(Struct, frozen=True, tag="revoke"):
    """Take an own message back."""

    to: Identity
    wa_message_id: str


class React(Struct, frozen=True, tag="react"):
    """React to a message."""

    to: Identity
    wa_message_id: str
    emoji: str
    is_own: bool


class MarkRead(Struct, frozen=True, tag="mark_read"):
    """Tell that messages were read."""

    to: Identity
    wa_message_ids: list[str]


class Type(Struct, frozen=True, tag="type"):
    """Show that somebody types."""

    to: Identity
    activity: Activity


class Fetch(Struct, frozen=True, tag="fetch"):
    """Return the bytes of a file."""

    source: bytes


class Contacts(Struct, frozen=True, tag="contacts"):
    """Return whom the phone knows."""


class PairCode(Struct, frozen=True, tag="pair_code"):
    """Return a code to be typed, as bytes."""

    phone: PhoneNumber


class LogOut(Struct, frozen=True, tag="log_out"):
    """Unlink the device."""


Call = Send | Edit | Revoke | React | MarkRead | Type | Fetch | Contacts | PairCode | LogOut
Result = SentAs | list[PeerSeen] | bytes | None


class Failure(Enum):
    """Why a call has no result, by the errors of the port."""

    NOT_SENT = "not_sent"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Opening(Struct, frozen=True, tag="opening"):
    """The first frame to a host: the file of its session, and which device it is."""

    store: str
    jid: str | None


class Asked(Struct, frozen=True, tag="asked"):
    """A call, to be answered under its number."""

    number: int
    call: Call


class Taken(Struct, frozen=True, tag="taken"):
    """One thing that was told has been taken."""


class Told(Struct, frozen=True, tag="told"):
    """Something that the device heard."""

    heard: Heard


class Answered(Struct, frozen=True, tag="answered"):
    """What a call returned."""

    number: int
    result: Result


class Failed(Struct, frozen=True, tag="failed"):
    """Why a call returned nothing."""

    number: int
    failure: Failure


ToHost = Opening | Asked | Taken
FromHost = Told | Answered | Failed

of_host = msgpack.Decoder(FromHost)
to_host = msgpack.Decoder(ToHost)
_encode = msgpack.Encoder().encode


def packed(frame: ToHost | FromHost) -> bytes:
    """Return a frame as it is written."""
    content = _encode(frame)
    return len(content).to_bytes(_SIZE_BYTES, "big") + content


async def next_frame(reader: StreamReader) -> bytes | None:
    """Return the content of the next frame, None when the other side is gone."""
    try:
        size = int.from_bytes(await reader.readexactly(_SIZE_BYTES), "big")
        return await reader.readexactly(size)
    except (IncompleteReadError, ConnectionError):
        return None
