"""Hints: that an account has news, or that a user's sign-ins changed. The log is the truth.

What passes, such as that somebody types, goes the same way and is in no log: `Aside`.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import NamedTuple, Protocol

from msgspec import Struct

from clarin_core.domain.actor import read_origin
from clarin_core.domain.events import Recorded, read_event
from clarin_core.domain.ids import AccountId, UserId


class Appended(Struct, frozen=True, array_like=True):
    """Events that were committed together, from number `first` on; `read` costs no question.

    They are in JSON, as the log keeps them.
    """

    epoch: str
    first: int
    at: datetime
    origin: bytes
    events: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """How many bytes it takes, about."""
        return len(self.origin) + sum(map(len, self.events))

    def read(self) -> list[Recorded]:
        """Return the events as they are read from the log."""
        origin = read_origin(self.origin)
        return [
            Recorded(seq=seq, at=self.at, origin=origin, event=read_event(event))
            for seq, event in enumerate(self.events, self.first)
        ]


class News(NamedTuple):
    """The account's log reached `seq`.

    The process that wrote may say what was `appended`, once it was told that it is committed.
    """

    account_id: AccountId
    seq: int
    appended: Appended | None = None


class UserChanged(NamedTuple):
    """The user, or one of the user's sign-ins, is not what it was."""

    user_id: UserId


class Aside(NamedTuple):
    """Something that an account's screens show for a moment: whoever missed it missed nothing.

    `told` is for them to read; `speaker` names who said it, and need not hear it.
    """

    account_id: AccountId
    speaker: str
    told: bytes


class Missed(NamedTuple):
    """Hints of other processes may have been lost: only a look at the logs tells."""


Announcement = News | UserChanged | Aside
Hint = Announcement | Missed
Heed = Callable[[Hint], None]


class EventPublisher(Protocol):
    """Tells every process what a commit changed: hints, which may be lost, repeated or early."""

    def announce(self, hint: Announcement) -> None:
        """Give a hint; called after the commit, never blocks, never raises."""
        ...

    def heard_by(self, heed: Heed) -> AbstractContextManager[None]:
        """Call `heed` with every hint while inside.

        With one of this process before `announce` returns, so that who was answered finds it
        heard. `heed` is quick and does not raise.
        """
        ...

    @property
    def is_whole(self) -> bool:
        """Whether the hints of all processes arrive; if not, look at the logs more often."""
        ...
