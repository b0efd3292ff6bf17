"""What the core needs of another CRM: to read it. There is no method that writes (KS1).

Whoever implements it keeps to the other side's limits: one budget an account of theirs, over all
processes, however many connections are open. What may be asked again is asked again, a few times
and ever later; an error that is raised is the end of that. The caller stores what it has and
comes back later: no error says that something is gone.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from clarin_core.domain.ids import KommoId
from clarin_core.domain.remote import (
    RemoteAccount,
    RemoteContact,
    RemoteDeletion,
    RemoteField,
    RemoteHint,
    RemoteKind,
    RemoteLead,
    RemotePage,
    RemotePipeline,
    RemoteTag,
    RemoteUser,
)
from clarin_core.errors import Unavailable


class CrmError(Unavailable):
    """The other CRM cannot be read; `retry_after_s` says when it makes sense to try again."""

    reason = "does not answer"
    after_s = 5

    def __init__(self, retry_after_s: int | None = None) -> None:
        wait = self.after_s if retry_after_s is None else retry_after_s
        super().__init__("the mirrored CRM", self.reason, retry_after_s=wait)


class CrmUnreachable(CrmError):
    """It did not answer, not in time, or with an error of its own."""


class CrmRateLimited(CrmError):
    """It was asked too often, by whomever."""

    reason = "was asked too often"


class CrmHeavyPage(CrmError):
    """It gave up on a page, even on the smallest part of it."""

    reason = "cannot put the page together"
    after_s = 60


class CrmGarbage(CrmError):
    """What it answers is not what it should be: no JSON, cut off, too large, of another shape."""

    reason = "answers what cannot be read"
    after_s = 60


class CrmBlocked(CrmError):
    """It shuts us out for a while; to go on asking prolongs that."""

    reason = "shuts us out"
    after_s = 900


class CrmPaymentDue(CrmError):
    """The account there has not been paid for."""

    reason = "wants to be paid"
    after_s = 900


class CrmUnauthorized(CrmError):
    """The credentials do not count any more: only a human can repair that."""

    reason = "does not know the credentials"
    after_s = 900


class CrmForbidden(CrmError):
    """The credentials do not suffice for this question; others may well be answered."""

    reason = "may not be asked for this"
    after_s = 900


class CrmRefused(CrmError):
    """It does not understand the question, and will not tomorrow: the fault is ours."""

    reason = "refuses the question"
    after_s = 900


class LongLivedToken(Struct, frozen=True, kw_only=True, tag_field="type", tag="token"):
    """A token that somebody made by hand."""

    token: str

    def __repr__(self) -> str:
        return "LongLivedToken(…)"


class OAuthTokens(Struct, frozen=True, kw_only=True, tag_field="type", tag="oauth"):
    """A pair of tokens, and what it takes to renew it. The refresh token counts once."""

    client_id: str
    client_secret: str
    redirect_uri: str
    access_token: str
    refresh_token: str
    expires_at: datetime

    def __repr__(self) -> str:
        return "OAuthTokens(…)"


CrmCredentials = LongLivedToken | OAuthTokens

RenewTokens = Callable[[OAuthTokens], Awaitable[OAuthTokens]]


class TokenKeeper(Protocol):
    """Keeps the tokens of one connection, for all processes that use it."""

    async def renew(self, used: OAuthTokens, exchange: RenewTokens) -> OAuthTokens:
        """Return tokens that are not `used`.

        Are those that are kept others than `used`, somebody was faster: returns them. Else gives
        them to `exchange`, and has stored what comes back before it returns it: the old pair is
        spent by then, so that it comes to its end though the caller is cancelled. Nothing is locked
        meanwhile: who calls sees to it that nobody else does. Errors of `exchange` change nothing
        and pass.
        """
        ...


class CrmConnection(Struct, frozen=True, kw_only=True):
    """Which account of the other CRM is read, and in whose name; `keeper` only for OAuth."""

    subdomain: str
    credentials: CrmCredentials
    keeper: TokenKeeper | None = None


class CrmList(Struct, frozen=True, kw_only=True):
    """Which leads or contacts: all by id, or those updated at or after `since` by that time.

    Pages count from 1 and are offsets into a list that moves while it is read: what is deleted or
    edited on a page before lets others slip through between two pages. More than was asked for
    may come, such as some of the second before `since`. A `gentle` list leaves most of the budget
    to others.
    """

    since: datetime | None = None
    page: int = 1
    is_gentle: bool = False


class CrmSync(Protocol):
    """One account of another CRM. Each call raises CrmErrors, and nothing else."""

    async def account(self) -> RemoteAccount:
        """Return the account that the credentials belong to."""
        ...

    async def filters_work(self) -> bool:
        """Return whether lists by time are honoured; else each would be the whole list."""
        ...

    async def pipelines(self) -> RemotePage[RemotePipeline]:
        """Return all pipelines with their stages, each in its order."""
        ...

    async def users(self, page: int = 1) -> RemotePage[RemoteUser]:
        """Return users; CrmForbidden is no fault of the connection, but a lack of rights."""
        ...

    async def fields(self, kind: RemoteKind, page: int = 1) -> RemotePage[RemoteField]:
        """Return the definitions of fields."""
        ...

    async def tags(self, kind: RemoteKind, page: int = 1) -> RemotePage[RemoteTag]:
        """Return the tags that there are."""
        ...

    async def leads(self, query: CrmList) -> RemotePage[RemoteLead]:
        """Return leads, with their tags and all their contacts."""
        ...

    async def contacts(self, query: CrmList) -> RemotePage[RemoteContact]:
        """Return contacts, with their tags."""
        ...

    async def leads_by_id(self, ids: Sequence[KommoId]) -> RemotePage[RemoteLead]:
        """Return those of at most `IDS_MAX` leads that there are, in whatever order."""
        ...

    async def contacts_by_id(self, ids: Sequence[KommoId]) -> RemotePage[RemoteContact]:
        """Return those of at most `IDS_MAX` contacts that there are, in whatever order."""
        ...

    async def deleted(self, kind: RemoteKind, page: int = 1) -> RemotePage[RemoteDeletion]:
        """Return what lies in the recycle bin, latest first. What is purged is not there."""
        ...

    async def hints(self, since: datetime, page: int = 1) -> RemotePage[RemoteHint]:
        """Return what happened to leads and contacts at or after `since`, in whatever order.

        Not all that happens is told. What does not concern them is left out, so that a page may
        be empty though another one follows.
        """
        ...


class Crm(Protocol):
    """Opens connections."""

    def connect(self, connection: CrmConnection) -> AbstractAsyncContextManager[CrmSync]:
        """Open a connection; it asks nothing by itself. Raises Invalid for a bad subdomain."""
        ...
