"""A WhatsApp that lives in this process, by a clock: a town with shops and their customers.

The devices of an account are shops. A phone scans a code some seconds after it was shown;
customers write first, answer, read, type, change their minds and go offline. Who they are is
the same in every run; what they do is decided by the seed and by what is said to them.

The town lives while somebody has a device in it, and forgets: only the latest messages and files
are known to it, and nothing of what was on people's screens.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

from clarin_core.domain.devices import DeviceKey
from clarin_core.domain.inbound import MediaOffer, MessageSeen
from clarin_core.domain.jid import Identity
from clarin_core.domain.phone import PhoneNumber
from clarin_core.ports.messaging import Messaging, Paired, Refused, Session
from clarin_core.ports.small import Clock
from clarin_whatsapp.conversation import Conversation, said_as
from clarin_whatsapp.keepsakes import keepsakes
from clarin_whatsapp.lines import Chance
from clarin_whatsapp.manner import Manner
from clarin_whatsapp.people import Letter, Person
from clarin_whatsapp.simulator import SimulatedMessaging
from clarin_whatsapp.small_talk import ANSWERS, SCRIPTS
from clarin_whatsapp.townsfolk import circle_of, inhabitant_with, past_name, shop_phone
from clarin_whatsapp.world import Sleep, World

TURN_S = 0.5
PEOPLE_MAX = 2_000
LETTERS_MAX = 4_000
FILE_BYTES_MAX = 64 * 1024 * 1024
FILES_MAX = 200
UNACKNOWLEDGED_MAX = 2_000

_MANNER = Manner(delay=timedelta(milliseconds=400))
_PAST = timedelta(days=6)
_COMPANION_MAX = 60_000
_SCANNED_S = (6, 9)
_TYPED_S = (3, 5)
_WRITES_FIRST_S = (3, 12)


class _Deed(NamedTuple):
    due: datetime
    number: int
    do: Callable[[], object]


class Town(World):
    """Everybody, and what they are about to do."""

    def __init__(self, seed: int, *, clock: Clock, sleep: Sleep) -> None:
        super().__init__(seed, clock=clock, sleep=sleep, manner=_MANNER)
        self.whim = Chance(seed + 1, _MANNER)
        self._offers, self._own_files = keepsakes()
        self.files |= self._own_files
        self._deeds: list[_Deed] = []
        self._talks: dict[tuple[PhoneNumber, PhoneNumber], Conversation] = {}
        self._next_opening: dict[PhoneNumber, datetime] = {}
        # Devices of an earlier run, of which we may not know yet, have a number, too.
        self._companions = count(int(self.whim.between(1, _COMPANION_MAX)))

    def turn(self) -> None:
        """Let happen what is due, and let people look at their phones."""
        self._open_talks()
        while self._deeds and self._deeds[0].due <= self.clock():
            with suppress(Refused):  # It is about a message that the town has forgotten.
                heappop(self._deeds).do()
        self._look()
        self._forget()

    def plan(self, after_s: float, deed: Callable[[], object]) -> None:
        """Do something after some seconds."""
        due = self.clock() + timedelta(seconds=after_s)
        heappush(self._deeds, _Deed(due, self.whim.number(), deed))

    def offer(self, kind: str) -> MediaOffer:
        """Return a file to be sent."""
        return self.whim.one_of(self._offers[kind])

    def reached_by(self, identity: Identity) -> Person:
        """Return who is reached: nearly every phone is somebody's."""
        if identity not in self.people and identity.phone is not None:
            self._meet(identity.phone)
        return super().reached_by(identity)

    def show(
        self, code: str, scanned: Callable[[Paired], None], phone: PhoneNumber | None = None
    ) -> None:
        """Let a code link a phone; soon somebody comes to scan it, or types it."""
        super().show(code, scanned, phone)
        wait_s = self.whim.between(*(_SCANNED_S if phone is None else _TYPED_S))
        self.plan(wait_s, partial(self._come_by, code, phone))

    def know(self, jid: str) -> None:
        """Have a device that was linked in an earlier run."""
        phone = Identity.of_jid(jid).phone
        if jid not in self.lines and phone is not None:
            self.admit(jid, self._shop(phone))

    def _come_by(self, code: str, phone: PhoneNumber | None) -> None:
        if code in self._codes:
            shop = self._shop(phone) if phone else self._next_shop()
            self._recall_past(shop)
            self.scan(code, shop)

    def _next_shop(self) -> Person:
        return next(
            shop for number in count(1) if not (shop := self._shop(shop_phone(number))).lines
        )

    def _shop(self, phone: PhoneNumber) -> Person:
        return self.people.get(Identity.of_phone(phone)) or self.person(phone, "La tienda")

    def _meet(self, phone: PhoneNumber) -> Person | None:
        """Return who has a phone, None for nobody."""
        if known := self.people.get(Identity.of_phone(phone)):
            return known
        inhabitant = inhabitant_with(phone)
        if inhabitant is None:
            return None
        person = self.person(phone, inhabitant.name)
        person.hides_phone = inhabitant.hides_phone
        return person

    def _recall_past(self, shop: Person) -> None:
        """Have talked with customers before the first device came, which is told of it."""
        letters: list[Letter] = []
        for place, inhabitant in enumerate(circle_of(shop.phone)):
            if customer := self._meet(inhabitant.phone):
                letters += self._past_of(customer, shop, place)
        letters.sort(key=lambda letter: letter.at)
        self._bags.letters |= {letter.id: letter for letter in letters}

    def _past_of(self, customer: Person, shop: Person, place: int) -> list[Letter]:
        """Return a talk of the last days; of some talks the last word was the customer's."""
        lines = SCRIPTS[place % len(SCRIPTS)]
        at = self.clock() - _PAST * self.whim.between(0.01, 1)
        letters = []
        for number, line in enumerate(lines):
            at = min(at + timedelta(seconds=self.whim.between(20, 400)), self.clock())
            name = past_name(shop.phone, customer.phone, number)
            said = said_as(line, self)
            letters.append(Letter(id=name, sender=customer, to=shop, at=at, said=said))
            if number < len(lines) - 1 or place % 3:
                name = past_name(shop.phone, customer.phone, number, "answer")
                said = said_as(ANSWERS[(number + place) % len(ANSWERS)], self)
                at = min(at + timedelta(seconds=self.whim.between(20, 300)), self.clock())
                letters.append(Letter(id=name, sender=shop, to=customer, at=at, said=said))
        return letters

    def _open_talks(self) -> None:
        """Let somebody write to each shop of which a device listens, from time to time."""
        now = self.clock()
        for shop in self._open_shops():
            due = self._next_opening.setdefault(shop.phone, now + timedelta(seconds=1))
            if due <= now:
                wait = timedelta(seconds=self.whim.between(*_WRITES_FIRST_S))
                self._next_opening[shop.phone] = now + wait
                customer = self._meet(self.whim.one_of(circle_of(shop.phone)).phone)
                if customer is not None:
                    self._talk(customer, shop).begin()

    def _open_shops(self) -> list[Person]:
        listening = [line for line in self.lines.values() if line.ears is not None]
        return list({shop.phone: shop for shop in map(self.owner, listening)}.values())

    def _look(self) -> None:
        """Let people see what their phones show, and act on what shops say."""
        for person in list(self.people.values()):
            seen, person.screen = person.screen, []
            for one in seen:
                if isinstance(one, MessageSeen) and not (one.is_from_me or person.lines):
                    self._hear(person, one)

    def _hear(self, customer: Person, message: MessageSeen) -> None:
        shop = self.people.get(message.chat.identity)
        if shop is not None:
            self._talk(customer, shop).hear(message)

    def _talk(self, customer: Person, shop: Person) -> Conversation:
        key = customer.phone, shop.phone
        if key not in self._talks:
            self._talks[key] = Conversation(customer, shop, self)
        return self._talks[key]

    def _forget(self) -> None:
        self._forget_people()
        self._forget_files()
        letters = self._bags.letters
        while len(letters) > LETTERS_MAX:
            del letters[next(iter(letters))]
        for line in self.lines.values():
            line.forget(UNACKNOWLEDGED_MAX)

    def _forget_people(self) -> None:
        while len(self._talks) > PEOPLE_MAX:
            del self._talks[next(iter(self._talks))]
        while len(self.people) > 2 * PEOPLE_MAX:  # Each stands there by phone and by linked id.
            gone = next(person for person in self.people.values() if not person.lines)
            for identity in gone.identities:
                del self.people[identity]

    def _forget_files(self) -> None:
        sent = [source for source in self.files if source not in self._own_files]
        while len(sent) > FILES_MAX or self._size(sent) > FILE_BYTES_MAX:
            del self.files[sent.pop(0)]

    def _size(self, sources: Iterable[bytes]) -> int:
        return sum(len(self.files[source]) for source in sources)


class TownMessaging(Messaging):
    """Opens devices in a town, which lives on meanwhile."""

    honours_ids = False
    redelivers = True

    def __init__(self, town: Town) -> None:
        self._town = town
        self._simulated = SimulatedMessaging(town)

    @asynccontextmanager
    async def session(self, key: DeviceKey, *, jid: str | None) -> AsyncIterator[Session]:
        """Open a device; one that we do not know was linked before we began."""
        if jid is not None:
            self._town.know(jid)
        async with self._simulated.session(key, jid=jid) as session:
            living = asyncio.create_task(self._live())
            living.add_done_callback(lambda _: session.close())
            try:
                yield session
            finally:
                living.cancel()
                await asyncio.wait([living])
        if not living.cancelled():
            living.result()

    async def _live(self) -> None:
        while True:
            await self._town.sleep(TURN_S)
            self._town.turn()
