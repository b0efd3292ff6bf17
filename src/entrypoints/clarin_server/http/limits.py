"""How much a user, an address and all new sockets together may ask of the service.

Users are counted by who they are, so that an office behind one address is not held to the
share of one. An address is counted where nobody is known: public operations, credentials that
do not count, sockets that want to open. Probes and documents are free.
"""

import secrets
from datetime import UTC, datetime

from sanic import Request

from clarin_core.domain.actor import Actor
from clarin_core.domain.ids import AccountId
from clarin_core.errors import RateLimited, Unauthorized, Unavailable
from clarin_server.http.address import address_of
from clarin_server.http.auth import authenticate
from clarin_server.services import Services
from clarin_server.settings import (
    ADDRESS_REQUESTS,
    HANDSHAKE_RETRY_S_MAX,
    HANDSHAKES,
    USER_REQUESTS,
    Settings,
)


def user_key(actor: Actor) -> str:
    """Return what counts the requests of a user in an account."""
    return f"user:{actor.account_id}:{actor.user_id}"


class Limits:
    """Raises RateLimited, or Unavailable where it is the service that cannot keep up."""

    def __init__(self, services: Services, settings: Settings) -> None:
        self._limiter = services.limiter
        self._sign_in = services.sign_in
        self._clock = services.clock
        self._proxies = settings.proxies
        self._has_budget = settings.rate_limits == "on"
        self._handshakes_full_at = datetime.min.replace(tzinfo=UTC)

    async def signed_in(self, request: Request) -> Actor:
        """Return who asks, and count it; a credential that does not count is the address's."""
        try:
            actor, _ = await authenticate(request, self._sign_in)
        except Unauthorized:
            await self.stranger(request)
            raise
        request.ctx.actor = actor  # The log says whose a refused request was.
        await self._limiter.spend(user_key(actor), USER_REQUESTS)
        return actor

    async def stranger(self, request: Request) -> str:
        """Count a request of nobody known; returns the address it comes from."""
        address = address_of(request, self._proxies)
        await self._limiter.spend(f"address:{address}", ADDRESS_REQUESTS)
        return address

    async def by_link(self, request: Request, account_id: AccountId) -> None:
        """Count a request that a link of the account allows, by the address it comes from.

        A page shows many files at once, and several people may be behind one address.
        """
        address = address_of(request, self._proxies)
        await self._limiter.spend(f"link:{account_id}:{address}", USER_REQUESTS)

    async def handshake(self, request: Request) -> None:
        """Count a socket that wants to open; after a restart all clients come back at once.

        Who is sent away is told to come back at another moment than the others.
        """
        await self.stranger(request)
        if not self._has_budget:
            return
        try:
            self._handshakes_full_at = HANDSHAKES.spend(self._handshakes_full_at, at=self._clock())
        except RateLimited as error:
            wait = 1 + secrets.randbelow(HANDSHAKE_RETRY_S_MAX)
            reason = "opens as many sockets as it can"
            raise Unavailable("the service", reason, retry_after_s=wait) from error
