"""People in a simulated WhatsApp, and what they say to each other."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, replace

from clarin_core.domain.inbound import (
    Activity,
    EditSeen,
    Inbound,
    MediaOffer,
    MessageSeen,
    Peer,
    PeerSeen,
    Presence,
    ReactionSeen,
    ReceiptSeen,
    RevokeSeen,
    VoteSeen,
)
from clarin_core.domain.jid import Identity, IdentityKind
from clarin_core.domain.messages import Card, Location, MessageKind, MessageStatus, Poll, Quoted
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.replies import option_digest
from clarin_core.ports.messaging import Refused
from clarin_core.ports.small import Clock
from clarin_whatsapp.lines import Chance, Line


class Said(Struct, frozen=True, kw_only=True):
    """What a message says."""

    kind: MessageKind = MessageKind.TEXT
    body: str | None = None
    quoted: Quoted | None = None
    media: MediaOffer | None = None
    location: Location | None = None
    cards: list[Card] = []
    poll: Poll | None = None
    raw: bytes | None = None


class Letter(Struct, frozen=True, kw_only=True):
    """A message from one person to another."""

    id: str
    sender: "Person"
    to: "Person"
    at: datetime
    said: Said

    def seen_by(self, person: "Person") -> MessageSeen:
        """Return how one of the two sees it."""
        fields: dict[str, Any] = asdict(self.said)
        if person is self.sender:
            fields |= {"chat": self.to.peer, "is_from_me": True}
        else:
            peer, name = self.sender.peer, self.sender.name
            fields |= {"chat": peer, "is_from_me": False, "sender": peer, "sender_name": name}
        return MessageSeen(wa_message_id=self.id, sent_at=self.at, **fields)


class Mailbags(Struct, kw_only=True):
    """What all people have in common."""

    chance: Chance
    clock: Clock
    letters: dict[str, Letter] = {}


class Person:
    """Somebody with a phone, and perhaps with devices (`lines`) that are linked to it.

    `screen` is what the phone shows: all of it, once, in order. Others see the person by the
    phone, by the linked id (`hides_phone`), or by both (`is_revealed`). While the phone is not
    `online` nothing arrives there.
    """

    def __init__(self, phone: PhoneNumber, lid: str, name: str, *, bags: Mailbags) -> None:
        self.phone = phone
        self.lid = Identity(IdentityKind.LID, lid)
        self.name = name
        self.hides_phone = False
        self.is_revealed = True
        self.screen: list[Inbound | Presence] = []
        self.lines: list[Line] = []
        self._bags = bags
        self._is_online = True
        self._waiting: list[Letter] = []

    @property
    def identities(self) -> tuple[Identity, Identity]:
        """By what the person can be reached."""
        return Identity.of_phone(self.phone), self.lid

    @property
    def peer(self) -> Peer:
        """As others see the person now."""
        phone, lid = self.identities
        if not self.hides_phone:
            return Peer(identity=phone)
        return Peer(identity=lid, other=phone if self.is_revealed else None)

    @property
    def messages(self) -> list[MessageSeen]:
        """What others said to this person, as often as it arrived."""
        seen = (one for one in self.screen if isinstance(one, MessageSeen))
        return [message for message in seen if not message.is_from_me]

    @property
    def arrivals(self) -> Counter[str | None]:
        """How often each text arrived, under whatever ids."""
        return Counter(message.body for message in self.messages)

    @property
    def acquaintances(self) -> list[PeerSeen]:
        """What the phone knows of those it has talked with."""
        people = self._correspondents()
        return [PeerSeen(chat=one.peer, push_name=one.name) for one in people if one.name]

    def goes_offline(self) -> None:
        """Let what is sent from now on wait."""
        self._is_online = False

    def comes_online(self) -> None:
        """Receive what has waited."""
        self._is_online = True
        waiting, self._waiting = self._waiting, []
        for letter in waiting:
            self._receive(letter)

    def says(self, to: "Person", body: str) -> str:
        """Say something on the phone; return the message's id."""
        return self.sends(to, Said(body=body)).id

    def sends(
        self, to: "Person", said: Said, *, named: str | None = None, by: Line | None = None
    ) -> Letter:
        """Say something from the phone, or from a device; that one is rarely told of it."""
        chance = self._bags.chance
        name = named or chance.name()
        letter = Letter(id=name, sender=self, to=to, at=self._bags.clock(), said=said)
        self._bags.letters[name] = letter
        is_echoed = chance.happens(chance.manner.echoed)
        self._see(letter.seen_by(self), but=None if is_echoed else by)
        to._receive(letter)
        return letter

    def edits(self, name: str, body: str, *, by: Line | None = None) -> None:
        """Let an own message say something else; raises Refused for others."""
        at = self._bags.clock()
        letter = self._own(name)

        def seen(chat: Peer, is_from_me: bool) -> Inbound:
            return EditSeen(chat=chat, wa_message_id=name, is_from_me=is_from_me, body=body, at=at)

        self._tell(letter, seen, by)

    def revokes(self, name: str, *, by: Line | None = None) -> None:
        """Take an own message back; raises Refused for others."""
        at = self._bags.clock()

        def seen(chat: Peer, is_from_me: bool) -> Inbound:
            return RevokeSeen(chat=chat, wa_message_id=name, is_from_me=is_from_me, at=at)

        self._tell(self._own(name), seen, by)

    def reacts(self, name: str, emoji: str, *, by: Line | None = None) -> None:
        """Feel something about a message; raises Refused for one of somebody else's chat."""

        def seen(chat: Peer, _: bool) -> Inbound:
            return ReactionSeen(chat=chat, wa_message_id=name, sender=self.peer, emoji=emoji, at=at)

        at = self._bags.clock()
        self._tell(self._known(name), seen, by)

    def votes(self, name: str, *options: str) -> None:
        """Choose some options of a poll, instead of what was chosen before."""

        def seen(chat: Peer, _: bool) -> Inbound:
            return VoteSeen(chat=chat, wa_message_id=name, voter=self.peer, options=chosen, at=at)

        at, chosen = self._bags.clock(), [option_digest(option) for option in options]
        self._tell(self._known(name), seen)

    def reads(self, *names: str, by: Line | None = None) -> None:
        """Show the sender that messages were read."""
        for name in names:
            letter = self._known(name)
            self._receipt(letter, MessageStatus.READ)
            self._see(self._status(letter.sender, name, MessageStatus.READ, is_own=True), but=by)

    def plays(self, name: str) -> None:
        """Show the sender that a voice note was heard."""
        self._receipt(self._known(name), MessageStatus.PLAYED)

    def types(self, to: "Person", activity: Activity = Activity.COMPOSING) -> None:
        """Be seen to type, by whoever looks just now."""
        shown = Presence(chat=self.peer, activity=activity)
        to.screen.append(shown)
        for line in to.lines:
            line.mention(shown)

    def renames(self, name: str) -> None:
        """Be called something else."""
        self.name = name
        self._introduce()

    def reveals_phone(self) -> None:
        """Let others know whose linked id it is."""
        self.is_revealed = True
        self._introduce()

    def tell_past(self, line: Line) -> None:
        """Tell a new device of what was said before it was there."""
        letters = [one for one in self._bags.letters.values() if self in (one.sender, one.to)]
        for letter in letters:
            line.post(replace(letter.seen_by(self), is_history=True))

    def _introduce(self) -> None:
        seen = PeerSeen(chat=self.peer, push_name=self.name)
        for person in self._correspondents():
            person._see(seen)

    def _correspondents(self) -> "list[Person]":
        """Return whom the person talked with, each once, in order."""
        pairs = [(one.sender, one.to) for one in self._bags.letters.values()]
        return list(
            {id(p): p for pair in pairs if self in pair for p in pair if p is not self}.values()
        )

    def _receive(self, letter: Letter) -> None:
        if not self._is_online:
            self._waiting.append(letter)
            return
        seen = letter.seen_by(self)
        if self._bags.chance.happens(self._bags.chance.manner.undecrypted):
            for line in self.lines:
                line.post(_placeholder(seen))
        self._see(seen)
        self._receipt(letter, MessageStatus.DELIVERED)

    def _receipt(self, letter: Letter, status: MessageStatus) -> None:
        letter.sender._see(self._status(self, letter.id, status))

    def _status(
        self, chat: "Person", name: str, status: MessageStatus, *, is_own: bool = False
    ) -> ReceiptSeen:
        at = self._bags.clock()
        return ReceiptSeen(
            chat=chat.peer, wa_message_ids=[name], status=status, is_own=is_own, at=at
        )

    def _tell(
        self, letter: Letter, make: Callable[[Peer, bool], Inbound], by: Line | None = None
    ) -> None:
        """Show something of a message to both sides, each under the name of the other."""
        letter.sender._see(make(letter.to.peer, True), but=by)
        letter.to._see(make(letter.sender.peer, False), but=by)

    def _see(self, seen: Inbound, *, but: Line | None = None) -> None:
        self.screen.append(seen)
        for line in self.lines:
            if line is not but:
                line.post(seen)

    def _known(self, name: str) -> Letter:
        letter = self._bags.letters.get(name)
        if letter is None or self not in (letter.sender, letter.to):
            raise Refused("there is no such message")
        return letter

    def _own(self, name: str) -> Letter:
        letter = self._known(name)
        if letter.sender is not self:
            raise Refused("the message is somebody else's")
        return letter


def _placeholder(seen: MessageSeen) -> MessageSeen:
    """Return what a device sees of a message that it cannot decrypt."""
    return MessageSeen(
        chat=seen.chat,
        wa_message_id=seen.wa_message_id,
        is_from_me=seen.is_from_me,
        sender=seen.sender,
        sender_name=seen.sender_name,
        kind=MessageKind.UNKNOWN,
        sent_at=seen.sent_at,
        is_placeholder=True,
    )
