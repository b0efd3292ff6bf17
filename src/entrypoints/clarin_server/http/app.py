"""The Sanic application, made anew by each caller; nothing is opened here."""

from asyncio import CancelledError
from collections.abc import Iterator
from contextlib import suppress

from sanic import Config, HTTPResponse, Request, Sanic
from sanic.exceptions import SanicException
from sanic.handlers import ErrorHandler

from clarin_server.http.auth import allow_origin, preflight
from clarin_server.http.context import App, Context
from clarin_server.http.files import Files
from clarin_server.http.kept import KeptAnswers
from clarin_server.http.lane import Lane
from clarin_server.http.limits import Limits
from clarin_server.http.live import Hub
from clarin_server.http.observing import Observer, failure, record
from clarin_server.http.openapi import add_documents
from clarin_server.http.probes import add_probes
from clarin_server.http.routes import ROWS
from clarin_server.http.routing import Handler, bind, bind_kept
from clarin_server.http.sockets import SOCKET_PATH, open_socket
from clarin_server.http.uploads import Uploads
from clarin_server.metrics import Metrics
from clarin_server.services import Services
from clarin_server.settings import Settings

_UNROUTED = "(none)"  # A label of the metrics: what strangers ask for is no route of ours.
_SANIC: dict[str, str | bool | int | float | None] = {
    "ACCESS_LOG": False,
    "AUTO_EXTEND": False,
    "MOTD": False,
    "REQUEST_MAX_HEADER_SIZE": 8192,
    "REQUEST_TIMEOUT": 15,
    "RESPONSE_TIMEOUT": 30,
    "KEEP_ALIVE_TIMEOUT": 75,
    "WEBSOCKET_MAX_SIZE": 16 * 1024,
    "WEBSOCKET_PING_INTERVAL": None,  # A task for each socket; the hub has one for all.
}


class Errors(ErrorHandler):
    """What goes wrong outside of our handlers gets the same shape as inside."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        super().__init__()
        self._settings = settings
        self._metrics = metrics

    def response(self, request: Request | None, exception: Exception) -> HTTPResponse:
        """Return the answer to a request that no handler took."""
        if request and (asked := preflight(request, self._settings.cors_origins)):
            return asked
        response = failure(exception, request)
        if request:
            allow_origin(request, response, self._settings.cors_origins)
            if response.status == 405:
                response.headers["Allow"] = ", ".join(_allowed(request))
            if not isinstance(exception, CancelledError):  # Who hangs up gets no answer.
                route = SOCKET_PATH if request.path.rstrip("/") == SOCKET_PATH else _UNROUTED
                record(self._metrics, request, route, response.status)
        return response


def _allowed(request: Request) -> Iterator[str]:
    """Yield the methods that the request's path takes; the router does not say."""
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
        with suppress(SanicException):
            request.app.router.get(request.path, method, None)
            yield method


def create_app(services: Services, settings: Settings, metrics: Metrics) -> App:
    """Return an application that serves these services."""
    hub = Hub(services.feed, services.storage, services.publisher, services.clock, metrics)
    limits = Limits(services, settings)
    lane = Lane(services, metrics) if settings.has_lane else None
    context = Context(
        services=services, settings=settings, metrics=metrics, hub=hub, limits=limits, lane=lane
    )
    config = Config(defaults=_SANIC, env_prefix=None)
    app: App = Sanic(
        f"clarin-{id(context):x}",
        config=config,
        ctx=context,
        error_handler=Errors(settings, metrics),
        configure_logging=False,
    )
    _add_routes(app)
    add_probes(app)
    add_documents(app)
    return app


def _add_routes(app: App) -> None:
    services, limits, observer = app.ctx.services, app.ctx.limits, Observer(app)

    def add(method: str, path: str, handler: Handler) -> None:
        methods = [method, "HEAD"] if method == "GET" else [method]
        template = path.replace("<", "{").replace(">", "}")
        name = f"{method}{path}".translate(str.maketrans("/<>-", "____"))
        watched = observer.watch(template, handler)
        app.add_route(
            watched,
            path,
            methods=methods,
            name=name,
            stream=True,
            error_format="json",  # Without it Sanic parses the handler's source to find out.
        )

    kept = KeptAnswers(services.reads)
    for row in ROWS:
        handler = (
            bind_kept(row, services, limits, kept) if row.is_kept else bind(row, services, limits)
        )
        add(row.method, f"/api{row.path}", handler)
    uploads = Uploads(services, limits)
    add("POST", "/api/import/csv", uploads.upload)
    add("POST", "/api/import/csv/preview", uploads.preview)
    add("GET", "/api/imports/<import_id>/rejects", uploads.rejects)
    files = Files(services, limits, app.ctx.settings)
    add("POST", "/api/media/upload", files.upload)
    add("GET", "/api/media/file/<key>", files.file)
    _add_socket(app)


def _add_socket(app: App) -> None:
    async def socket(request: Request) -> None:
        await open_socket(app, request)

    setattr(socket, "is_websocket", True)  # noqa: B010  (Sanic then expects no response)
    app.add_route(socket, SOCKET_PATH, name="socket", stream=True)
