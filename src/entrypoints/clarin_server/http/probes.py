"""Liveness, readiness and metrics: what machines ask."""

from sanic import HTTPResponse, Request

from clarin_core.errors import Unavailable
from clarin_server.http.answers import answer, request_id_of
from clarin_server.http.context import App

_SILENT = "does not answer"
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


async def _health_of_redis(app: App) -> str:
    """Return how it is; without it everything is answered, and changes travel by polling."""
    services = app.ctx.services
    if services.redis is None:
        return "off"
    answers = await services.redis.ping() and services.publisher.is_whole
    return "ok" if answers else _SILENT


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
        redis = await _health_of_redis(app)
        status = "degraded" if redis == _SILENT else "ready"
        parts = {"status": status, "storage": "ok", "redis": redis}
        return answer(parts, 200, request_id_of(request))

    async def metrics(_: Request) -> HTTPResponse:
        return HTTPResponse(app.ctx.metrics.text(), content_type=_METRICS_TYPE)

    for path, handler in (("/health", health), ("/ready", ready), ("/metrics", metrics)):
        app.add_route(handler, path, methods=["GET", "HEAD"], name=handler.__name__, stream=True)
