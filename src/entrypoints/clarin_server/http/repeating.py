"""Requests with an Idempotency-Key: done once, and answered as often as they are sent."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import msgspec
from sanic import HTTPResponse, Request

from clarin_core.domain.actor import Actor
from clarin_core.domain.idempotency import (
    IdempotencyKey,
    Repeatable,
    StoredAnswer,
    idempotency_key,
    repeatable,
)
from clarin_core.errors import Malformed
from clarin_core.ports.storage import Storage
from clarin_core.usecases.idempotency import Once
from clarin_server.http.answers import answer_again, request_id_of, to_store

KEY_HEADER = "Idempotency-Key"

_encode = msgspec.json.Encoder(order="deterministic").encode


def key_of(request: Request) -> IdempotencyKey | None:
    """Return the key that came with a request, if one did; raises Malformed."""
    match request.headers.getall(KEY_HEADER, []):
        case []:
            return None
        case [raw]:
            return idempotency_key(raw)
    raise Malformed(KEY_HEADER, "is given more than once")


@dataclass(frozen=True, slots=True)
class Repeating:
    """Answers the requests of one route that carry a key."""

    once: Once
    route: str
    status: int

    def named(
        self, key: IdempotencyKey, actor: Actor, said: Mapping[str, object], *content: bytes
    ) -> Repeatable:
        """Return what tells a request from others: who asks, and for what, as it was understood.

        So a form may have another boundary, and a JSON body another order, when it comes again.
        """
        return repeatable(self.route, key, _encode([actor.user_id, said]), *content)

    async def answer(
        self,
        request: Request,
        actor: Actor,
        named: Repeatable,
        operation: Callable[[Storage], Awaitable[object]],
        *,
        looks_first: bool = False,
    ) -> HTTPResponse:
        """Answer with what an operation returns, or returned when the request came first."""

        async def stored(storage: Storage) -> StoredAnswer:
            return to_store(await operation(storage), self.status)

        answer, is_repeated = await self.once.run(actor, named, stored, looks_first=looks_first)
        return answer_again(answer, request_id_of(request), is_repeated=is_repeated)
