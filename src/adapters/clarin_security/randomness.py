"""What nobody can guess."""

import secrets


def system_random(size_bytes: int) -> bytes:
    """Return random bytes of the operating system, fit for secrets."""
    return secrets.token_bytes(size_bytes)
