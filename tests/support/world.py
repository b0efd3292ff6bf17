"""A simulated WhatsApp as the stage of laws, on a clock that only a test sets forward."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from clarin_core.domain.inbound import Inbound, MediaOffer, Presence
from clarin_core.domain.jid import Identity
from clarin_core.domain.media import MediaType
from clarin_core.domain.messages import MessageKind
from clarin_core.domain.phone import PhoneNumber
from clarin_core.ports.messaging import Step
from clarin_core.testing.messaging_stage import Stage
from clarin_core.testing.tenants import NOON
from clarin_whatsapp import CALM, Fate, Manner, Said, SimulatedMessaging, World


@dataclass
class Hourglass:
    """Time that passes when a test says so; who sleeps is woken then."""

    at: datetime = NOON
    sleepers: list[tuple[datetime, asyncio.Event]] = field(default_factory=list)

    def __call__(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        self.sleepers.append((self.at + timedelta(seconds=seconds), woken))
        if seconds > 0:
            await woken.wait()

    def forward(self, time: timedelta) -> None:
        self.at += time
        for due, woken in self.sleepers:
            if due <= self.at:
                woken.set()
        self.sleepers = [one for one in self.sleepers if not one[1].is_set()]


def new_world(
    seed: int = 1, *, manner: Manner = CALM, honours_ids: bool = False
) -> tuple[World, Hourglass]:
    glass = Hourglass()
    world = World(seed, clock=glass, sleep=glass.sleep, manner=manner, honours_ids=honours_ids)
    return world, glass


class SimulatedStage(Stage):
    """The stage of the contract."""

    def __init__(self, *, honours_ids: bool = False) -> None:
        self.world, self._glass = new_world(honours_ids=honours_ids)
        self.messaging = SimulatedMessaging(self.world)
        self.phone = self.world.person("+51900000000", "Clarin")
        self.she = self.world.person("+51911111111", "Ana")
        self.her = Identity.of_phone(self.she.phone)

    def now(self) -> datetime:
        return self._glass()

    async def forward(self, time: timedelta) -> None:
        self._glass.forward(time)

    def link(self) -> str:
        return self.world.link(self.phone)

    def scan(self, code: str) -> PhoneNumber:
        self.world.scan(code, self.phone)
        return self.phone.phone

    def she_says(self, body: str) -> str:
        return self.she.says(self.phone, body)

    def she_offers(self, content: bytes) -> None:
        offer = MediaOffer(
            type=MediaType.DOCUMENT,
            mimetype="application/pdf",
            size=len(content),
            source=self.world.keep(content),
        )
        self.she.sends(self.phone, Said(kind=MessageKind.DOCUMENT, media=offer))

    def she_reads(self, wa_message_id: str) -> None:
        self.she.reads(wa_message_id)

    def phone_says(self, body: str) -> str:
        return self.phone.says(self.she, body)

    def seen(self) -> list[Inbound | Presence]:
        return self.she.screen

    def fail_next(self) -> None:
        self.world.fates.append(Fate.FAILED)

    def doubt_next(self, *, is_done: bool) -> None:
        self.world.fates.append(Fate.UNANSWERED if is_done else Fate.LOST)

    def break_off(self, jid: str) -> None:
        self.world.break_off(jid)

    def end(self, jid: str, step: Step) -> None:
        if step is Step.BANNED:
            self.world.ban(jid, timedelta(hours=1))
        elif step is Step.OUTDATED:
            self.world.outdate()
        else:
            self.world.unlink(jid)

    def cut_off(self) -> None:
        self.world.is_reachable = False
