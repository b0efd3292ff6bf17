"""The graph of all parts, declared once; the only file that knows dependency-injector."""

import asyncio
from random import random as chance

from dependency_injector import containers, providers

from clarin_core.domain.media_links import MediaLinks
from clarin_core.pool.parts import Parts
from clarin_core.pool.pool import DevicePool
from clarin_core.reads.cached import SHAPES, CachedStorage
from clarin_core.reads.feed import Feed
from clarin_core.usecases.accounts import AccountUseCases
from clarin_core.usecases.chats import ChatUseCases
from clarin_core.usecases.contacts import ContactUseCases
from clarin_core.usecases.device_sessions import DeviceSessionUseCases
from clarin_core.usecases.devices import DeviceUseCases
from clarin_core.usecases.imports import ImportUseCases
from clarin_core.usecases.inbox import InboxUseCases
from clarin_core.usecases.kommo import KommoUseCases
from clarin_core.usecases.leads import LeadUseCases
from clarin_core.usecases.media import MediaUseCases
from clarin_core.usecases.media_fetch import MediaFetchUseCases
from clarin_core.usecases.media_purge import MediaPurgeUseCases
from clarin_core.usecases.members import MemberUseCases
from clarin_core.usecases.messages import MessageUseCases
from clarin_core.usecases.mirror.mirror import KommoMirrors
from clarin_core.usecases.pipelines import PipelineUseCases
from clarin_core.usecases.quick_replies import QuickReplyUseCases
from clarin_core.usecases.sending import SendingUseCases
from clarin_core.usecases.sign_in import ACCESS_LIFE, SignInUseCases
from clarin_core.usecases.tags import TagUseCases
from clarin_kommo import KommoCrm
from clarin_media import HttpsWeb
from clarin_memory import MemoryBudget, MemoryCache, MemoryLimiter, MemoryPublisher, Unlimited
from clarin_redis import (
    Realm,
    RedisBudget,
    RedisCache,
    RedisLimiter,
    RedisLink,
    RedisPublisher,
)
from clarin_security import AesGcmBox, Argon2Hasher, JwtIssuer, system_random
from clarin_server.bootstrap import FirstStart
from clarin_server.clock import now
from clarin_server.log import log_failure, log_redis_failure
from clarin_server.metrics import Metrics
from clarin_server.plugins import connect_media, connect_storage
from clarin_server.process import process_name
from clarin_server.services import Services
from clarin_server.settings import KOMMO_PACE, KOMMO_SLOW, PASSWORDS_WAITING_MAX, Settings
from clarin_server.whatsapp import (
    SWITCHED_OFF,
    DeviceWatch,
    new_message_name,
    real_messaging,
    simulated_messaging,
)
from clarin_whatsapp import AbsentMessaging


class Container(containers.DeclarativeContainer):
    """Construct here, synchronously; open in `runtime`, asynchronously."""

    settings = providers.Dependency(instance_of=Settings)
    storage_url = providers.Dependency(instance_of=str)
    storage_id = providers.Dependency(instance_of=str, default="")
    redis_url = providers.Dependency(instance_of=str, default="")
    signing_secret = providers.Dependency(instance_of=bytes)

    clock = providers.Object(now)
    random = providers.Object(system_random)
    metrics = providers.Singleton(Metrics)
    is_alone = providers.Callable(lambda url: url.startswith("memory"), storage_url)
    has_redis = providers.Callable(lambda url: "yes" if url else "no", redis_url)
    realm = providers.Singleton(Realm, signing_secret, storage_id)
    # Links of their own: who has too many calls at once gets none, and a crowd of reads must
    # cost no hint, nor a crowd of guesses the limits.
    a_link = providers.Factory(RedisLink, redis_url, failed=providers.Object(log_redis_failure))
    hints_link = providers.Singleton(a_link, changed=metrics.provided.redis_answers)
    limits_link = providers.Singleton(a_link)
    cache_link = providers.Singleton(a_link)
    publisher = providers.Selector(
        has_redis,
        yes=providers.Singleton(RedisPublisher, hints_link, realm),
        no=providers.Singleton(MemoryPublisher, is_whole=is_alone),
    )
    local_limiter = providers.Singleton(MemoryLimiter, clock)
    limiter = providers.Selector(
        settings.provided.rate_limits,
        on=providers.Selector(
            has_redis,
            yes=providers.Singleton(RedisLimiter, limits_link, local_limiter, clock, realm),
            no=local_limiter,
        ),
        off=providers.Singleton(Unlimited),
    )
    pace = providers.Object(KOMMO_PACE)
    local_pace = providers.Callable(lambda alone: KOMMO_PACE if alone else KOMMO_SLOW, is_alone)
    local_budget = providers.Singleton(MemoryBudget, local_pace)
    budget = providers.Selector(
        has_redis,
        yes=providers.Singleton(RedisBudget, limits_link, local_budget, realm, pace),
        no=local_budget,
    )
    crm = providers.Singleton(KommoCrm, settings.provided.kommo_api_url, budget, clock)
    box = providers.Singleton(AesGcmBox, signing_secret, random)
    hasher = providers.Singleton(Argon2Hasher, waiting_max=PASSWORDS_WAITING_MAX)
    tokens = providers.Singleton(JwtIssuer, signing_secret, life=ACCESS_LIFE)
    storage = providers.Singleton(connect_storage, storage_url, clock=clock, publisher=publisher)

    media_url = providers.Callable(lambda all_, url: all_.media_address(url), settings, storage_url)
    blobs = providers.Singleton(connect_media, media_url)
    web = providers.Singleton(HttpsWeb)

    feed = providers.Singleton(Feed, storage, publisher, providers.Object(log_failure))
    near = providers.Singleton(MemoryCache, clock, bytes_max=settings.provided.cache_bytes)
    far = providers.Singleton(RedisCache, cache_link, realm, SHAPES)
    further = providers.Selector(has_redis, yes=providers.List(far), no=providers.List())
    cached = providers.Singleton(
        CachedStorage, storage, feed, publisher, near, further, watch=metrics.provided.cache_read
    )
    messaging = providers.Selector(
        settings.provided.messaging,
        neonize=providers.Singleton(real_messaging, settings.provided.whatsapp_folder),
        simulated=providers.Singleton(simulated_messaging, clock, random),
        off=providers.Singleton(AbsentMessaging, SWITCHED_OFF),
    )
    media_fetch = providers.Singleton(MediaFetchUseCases, cached, clock, blobs)
    pool = providers.Singleton(
        DevicePool,
        owner=providers.Singleton(process_name, random),
        leases=storage.provided.leases,
        publisher=publisher,
        chance=providers.Object(chance),
        parts=providers.Singleton(
            Parts,
            messaging=messaging,
            inbox=providers.Singleton(InboxUseCases, cached, clock, random),
            sending=providers.Singleton(SendingUseCases, cached, clock),
            sessions=providers.Singleton(DeviceSessionUseCases, cached, clock),
            files=media_fetch,
            blobs=blobs,
            watch=providers.Singleton(DeviceWatch, metrics, publisher),
            clock=clock,
            new_name=providers.Object(new_message_name),
            pause=providers.Object(asyncio.sleep),
        ),
    )
    links = providers.Singleton(MediaLinks, signing_secret)
    media = providers.Singleton(MediaUseCases, cached, clock, random, blobs, web, links)
    services = providers.Singleton(
        Services,
        storage=cached,
        reads=cached,
        feed=feed,
        publisher=publisher,
        redis=providers.Selector(has_redis, yes=hints_link, no=providers.Object(None)),
        clock=clock,
        limiter=limiter,
        accounts=providers.Singleton(AccountUseCases, cached, clock, hasher),
        chats=providers.Singleton(ChatUseCases, cached, clock),
        contacts=providers.Singleton(ContactUseCases, cached, clock),
        devices=providers.Singleton(DeviceUseCases, cached, clock),
        imports=providers.Singleton(ImportUseCases, cached, clock),
        kommo=providers.Singleton(KommoUseCases, cached, clock, crm, box),
        mirrors=providers.Singleton(
            KommoMirrors, cached, clock, crm, box, metrics.provided.kommo_heard
        ),
        leads=providers.Singleton(LeadUseCases, cached, clock),
        media=media,
        media_purge=providers.Singleton(MediaPurgeUseCases, cached, clock, blobs),
        members=providers.Singleton(MemberUseCases, cached, clock, hasher),
        messages=providers.Singleton(MessageUseCases, cached, clock, media.provided.for_message),
        pipelines=providers.Singleton(PipelineUseCases, cached, clock),
        quick_replies=providers.Singleton(QuickReplyUseCases, cached, clock),
        sign_in=providers.Singleton(SignInUseCases, cached, clock, random, hasher, tokens, limiter),
        tags=providers.Singleton(TagUseCases, cached, clock),
    )
    first_start = providers.Singleton(FirstStart, storage, clock, hasher, random)
    opened_in_order = providers.Selector(
        has_redis,
        yes=providers.List(
            hasher,
            storage,
            blobs,
            web,
            hints_link,
            limits_link,
            cache_link,
            publisher,
            feed,
            cached,
            crm,
        ),
        no=providers.List(hasher, storage, blobs, web, feed, cached, crm),
    )
