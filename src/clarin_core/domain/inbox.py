"""What some inbound events make of chats and messages: decided here, stored by the use case.

The rows that the events name are given; the events happen to them one after the other. None of
the rules cares about order or repetition, so a `Talk` that hears everything twice, backwards,
or in two parts ends the same.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from clarin_core.domain.chats import Chat
from clarin_core.domain.ids import ChatId, DeviceId, MessageId
from clarin_core.domain.inbound import (
    EditSeen,
    Inbound,
    MessageSeen,
    Peer,
    ReactionSeen,
    ReceiptSeen,
    RevokeSeen,
    VoteSeen,
)
from clarin_core.domain.jid import Identity
from clarin_core.domain.messages import (
    AHEAD_MAX,
    UNSETTLED,
    Direction,
    Mark,
    Message,
    MessageDraft,
    MessageKind,
    MessageStatus,
    clamped,
)
from clarin_core.domain.replies import Reaction, Vote

Key = tuple[ChatId, str]

_AT_SEA = (*UNSETTLED, MessageStatus.QUEUED, MessageStatus.FAILED)
"""What an own message is until WhatsApp has it."""


@dataclass(slots=True)
class Talk:
    """Some chats of a device, the messages that events name, and what becomes of them.

    `unsettled` are those of which nobody knows whether they were sent. `recount` names chats that
    have to be counted anew; the other collections are what changed, by kind of change.
    """

    device_id: DeviceId
    main: Callable[[Peer], Identity]
    at: datetime
    chats: dict[Identity, Chat]
    messages: dict[Key, Message]
    marks: dict[Key, Mark]
    unsettled: list[Message]
    fresh: dict[Key, Message] = field(default_factory=dict)
    disowned: list[Message] = field(default_factory=list)
    settled: dict[MessageId, Message] = field(default_factory=dict)
    risen: dict[MessageId, Message] = field(default_factory=dict)
    edited: dict[MessageId, Message] = field(default_factory=dict)
    revoked: dict[MessageId, Message] = field(default_factory=dict)
    reactions: list[Reaction] = field(default_factory=list)
    votes: list[Vote] = field(default_factory=list)
    recount: set[ChatId] = field(default_factory=set)
    _before: dict[ChatId, int] = field(init=False)

    def __post_init__(self) -> None:
        """Remember how the chats were."""
        self._before = {chat.id: chat.version for chat in self.chats.values()}

    @property
    def changed(self) -> list[Chat]:
        """The chats that are not as they were."""
        return [chat for chat in self.chats.values() if chat.version > self._before[chat.id]]

    def chat(self, event: Inbound) -> Chat:
        """Return the chat that an event is about."""
        return self.chats[self.main(event.chat)]

    def key(self, event: Inbound, wa_message_id: str) -> Key:
        """Return what names a message."""
        return self.chat(event).id, wa_message_id

    def draft(self, event: MessageSeen) -> MessageDraft:
        """Return a message as it is told."""
        sender = None if event.is_from_me else self.main(event.sender or event.chat)
        return MessageDraft(
            chat_id=self.chat(event).id,
            device_id=self.device_id,
            wa_message_id=event.wa_message_id,
            direction=Direction.OUT if event.is_from_me else Direction.IN,
            sender=sender,
            sender_name=event.sender_name,
            kind=event.kind,
            body=event.body,
            quoted=event.quoted,
            location=event.location,
            cards=event.cards,
            poll=event.poll,
            status=MessageStatus.SENT if event.is_from_me else MessageStatus.RECEIVED,
            sent_at=clamped(event.sent_at, now=self.at),
            raw=event.raw,
        )

    def new(self, events: Iterable[Inbound]) -> dict[Key, MessageSeen]:
        """Return the messages that are not there yet, but for those that are ours.

        An own message that says what one of unknown outcome says is that one: it was sent.
        """
        found: dict[Key, MessageSeen] = {}
        for event in events:
            if not isinstance(event, MessageSeen):
                continue
            key = self.key(event, event.wa_message_id)
            if key in self.messages and self._was_wrong(key, event):
                found[key] = event
            elif key in self.messages:
                self._repeat(key, event)
            elif not (event.is_from_me and self._adopt(key, event)):
                best = found.get(key)
                found[key] = event if best is None or best.is_placeholder else best
        return found

    def insert(self, key: Key, message: Message) -> None:
        """Have a new message; what was said of it before happens to it now."""
        self.fresh[key] = self.messages[key] = message
        if message.direction is Direction.OUT:
            self._read(message)
        self._bring_in(key, message)

    def apply(self, event: Inbound) -> None:
        """Let an event happen that is about messages that came before it, or come later."""
        match event:
            case ReceiptSeen():
                for wa_message_id in event.wa_message_ids:
                    self._receipt(self.key(event, wa_message_id), event)
            case EditSeen():
                self._edit(self.key(event, event.wa_message_id), event)
            case RevokeSeen():
                self._revoke(self.key(event, event.wa_message_id), event)
            case ReactionSeen():
                self.reactions.append(self._reaction(event))
            case VoteSeen():
                self.votes.append(self._vote(event))
            case _:
                pass

    def _repeat(self, key: Key, event: MessageSeen) -> None:
        """Replace a placeholder by the copy that can be read, and take an echo for what it is.

        Another repetition is nothing.
        """
        message = self.messages[key]
        if event.is_from_me and (message.is_guess or message.status in _AT_SEA):
            self._settle(key, message, event)
        is_placeholder = message.kind is MessageKind.UNKNOWN and message.raw is None
        if not is_placeholder or event.is_placeholder or key in self.fresh:
            return
        draft = self.draft(event)
        content = ("kind", "body", "quoted", "location", "cards", "poll", "raw", "sender_name")
        values = {name: getattr(draft, name) for name in content}
        if message.edited_at is not None:
            del values["body"]
        if message.alter(values, at=self.at):
            self.edited[message.id] = message
            self._show_again(message)

    def _adopt(self, key: Key, event: MessageSeen) -> bool:
        """Take an own message for ours that says the same, unless it was said before that."""
        draft = self.draft(event)
        alike = (one for one in self.unsettled if one.says_the_same(draft))
        ours = next((one for one in alike if event.sent_at >= one.created_at - AHEAD_MAX), None)
        if ours is None:
            return False
        self.unsettled.remove(ours)
        self._settle(key, ours, event)
        return True

    def _settle(self, key: Key, ours: Message, event: MessageSeen) -> None:
        ours.settle(event.wa_message_id, clamped(event.sent_at, now=self.at), at=self.at)
        self.settled[ours.id] = self.messages[key] = ours
        self._show_again(ours)
        self._bring_in(key, ours)

    def _was_wrong(self, key: Key, event: MessageSeen) -> bool:
        """Say whether a message that a receipt had settled is another one than its echo.

        Then nobody knows of ours again, and what was said is said of the other one.
        """
        ours = self.messages[key]
        if not ours.is_guess or ours.says_the_same(self.draft(event)):
            return False
        self.marks[key] = ours.mark
        ours.disown(MessageStatus.UNKNOWN, at=self.at)
        self.disowned.append(ours)
        self.unsettled.append(ours)
        self.settled.pop(ours.id, None)
        self.risen[ours.id] = ours
        self._show_again(ours)
        del self.messages[key]
        return True

    def _guess(self, key: Key, event: ReceiptSeen) -> Message | None:
        """Return the only message of the chat that a receipt of a stranger may be about.

        It may be of one that is just being sent: then its answer will tell.
        """
        found = [one for one in self.unsettled if one.chat_id == key[0]]
        if event.is_own or len(found) != 1 or event.at < found[0].created_at:
            return None
        (ours,) = found
        if ours.status is not MessageStatus.UNKNOWN:
            return None
        self.unsettled.remove(ours)
        ours.guess(key[1], at=self.at)
        self.settled[ours.id] = self.messages[key] = ours
        self._show_again(ours)
        self._bring_in(key, ours)
        return ours

    def _bring_in(self, key: Key, message: Message) -> None:
        mark = self.marks.pop(key, None)
        if mark is None:
            return
        mark.bring_in(message, at=self.at)
        if mark.is_read:
            self._read(message)

    def _receipt(self, key: Key, event: ReceiptSeen) -> None:
        message = self.messages.get(key) or self._guess(key, event)
        if message is None:
            mark = self._mark(key)
            mark.is_read = mark.is_read or event.is_own
            if not event.is_own:
                mark.rise(event.status)
        elif event.is_own:
            self._read(message)
        elif message.rise(event.status, at=self.at):
            self.risen[message.id] = message

    def _edit(self, key: Key, event: EditSeen) -> None:
        message = self.messages.get(key)
        if message is None:
            self._mark(key).edit(event.body, event.at, is_from_me=event.is_from_me)
        elif event.is_from_me is not message.is_from_me:
            return
        elif message.edit(event.body, event.at, at=self.at):
            self.edited[message.id] = message
            self._show_again(message)

    def _revoke(self, key: Key, event: RevokeSeen) -> None:
        message = self.messages.get(key)
        if message is None:
            self._mark(key).revoke(event.at, is_from_me=event.is_from_me)
        elif event.is_from_me is not message.is_from_me:
            return
        elif message.revoke(event.at, at=self.at):
            self.revoked[message.id] = message
            self._show_again(message)

    def _mark(self, key: Key) -> Mark:
        return self.marks.setdefault(key, Mark(chat_id=key[0], wa_message_id=key[1]))

    def _read(self, message: Message) -> None:
        """Have read up to a message (CH7)."""
        chat = self._chat_of(message)
        if chat.read(message.place, at=self.at):
            self.recount.add(chat.id)

    def _show_again(self, message: Message) -> None:
        self.recount.add(message.chat_id)

    def _chat_of(self, message: Message) -> Chat:
        return next(chat for chat in self.chats.values() if chat.id == message.chat_id)

    def _reaction(self, event: ReactionSeen) -> Reaction:
        return Reaction(
            chat_id=self.chat(event).id,
            wa_message_id=event.wa_message_id,
            sender=self.main(event.sender),
            emoji=event.emoji,
            at=event.at,
        )

    def _vote(self, event: VoteSeen) -> Vote:
        return Vote(
            chat_id=self.chat(event).id,
            wa_message_id=event.wa_message_id,
            voter=self.main(event.voter),
            options=sorted(event.options),
            at=event.at,
        )
