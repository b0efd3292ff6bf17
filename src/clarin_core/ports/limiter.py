"""How often something may be done, over all processes that share a limiter."""

from typing import NamedTuple, Protocol

from clarin_core.domain.limits import Rate, Tries


class Try(NamedTuple):
    """A try that counts; `mark` tells it from the others of its key."""

    key: str
    mark: str


class Limiter(Protocol):
    """Counts by key; keys of tries and keys of rates do not meet.

    What is refused raises RateLimited with the seconds after which it is let in, if nobody
    else comes first; never more than one second too many. Nothing else is raised, and nobody
    waits for a medium that does not answer: each process then limits by itself, until it does.
    A clock that is set back shuts nobody out for longer; what lies in its future does not count.
    Memory is bounded, whatever the keys: those that were silent longest are forgotten first.
    """

    async def take(self, key: str, tries: Tries) -> Try:
        """Count a try, or raise RateLimited and count nothing.

        Exact: of many at once, in whichever processes, no more than `tries.count` are let in
        within any window. By itself a process lets in half as many: never all.
        """
        ...

    async def give_back(self, tried: Try) -> None:
        """Let this very try not count: it proved right. Again, or too late, it does nothing."""
        ...

    async def forget(self, key: str) -> None:
        """Let all tries of a key that proved itself not count."""
        ...

    async def spend(self, key: str, rate: Rate) -> None:
        """Take a token for one request, or raise RateLimited.

        For the path of every request: it may keep up to `burst / 10` tokens of a key at hand
        (20 at most), and then does not give way to others. So a process may let in that many
        more than the rate, and refuse when that many are at hand elsewhere.
        """
        ...

    def spend_now(self, key: str, rate: Rate) -> bool:
        """Take a token that is at hand, without asking anybody; else take none, say False."""
        ...
