"""A running service, as one of its users sees it: requests, and frames as they come."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import connect

from clarin_server.errors import CannotStart

_ANSWER_S = 30.0
_FRAME_BYTES_MAX = 1024 * 1024

Told = dict[str, Any]
Frame = dict[str, Any]
NextFrame = Callable[[float], Frame | None]
"""Returns the next frame, None when none comes within so many seconds; raises NoService."""


class NoService(CannotStart):
    """The service cannot be reached, or would not do it."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """Where the service is, and who asks; without an account the user's own first one."""

    url: str
    user: str
    password: str
    account_id: int | None = None


class Client:
    """Somebody who has signed in."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    @classmethod
    @contextmanager
    def signed_in(cls, sign_in: SignIn) -> Iterator["Client"]:
        """Sign in; raises NoService."""
        with httpx.Client(base_url=sign_in.url, timeout=_ANSWER_S) as http:
            client = cls(http)
            credentials = {"username": sign_in.user, "password": sign_in.password}
            client._take(client.post("/api/auth/login", credentials))
            if sign_in.account_id is not None:
                account = {"account_id": sign_in.account_id}
                client._take(client.post("/api/auth/switch-account", account))
            yield client

    def get(self, path: str) -> Told:
        """Return what is there."""
        return self._ask("GET", path)

    def post(self, path: str, body: object = None) -> Told:
        """Have something done, and return the answer."""
        return self._ask("POST", path, body)

    @contextmanager
    def frames(self) -> Iterator[NextFrame]:
        """Hear what happens in the account from now on."""
        ticket = self.post("/api/auth/ws-ticket")["ticket"]
        url = f"{str(self._http.base_url).replace('http', 'ws', 1).rstrip('/')}/ws?ticket={ticket}"
        try:
            with connect(url, max_size=_FRAME_BYTES_MAX, open_timeout=_ANSWER_S) as socket:
                json.loads(socket.recv(_ANSWER_S))  # The hello: what comes now happened after it.

                def next_frame(wait_s: float) -> Frame | None:
                    try:
                        frame: Frame = json.loads(socket.recv(wait_s))
                    except TimeoutError:
                        return None
                    return frame

                yield next_frame
        except (ConnectionClosed, OSError, WebSocketException) as error:
            raise NoService(f"The service ended the connection: {error}.") from error

    def _ask(self, method: str, path: str, body: object = None) -> Told:
        try:
            answer = self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            where = self._http.base_url
            raise NoService(
                f"No service answers at {where} ({error}). Start one with `clarin serve`, or name "
                "another one with --url."
            ) from error
        if answer.is_error:
            raise NoService(_refusal(answer))
        told: Told = answer.json()
        return told

    def _take(self, told: Told) -> None:
        self._http.headers["Authorization"] = f"Bearer {told['token']}"


def _refusal(answer: httpx.Response) -> str:
    try:
        why = answer.json()["error"]
    except (ValueError, KeyError, TypeError):
        why = answer.reason_phrase
    return f"The service answers {answer.status_code}: {why}"
