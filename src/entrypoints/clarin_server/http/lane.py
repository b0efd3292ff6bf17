"""The fast lane: what was asked before, byte for byte, is answered before Sanic has read it.

Sanic's router, request and response objects cost four times what is left of a request whose
answer is kept. So a connection looks first whether the bytes that just came are, as a whole, a
request that the service has answered with a kept read: then the same bytes are written again.

Why that is right. The lane does not read HTTP at all. It compares all of a request, its token and
its other headers included, with one that Sanic took as exactly one complete request without a
body, and whose handler found a kept read. A request that was split, sent together with another,
has a body, or differs in any byte is unknown here and goes the usual way; so does whatever comes
while the connection is not waiting for a new request (`Protocol.is_idle`), which is what a body
that looks like a request comes in. Nothing is answered here that was not asked before with the
same token, and each time the same is judged again, by the same objects as in the usual way:

- the token's times, and whether the sign-in still counts (`tokens`, `standings`),
- the user's rate of requests (`spend_now`: a token at hand, or the usual way decides),
- whether the kept read counts, by what this process knows of the log (`through.near`).

Each of them answers without waiting; what would have to ask anybody else is left to the usual
way. So revocation, another tenant's token, and a write just before are seen by the lane exactly
when they are seen without it, and there is no await between the judgement and the answer.

The answer is the kept read's body below the head that Sanic sent the last time, byte for byte; only
the request id is new each time, as it is there, unless the caller gave one. A request counts in the
metrics under its route. Who wants every request in the log (level debug) has no lane, and no
request is in flight in it.

`Http` has no public word for "waits for a request"; what `is_idle` looks at is Sanic's own, which
is why its version is pinned, and why tests compare the bytes of every case with the lane on and
off, read by read (`tests/http/test_lane.py`). `CLARIN_FAST_LANE=off` takes it away.
"""

from collections import OrderedDict
from datetime import datetime
from time import perf_counter

from msgspec import Struct
from sanic import Request
from sanic.http import Http

from clarin_core.domain.cache import CacheKey, Entry
from clarin_core.errors import Unauthorized
from clarin_core.ports.small import Claims
from clarin_server.http.answers import new_request_id, request_id_of
from clarin_server.http.auth import bearer_of
from clarin_server.http.limits import user_key
from clarin_server.metrics import Metrics
from clarin_server.services import Services
from clarin_server.settings import USER_REQUESTS

_LINES_MAX = 10_000  # 40 MB at most.
_REQUEST_BYTES_MAX = 2048
_ID = b"X-Request-ID: "
_OTHER_WAYS = ("content-length", "transfer-encoding", "expect", "upgrade")

Told = tuple[int, int | None, int | None]


def _told(entry: Entry) -> Told:
    """Return all of a kept read that the head of its answer depends on."""
    return len(entry.body), entry.page_seq, entry.version


class _Line(Struct, frozen=True, gc=False):
    """What answers a request: a head around the request id, for a body that is kept elsewhere.

    The same body may answer many lines, and old ones shall not keep what nobody asks for.
    """

    token: str
    rate_key: str
    route: str
    key: CacheKey
    told: Told
    head: bytes
    rest: bytes
    has_own_id: bool


class Lane:
    """The requests that are known, the longest unasked one forgotten first."""

    def __init__(self, services: Services, metrics: Metrics) -> None:
        self._services = services
        self._metrics = metrics
        self._lines = OrderedDict[bytes, _Line]()

    def answer(self, asked: bytes) -> bytes | None:
        """Return the answer to a whole request, None if the usual way has to find it."""
        line = self._lines.get(asked)
        if line is None:
            return None
        began = perf_counter()
        entry = self._entry(line, self._services.clock())
        if entry is None:
            return None
        self._lines.move_to_end(asked)
        self._metrics.request("GET", line.route, 200, perf_counter() - began)
        request_id = b"" if line.has_own_id else new_request_id().encode()
        return b"".join((line.head, request_id, line.rest, entry.body))

    def learn(self, request: Request, route: str, sent: bytes) -> None:
        """Know what was sent as the answer to a request that it `may_learn`."""
        key, entry = request.ctx.kept
        request_id = request_id_of(request)
        has_own_id = request.headers.get("x-request-id") == request_id
        start = sent.index(_ID + request_id.encode()) + len(_ID)
        end = len(sent) - len(entry.body)
        self._lines[request.head + b"\r\n\r\n"] = _Line(
            token=bearer_of(request),
            rate_key=user_key(request.ctx.actor),
            route=route,
            key=key,
            told=_told(entry),
            head=sent[: start + len(request_id)] if has_own_id else sent[:start],
            rest=sent[start + len(request_id) : end],
            has_own_id=has_own_id,
        )
        if len(self._lines) > _LINES_MAX:
            self._lines.popitem(last=False)

    def _entry(self, line: _Line, at: datetime) -> Entry | None:
        """Return the kept read that answers a line now, None if the usual way has to judge."""
        services = self._services
        try:
            claims = services.sign_in.tokens.read(line.token, at=at)
            if not self._is_signed_in(claims, at):
                return None
        except Unauthorized:
            return None
        entry = services.reads.through.near(line.key)
        if entry is None or _told(entry) != line.told:
            return None
        return entry if services.limiter.spend_now(line.rate_key, USER_REQUESTS) else None

    def _is_signed_in(self, claims: Claims, at: datetime) -> bool:
        """Return whether the sign-in is known to count; raises Unauthorized if it does not."""
        standings = self._services.reads.standings_known
        standing = standings.now(claims.session_id, claims.account_id, at)
        return standing is not None and bool(standing.verify(claims.token_version))


def may_learn(request: Request) -> bool:
    """Return whether a kept read answers what is a head and no more, on a connection that stays."""
    stream = request.stream
    if not hasattr(request.ctx, "kept"):
        return False
    is_open = isinstance(stream, Http) and stream.keep_alive
    is_bare = request.method == "GET" and not any(name in request.headers for name in _OTHER_WAYS)
    return is_open and is_bare and len(request.head) <= _REQUEST_BYTES_MAX
