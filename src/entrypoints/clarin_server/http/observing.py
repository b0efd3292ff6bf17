"""What is measured and logged of a request, and how its errors become answers."""

import logging
from collections.abc import Callable, Coroutine
from time import perf_counter
from typing import Any

import structlog
from sanic import HTTPResponse, Request

from clarin_core.errors import Unavailable
from clarin_server.http.answers import problem, request_id_of
from clarin_server.http.auth import allow_origin
from clarin_server.http.context import App
from clarin_server.http.lane import may_learn
from clarin_server.http.routing import Handler
from clarin_server.http.socket import Protocol
from clarin_server.metrics import Metrics

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

Watched = Callable[..., Coroutine[Any, Any, HTTPResponse | None]]

_log = structlog.get_logger(component="API")


class Observer:
    """Wraps handlers: one line and one measurement for each request, an answer for each error."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._in_flight = 0

    def watch(self, template: str, handler: Handler) -> Watched:
        """Return the handler as Sanic gets it."""

        async def observed(request: Request, **path: str) -> HTTPResponse | None:
            began = perf_counter()
            response = await self._answer(request, handler, path)
            allow_origin(request, response, self._app.ctx.settings.cors_origins)
            protocol = request.protocol
            if self._app.ctx.lane and isinstance(protocol, Protocol) and may_learn(request):
                protocol.answering = request, template
            record(self._app.ctx.metrics, request, template, response.status, began=began)
            return None if request.responded else response  # One was sent piece by piece.

        return observed

    async def _answer(
        self, request: Request, handler: Handler, path: dict[str, str]
    ) -> HTTPResponse:
        """Return the handler's answer, or the error's; too many at once are refused early."""
        if self._in_flight >= self._app.ctx.settings.requests_in_flight_max:
            return problem(Unavailable("the service", "has too much to do"), request_id_of(request))
        self._in_flight += 1
        try:
            return await handler(request, **path)
        except Exception as error:
            return failure(error, request)
        finally:
            self._in_flight -= 1


def failure(error: BaseException, request: Request | None) -> HTTPResponse:
    """Return the answer to what went wrong; a bug of ours is logged with its trace."""
    request_id = request_id_of(request)
    response = problem(error, request_id)
    if response.status == 500:
        _log.error("request failed", request_id=request_id, exc_info=error)
    return response


def record(
    metrics: Metrics, request: Request, route: str, status: int, *, began: float | None = None
) -> None:
    """Count and log a request; without its beginning, of `perf_counter`, it is not timed."""
    seconds = None if began is None else perf_counter() - began
    method = request.method if request.method in _METHODS else "OTHER"
    metrics.request(method, route, status, seconds)
    _log.log(
        _level(method, status),
        "request",
        method=method,
        route=route,
        status=status,
        duration_ms=None if seconds is None else round(seconds * 1000, 1),
        request_id=request_id_of(request),
        account_id=getattr(getattr(request.ctx, "actor", None), "account_id", None),
    )


def _level(method: str, status: int) -> int:
    """Return how loudly to log: what changes or fails is said, what only reads is whispered."""
    if status >= 500:
        return logging.ERROR
    return logging.DEBUG if method in ("GET", "HEAD") and status < 400 else logging.INFO
