"""A cache in Redis, which several processes share.

Whoever can write to that Redis must not be able to tell us what is true: values are sealed, and
one that does not open is a miss, and goes. Versions that keep other shapes, as two do while nodes
are upgraded one after the other, have keys of their own; what cannot be read all the same is a
miss, too.
"""

from datetime import timedelta
from hashlib import blake2b

import msgspec

from clarin_core.domain.cache import CacheKey, Entry
from clarin_core.ports.cache import Cache
from clarin_redis.exchange import Exchange
from clarin_redis.link import RedisLink
from clarin_redis.realm import SEAL_BYTES, Realm

# The seal, the event's number (8 bytes, big-endian), a digest of the history, then the entry.
_SEAL, _SEQ, _EPOCH = SEAL_BYTES, 8, 8
_HEAD = _SEAL + _SEQ + _EPOCH
# Numbers of 64 bits are compared by halves: those of Lua are doubles. Keys without a value are
# asked for; a value that cannot be kept takes nothing from them.
_PUT_UNLESS_NEWER = f"""
for i = 2, #ARGV do
    local key, value = KEYS[i - 1], ARGV[i]
    local kept = redis.pcall('GETRANGE', key, 0, {_HEAD - 1})
    local is_newer = false
    if type(kept) == 'string' and #kept == {_HEAD}
        and string.sub(kept, {_SEAL + _SEQ + 1}) == string.sub(value, {_SEAL + _SEQ + 1}, {_HEAD})
    then
        local high, low = struct.unpack('>I4I4', string.sub(kept, {_SEAL + 1}, {_SEAL + _SEQ}))
        local h, l = struct.unpack('>I4I4', string.sub(value, {_SEAL + 1}, {_SEAL + _SEQ}))
        is_newer = high > h or (high == h and low > l)
    end
    if not is_newer then redis.pcall('SET', key, value, 'PX', ARGV[1]) end
end
if #KEYS < #ARGV then return {{}} end
return redis.call('MGET', unpack(KEYS, #ARGV))"""

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
        self._exchange = Exchange(link, _PUT_UNLESS_NEWER, ttl // timedelta(milliseconds=1))

    async def get(self, key: CacheKey) -> Entry | None:
        """Return what is kept, None for a miss."""
        name = self._name(key)
        raw = await self._exchange.ask(name)
        if raw is None:
            return None
        entry = self._opened(name, raw)
        if entry is None:
            await self._link.ask(lambda client: client.delete(name))
        return entry

    async def put(self, key: CacheKey, entry: Entry) -> None:
        """Keep an entry soon, unless a newer one of the same history is kept.

        It is on its way before any later `get`, and nobody waits for it.
        """
        name = self._name(key)
        self._exchange.tell(name, self._sealed(name, entry))

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
