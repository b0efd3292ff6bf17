"""The wall clock."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return now, in UTC with its zone."""
    return datetime.now(UTC)
