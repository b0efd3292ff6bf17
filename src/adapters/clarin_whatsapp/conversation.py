"""What a customer says to a shop, and does about what the shop says.

A customer follows a script, a line at a time, and waits for an answer after each. Who gets none
asks once whether anybody is there, and then has better things to do.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from clarin_core.domain.inbound import MediaOffer, MessageSeen
from clarin_core.domain.messages import Location, MessageKind, Quoted
from clarin_whatsapp.lines import Chance
from clarin_whatsapp.people import Person, Said
from clarin_whatsapp.small_talk import AGAIN, FEELINGS, NUDGES, SCRIPTS

_BRACKETS = re.compile(r"\[(\w+)\] ?(.*)")
_LIMA = (-12.0464, -77.0428)
_UNANSWERED_MAX = 2
_SULKS_S = 900.0

_ANSWERED = 0.85
_TWO_AT_ONCE = 0.2
_QUOTED = 0.12
_FELT = 0.12
_MISTYPED = 0.06
_REGRETTED = 0.03
_AWAY = 0.04


class Surroundings(Protocol):
    """What a conversation needs of the town."""

    whim: Chance

    def plan(self, after_s: float, deed: Callable[[], object]) -> None:
        """Do something after some seconds."""
        ...

    def offer(self, kind: str) -> MediaOffer:
        """Return a file to be sent."""
        ...


@dataclass(slots=True, eq=False)
class Conversation:
    """A customer with a shop; between two talks it `is_over`."""

    customer: Person
    shop: Person
    town: Surroundings
    is_over: bool = True
    _lines: Iterator[str] = field(default_factory=lambda: iter(()))
    _unanswered: int = 0
    _is_about_to_speak: bool = False
    _about: MessageSeen | None = None

    def begin(self) -> None:
        """Say the first line of something, unless the last talk still goes on."""
        if self.is_over:
            self.is_over, self._unanswered, self._about = False, 0, None
            self._lines = iter(self.town.whim.one_of(SCRIPTS))
            self._speak_in(0, 2)

    def hear(self, message: MessageSeen) -> None:
        """Read what the shop says, in a while, and perhaps answer it."""
        whim = self.town.whim
        self._unanswered, self._about = 0, message
        reading_s = whim.between(1, 6)
        self.town.plan(reading_s, partial(self._read, message))
        if message.poll is not None:
            choose = partial(self._vote, message.wa_message_id, message.poll.options)
            self.town.plan(reading_s + whim.between(1, 4), choose)
        if whim.happens(_ANSWERED):
            self._speak_in(reading_s + 1, reading_s + 6)
        else:
            self.is_over = True

    def _read(self, message: MessageSeen) -> None:
        name, whim = message.wa_message_id, self.town.whim
        self.customer.reads(name)
        if message.kind is MessageKind.AUDIO:
            self.customer.plays(name)
        if whim.happens(_FELT):
            emoji = whim.one_of(FEELINGS)
            self.town.plan(whim.between(1, 3), partial(self.customer.reacts, name, emoji))

    def _vote(self, name: str, options: Sequence[str]) -> None:
        self.customer.votes(name, self.town.whim.one_of(options))

    def _speak_in(self, at_least_s: float, at_most_s: float) -> None:
        if not self._is_about_to_speak:
            self._is_about_to_speak = True
            self.town.plan(self.town.whim.between(at_least_s, at_most_s), self._type)

    def _type(self) -> None:
        """Begin to type the next line; at the end of the script only what is polite."""
        line = next(self._lines, None)
        if line is None:
            self.is_over = True
            line = self.town.whim.one_of(AGAIN)
        self.customer.types(self.shop)
        self.town.plan(self.town.whim.between(1, 4), partial(self._say, line))

    def _say(self, line: str) -> None:
        whim, said = self.town.whim, self._said(line)
        self.customer.comes_online()
        slips = said.kind is MessageKind.TEXT and whim.happens(_MISTYPED)
        letter = self.customer.sends(self.shop, _mistyped(said) if slips else said)
        self._is_about_to_speak, self._about = False, None
        self._unanswered += 1
        if slips:
            self.town.plan(whim.between(2, 5), partial(self.customer.edits, letter.id, line))
        elif whim.happens(_REGRETTED):
            self.town.plan(whim.between(3, 8), partial(self.customer.revokes, letter.id))
        self._wait()

    def _wait(self) -> None:
        """Say more at once, or wait for an answer; sometimes where there is no network."""
        whim = self.town.whim
        if not self.is_over and whim.happens(_TWO_AT_ONCE):
            self._speak_in(1, 3)
        self.town.plan(whim.between(30, 90), partial(self._ask_again, self._unanswered))
        if whim.happens(_AWAY):
            self.customer.goes_offline()
            self.town.plan(whim.between(15, 60), self.customer.comes_online)

    def _ask_again(self, unanswered: int) -> None:
        if self.is_over or self._unanswered != unanswered:
            return
        if unanswered < _UNANSWERED_MAX:
            self._say(self.town.whim.one_of(NUDGES))
        else:
            self.town.plan(_SULKS_S, partial(self._get_over, unanswered))

    def _get_over(self, unanswered: int) -> None:
        if self._unanswered == unanswered:
            self.is_over = True

    def _said(self, line: str) -> Said:
        said = said_as(line, self.town)
        about = self._about
        if about is None or said.kind is not MessageKind.TEXT:
            return said
        if not self.town.whim.happens(_QUOTED):
            return said
        sender = self.shop.peer.identity
        quoted = Quoted(wa_message_id=about.wa_message_id, body=about.body, sender=sender)
        return Said(body=said.body, quoted=quoted)


def said_as(line: str, town: Surroundings) -> Said:
    """Return what a line of a script is as a message."""
    match = _BRACKETS.fullmatch(line)
    if match is None:
        return Said(body=line)
    kind, text = MessageKind(match[1]), match[2] or None
    if kind is MessageKind.LOCATION:
        return Said(kind=kind, location=_somewhere(text, town.whim))
    return Said(kind=kind, body=text, media=town.offer(kind.value))


def _somewhere(name: str | None, whim: Chance) -> Location:
    north, east = (part + whim.between(-0.05, 0.05) for part in _LIMA)
    return Location(latitude=round(north, 6), longitude=round(east, 6), name=name)


def _mistyped(said: Said) -> Said:
    """Swap the last two letters, as thumbs do."""
    body = said.body or ""
    return Said(body=body[:-2] + body[-1:] + body[-2:-1], quoted=said.quoted)
