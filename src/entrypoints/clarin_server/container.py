"""The graph of all parts, declared once; the only file that knows dependency-injector."""

from dependency_injector import containers, providers

from clarin_core.reads.cached import SHAPES, CachedStorage
from clarin_core.reads.feed import Feed
from clarin_core.usecases.accounts import AccountUseCases
from clarin_core.usecases.contacts import ContactUseCases
from clarin_core.usecases.devices import DeviceUseCases
from clarin_core.usecases.imports import ImportUseCases
from clarin_core.usecases.kommo import KommoUseCases
from clarin_core.usecases.leads import LeadUseCases
from clarin_core.usecases.members import MemberUseCases
from clarin_core.usecases.mirror.mirror import KommoMirrors
from clarin_core.usecases.pipelines import PipelineUseCases
from clarin_core.usecases.quick_replies import QuickReplyUseCases
from clarin_core.usecases.sign_in import ACCESS_LIFE, SignInUseCases
from clarin_core.usecases.tags import TagUseCases
from clarin_kommo import KommoCrm
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
from clarin_server.plugins import connect_storage
from clarin_server.services import Services
from clarin_server.settings import KOMMO_PACE, PASSWORDS_WAITING_MAX, Settings


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
    local_budget = providers.Singleton(MemoryBudget, pace)
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

    feed = providers.Singleton(Feed, storage, publisher, providers.Object(log_failure))
    near = providers.Singleton(MemoryCache, clock)
    far = providers.Singleton(RedisCache, cache_link, realm, SHAPES)
    caches = providers.Selector(has_redis, yes=providers.List(near, far), no=providers.List(near))
    cached = providers.Singleton(
        CachedStorage, storage, feed, publisher, caches, watch=metrics.provided.cache_read
    )
    services = providers.Singleton(
        Services,
        storage=cached,
        feed=feed,
        publisher=publisher,
        redis=providers.Selector(has_redis, yes=hints_link, no=providers.Object(None)),
        clock=clock,
        limiter=limiter,
        accounts=providers.Singleton(AccountUseCases, cached, clock, hasher),
        contacts=providers.Singleton(ContactUseCases, cached, clock),
        devices=providers.Singleton(DeviceUseCases, cached, clock),
        imports=providers.Singleton(ImportUseCases, cached, clock),
        kommo=providers.Singleton(KommoUseCases, cached, clock, crm, box),
        mirrors=providers.Singleton(
            KommoMirrors, cached, clock, crm, box, metrics.provided.kommo_heard
        ),
        leads=providers.Singleton(LeadUseCases, cached, clock),
        members=providers.Singleton(MemberUseCases, cached, clock, hasher),
        pipelines=providers.Singleton(PipelineUseCases, cached, clock),
        quick_replies=providers.Singleton(QuickReplyUseCases, cached, clock),
        sign_in=providers.Singleton(SignInUseCases, cached, clock, random, hasher, tokens, limiter),
        tags=providers.Singleton(TagUseCases, cached, clock),
    )
    first_start = providers.Singleton(FirstStart, storage, clock, hasher, random)
    opened_in_order = providers.Selector(
        has_redis,
        yes=providers.List(
            hasher, storage, hints_link, limits_link, cache_link, publisher, feed, cached, crm
        ),
        no=providers.List(hasher, storage, feed, cached, crm),
    )
