"""Instants: always with a zone, kept in UTC."""

from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta

from clarin_core.errors import Invalid

Instant = Annotated[datetime, Meta(tz=True)]

_YEARS = range(2000, 2101)


def check_instant(field: str, at: datetime) -> datetime:
    """Return `at` in UTC; raises Invalid outside the years 2000 to 2100."""
    if at.year not in _YEARS:
        raise Invalid(field, "is not between 2000 and 2100")
    return at.astimezone(UTC)
