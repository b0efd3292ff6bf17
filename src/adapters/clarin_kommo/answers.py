"""What an answer of Kommo's means: by its status and its media type, never by its text."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from clarin_core.ports.crm import (
    CrmBlocked,
    CrmError,
    CrmForbidden,
    CrmGarbage,
    CrmHeavyPage,
    CrmPaymentDue,
    CrmRateLimited,
    CrmRefused,
    CrmUnauthorized,
    CrmUnreachable,
)
from clarin_kommo.transport import Answer, http_date

BLOCKED_S: Final = 900  # Minutes, not seconds: to go on asking prolongs it.
DELAY_S, DELAY_S_MAX = 0.5, 30.0
REST_S, REST_S_MAX = 1.0, 60.0
REST_PATIENCE_S: Final = 30.0  # Who has to rest longer than that gives up.

_ERRORS: dict[int, type[CrmError]] = {
    401: CrmUnauthorized,
    402: CrmPaymentDue,
    408: CrmUnreachable,
    504: CrmHeavyPage,
}
_TRANSIENT = (CrmUnreachable, CrmHeavyPage, CrmGarbage)

Chance = Callable[[], float]


def system_chance() -> float:
    """Return a number from 0 up to 1 that differs from process to process."""
    return random.SystemRandom().random()


def fault(answer: Answer) -> CrmError | None:
    """Return what is wrong; None for what was asked for, and for nothing (204)."""
    if answer.status == 204:
        return None
    if answer.status == 200:
        return None if answer.is_json else CrmGarbage()
    if answer.status == 403:
        return CrmForbidden() if answer.is_json else CrmBlocked(BLOCKED_S)
    if answer.status == 429:
        return CrmRateLimited()
    if known := _ERRORS.get(answer.status):
        return known()
    return CrmUnreachable() if answer.status >= 500 else CrmRefused()


def may_be_repeated(error: CrmError) -> bool:
    """Whether the same question may have another answer soon."""
    if isinstance(error, CrmRateLimited):
        return error.retry_after_s <= REST_PATIENCE_S
    return isinstance(error, _TRANSIENT)


def delay_s(attempt: int, chance: float) -> float:
    """Return how long to wait after an attempt, of which 1 is the first, with full jitter.

    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    return chance * min(DELAY_S_MAX, DELAY_S * 2.0**attempt)


def rest_s(answer: Answer, attempt: int, chance: float) -> float:
    """Return how long nobody shall ask after a 429: as told, else a second and more each time."""
    told = _retry_after_s(answer)
    if told is not None:
        return max(REST_S, told)
    return max(REST_S, chance * min(REST_S_MAX, REST_S * 2.0**attempt))


def _retry_after_s(answer: Answer) -> float | None:
    """Return what the header says: seconds, or a moment of the other side's clock."""
    text = (answer.retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    until, at = http_date(text), answer.at
    return None if until is None or at is None else _seconds(until, at)


def _seconds(until: datetime, at: datetime) -> float:
    return (until - at) / timedelta(seconds=1)
