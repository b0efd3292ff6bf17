"""What a simulated WhatsApp keeps for a linked device, and the chance that rules it all."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import NamedTuple, Protocol, TypeVar

from clarin_core.domain.inbound import Inbound
from clarin_core.ports.messaging import Heard
from clarin_core.ports.small import Clock
from clarin_whatsapp.manner import Fate, Manner

T = TypeVar("T")


class Chance:
    """Decides by its seed whatever nobody does; the manner may change meanwhile."""

    def __init__(self, seed: int, manner: Manner) -> None:
        self.manner = manner
        self._random = Random(seed)
        self._numbers = count(1)

    def happens(self, chance: float) -> bool:
        """Return whether something happens this time."""
        return self._random.random() < chance

    def delay(self) -> timedelta:
        """Return how long something takes."""
        return self.manner.delay * self._random.random()

    def fate(self) -> Fate:
        """Return what becomes of a call."""
        if self.happens(self.manner.failed):
            return Fate.FAILED
        if self.happens(self.manner.doubtful):
            return self._random.choice([Fate.LOST, Fate.UNANSWERED])
        return Fate.DONE

    def between(self, least: float, most: float) -> float:
        """Return some number."""
        return self._random.uniform(least, most)

    def one_of(self, things: Sequence[T]) -> T:
        """Choose one."""
        return self._random.choice(things)

    def number(self) -> int:
        """Return the next one."""
        return next(self._numbers)

    def name(self) -> str:
        """Return what nothing else is called."""
        return f"3EB0{self._random.getrandbits(72):018X}"


class Mail(NamedTuple):
    """Something to be told, not before `due`; `number` is the order in which things happened."""

    due: datetime
    number: int
    heard: Heard


class Ears(Protocol):
    """A session, as the world sees it."""

    def hear(self, mail: Mail) -> None:
        """Take what the device is told, if it is connected."""
        ...

    def break_off(self) -> None:
        """Lose the connection, and have another one after a while."""
        ...

    def end(self, heard: Heard) -> None:
        """Tell this as the last thing."""
        ...


class Line:
    """One linked device: all that it was told and did not acknowledge, and who listens."""

    def __init__(self, jid: str, *, chance: Chance, clock: Clock) -> None:
        self.jid = jid
        self.unacknowledged: dict[int, Mail] = {}
        self.ears: Ears | None = None
        self.banned_until: datetime | None = None
        self._chance = chance
        self._clock = clock

    def post(self, heard: Inbound) -> None:
        """Tell the device, once or twice."""
        for _ in range(1 + self._chance.happens(self._chance.manner.repeated)):
            mail = self._mail(heard)
            self.unacknowledged[mail.number] = mail
            if self.ears is not None:
                self.ears.hear(mail)

    def mention(self, heard: Heard) -> None:
        """Tell the device, if it happens to listen."""
        if self.ears is not None:
            self.ears.hear(self._mail(heard))

    def acknowledge(self, number: int) -> None:
        """Tell this never again."""
        self.unacknowledged.pop(number, None)

    def forget(self, kept_max: int) -> None:
        """Tell no more than so much that was not acknowledged, the latest."""
        while len(self.unacknowledged) > kept_max:
            del self.unacknowledged[next(iter(self.unacknowledged))]

    def _mail(self, heard: Heard) -> Mail:
        return Mail(self._clock() + self._chance.delay(), self._chance.number(), heard)
