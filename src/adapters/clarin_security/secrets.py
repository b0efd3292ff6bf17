"""Secrets at rest: AES-256-GCM, with a key that only the signing secret's holder can derive.

A sealed secret is: format, key id, nonce, ciphertext with its tag. The account is bound to it, so
that a row that is copied to another account does not open there.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from clarin_core.domain.ids import AccountId
from clarin_core.ports.small import Random, SealBroken, SecretBox
from clarin_security.tokens import SECRET_BYTES_MIN

_FORMAT = b"\x01"
_KEY_BYTES = 32
_KEY_ID_BYTES = 4
_NONCE_BYTES = 12  # NIST SP 800-38D, 8.2: random ones are good for 2**32 seals.
_TAG_BYTES = 16
_HEAD_BYTES = len(_FORMAT) + _KEY_ID_BYTES


class AesGcmBox(SecretBox):
    """Seals with a key of its own, derived from the signing secret (HKDF, RFC 5869)."""

    def __init__(self, signing_secret: bytes, random: Random) -> None:
        if len(signing_secret) < SECRET_BYTES_MIN:
            raise ValueError(f"a signing secret has {SECRET_BYTES_MIN} bytes or more")
        derived = HKDF(SHA256(), _KEY_BYTES + _KEY_ID_BYTES, salt=None, info=b"clarin secrets 1")
        keys = derived.derive(signing_secret)
        self._cipher = AESGCM(keys[:_KEY_BYTES])
        self._head = _FORMAT + keys[_KEY_BYTES:]
        self._random = random

    def seal(self, account_id: AccountId, secret: bytes) -> bytes:
        """Return the secret sealed for this account, each time otherwise."""
        nonce = self._random(_NONCE_BYTES)
        return self._head + nonce + self._cipher.encrypt(nonce, secret, self._bound(account_id))

    def unseal(self, account_id: AccountId, sealed: bytes) -> bytes:
        """Return the secret; raises SealBroken for another account's, and for what was changed."""
        head, rest = sealed[:_HEAD_BYTES], sealed[_HEAD_BYTES:]
        if len(rest) < _NONCE_BYTES + _TAG_BYTES:
            raise SealBroken("are cut short")
        if head != self._head:
            raise SealBroken("were sealed with another signing secret")
        nonce, content = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, content, self._bound(account_id))
        except InvalidTag:
            raise SealBroken("do not belong to this account, or were changed") from None

    def _bound(self, account_id: AccountId) -> bytes:
        return self._head + str(account_id).encode()
