"""OAuth: pairs of tokens that rotate; a refresh token is good for one exchange."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

LIFE = timedelta(hours=24)


@dataclass
class Pairs:
    """The pairs of one integration."""

    client_id: str = "client-canary"
    client_secret: str = "client-secret-canary"
    redirect_uri: str = "https://crm.example/kommo"
    refresh: str | None = None
    access: str | None = None
    expires_at: datetime | None = None
    life: timedelta = LIFE
    spent: list[str] = field(default_factory=list)
    misused: int = 0
    _numbers: "count[int]" = field(default_factory=lambda: count(1))

    def new(self, at: datetime) -> tuple[str, str]:
        """Return a new pair; the one before counts no more."""
        number = next(self._numbers)
        if self.refresh is not None:
            self.spent.append(self.refresh)
        self.access, self.refresh = f"access-canary-{number}", f"refresh-canary-{number}"
        self.expires_at = at + self.life
        return self.access, self.refresh

    def counts(self, bearer: str | None, at: datetime) -> bool:
        """Whether an access token is good."""
        is_ours = bearer is not None and bearer == self.access
        return is_ours and self.expires_at is not None and at < self.expires_at

    def exchange(self, asked: dict[str, Any], at: datetime) -> dict[str, Any] | None:
        """Return a new pair for a refresh token, None for one that was spent."""
        known = (self.client_id, self.client_secret, self.redirect_uri, "refresh_token")
        given = tuple(
            asked.get(name) for name in ("client_id", "client_secret", "redirect_uri", "grant_type")
        )
        if given != known or asked.get("refresh_token") != self.refresh:
            self.misused += 1
            return None
        access, refresh = self.new(at)
        return {
            "token_type": "Bearer",
            "expires_in": int(self.life.total_seconds()),
            "server_time": int(at.timestamp()),
            "access_token": access,
            "refresh_token": refresh,
        }
