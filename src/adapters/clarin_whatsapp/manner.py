"""How badly a simulated WhatsApp behaves."""

from datetime import timedelta
from enum import Enum

from msgspec import Struct


class Fate(Enum):
    """What becomes of a call: it is done, it surely is not, or nobody can say.

    Of those that nobody can say anything of, some were done all the same.
    """

    DONE = "done"
    FAILED = "failed"
    LOST = "lost"
    UNANSWERED = "unanswered"


class Manner(Struct, frozen=True, kw_only=True):
    """Chances from 0 to 1, each of one kind of mischief, and the longest delay.

    Delays that differ are what brings things out of order.
    """

    delay: timedelta = timedelta(0)
    repeated: float = 0
    broken: float = 0
    undecrypted: float = 0
    echoed: float = 0
    failed: float = 0
    doubtful: float = 0


CALM = Manner()
WILD = Manner(
    delay=timedelta(minutes=1),
    repeated=0.2,
    broken=0.05,
    undecrypted=0.1,
    echoed=0.2,
    failed=0.1,
    doubtful=0.1,
)
