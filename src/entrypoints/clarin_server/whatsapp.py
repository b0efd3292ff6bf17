"""Which WhatsApp the devices of this process talk to, and why none where that is so."""

import asyncio
import importlib.util
from ctypes.util import find_library
from pathlib import Path

import structlog

from clarin_core.domain.devices import DeviceKey, DeviceLease
from clarin_core.domain.inbound import Activity, Presence
from clarin_core.errors import ClarinError
from clarin_core.ports.event_publisher import Aside, EventPublisher
from clarin_core.ports.messaging import Messaging
from clarin_core.ports.small import Clock, Random
from clarin_security import system_random
from clarin_server.http.frames import text_of
from clarin_server.metrics import Metrics
from clarin_whatsapp import AbsentMessaging, NeonizeMessaging, Town, TownMessaging

SWITCHED_OFF = "WhatsApp is switched off here: CLARIN_MESSAGING is off"

_SEED_BYTES = 8

_log = structlog.get_logger(component="WHATSAPP")


def missing() -> str:
    """Return what WhatsApp's library lacks here and how to get it, nothing when it can run."""
    if importlib.util.find_spec("neonize") is None:
        return "neonize is not installed: pip install 'clarin[whatsapp]'"
    if find_library("magic") is None:
        return "libmagic is not installed: apt install libmagic1, or brew install libmagic"
    return ""


def real_messaging(folder: Path) -> Messaging:
    """Return the real WhatsApp, whose keys lie in the folder, or one that says what is missing."""
    if fault := missing():
        _log.warning("WhatsApp cannot be used", reason=fault)
        return AbsentMessaging(fault)
    return NeonizeMessaging(folder)


def simulated_messaging(clock: Clock, random: Random) -> TownMessaging:
    """Return a town that is another one in each run: no message of an earlier one comes again."""
    seed = int.from_bytes(random(_SEED_BYTES))
    return TownMessaging(Town(seed, clock=clock, sleep=asyncio.sleep))


def new_message_name() -> str:
    """Return a name for a message, of the kind that WhatsApp's own devices give."""
    return f"3EB0{system_random(9).hex().upper()}"


class DeviceWatch:
    """Tells the log and the metrics how devices do."""

    def __init__(self, metrics: Metrics, publisher: EventPublisher) -> None:
        self._metrics = metrics
        self._publisher = publisher

    def failed(self, what: str, error: Exception, key: DeviceKey | None) -> None:
        """Log a failure: one that was foreseen in a line, another one with its trace."""
        known = {"account_id": key.account_id, "device_id": key.device_id} if key else {}
        told = f"failed to {what}"
        if isinstance(error, ClarinError):
            _log.warning(told, reason=str(error), **known)
        else:
            _log.error(told, exc_info=error, **known)

    def heard(self, count: int) -> None:
        """Count what was heard and stored."""
        self._metrics.heard(count)

    def did(self, outcome: str) -> None:
        """Count an errand, by what became of it."""
        self._metrics.errand(outcome)

    def runs(self, count: int) -> None:
        """Tell how many devices this process runs now."""
        self._metrics.devices(count)

    def present(self, lease: DeviceLease, presence: Presence) -> None:
        """Show the account's screens what somebody is doing right now."""
        key = lease.key
        frame = {**_frame_of(presence, key.device_id), "account_id": key.account_id}
        told = text_of(frame)
        self._publisher.announce(Aside(key.account_id, f"device {key.device_id}", told))


def _frame_of(presence: Presence, device_id: int) -> dict[str, object]:
    about = {"device_id": device_id, "jid": presence.chat.identity.jid}
    if presence.activity in (Activity.COMPOSING, Activity.PAUSED):
        return {"event": "typing", "data": {**about, "state": presence.activity}}
    is_here = presence.activity is Activity.AVAILABLE
    seen = {"last_seen_at": presence.last_seen_at} if presence.last_seen_at else {}
    return {"event": "presence", "data": {**about, "available": is_here, **seen}}
