"""Asking until there is an answer, or until it makes no sense to go on."""

from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

from clarin_core.ports.crm import CrmError, CrmHeavyPage, CrmRateLimited, CrmUnauthorized
from clarin_kommo.answers import delay_s, may_be_repeated
from clarin_kommo.line import Line, Waiting
from clarin_kommo.tokens import Tokens
from clarin_kommo.transport import Answer, Params, Transport

ATTEMPTS_MAX: Final = 6

T = TypeVar("T")

Reader = Callable[[Answer], T]


class Question(NamedTuple):
    """What to ask for; of one that can be parted nobody waits for it to become lighter."""

    path: str
    params: Params = ()
    is_gentle: bool = False
    can_be_parted: bool = False


class Asking:
    """Asks one account of Kommo's, in the name of its tokens."""

    def __init__(
        self, url: str, transport: Transport, line: Line, tokens: Tokens, waiting: Waiting
    ) -> None:
        self._url = url
        self._transport = transport
        self._line = line
        self._tokens = tokens
        self._waiting = waiting

    async def ask(self, question: Question, read: Reader[T]) -> T:
        """Return what `read` makes of the answer; it raises CrmGarbage if it cannot.

        Raises the last error, once it has been asked a few times.
        """
        for attempt in range(1, ATTEMPTS_MAX):
            try:
                return await self._in_name(question, attempt, read)
            except CrmError as error:
                is_heavy = question.can_be_parted and isinstance(error, CrmHeavyPage)
                if is_heavy or not may_be_repeated(error):
                    raise
                is_rested = isinstance(error, CrmRateLimited)
            if not is_rested:  # The line makes all wait for the end of a rest.
                await self._waiting.sleep(delay_s(attempt, self._waiting.chance()))
        return await self._in_name(question, ATTEMPTS_MAX, read)

    async def _in_name(self, question: Question, attempt: int, read: Reader[T]) -> T:
        """Ask with the current token, and once more with another one if it is refused."""
        token = await self._tokens.current()
        try:
            return read(await self._once(question, attempt, token))
        except CrmUnauthorized:
            token = await self._tokens.renewed(token)
        return read(await self._once(question, attempt, token))

    async def _once(self, question: Question, attempt: int, token: str) -> Answer:
        url = self._url + question.path
        return await self._line.send(
            lambda: self._transport.get(url, question.params, token),
            attempt=attempt,
            is_gentle=question.is_gentle,
        )
