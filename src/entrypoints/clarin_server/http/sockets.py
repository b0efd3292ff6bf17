"""`GET /ws`: sign-in, upgrade, and what a client may say."""

import asyncio
from typing import Annotated, Any

import msgspec
import structlog
from msgspec import Meta, Struct
from sanic import Request
from sanic.exceptions import SanicException, WebsocketClosed
from sanic.server.protocols.websocket_protocol import WebSocketProtocol
from sanic.server.websockets.impl import WebsocketImplProtocol

from clarin_core.domain.actor import Actor
from clarin_core.domain.ids import ID_MAX
from clarin_core.domain.sending import Typing
from clarin_core.errors import Forbidden, Malformed, Unavailable
from clarin_core.ports.small import Claims
from clarin_core.usecases.sign_in import SignInUseCases
from clarin_server.http.auth import authenticate, origin_allowed
from clarin_server.http.context import App
from clarin_server.http.decoding import field_of, reason_of
from clarin_server.http.frames import text_frame
from clarin_server.http.live import Hub, Room
from clarin_server.http.observing import record
from clarin_server.http.pace import Pace
from clarin_server.http.socket import LATER, Socket

SOCKET_PATH = "/ws"
_GREETING_S = 1.0
_FRAMES_PER_SECOND = 20
_TYPING_PER_SECOND = 10
_FAULTS_MAX = 3
_TICKET_MAX = 128

_log = structlog.get_logger(component="WS")


class _Resume(Struct, frozen=True):
    after: Annotated[int, Meta(ge=0, le=ID_MAX)]
    epoch: Annotated[str, Meta(max_length=64)] | None = None


class _Said(Struct, frozen=True):
    event: Annotated[str, Meta(max_length=32)]
    data: msgspec.Raw = msgspec.Raw(b"{}")


async def open_socket(app: App, request: Request) -> None:
    """Upgrade a signed-in request and stay until the client is gone."""
    await app.ctx.limits.handshake(request)
    if not origin_allowed(request, app.ctx.settings.cors_origins):
        raise Forbidden("a page of an allowed origin")
    if request.headers.get("upgrade", "").lower() != "websocket":
        raise Malformed("Upgrade", "must be websocket")
    actor, claims = await _who(app, request)
    socket = Socket(await _upgrade(request), actor, claims, app.ctx.metrics)
    record(app.ctx.metrics, request, SOCKET_PATH, 101)
    try:
        await _stay(app, socket)
    except (WebsocketClosed, asyncio.CancelledError):
        pass  # The client is gone, or the server says goodbye.
    except Unavailable as error:
        _log.warning("socket closed", account_id=claims.account_id, reason=str(error))
        socket.close(*LATER)
    except Exception as error:
        _log.error("socket failed", account_id=claims.account_id, exc_info=error)
        socket.close(1011, "internal_error")


async def _upgrade(request: Request) -> WebsocketImplProtocol:
    protocol = request.protocol
    assert isinstance(protocol, WebSocketProtocol)
    try:
        return await protocol.websocket_handshake(request)
    except SanicException as error:
        raise Malformed("Upgrade", "comes with headers that are no WebSocket's") from error


async def _who(app: App, request: Request) -> tuple[Actor, Claims]:
    sign_in: SignInUseCases = app.ctx.services.sign_in
    ticket = request.args.get("ticket")
    if ticket and len(ticket) <= _TICKET_MAX:
        return await sign_in.redeem(ticket)
    return await authenticate(request, sign_in)


async def _stay(app: App, socket: Socket) -> None:
    async with app.ctx.hub.joined(socket) as room:
        talk = _Talk(socket, room, app.ctx.hub)
        await talk.greet()
        while await talk.listen():
            pass


class _Talk:
    """What one client says, within its bounds."""

    def __init__(self, socket: Socket, room: Room, hub: Hub) -> None:
        self._socket = socket
        self._room = room
        self._hub = hub
        self._faults = 0
        self._frames = Pace(_FRAMES_PER_SECOND)
        self._typing = Pace(_TYPING_PER_SECOND)

    async def greet(self) -> None:
        """Give the client a second to resume before it becomes live (see `live`)."""
        first = await self._socket.websocket.recv(timeout=_GREETING_S)
        if first is not None:
            await self._hear(first)
        if not self._socket.live:
            await self._room.catch_up(self._socket, self._socket.seq)

    async def listen(self) -> bool:
        """Hear the next thing; False when the client is gone."""
        said = await self._socket.websocket.recv()
        if said is None:
            return False
        await self._hear(said)
        return self._socket.is_open

    async def _hear(self, said: str | bytes) -> None:
        if self._frames.is_exceeded():
            self._socket.close(4029, "too_many_frames")
            return
        try:
            await self._do(msgspec.json.decode(_text(said), type=_Said))
        except (Malformed, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            self._refuse(error)

    async def _do(self, said: _Said) -> None:
        match said.event:
            case "ping":
                self._say("pong", {})
            case "resume":
                resume = msgspec.json.decode(said.data, type=_Resume)
                await self._room.resume(self._socket, resume.epoch, resume.after)
            case "typing":
                self._relay(msgspec.json.decode(said.data, type=Typing))
            case _:
                raise Malformed("event", "is none that a client may send")

    def _relay(self, typing: Typing) -> None:
        """Show colleagues that somebody types; more than ten a second are of no use to them."""
        if not self._typing.is_exceeded():
            data = {"chat_id": typing.chat_id, "state": typing.state}
            about = {"event": "typing", "data": {**data, "user_id": self._socket.user_id}}
            self._hub.relay(self._socket, about)

    def _refuse(self, error: Exception) -> None:
        """Say what was wrong; the third time is the last."""
        self._faults += 1
        text = "not JSON"
        if isinstance(error, msgspec.ValidationError):
            text = f"{field_of(error) or 'frame'} {reason_of(error)}"
        elif isinstance(error, Malformed):
            text = str(error)
        self._say("error", {"code": "bad_request", "error": text})
        if self._faults >= _FAULTS_MAX:
            self._socket.close(1008, "bad_frames")

    def _say(self, event: str, data: dict[str, Any]) -> None:
        self._socket.write(text_frame({"event": event, "data": data}))


def _text(said: str | bytes) -> bytes:
    if isinstance(said, bytes):
        raise Malformed("frame", "must be text")
    return said.encode()
