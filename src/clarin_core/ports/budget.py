"""How often somebody else may be asked, over all processes that ask them."""

from typing import NamedTuple, Protocol

from clarin_core.domain.budget import Wait


class Turn(NamedTuple):
    """The right to send one request at once."""

    key: str
    mark: str


class Budget(Protocol):
    """Counts by key, at the pace that it was made with; waiting is the caller's affair.

    Exact: whatever the network does, no more arrive within any second than `most`, of however
    many processes. Nothing is raised, and nobody waits for a medium that does not answer: each
    process then goes by itself, at a pace that is slow enough for all of them.
    """

    async def claim(self, key: str, *, is_gentle: bool = False) -> Turn | Wait:
        """Return the right to send one request, or how long to wait before asking again."""
        ...

    async def answered(self, turn: Turn) -> None:
        """Tell that the request can arrive no more: it was answered, or its connection is gone."""
        ...

    async def rest(self, key: str, seconds: float) -> None:
        """Give nobody a turn for some time, an hour at most, and fewer for a minute after it."""
        ...

    async def shut(self, key: str, seconds: float) -> None:
        """Give nobody a turn for some time, an hour at most."""
        ...
