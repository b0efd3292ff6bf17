"""One budget of requests for all processes; without Redis each goes by itself, and slowly.

`Turns` of the domain as scripts: a sorted set of all that counts, each with the moment until
which it does. The time is the server's, because a second of one node must be a second of all.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from secrets import token_hex
from typing import cast

from clarin_core.domain.budget import REST_S_MAX, SLOW_S, WINDOW_S, Pace, Wait, Why
from clarin_core.ports.budget import Budget, Turn
from clarin_redis.link import RedisLink
from clarin_redis.realm import Realm

_MICROSECOND = timedelta(microseconds=1)
_SECOND = 1_000_000
_WHY = (Why.BUSY, Why.REST, Why.SHUT)
# Microseconds are whole numbers in the doubles of Lua, but '%.14g', its usual text, rounds them.
_START = f"""
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2] + ARGV[1]
local window, slow = {WINDOW_S * _SECOND:.0f}, {SLOW_S * _SECOND:.0f}
local rest = {REST_S_MAX * _SECOND:.0f}
local function count(name, ends)
    redis.call('ZADD', KEYS[1], string.format('%.0f', ends), name)
    local left = math.ceil((ends - now) / 1000)
    if redis.call('PTTL', KEYS[1]) < left then redis.call('PEXPIRE', KEYS[1], left) end
end
"""
_CLAIM = f"""{_START}
local space, most = tonumber(ARGV[2]), tonumber(ARGV[3])
local gentle, held = tonumber(ARGV[4]), tonumber(ARGV[5])
local longest = {{
    next = space * 2, gentle = gentle, slow = slow + rest, rest = rest, shut = rest
}}
local ends, taken, first = {{}}, 0, nil
local all = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for at = 1, #all, 2 do
    local name, left = all[at], all[at + 1] - now
    if left <= 0 or left > (longest[name] or 2 * held) then
        redis.call('ZREM', KEYS[1], name)
    elseif longest[name] then
        ends[name] = left
    else
        taken, first = taken + 1, math.min(first or left, left)
    end
end
if ends.shut then return {{ends.shut, 2}} end
if ends.rest then return {{ends.rest, 1}} end
local wait = taken >= most and math.min(first, window) or 0
wait = math.max(wait, ends.next or 0, ARGV[6] == '1' and ends.gentle or 0)
if wait > 0 then return {{wait, 0}} end
count(ARGV[7], now + held)
count('next', now + space * (ends.slow and 2 or 1))
if ARGV[6] == '1' then count('gentle', now + gentle) end
return {{0, 0}}"""
_ANSWERED = f"""{_START}
if redis.call('ZSCORE', KEYS[1], ARGV[2]) then count(ARGV[2], now + window) end
return 1"""
_PAUSE = f"""{_START}
for at = 2, #ARGV, 2 do
    local ends = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[at]) or 0)
    count(ARGV[at], math.max(ends, now + ARGV[at + 1]))
end
return 1"""


def _no_shift() -> timedelta:
    return timedelta()


class RedisBudget(Budget):
    """Asks Redis over `link`, and `local` when it does not answer.

    `shift` is added to the server's time; tests set it forward.
    """

    def __init__(
        self,
        link: RedisLink,
        local: Budget,
        realm: Realm,
        pace: Pace,
        *,
        shift: Callable[[], timedelta] = _no_shift,
    ) -> None:
        self._link = link
        self._local = local
        self._realm = realm
        self._pace = pace
        self._shift = shift

    async def claim(self, key: str, *, is_gentle: bool = False) -> Turn | Wait:
        """Return the right to send one request, or how long to wait before asking again."""
        mark, pace = token_hex(8), self._pace
        spaces = _micro(pace.space_s), pace.most, _micro(pace.gentle_space_s), _micro(pace.held_s)
        found = await self._run(_CLAIM, key, *spaces, int(is_gentle), mark)
        if found is None:
            return await self._local.claim(key, is_gentle=is_gentle)
        wait, why = cast("list[int]", found)
        return Wait(wait / _SECOND, _WHY[why]) if wait else Turn(key, mark)

    async def answered(self, turn: Turn) -> None:
        """Let a request count for one more second, whoever counted it."""
        await self._local.answered(turn)
        await self._run(_ANSWERED, turn.key, turn.mark)

    async def rest(self, key: str, seconds: float) -> None:
        """Give nobody a turn for some time, and fewer for a minute after it."""
        await self._local.rest(key, seconds)
        seconds = min(seconds, REST_S_MAX)
        await self._run(_PAUSE, key, "rest", _micro(seconds), "slow", _micro(seconds + SLOW_S))

    async def shut(self, key: str, seconds: float) -> None:
        """Give nobody a turn for some time."""
        await self._local.shut(key, seconds)
        await self._run(_PAUSE, key, "shut", _micro(min(seconds, REST_S_MAX)))

    async def _run(self, script: str, key: str, *arguments: int | str) -> object:
        """Return what a script answers, None if Redis does not."""
        name, shift = self._realm.name_of("budget", key), self._shift() // _MICROSECOND
        return await self._link.ask(
            lambda client: cast(
                "Awaitable[object]", client.eval(script, 1, name, shift, *arguments)
            )
        )


def _micro(seconds: float) -> int:
    return round(seconds * _SECOND)
