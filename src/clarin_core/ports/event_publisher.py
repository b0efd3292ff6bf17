"""Hints: that an account has news, or that a user's sign-ins changed. The log is the truth.

What passes, such as that somebody types, goes the same way and is in no log: `Aside`.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from clarin_core.domain.events import Recorded
from clarin_core.domain.ids import AccountId, UserId


@dataclass(frozen=True, slots=True)
class Appended:
    """The last `count` events of a log, as they were committed; `read` costs no question."""

    epoch: str
    count: int
    read: Callable[[], list[Recorded]]


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
