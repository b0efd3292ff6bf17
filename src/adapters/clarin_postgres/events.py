"""One account's log."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from clarin_core.domain.actor import Origin, read_origin
from clarin_core.domain.events import (
    PAGE_BYTES_MAX,
    Event,
    EventPage,
    EventQuery,
    Position,
    Recorded,
    read_event,
)
from clarin_core.domain.ids import AccountId
from clarin_core.errors import NotFound, TooOld
from clarin_core.ports.event_publisher import Appended, News
from clarin_postgres.connection import Row
from clarin_postgres.reader import Reader

_encode = msgspec.json.Encoder().encode

# The row of the account's counter stays locked from here to the end of the transaction, which
# makes numbers dense and gives them in the order of the commits.
APPEND = """-- events.append
    with counted as (
        update account_stream s set last_seq = s.last_seq + cardinality($2::text[]),
            leads = s.leads + $6, contacts = s.contacts + $7, chats = s.chats + $8
        where s.account_id = $1
        returning s.last_seq, s.epoch
    ),
    appended as (
        insert into event_log (account_id, seq, at, name, payload, origin)
        select $1, counted.last_seq - cardinality($2::text[]) + e.place, $4, e.name, e.payload, $5
        from counted, unnest($2::text[], $3::bytea[]) with ordinality as e(name, payload, place)
    )
    select counted.last_seq, counted.epoch from counted"""

POSITION = "s.epoch, s.last_seq, s.trimmed_to"
_POSITION = f"""-- events.position
    select {POSITION} from account_stream s where s.account_id = $1"""
_READ = f"""-- events.read
    select {POSITION}, e.seq, e.at, e.payload, e.origin from account_stream s
    left join (
        select n.seq, n.at, n.payload, n.origin,
            sum(n.bytes) over (order by n.seq rows unbounded preceding) - n.bytes as before
        from (
            select e.seq, e.at, e.payload, e.origin, octet_length(e.payload) as bytes
            from event_log e where e.account_id = $1 and e.seq > $2
            order by e.seq limit $3
        ) n
    ) e on e.before < {PAGE_BYTES_MAX}
    where s.account_id = $1
    order by e.seq"""


class Encoded(NamedTuple):
    """An event as it was when it was emitted, whatever becomes of its entities."""

    name: str
    payload: bytes


def encoded(event: Event) -> Encoded:
    """Return an event as it is now."""
    return Encoded(str(type(event).__struct_config__.tag), _encode(event))


def encoded_origin(origin: Origin) -> bytes:
    """Return what is kept with each event of a transaction."""
    return _encode(origin)


def columns_of(events: Sequence[Encoded]) -> tuple[list[str], list[bytes]]:
    """Return the names and the payloads."""
    return [event.name for event in events], [event.payload for event in events]


def news_of(
    row: Row, account_id: AccountId, events: Sequence[Encoded], origin: bytes, at: datetime
) -> News:
    """Return the hint of what `APPEND` returned, which counts as soon as it is committed."""
    seq: int = row["last_seq"]
    epoch: UUID = row["epoch"]
    payloads = tuple(event.payload for event in events)
    brought = Appended(epoch.hex, seq - len(events) + 1, at, origin, payloads)
    return News(account_id, seq, brought)


def position_of(row: Row) -> Position:
    """Return where a log stands."""
    epoch: UUID = row["epoch"]
    return Position(epoch=epoch.hex, seq=row["last_seq"], trimmed_to=row["trimmed_to"])


class EventViews(Reader):
    """What an account reads of its log."""

    async def events(self, query: EventQuery) -> EventPage:
        """Return events after a number in order; raises TooOld outside the log."""
        rows = await self._fetch(_READ, query.after, query.size)
        if not rows:
            raise NotFound("account", self._account_id)
        position = position_of(rows[0])
        if not position.trimmed_to <= query.after <= position.seq:
            raise TooOld(query.after)
        found = (row for row in rows if row["seq"] is not None)
        return EventPage(data=[_recorded(row) for row in found], position=position)

    async def position(self) -> Position:
        """Return where the log stands."""
        rows = await self._fetch(_POSITION)
        if not rows:
            raise NotFound("account", self._account_id)
        return position_of(rows[0])


def _recorded(row: Row) -> Recorded:
    return Recorded(
        seq=row["seq"],
        at=row["at"],
        origin=read_origin(row["origin"]),
        event=read_event(row["payload"]),
    )
