"""A WhatsApp within one process: people with phones, and the devices linked to these.

All that happens is decided by a seed and by what people do, so that a run can be had again. Time
and sleep are given. What people do takes effect at once; what devices are told of it comes late,
twice or in another order, as `Manner` says.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from datetime import timedelta
from hashlib import sha256
from itertools import count
from typing import NamedTuple

from clarin_core.domain.jid import Identity, Jid, JidServer
from clarin_core.domain.phone import PhoneNumber, digits
from clarin_core.ports.messaging import Paired, Refused, SessionStep, Step
from clarin_core.ports.small import Clock
from clarin_whatsapp.lines import Chance, Line
from clarin_whatsapp.manner import CALM, Fate, Manner
from clarin_whatsapp.people import Letter, Mailbags, Person

Sleep = Callable[[float], Awaitable[None]]


class _Shown(NamedTuple):
    """A code that may be scanned; one that is to be typed counts on one phone only."""

    scanned: Callable[[Paired], None]
    phone: PhoneNumber | None


class World:
    """All people, and all devices (`lines`) by their full address.

    `fates` are those of the next calls; of the later ones chance decides. `is_reachable` and
    `is_outdated` are found out by whoever connects.
    """

    def __init__(
        self,
        seed: int,
        *,
        clock: Clock,
        sleep: Sleep,
        manner: Manner = CALM,
        honours_ids: bool = False,
    ) -> None:
        self.clock = clock
        self.sleep = sleep
        self.honours_ids = honours_ids
        self.chance = Chance(seed, manner)
        self.fates: deque[Fate] = deque()
        self.people: dict[Identity, Person] = {}
        self.lines: dict[str, Line] = {}
        self.files: dict[bytes, bytes] = {}
        self.is_reachable = True
        self.is_outdated = False
        self._bags = Mailbags(chance=self.chance, clock=clock)
        self._codes: dict[str, _Shown] = {}
        self._owners: dict[str, Person] = {}
        self._companions = count(1)

    def person(self, phone: str, name: str = "") -> Person:
        """Return somebody new, with that phone."""
        person = Person(PhoneNumber(phone), _lid(phone), name, bags=self._bags)
        self.people |= dict.fromkeys(person.identities, person)
        return person

    def reached_by(self, identity: Identity) -> Person:
        """Return who is reached; raises Refused for nobody."""
        if identity not in self.people:
            raise Refused("nobody is reached there")
        return self.people[identity]

    def owner(self, line: Line) -> Person:
        """Return the person to whose phone a device is linked."""
        return self._owners[line.jid]

    def letter(self, name: str) -> Letter | None:
        """Return a message by its id."""
        return self._bags.letters.get(name)

    def keep(self, content: bytes) -> bytes:
        """Keep a file to be fetched; return its source."""
        source = self.chance.name().encode()
        self.files[source] = content
        return source

    def link(self, person: Person) -> str:
        """Link a device without any ado; return its full address."""
        jid = str(Jid(digits(person.phone), JidServer.PERSON, next(self._companions)))
        person.tell_past(self.admit(jid, person))
        return jid

    def admit(self, jid: str, person: Person) -> Line:
        """Have a device linked that knows all that was said so far."""
        line = self.lines[jid] = Line(jid, chance=self.chance, clock=self.clock)
        self._owners[jid] = person
        person.lines.append(line)
        return line

    def show(
        self, code: str, scanned: Callable[[Paired], None], phone: PhoneNumber | None = None
    ) -> None:
        """Let a code link a phone until it is hidden: any one, or the one that is to type it."""
        self._codes[code] = _Shown(scanned, phone)

    def hide(self, code: str) -> None:
        """Let a code link nobody any more."""
        self._codes.pop(code, None)

    def scan(self, code: str, person: Person) -> None:
        """Scan or type a code with a phone; raises LookupError for one that does not count."""
        shown = self._codes[code]
        if shown.phone not in (None, person.phone):
            raise LookupError(code)
        del self._codes[code]
        shown.scanned(Paired(jid=self.link(person), phone=person.phone))

    def break_off(self, jid: str) -> None:
        """Let a device lose its connection for a while."""
        if (ears := self.lines[jid].ears) is not None:
            ears.break_off()

    def unlink(self, jid: str) -> None:
        """Let the phone throw a device out."""
        line = self.lines.pop(jid)
        self._owners.pop(jid).lines.remove(line)
        self._end(line, SessionStep(step=Step.LOGGED_OUT, reason="the phone unlinked the device"))

    def ban(self, jid: str, time: timedelta) -> None:
        """Shut a device out for a time."""
        line = self.lines[jid]
        line.banned_until = self.clock() + time
        self._end(line, banned(time))

    def outdate(self) -> None:
        """Refuse all devices, as too old."""
        self.is_outdated = True
        for line in self.lines.values():
            self._end(line, OUTDATED)

    def fate(self) -> Fate:
        """Return what becomes of the next call."""
        return self.fates.popleft() if self.fates else self.chance.fate()

    def _end(self, line: Line, step: SessionStep) -> None:
        if line.ears is not None:
            line.ears.end(step)


def _lid(phone: str) -> str:
    """Return a linked id that tells nothing of the phone, and is the same in every run."""
    return f"9{int.from_bytes(sha256(phone.encode()).digest()[:6]) % 10**14:014}"


OUTDATED = SessionStep(step=Step.OUTDATED, reason="the device is too old")


def banned(time: timedelta) -> SessionStep:
    """Return what a device that is shut out is told."""
    return SessionStep(step=Step.BANNED, reason="shut out for a time", restricted_for=time)
