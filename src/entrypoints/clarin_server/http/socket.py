"""One client's WebSocket, as the hub sees it."""

import asyncio
from asyncio import BaseTransport
from collections.abc import Awaitable, Callable
from datetime import datetime
from secrets import token_hex
from time import monotonic

from sanic import Request
from sanic.http import Http
from sanic.server.protocols.base_protocol import SanicProtocol
from sanic.server.protocols.websocket_protocol import WebSocketProtocol
from sanic.server.websockets.frame import WebsocketFrameAssembler
from sanic.server.websockets.impl import WebsocketImplProtocol
from websockets.frames import Frame
from websockets.protocol import State

from clarin_core.domain.accounts import Standing
from clarin_core.domain.actor import Actor, Role
from clarin_core.domain.ids import AccountId, SessionId, UserId
from clarin_core.errors import Unauthorized
from clarin_core.ports.small import Claims
from clarin_server.http.lane import Lane
from clarin_server.metrics import Metrics

NO_TEXT = (1007, "not_utf8")
RESTART = (1012, "service_restart")
DEAD = (4000, "no_sign_of_life")
LATER = (1013, "try_again_later")
ENDED = (4001, "sign_in_ended")
SLOW = (4008, "slow_consumer")

_PING = b"\x89\x00"
_BUFFER_BYTES_MAX = 1024 * 1024
_SEND_TIMEOUT_S = 10.0


def _nothing_waits() -> None:
    pass


class Requests(Http):
    """Sanic's reading of requests; it takes a body of 0 bytes for one that nobody has read."""

    __slots__ = ()

    async def http1_request_header(self) -> None:
        """Read a head; what says that it has no body has none."""
        read: Callable[[], Awaitable[None]] = super().http1_request_header
        await read()
        if not self.request_bytes_left and "content-length" in self.request.headers:
            self.request_body = None

    def break_off(self) -> None:
        """Be done with an answer that cannot be finished; that the connection ends tells it."""
        self.keep_alive = False
        self.response_bytes_left = 0


class Protocol(WebSocketProtocol):
    """Sanic's connection, which remembers when it was heard of last."""

    __slots__ = ("answering", "heard_at", "lane")

    HTTP_CLASS = Requests

    answering: tuple[Request, str] | None
    heard_at: float
    lane: Lane | None

    def connection_made(self, transport: BaseTransport) -> None:
        """Begin; nothing was asked yet."""
        self.answering = None
        self.lane = self.app.ctx.lane
        WebSocketProtocol.connection_made(self, transport)

    async def send(self, data: bytes) -> None:
        """Write; what answers a request may be written again when it is asked again."""
        if self.lane and self.answering is not None:
            self.lane.learn(*self.answering, data)
            self.answering = None
        await WebSocketProtocol.send(self, data)

    def data_received(self, data: bytes) -> None:
        """Note the time; answer in the fast lane, or hand on."""
        self.heard_at = monotonic()
        lane, transport = self.lane, self.transport
        if lane and transport and self.is_idle and (answer := lane.answer(data)):
            self._time = self.heard_at
            transport.write(answer)
        else:
            WebSocketProtocol.data_received(self, data)

    @property
    def is_idle(self) -> bool:
        """Whether nothing but the first byte of a new request is waited for, and answers go out.

        Sanic forgets a request when it begins to wait for the next one, and at no other time.
        """
        http = getattr(self, "_http", None)  # It is there from the connection's first turn on.
        is_waiting = getattr(http, "request", http) is None and http is not None
        return is_waiting and not self.recv_buffer and self._can_write.is_set()


class Socket:
    """A signed-in client. `seq` is the last event sent to it; only a live one gets the next.

    `name` tells it from all others, those of other processes included. `flush` writes what waits
    for it.
    """

    def __init__(
        self, websocket: WebsocketImplProtocol, actor: Actor, claims: Claims, metrics: Metrics
    ) -> None:
        assert isinstance(websocket.io_proto, Protocol)  # It is there from the handshake on.
        websocket.assembler = _Assembler(websocket)
        self.websocket = websocket
        self._heard = websocket.io_proto
        self._protocol: SanicProtocol = websocket.io_proto
        self.account_id: AccountId = claims.account_id
        self.user_id: UserId = claims.user_id
        self.session_id: SessionId = claims.session_id
        self.name = token_hex(8)
        self.is_admin = actor.role is Role.ADMIN
        self.seq = 0
        self.live = False
        self.flush: Callable[[], object] = _nothing_waits
        self.catching_up = asyncio.Lock()
        self._claims = claims
        self._metrics = metrics

    @property
    def is_open(self) -> bool:
        """Whether frames may still be written."""
        transport = self._protocol.transport
        is_there = transport is not None and not transport.is_closing()
        return is_there and self.websocket.ws_proto.state is State.OPEN

    @property
    def silence_s(self) -> float:
        """Seconds since anything was heard of the client, a pong included."""
        return monotonic() - self._heard.heard_at

    def ping(self) -> None:
        """Ask for a sign of life, also behind what waits for a client that reads slowly."""
        self.write(_PING)

    def write(self, frame: bytes) -> None:
        """Hand a frame to the transport without waiting, behind what waits for a live socket."""
        if self.live:
            self.flush()
        self.put(frame)

    def put(self, frames: bytes) -> None:
        """Hand frames to the transport without waiting; a client that does not read is closed."""
        transport = self._protocol.transport
        if transport is None or not self.is_open:
            return
        if transport.get_write_buffer_size() > _BUFFER_BYTES_MAX:
            self._metrics.slow_consumer()
            self.close(*SLOW)
        else:
            transport.write(frames)

    async def send(self, frame: bytes) -> None:
        """Hand a frame to the transport when the client reads; who reads nothing is closed."""
        try:
            async with asyncio.timeout(_SEND_TIMEOUT_S):
                if self.is_open:
                    await self._protocol.send(frame)
        except TimeoutError:
            self._metrics.slow_consumer()
            self.close(*SLOW)

    def close(self, code: int, reason: str) -> None:
        """Say why and hang up, once; the client may take a while to say goodbye, we do not wait."""
        if self.live:
            self.flush()
        self.live = False
        if self.is_open:
            self.websocket.fail_connection(code, reason)

    def follow(self, standing: Standing | None, at: datetime) -> None:
        """Have the role that the sign-in has now; close when it no longer counts."""
        try:
            if standing is None or self._claims.expires_at <= at:
                raise Unauthorized
            self.is_admin = standing.verify(self._claims.token_version) is Role.ADMIN
        except Unauthorized:
            self.close(*ENDED)


class _Assembler(WebsocketFrameAssembler):
    """Puts messages together; Sanic's own leaves text that is not UTF-8 to nobody."""

    async def put(self, frame: Frame) -> None:
        try:
            await super().put(frame)
        except UnicodeDecodeError:
            self.protocol.fail_connection(*NO_TEXT)
