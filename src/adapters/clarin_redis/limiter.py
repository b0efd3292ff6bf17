"""Limits that all processes share; without Redis each has its own.

Tries are exact: a sorted set of their moments, judged and counted by one script. A request must
not cost a round trip, so a process leases some tokens of a bucket at a time and spends them by
itself; a refusal is remembered until its time. Tokens that nobody spent are not given back:
they are few, and count in favour of the limit.

The time is the server's, because the clocks of nodes differ: one that is some seconds ahead
would empty the windows of all others. `shift` is added to it; tests set it forward.

The link is best one of its own. A link that has too much to do answers nobody, and a crowd of
guesses could bring that about to be counted here and there; so only some ask at a time.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import cast

from redis.asyncio import Redis

from clarin_core.domain.limits import Rate, Tries, refusal
from clarin_core.ports.limiter import Limiter, Try
from clarin_core.ports.small import Clock
from clarin_redis.link import RedisLink
from clarin_redis.realm import Realm

_LEASE_PART, _LEASE_MAX = 10, 20
_CALLS_MAX = 16  # Fewer than a link takes.
_MICROSECOND = timedelta(microseconds=1)
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
# Microseconds are whole numbers in the doubles of Lua, but '%.14g', its usual text, rounds them.
_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2] + ARGV[1]
local function text(number) return string.format('%.0f', number) end
"""
_TAKE = f"""{_NOW}
local window, count = tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text(now - window))
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. text(now), '+inf')
if redis.call('ZCARD', KEYS[1]) >= count then
    return redis.call('ZRANGE', KEYS[1], -count, -count, 'WITHSCORES')[2] + window - now
end
redis.call('ZADD', KEYS[1], text(now), ARGV[4])
redis.call('PEXPIRE', KEYS[1], math.ceil(window / 1000))
return 0"""
# As `Rate.spend`, for several tokens at once.
_LEASE = f"""{_NOW}
local interval, burst, wanted = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local full_at = tonumber(redis.call('GET', KEYS[1]) or now)
if full_at < now or full_at > now + interval * burst then full_at = now end
local given = math.min(math.floor((now - full_at) / interval + burst), wanted)
full_at = full_at + interval * given
redis.call('SET', KEYS[1], text(full_at), 'PX', math.ceil((full_at - now) / 1000))
return {{given, full_at + interval - now - interval * burst}}"""


def _no_shift() -> timedelta:
    return timedelta()


class _Lease:
    """What a process has of one bucket: tokens, or the moment until which it is refused."""

    __slots__ = ("refused_until", "tokens", "turn")

    def __init__(self) -> None:
        self.tokens = 0
        self.refused_until = _LONG_AGO
        self.turn = asyncio.Lock()


class RedisLimiter(Limiter):
    """Asks Redis over `link`, and `local` when it does not answer."""

    def __init__(
        self,
        link: RedisLink,
        local: Limiter,
        clock: Clock,
        realm: Realm,
        *,
        keys_max: int = 20_000,
        shift: Callable[[], timedelta] = _no_shift,
    ) -> None:
        self._link = link
        self._local = local
        self._clock = clock
        self._keys_max = keys_max
        self._realm = realm
        self._shift = shift
        self._calls = asyncio.Semaphore(_CALLS_MAX)
        self._leases = OrderedDict[str, _Lease]()

    @property
    def keys_known(self) -> int:
        """Number of buckets that take memory here."""
        return len(self._leases)

    async def take(self, key: str, tries: Tries) -> Try:
        """Count a try, or raise RateLimited and count nothing."""
        mark = token_hex(8)
        window = tries.window // _MICROSECOND
        wait = await self._run(_TAKE, self._realm.name_of("tries", key), window, tries.count, mark)
        if wait is None:
            return await self._local.take(key, tries.halved())
        if wait != 0:
            raise refusal(cast("int", wait) * _MICROSECOND)
        return Try(key, mark)

    async def give_back(self, tried: Try) -> None:
        """Let this very try not count, whoever counted it."""
        await self._local.give_back(tried)
        name = self._realm.name_of("tries", tried.key)
        await self._ask(lambda client: client.zrem(name, tried.mark))

    async def forget(self, key: str) -> None:
        """Let all tries of a key not count, whoever counted them."""
        await self._local.forget(key)
        name = self._realm.name_of("tries", key)
        await self._ask(lambda client: client.delete(name))

    async def spend(self, key: str, rate: Rate) -> None:
        """Take a token for one request, or raise RateLimited."""
        if self.spend_now(key, rate):
            return
        lease = await self._renewed(key, rate)
        if lease is not None:
            lease.tokens -= 1

    def spend_now(self, key: str, rate: Rate) -> bool:
        """Take a token of those that are leased."""
        lease = self._leases.get(key)
        if lease is None or lease.tokens < 1:
            return False
        lease.tokens -= 1
        return True

    async def _renewed(self, key: str, rate: Rate) -> _Lease | None:
        """Return a lease that has a token, None if `local` gave one; one asks, others wait."""
        lease = self._leases.setdefault(key, _Lease())
        self._leases.move_to_end(key)
        if len(self._leases) > self._keys_max:
            self._leases.popitem(last=False)
        async with lease.turn:
            if lease.tokens > 0:
                return lease
            at = self._clock()
            if timedelta() < (left := lease.refused_until - at) <= rate.interval:
                raise refusal(left, "too many requests")
            found = await self._run(_LEASE, self._realm.name_of("rate", key), *_wanted(rate))
            if found is None:
                await self._local.spend(key, rate)
                return None
            lease.tokens, wait = cast("list[int]", found)
            if lease.tokens < 1:
                lease.refused_until = at + wait * _MICROSECOND
                raise refusal(wait * _MICROSECOND, "too many requests")
            return lease

    async def _run(self, script: str, name: str, *arguments: int | str) -> object:
        """Return what a script answers, None if Redis does not."""
        shift = self._shift() // _MICROSECOND
        return await self._ask(
            lambda client: cast(
                "Awaitable[object]", client.eval(script, 1, name, shift, *arguments)
            )
        )

    async def _ask(self, work: Callable[[Redis], Awaitable[object]]) -> object:
        async with self._calls:
            return await self._link.ask(work)


def _wanted(rate: Rate) -> tuple[int, int, int]:
    batch = max(1, min(_LEASE_MAX, rate.burst // _LEASE_PART))
    return rate.interval // _MICROSECOND, rate.burst, batch
