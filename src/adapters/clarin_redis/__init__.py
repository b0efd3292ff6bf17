"""Redis, or Valkey: what processes share. Nothing depends on it."""

from clarin_redis.budget import RedisBudget
from clarin_redis.cache import RedisCache
from clarin_redis.event_publisher import RedisPublisher
from clarin_redis.limiter import RedisLimiter
from clarin_redis.link import RedisLink
from clarin_redis.realm import Realm

__all__ = ["Realm", "RedisBudget", "RedisCache", "RedisLimiter", "RedisLink", "RedisPublisher"]
