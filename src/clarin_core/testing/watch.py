"""A clock in the hand of a law or a test."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from clarin_core.testing.tenants import NOON


@dataclass
class Watch:
    """A clock that stands still until it is set forward."""

    at: datetime = NOON

    def __call__(self) -> datetime:
        """Return the time that was set."""
        return self.at

    def forward(self, **by: float) -> None:
        """Let some time pass."""
        self.at += timedelta(**by)
