"""In whose name is asked: a token made by hand, or a pair that is renewed when it is old."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

import msgspec

from clarin_core.errors import Unavailable
from clarin_core.ports.crm import (
    CrmConnection,
    CrmForbidden,
    CrmGarbage,
    CrmRefused,
    CrmUnauthorized,
    LongLivedToken,
    OAuthTokens,
)
from clarin_core.ports.small import Clock
from clarin_kommo import wire
from clarin_kommo.line import Line
from clarin_kommo.transport import Answer, Transport

RENEWED_BEFORE: Final = timedelta(minutes=5)


class Tokens:
    """The credentials of one connection, as fresh as can be."""

    def __init__(
        self,
        connection: CrmConnection,
        url: str,
        transport: Transport,
        line: Line,
        clock: Clock,
    ) -> None:
        self._credentials = connection.credentials
        self._keeper = connection.keeper
        self._url = url
        self._transport = transport
        self._line = line
        self._clock = clock
        self._renewing = asyncio.Lock()

    async def current(self) -> str:
        """Return a token, renewed some minutes before its end; it may still be refused."""
        credentials = self._credentials
        if isinstance(credentials, LongLivedToken):
            return credentials.token
        if self._clock() >= credentials.expires_at - RENEWED_BEFORE:
            try:
                return await self.renewed(credentials.access_token)
            except Unavailable:
                if self._clock() >= credentials.expires_at:
                    raise
        return credentials.access_token

    async def renewed(self, refused: str) -> str:
        """Return another token than the refused one; raises CrmUnauthorized if there is none.

        One renewal at a time, in all processes: each spends the pair before it.
        """
        async with self._renewing:
            used, keeper = self._credentials, self._keeper
            if isinstance(used, LongLivedToken) or keeper is None:
                raise CrmUnauthorized
            if used.access_token == refused:
                self._credentials = used = await keeper.renew(used, self._exchanged)
            return used.access_token

    async def _exchanged(self, used: OAuthTokens) -> OAuthTokens:
        """Return the pair that follows one, which is spent by that."""
        content = {
            "client_id": used.client_id,
            "client_secret": used.client_secret,
            "grant_type": "refresh_token",
            "refresh_token": used.refresh_token,
            "redirect_uri": used.redirect_uri,
        }
        try:
            answer = await self._line.send(lambda: self._transport.post(self._url, content))
        except (CrmRefused, CrmForbidden) as error:  # The pair was spent or revoked.
            raise CrmUnauthorized from error
        return _pair(answer, used, self._clock())


def _pair(answer: Answer, used: OAuthTokens, at: datetime) -> OAuthTokens:
    try:
        told = msgspec.json.decode(answer.body, type=wire.Tokens)
    except wire.UNREADABLE as error:
        raise CrmGarbage from error
    return msgspec.structs.replace(
        used,
        access_token=told.access_token,
        refresh_token=told.refresh_token,
        expires_at=at + timedelta(seconds=told.expires_in),
    )
