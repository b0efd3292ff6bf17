"""From a credential to an actor; where a request comes from."""

import dataclasses
from collections.abc import Collection

from msgspec.structs import replace
from sanic import HTTPResponse, Request

from clarin_core.domain.actor import Actor
from clarin_core.errors import Unauthorized
from clarin_core.ports.small import Claims
from clarin_core.usecases.sign_in import SignInUseCases
from clarin_server.http.answers import request_id_of

_TOKEN_MAX = 4096
_PREFLIGHT_SECONDS = "600"
_EXPOSED = "Clarin-Seq, Content-Disposition, ETag, Idempotency-Replayed, Retry-After, X-Request-ID"


async def authenticate(request: Request, sign_in: SignInUseCases) -> tuple[Actor, Claims]:
    """Return who asks; raises Unauthorized without a bearer token that counts."""
    actor, claims = await sign_in.authenticate(bearer_of(request))
    return _traced(actor, request_id_of(request)), claims


def bearer_of(request: Request) -> str:
    """Return the bearer token that came with a request; raises Unauthorized without one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token or len(token) > _TOKEN_MAX:
        raise Unauthorized
    return token.strip()


def origin_allowed(request: Request, allowed: Collection[str]) -> bool:
    """Return whether a browser page of this origin may talk to us; no origin is no browser."""
    origin: str | None = request.headers.get("origin")
    if origin is None or origin in allowed:
        return True
    return bool(origin.partition("://")[2] == request.headers.get("host"))


def allow_origin(request: Request, response: HTTPResponse, allowed: Collection[str]) -> None:
    """Let pages of the listed origins read the answer."""
    origin = request.headers.get("origin")
    if origin is None:
        return
    response.headers["Vary"] = "Origin"
    if origin in allowed:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED


def preflight(request: Request, allowed: Collection[str]) -> HTTPResponse | None:
    """Return the answer to a browser's question before a cross-origin request, else None."""
    asked = request.headers.get("access-control-request-method")
    if request.method != "OPTIONS" or asked is None:
        return None
    response = HTTPResponse(status=204)
    allow_origin(request, response, allowed)
    if "Access-Control-Allow-Origin" in response.headers:
        response.headers["Access-Control-Allow-Methods"] = "GET, POST, PUT, PATCH, DELETE"
        response.headers["Access-Control-Allow-Headers"] = (
            "Authorization, Content-Type, If-Match, Idempotency-Key, X-Request-ID"
        )
        response.headers["Access-Control-Max-Age"] = _PREFLIGHT_SECONDS
    return response


def _traced(actor: Actor, request_id: str) -> Actor:
    """Return the actor whose events name the request."""
    return dataclasses.replace(actor, origin=replace(actor.origin, request_id=request_id))
