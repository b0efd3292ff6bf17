"""Reading a page of a list, in parts where all of it is too much for Kommo."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, NamedTuple

import msgspec
from msgspec import Raw

from clarin_core.ports.crm import CrmGarbage, CrmHeavyPage
from clarin_kommo import wire
from clarin_kommo.transport import Answer

PARTS: Final = (1, 2, 5)  # A page of 250 is as well two of 125 or five of 50.
_PAGES_IN_PARTS: Final = 20
_WHOLE = PARTS[0], 0


class Part(NamedTuple):
    """Some items of a list, each as it came."""

    raws: list[Raw]
    has_next: bool
    at: datetime | None


Fetch = Callable[[int, int], Awaitable[Part]]
"""Gives the part of a list that has some number, when it is cut into as many a page."""


class Lists:
    """Remembers which lists are heavy, for some pages: then tries whole ones again."""

    def __init__(self) -> None:
        self._heavy: dict[str, tuple[int, int]] = {}

    async def page(self, name: str, page: int, fetch: Fetch) -> Part:
        """Return a page; raises CrmHeavyPage when its smallest parts are too heavy."""
        parts, left = self._heavy.get(name, _WHOLE)
        try:
            part = await _joined(page, parts, fetch)
        except CrmHeavyPage:
            if parts == PARTS[-1]:
                raise
            self._heavy[name] = PARTS[PARTS.index(parts) + 1], _PAGES_IN_PARTS
            return await self.page(name, page, fetch)
        self._heavy[name] = (parts, left - 1) if left > 1 else _WHOLE
        return part


async def _joined(page: int, parts: int, fetch: Fetch) -> Part:
    found = Part([], has_next=False, at=None)
    for number in range((page - 1) * parts + 1, page * parts + 1):
        part = await fetch(number, parts)
        found = Part([*found.raws, *part.raws], part.has_next, found.at or part.at)
        if not part.has_next:
            break
    return found


def listed(answer: Answer, name: str) -> Part:
    """Return the items of an answer, none for 204; raises CrmGarbage for what is no list."""
    if not answer.body:
        return _empty(answer)
    try:
        envelope = msgspec.json.decode(answer.body, type=wire.Envelope)
        raws = msgspec.json.decode(envelope.embedded[name], type=list[Raw])
    except (*wire.UNREADABLE, KeyError) as error:
        raise CrmGarbage from error
    return Part(raws, envelope.has_next, answer.at)


def _empty(answer: Answer) -> Part:
    if answer.status != 204:
        raise CrmGarbage
    return Part([], has_next=False, at=answer.at)
