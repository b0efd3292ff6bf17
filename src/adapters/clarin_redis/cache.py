"""A cache in Redis, which several processes share.

Whoever can write to that Redis must not be able to tell us what is true. So each value is sealed
with a secret of the service over its key and all of it: one that was cut short, moved to another
key or made by somebody else is a miss, and goes.
"""

import hmac
from collections.abc import Awaitable
from datetime import timedelta
from hashlib import blake2b
from typing import cast

import msgspec

from clarin_core.domain.cache import CacheKey, Entry
from clarin_core.ports.cache import Cache
from clarin_redis.link import RedisLink

# The seal, the event's number (8 bytes, big-endian), a digest of the history, then the entry.
_SEAL, _SEQ, _EPOCH = 16, 8, 8
_HEAD = _SEAL + _SEQ + _EPOCH
# Numbers of 64 bits are compared by halves: those of Lua are doubles.
_PUT_UNLESS_NEWER = f"""
local kept = redis.pcall('GET', KEYS[1])
if type(kept) == 'string' and #kept > {_HEAD}
    and string.sub(kept, {_SEAL + _SEQ + 1}, {_HEAD})
        == string.sub(ARGV[1], {_SEAL + _SEQ + 1}, {_HEAD}) then
    local high, low = struct.unpack('>I4I4', string.sub(kept, {_SEAL + 1}, {_SEAL + _SEQ}))
    local h, l = struct.unpack('>I4I4', string.sub(ARGV[1], {_SEAL + 1}, {_SEAL + _SEQ}))
    if high > h or (high == h and low > l) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1"""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Entry).decode


class RedisCache(Cache):
    """Keeps entries for `ttl`; keys begin with `prefix`, so that a Redis can serve others too."""

    def __init__(
        self,
        link: RedisLink,
        secret: bytes,
        *,
        ttl: timedelta = timedelta(minutes=5),
        prefix: str = "",
    ) -> None:
        self._link = link
        self._secret = blake2b(secret, digest_size=32, person=b"clarin.cache").digest()
        self._ttl_ms = ttl // timedelta(milliseconds=1)
        self._prefix = prefix

    async def get(self, key: CacheKey) -> Entry | None:
        """Return what is kept, None for a miss."""
        name = self._name(key)
        raw = await self._link.ask(lambda client: client.get(name))
        if raw is None:
            return None
        entry = self._opened(name, raw)
        if entry is None:
            await self._link.ask(lambda client: client.delete(name))
        return entry

    async def put(self, key: CacheKey, entry: Entry) -> None:
        """Keep an entry, unless a newer one of the same history is kept."""
        name = self._name(key)
        raw = self._sealed(name, entry)
        await self._link.ask(
            lambda client: cast(
                "Awaitable[object]", client.eval(_PUT_UNLESS_NEWER, 1, name, raw, self._ttl_ms)
            )
        )

    def _name(self, key: CacheKey) -> str:
        return self._prefix + key.text

    def _sealed(self, name: str, entry: Entry) -> bytes:
        epoch = blake2b(entry.epoch.encode(), digest_size=_EPOCH).digest()
        rest = entry.seq.to_bytes(_SEQ, "big") + epoch + _encode(entry)
        return self._seal(name, rest) + rest

    def _opened(self, name: str, raw: object) -> Entry | None:
        if not isinstance(raw, bytes):
            return None
        seal, rest = raw[:_SEAL], raw[_SEAL:]
        if not hmac.compare_digest(seal, self._seal(name, rest)):
            return None
        return _decode(rest[_SEQ + _EPOCH :])

    def _seal(self, name: str, rest: bytes) -> bytes:
        sealed = blake2b(key=self._secret, digest_size=_SEAL)
        sealed.update(name.encode())
        sealed.update(b"\0")
        sealed.update(rest)
        return sealed.digest()
