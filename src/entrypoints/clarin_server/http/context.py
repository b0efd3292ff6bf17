"""What lives as long as the server."""

from dataclasses import dataclass
from typing import Any, TypeAlias

from sanic import Config, Request, Sanic

from clarin_server.http.lane import Lane
from clarin_server.http.limits import Limits
from clarin_server.http.live import Hub
from clarin_server.metrics import Metrics
from clarin_server.services import Services
from clarin_server.settings import Settings


@dataclass(frozen=True, slots=True)
class Context:
    """The parts that handlers reach through `app.ctx`; made once, read everywhere."""

    services: Services
    settings: Settings
    metrics: Metrics
    hub: Hub
    limits: Limits
    lane: Lane | None


App: TypeAlias = "Sanic[Config, Context]"
Req: TypeAlias = "Request[App, Any]"
