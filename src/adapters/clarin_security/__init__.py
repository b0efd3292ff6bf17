"""Passwords, tokens, secrets and randomness, by well-known libraries."""

from clarin_security.passwords import Argon2Hasher
from clarin_security.randomness import system_random
from clarin_security.secrets import AesGcmBox
from clarin_security.tokens import JwtIssuer

__all__ = ["AesGcmBox", "Argon2Hasher", "JwtIssuer", "system_random"]
