"""A cache in Redis, which several processes share.

Whoever can write to that Redis must not be able to tell us what is true: values are sealed, and
one that does not open is a miss, and goes. Versions that keep other shapes, as two do while nodes
are upgraded one after the other, have keys of their own; what cannot be read all the same is a
miss, too.
"""

from collections.abc import Awaitable
from datetime import timedelta
from hashlib import blake2b
from typing import cast

import msgspec

from clarin_core.domain.cache import CacheKey, Entry
from clarin_core.ports.cache import Cache
from clarin_redis.link import RedisLink
from clarin_redis.realm import SEAL_BYTES, Realm

# The seal, the event's number (8 bytes, big-endian), a digest of the history, then the entry.
_SEAL, _SEQ, _EPOCH = SEAL_BYTES, 8, 8
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
    """Keeps entries for `ttl`; `shapes` names the shapes of all that is kept."""

    def __init__(
        self, link: RedisLink, realm: Realm, shapes: str, *, ttl: timedelta = timedelta(minutes=5)
    ) -> None:
        self._link = link
        self._realm = realm
        self._shapes = shapes
        self._ttl_ms = ttl // timedelta(milliseconds=1)

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
        return self._realm.name(self._shapes, key.text)

    def _sealed(self, name: str, entry: Entry) -> bytes:
        epoch = blake2b(entry.epoch.encode(), digest_size=_EPOCH).digest()
        stamp = entry.seq.to_bytes(_SEQ, "big") + epoch
        return self._realm.sealed(name, stamp + _encode(entry))

    def _opened(self, name: str, raw: object) -> Entry | None:
        content = self._realm.opened(name, raw)
        if content is None:
            return None
        try:
            return _decode(content[_SEQ + _EPOCH :])
        except msgspec.MsgspecError:
            return None
