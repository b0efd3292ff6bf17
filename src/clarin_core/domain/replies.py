"""What people say of a message without words of their own: reactions, and votes in a poll."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import TypeVar

from msgspec import Struct

from clarin_core.domain.ids import ChatId, MessageId
from clarin_core.domain.jid import Identity

ByWhom = tuple[ChatId, str, Identity]
"""Who said something of which message, by its chat and WhatsApp's id."""


class Reaction(Struct, frozen=True, kw_only=True):
    """What somebody feels about a message; an empty `emoji` took it back (CH15)."""

    chat_id: ChatId
    wa_message_id: str
    sender: Identity
    emoji: str
    at: datetime

    @property
    def key(self) -> ByWhom:
        """What there is one reaction for."""
        return self.chat_id, self.wa_message_id, self.sender

    @property
    def rank(self) -> tuple[datetime, str]:
        """What decides which of several counts: the greatest, whatever came last."""
        return self.at, self.emoji


class Vote(Struct, frozen=True, kw_only=True):
    """What somebody chose in a poll; a later vote replaces an earlier one."""

    chat_id: ChatId
    wa_message_id: str
    voter: Identity
    options: list[str]
    at: datetime

    @property
    def key(self) -> ByWhom:
        """What there is one vote for."""
        return self.chat_id, self.wa_message_id, self.voter

    @property
    def rank(self) -> tuple[datetime, list[str]]:
        """What decides which of several counts, as with reactions."""
        return self.at, self.options


class PollResult(Struct, frozen=True, kw_only=True):
    """How often an option was chosen."""

    option: str
    votes: int


def option_digest(option: str) -> str:
    """Return how a vote names an option: WhatsApp tells which one it was, and not what it says."""
    return sha256(option.encode()).hexdigest()


Reply = TypeVar("Reply", Reaction, Vote)


def counting(replies: Iterable[Reply]) -> dict[ByWhom, Reply]:
    """Return those of some reactions or votes that count, by key, in their order."""
    kept: dict[ByWhom, Reply] = {}
    for reply in replies:
        if reply.key not in kept or reply.rank > kept[reply.key].rank:
            kept.pop(reply.key, None)
            kept[reply.key] = reply
    return kept


class Sender(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who reacted: by the contact's name, or the account itself."""

    identity: Identity
    name: str | None = None
    is_from_me: bool = False


class PollCount(Struct, frozen=True, kw_only=True):
    """What a poll adds up to now."""

    chat_id: ChatId
    message_id: MessageId
    wa_message_id: str
    results: list[PollResult]


def results_of(options: Sequence[str], votes: Iterable[Vote]) -> list[PollResult]:
    """Return how often each option was chosen, in the order of the poll."""
    chosen = Counter(digest for vote in votes for digest in set(vote.options))
    return [PollResult(option=option, votes=chosen[option_digest(option)]) for option in options]


def chosen_in(vote: Vote, options: Sequence[str]) -> list[str]:
    """Return those of a poll's options that a vote names."""
    named = set(vote.options)
    return [option for option in options if option_digest(option) in named]
