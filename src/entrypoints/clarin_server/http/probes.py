"""Liveness, readiness and metrics: what machines ask."""

from sanic import HTTPResponse, Request

from clarin_core.errors import Unavailable
from clarin_server.http.answers import answer, request_id_of
from clarin_server.http.context import App

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def add_probes(app: App) -> None:
    """Route /health, /ready and /metrics."""

    async def health(request: Request) -> HTTPResponse:
        return answer({"status": "ok"}, 200, request_id_of(request))

    async def ready(request: Request) -> HTTPResponse:
        try:
            await app.ctx.services.storage.ping()
        except Unavailable as error:
            parts = {"status": "unavailable", "storage": str(error)}
            return answer(parts, 503, request_id_of(request))
        return answer({"status": "ready", "storage": "ok"}, 200, request_id_of(request))

    async def metrics(_: Request) -> HTTPResponse:
        return HTTPResponse(app.ctx.metrics.text(), content_type=_METRICS_TYPE)

    for path, handler in (("/health", health), ("/ready", ready), ("/metrics", metrics)):
        app.add_route(handler, path, methods=["GET", "HEAD"], name=handler.__name__, stream=True)
