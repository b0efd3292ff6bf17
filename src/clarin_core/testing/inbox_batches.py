"""Every operation on an inbox that takes many rows, for the laws of cost."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from clarin_core.domain.chats import Chat
from clarin_core.domain.ids import MediaId
from clarin_core.domain.messages import Mark, Message, MessageDraft, MessageStatus
from clarin_core.domain.replies import Reaction, Vote
from clarin_core.domain.tags import Tag, TagOrigin, TagTarget
from clarin_core.ports.inbox import WaKey
from clarin_core.ports.transaction import Transaction
from clarin_core.testing.inbox import PHOTO, Inbox, inbox_of, somebody
from clarin_core.testing.tenants import LATER, NOON, Tenant, links_of


@dataclass(frozen=True)
class InboxCrowd:
    """Many chats with a message each, and one with many, to work on in one go."""

    inbox: Inbox
    chats: Sequence[Chat]
    messages: Sequence[Message]
    tags: Sequence[Tag]

    def drafts(self, size: int) -> list[MessageDraft]:
        """Return a new message of each of some chats."""
        return [self.inbox.said(chat, wa_message_id=f"N{chat.id}") for chat in self.chats[:size]]

    def keys(self, size: int) -> list[WaKey]:
        """Return what names the messages of some chats."""
        return [(chat.id, "A") for chat in self.chats[:size]]

    def reactions(self, size: int) -> list[Reaction]:
        """Return a reaction in each of some chats."""
        who = somebody(1)
        return [
            Reaction(chat_id=chat_id, wa_message_id=wa, sender=who, emoji="👍", at=NOON)
            for chat_id, wa in self.keys(size)
        ]

    def votes(self, size: int) -> list[Vote]:
        """Return a vote in each of some chats."""
        who = somebody(1)
        return [
            Vote(chat_id=chat_id, wa_message_id=wa, voter=who, options=["sí"], at=NOON)
            for chat_id, wa in self.keys(size)
        ]


InboxBatch = Callable[[Transaction, InboxCrowd, int], Awaitable[Any]]

INBOX_BATCHES: Mapping[str, InboxBatch] = {
    "new chats": lambda tx, crowd, n: tx.chats.claim(
        [crowd.inbox.with_(somebody(1000 + k)) for k in range(n)], at=NOON
    ),
    "known chats": lambda tx, crowd, n: tx.chats.claim(
        [crowd.inbox.with_(chat.identity) for chat in crowd.chats[:n]], at=NOON
    ),
    "save chats": lambda tx, crowd, n: tx.chats.save(crowd.chats[:n]),
    "some chats": lambda tx, crowd, n: tx.chats.get_many([chat.id for chat in crowd.chats[:n]]),
    "unite chats": lambda tx, crowd, n: _unite(tx, crowd, n),
    "add messages": lambda tx, crowd, n: tx.messages.add(crowd.drafts(n), at=NOON),
    "known messages": lambda tx, crowd, n: tx.messages.by_wa(crowd.keys(n)),
    "unsettled messages": lambda tx, crowd, n: tx.messages.unsettled(
        [chat.id for chat in crowd.chats[:n]]
    ),
    "save messages": lambda tx, crowd, n: tx.messages.save(crowd.messages[:n]),
    "remove messages": lambda tx, crowd, n: tx.messages.remove(
        [message.id for message in crowd.messages[:n]]
    ),
    "tally": lambda tx, crowd, n: tx.messages.tally(crowd.chats[:n]),
    "ends": lambda tx, crowd, n: tx.messages.ends([chat.id for chat in crowd.chats[:n]]),
    "marks": lambda tx, crowd, n: _mark(tx, crowd, n),
    "reactions": lambda tx, crowd, n: tx.messages.react(crowd.reactions(n)),
    "votes": lambda tx, crowd, n: tx.messages.vote(crowd.votes(n)),
    "kept votes": lambda tx, crowd, n: tx.messages.votes(crowd.keys(n)),
    "files": lambda tx, crowd, n: tx.media.add(
        [replace(PHOTO, key=f"{k}") for k in range(n)], at=NOON
    ),
    "files to tell of": lambda tx, crowd, n: tx.media.seen(
        [MediaId(number) for number in range(1, n + 1)]
    ),
    "errands": lambda tx, crowd, n: tx.outbox.add(
        [crowd.inbox.to_do(chat) for chat in crowd.chats[:n]], at=NOON
    ),
    "link chats": lambda tx, crowd, n: tx.tags.link(
        TagTarget.CHAT,
        links_of([chat.id for chat in crowd.chats[:n]], crowd.tags),
        origin=TagOrigin.LOCAL,
    ),
}


async def gather_inbox(account: Tenant, size: int) -> InboxCrowd:
    """Commit chats with a message each."""
    inbox, tags = await inbox_of(account), await account.add_tags("vip", "frío")
    chats = await inbox.open(*map(somebody, range(size)))
    status = MessageStatus.UNKNOWN
    messages = await inbox.say(
        *(inbox.said(chat, wa_message_id="A", status=status) for chat in chats)
    )
    return InboxCrowd(inbox, chats, messages, tags)


async def _unite(tx: Transaction, crowd: InboxCrowd, size: int) -> None:
    """Unite two chats that both have much of everything."""
    survivor, gone = crowd.chats[:2]
    marks = []
    for chat in (survivor, gone):
        later = [NOON + timedelta(seconds=k) for k in range(size)]
        said = [crowd.inbox.said(chat, wa_message_id=f"{at}", sent_at=at) for at in later]
        await tx.messages.add(said, at=LATER)
        marks += [Mark(chat_id=chat.id, wa_message_id=f"M{k}") for k in range(size)]
    await tx.messages.put_marks(marks, at=LATER)
    await tx.chats.unite(survivor.id, gone.id)


async def _mark(tx: Transaction, crowd: InboxCrowd, size: int) -> None:
    keys = crowd.keys(size)
    marks = [Mark(chat_id=chat_id, wa_message_id=wa, is_read=True) for chat_id, wa in keys]
    await tx.messages.put_marks(marks, at=NOON)
    await tx.messages.take_marks(keys)
