"""What of a Redis is an installation's own, so that several share it undisturbed.

An installation is a signing secret and a database: whoever has both is one of its processes. From
the two come the names of its keys and channels, and a seal. Whoever can write to the Redis, but
has not both, can tell none of its processes anything: what was cut short, moved to another name
or made by somebody else does not open. It may still take away, or repeat what was said before.
"""

import hmac
from hashlib import blake2b

SEAL_BYTES = 16
_MARK_BYTES = 8
_KEY_BYTES = 32


class Realm:
    """The names and the seal of the installation with this secret and this database.

    `database` is any text that tells databases apart and is the same for all who share one.
    """

    def __init__(self, secret: bytes, database: str) -> None:
        root = blake2b(secret, digest_size=_KEY_BYTES, person=b"clarin.redis").digest()
        own = blake2b(database.encode(), key=root, digest_size=_KEY_BYTES + _MARK_BYTES).digest()
        self._key, self._mark = own[:_KEY_BYTES], own[_KEY_BYTES:].hex()

    def name(self, *parts: str) -> str:
        """Return the name of a key or channel that nobody else uses."""
        return ":".join(("clarin", self._mark, *parts))

    def name_of(self, kind: str, key: str) -> str:
        """Return the name for a key of any size, which is not to be read there."""
        digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16)
        return self.name(kind, digest.hexdigest())

    def sealed(self, name: str, content: bytes) -> bytes:
        """Return what to put under a name: the seal, SEAL_BYTES long, and the content."""
        return self._seal(name, content) + content

    def opened(self, name: str, raw: object) -> bytes | None:
        """Return the content of what was found under a name, None unless we put it there."""
        if not isinstance(raw, bytes):
            return None
        seal, content = raw[:SEAL_BYTES], raw[SEAL_BYTES:]
        return content if hmac.compare_digest(seal, self._seal(name, content)) else None

    def _seal(self, name: str, content: bytes) -> bytes:
        seal = blake2b(key=self._key, digest_size=SEAL_BYTES)
        seal.update(name.encode() + b"\0")
        seal.update(content)
        return seal.digest()
