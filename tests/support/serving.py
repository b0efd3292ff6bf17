"""The real server on a free port, and people with a token each."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ssl import PROTOCOL_TLS_CLIENT, SSLContext
from typing import Any, cast
from weakref import WeakKeyDictionary

import httpx
from websockets.asyncio.client import ClientConnection, connect

from clarin_core import ContactUseCases, LeadUseCases, PipelineUseCases, TagUseCases
from clarin_core.domain.accounts import NewAccount, NewUser
from clarin_core.domain.actor import Role
from clarin_core.domain.ids import AccountId, UserId
from clarin_core.domain.media_links import MediaLinks
from clarin_core.ports.event_publisher import EventPublisher
from clarin_core.ports.limiter import Limiter
from clarin_core.ports.small import Clock
from clarin_core.ports.storage import Storage
from clarin_core.reads.cached import CachedStorage
from clarin_core.reads.feed import Feed
from clarin_core.usecases.accounts import AccountUseCases, enrol, open_account
from clarin_core.usecases.chats import ChatUseCases
from clarin_core.usecases.devices import DeviceUseCases
from clarin_core.usecases.imports import ImportUseCases
from clarin_core.usecases.kommo import KommoUseCases
from clarin_core.usecases.media import MediaUseCases
from clarin_core.usecases.media_purge import MediaPurgeUseCases
from clarin_core.usecases.members import MemberUseCases
from clarin_core.usecases.messages import MessageUseCases
from clarin_core.usecases.mirror.mirror import KommoMirrors
from clarin_core.usecases.quick_replies import QuickReplyUseCases
from clarin_core.usecases.sign_in import ACCESS_LIFE, SignInUseCases
from clarin_memory import (
    MemoryBlobs,
    MemoryCache,
    MemoryLimiter,
    MemoryPublisher,
    MemoryStorage,
    Unlimited,
)
from clarin_security import AesGcmBox, Argon2Hasher, JwtIssuer, system_random
from clarin_server.http.app import create_app
from clarin_server.http.live import Hub
from clarin_server.http.serving import listen
from clarin_server.log import log_failure
from clarin_server.metrics import Metrics
from clarin_server.services import Services
from clarin_server.settings import Settings
from support.shelf import Shelf
from support.web import SmallWeb

PASSWORD = "una clave larga"
SECRET = b"a secret of the tests, long enough"
LINKS = MediaLinks(SECRET)
NO_TLS = SSLContext(PROTOCOL_TLS_CLIENT)  # Reading the usual certificates takes 30 ms.


_SERVICES: WeakKeyDictionary[httpx.AsyncClient, Services] = WeakKeyDictionary()


def now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


class Client(httpx.AsyncClient):
    """A client of a house, and the storage behind it: for what no request can bring about."""

    storage: Storage


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a token, and what they can ask."""

    http: httpx.AsyncClient
    account_id: AccountId
    user_id: UserId
    token: str
    refresh_token: str

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request with the person's token."""
        headers = {"Authorization": f"Bearer {self.token}"} | options.pop("headers", {})
        return await self.http.request(method, path, headers=headers, **options)

    async def get(self, path: str, **query: Any) -> Any:
        """Return what is there; anything but 200 fails the test."""
        return _good(await self.ask("GET", path, params=query))

    async def post(self, path: str, **body: Any) -> Any:
        """Return what a POST answers; anything but success fails the test."""
        return _good(await self.ask("POST", path, json=body))

    async def put(self, path: str, **body: Any) -> Any:
        """Return what a PUT answers; anything but success fails the test."""
        return _good(await self.ask("PUT", path, json=body))

    @asynccontextmanager
    async def socket(self, **options: Any) -> AsyncIterator[ClientConnection]:
        """Open a WebSocket with a ticket."""
        ticket = (await self.post("/api/auth/ws-ticket"))["ticket"]
        url = str(self.http.base_url).replace("http", "ws").rstrip("/")
        async with connect(f"{url}/ws?ticket={ticket}", **options) as socket:
            yield socket


@dataclass(frozen=True, slots=True)
class House:
    """A running service and who uses it.

    Ana administers all of it and the first account, where Beto is an agent. Carla administers
    the second account.
    """

    http: httpx.AsyncClient
    services: Services
    metrics: Metrics
    hub: Hub
    ana: Person
    beto: Person
    carla: Person


@asynccontextmanager
async def serving(
    storage: Storage | None = None,
    *,
    publisher: EventPublisher | None = None,
    clock: Clock = now,
    limiter: Limiter | None = None,
    **settings: Any,
) -> AsyncIterator[House]:
    """Serve over a storage that is open, by default over memory.

    Tries to sign in are always limited, requests and handshakes where a test asks for it.
    """
    settings = {"rate_limits": "off"} | settings
    publisher = publisher or MemoryPublisher()
    storage = storage or MemoryStorage(clock=clock, publisher=publisher)
    feed = Feed(storage, publisher, log_failure)
    cached = CachedStorage(storage, feed, publisher, MemoryCache(clock))
    async with Argon2Hasher(memory_kib=64, passes=1) as hasher, feed, cached:
        services = _services(cached, feed, publisher, clock, hasher, limiter)
        metrics = Metrics()
        app = create_app(services, Settings(**settings), metrics)
        async with (
            listen(app, "127.0.0.1", 0) as (host, port),
            Client(base_url=f"http://{host}:{port}", timeout=20, verify=NO_TLS) as http,
        ):
            _SERVICES[http] = services
            http.storage = services.storage
            people = await settle_people(services, hasher, http)
            yield House(http, services, metrics, app.ctx.hub, *people)


async def mirror_kommo(person: Person) -> None:
    """Run a pass over the mirror of a person's account, as the background work does."""
    services = _SERVICES[person.http]
    leases = services.storage.kommo_leases
    lease = await leases.lease(person.account_id, "test", timedelta(minutes=1))
    assert lease is not None
    async with services.mirrors.open(lease) as mirror:
        assert await mirror.go_on()
    await leases.release(lease)


async def sign_in(http: httpx.AsyncClient, username: str, password: str = PASSWORD) -> Person:
    """Return a person who signed in."""
    credentials = {"username": username, "password": password}
    told = _good(await http.post("/api/auth/login", json=credentials))
    user_id = told["user"]["id"]
    return Person(http, told["account_id"], user_id, told["token"], told["refresh_token"])


def _services(
    reads: CachedStorage,
    feed: Feed,
    publisher: EventPublisher,
    clock: Clock,
    hasher: Argon2Hasher,
    limiter: Limiter | None,
) -> Services:
    storage = cast("Storage", reads)
    crm, box = Shelf(clock), AesGcmBox(SECRET, system_random)
    tokens = JwtIssuer(SECRET, life=ACCESS_LIFE)
    tries = limiter or MemoryLimiter(clock)
    blobs = MemoryBlobs()
    media = MediaUseCases(storage, clock, system_random, blobs, SmallWeb(), LINKS)
    return Services(
        storage=storage,
        reads=reads,
        feed=feed,
        publisher=publisher,
        redis=None,
        clock=clock,
        limiter=limiter or Unlimited(),
        kommo=KommoUseCases(storage, clock, crm, box),
        mirrors=KommoMirrors(storage, clock, crm, box),
        leads=LeadUseCases(storage, clock),
        chats=ChatUseCases(storage, clock),
        contacts=ContactUseCases(storage, clock),
        pipelines=PipelineUseCases(storage, clock),
        tags=TagUseCases(storage, clock),
        devices=DeviceUseCases(storage, clock),
        quick_replies=QuickReplyUseCases(storage, clock),
        media=media,
        media_purge=MediaPurgeUseCases(storage, clock, blobs),
        accounts=AccountUseCases(storage, clock, hasher),
        messages=MessageUseCases(storage, clock, media.for_message),
        members=MemberUseCases(storage, clock, hasher),
        sign_in=SignInUseCases(storage, clock, system_random, hasher, tokens, tries),
        imports=ImportUseCases(storage, clock),
    )


async def settle_people(
    services: Services, hasher: Argon2Hasher, http: httpx.AsyncClient
) -> list[Person]:
    """Make the two accounts and those who work in them, and sign them in."""
    hashed = await hasher.hash(PASSWORD)
    at = services.clock()
    tag = system_random(4).hex()  # Tests may share a database.
    async with services.storage.directory() as directory:
        first = await open_account(directory, NewAccount(name=f"Luz {tag}"), at=at)
        second = await open_account(directory, NewAccount(name=f"Mar {tag}"), at=at)
        for name, account, role in (
            ("ana", first, Role.ADMIN),
            ("beto", first, Role.AGENT),
            ("carla", second, Role.ADMIN),
        ):
            new = NewUser(
                username=f"{name}-{tag}",
                email=f"{name}-{tag}@ejemplo.pe",
                password=PASSWORD,
                account_id=account.id,
                role=role,
                is_super_admin=name == "ana",
            )
            await enrol(directory, new, hashed, at=at)
    return [await sign_in(http, f"{name}-{tag}") for name in ("ana", "beto", "carla")]


def _good(response: httpx.Response) -> Any:
    assert response.is_success, f"{response.status_code} {response.text}"
    return response.json() if response.content else None
