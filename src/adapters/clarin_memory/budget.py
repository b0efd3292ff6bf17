"""How often somebody else may be asked, by this process alone, for a bounded number of keys."""

import time
from collections import OrderedDict
from collections.abc import Callable
from itertools import count

from clarin_core.domain.budget import Pace, Turns, Wait
from clarin_core.ports.budget import Budget, Turn


class MemoryBudget(Budget):
    """Keeps the turns of each key; `seconds` is a clock that nobody sets."""

    def __init__(
        self,
        pace: Pace,
        *,
        seconds: Callable[[], float] = time.monotonic,
        keys_max: int = 20_000,
    ) -> None:
        self.pace = pace
        self._seconds = seconds
        self._keys_max = keys_max
        self._marks = count(1)
        self._turns = OrderedDict[str, Turns]()

    @property
    def keys_known(self) -> int:
        """Number of keys that take memory."""
        return len(self._turns)

    async def claim(self, key: str, *, is_gentle: bool = False) -> Turn | Wait:
        """Return the right to send one request, or how long to wait before asking again."""
        turn = Turn(key, str(next(self._marks)))
        wait = self._of(key).claim(turn.mark, at=self._seconds(), is_gentle=is_gentle)
        return wait or turn

    async def answered(self, turn: Turn) -> None:
        """Let a request count for one more second."""
        self._of(turn.key).answered(turn.mark, at=self._seconds())

    async def rest(self, key: str, seconds: float) -> None:
        """Give nobody a turn for some time, and fewer for a minute after it."""
        self._of(key).rest(seconds, at=self._seconds())

    async def shut(self, key: str, seconds: float) -> None:
        """Give nobody a turn for some time."""
        self._of(key).shut(seconds, at=self._seconds())

    def _of(self, key: str) -> Turns:
        turns = self._turns.setdefault(key, Turns(self.pace))
        self._turns.move_to_end(key)
        if len(self._turns) > self._keys_max:
            self._turns.popitem(last=False)
        return turns
