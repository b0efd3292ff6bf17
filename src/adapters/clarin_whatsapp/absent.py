"""The port Messaging where there is no WhatsApp: every device says why."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from clarin_core.domain.devices import DeviceKey
from clarin_core.domain.inbound import Activity, PeerSeen
from clarin_core.domain.jid import Identity
from clarin_core.domain.phone import PhoneNumber
from clarin_core.ports.messaging import (
    Delivery,
    Messaging,
    NotSent,
    Outgoing,
    SentAs,
    Session,
    SessionStep,
    Step,
)


class AbsentMessaging(Messaging):
    """Connects nothing, for a reason that people are told."""

    honours_ids = False
    redelivers = False

    def __init__(self, reason: str) -> None:
        self._reason = reason

    @asynccontextmanager
    async def session(self, key: DeviceKey, *, jid: str | None) -> AsyncIterator[Session]:
        """Open a session that is over."""
        yield _AbsentSession(self._reason)


class _AbsentSession(Session):
    def __init__(self, reason: str) -> None:
        self._reason = reason

    async def heard(self) -> AsyncIterator[Delivery]:
        yield Delivery(SessionStep(step=Step.DISCONNECTED, reason=self._reason), _nothing)

    async def send(self, message: Outgoing) -> SentAs:
        raise self._away()

    async def edit(self, to: Identity, wa_message_id: str, body: str) -> None:
        raise self._away()

    async def revoke(self, to: Identity, wa_message_id: str) -> None:
        raise self._away()

    async def react(self, to: Identity, wa_message_id: str, emoji: str, *, is_own: bool) -> None:
        raise self._away()

    async def mark_read(self, to: Identity, wa_message_ids: list[str]) -> None:
        raise self._away()

    async def type(self, to: Identity, activity: Activity) -> None:
        raise self._away()

    async def fetch(self, source: bytes) -> bytes:
        raise self._away()

    async def contacts(self) -> list[PeerSeen]:
        raise self._away()

    async def pair_code(self, phone: PhoneNumber) -> str:
        raise self._away()

    async def log_out(self) -> None:
        raise self._away()

    def _away(self) -> NotSent:
        return NotSent(self._reason)


async def _nothing() -> None:
    """Acknowledge: there is nobody to tell."""
