"""The port Crm over Kommo's REST API: which question is asked for what, and how it is read."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Self, TypeVar

import msgspec

from clarin_core.domain.ids import KommoId
from clarin_core.domain.remote import (
    IDS_MAX,
    PAGE_MAX,
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
    check_subdomain,
)
from clarin_core.ports.budget import Budget
from clarin_core.ports.crm import (
    Crm,
    CrmConnection,
    CrmGarbage,
    CrmHeavyPage,
    CrmList,
    CrmRefused,
    CrmSync,
)
from clarin_core.ports.small import Clock
from clarin_kommo import translate, wire
from clarin_kommo.answers import system_chance
from clarin_kommo.asking import Asking, Question
from clarin_kommo.line import Line, Waiting
from clarin_kommo.lists import PARTS, Lists, Part, listed
from clarin_kommo.tokens import Tokens
from clarin_kommo.transport import Answer, Params, Transport

API_URL: Final = "https://{subdomain}.kommo.com/api/v4"

_API_PATH = "/api/v4"
_RENEWAL_PATH = "/oauth2/access_token"
_HINTS_MAX = 100
_IDS_AT_ONCE_IF_TOO_MANY = 100
_EARLIER = timedelta(seconds=1)  # Nobody says whether `from` is inclusive.
_NAMES = {RemoteKind.LEAD: "leads", RemoteKind.CONTACT: "contacts"}
_WAITING = Waiting(asyncio.sleep, system_chance)
_WITH: dict[RemoteKind, Params] = {RemoteKind.LEAD: (("with", "contacts"),), RemoteKind.CONTACT: ()}

T = TypeVar("T")
W = TypeVar("W")
E = TypeVar("E", RemoteLead, RemoteContact)
Read = Callable[[Part], RemotePage[E]]


class KommoCrm(Crm):
    """Opens connections to accounts of Kommo: an async context manager.

    `url` names the host, and only `{subdomain}` in it may differ; `budget` is shared by all who
    read an account.
    """

    def __init__(
        self,
        url: str,
        budget: Budget,
        clock: Clock,
        *,
        transport: Transport | None = None,
        waiting: Waiting = _WAITING,
    ) -> None:
        self._url = url.rstrip("/")
        self._budget = budget
        self._clock = clock
        self._waiting = waiting
        self._transport = transport or Transport()

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.__aexit__()

    @asynccontextmanager
    async def connect(self, connection: CrmConnection) -> AsyncIterator[CrmSync]:
        """Open a connection; it asks nothing by itself. Raises Invalid for a bad subdomain."""
        subdomain = connection.subdomain
        check_subdomain(subdomain)
        url = self._url.replace("{subdomain}", subdomain)
        line = Line(self._budget, f"kommo:{subdomain}", self._waiting)
        tokens = Tokens(
            connection,
            url.removesuffix(_API_PATH) + _RENEWAL_PATH,
            self._transport,
            line,
            self._clock,
        )
        yield KommoSync(Asking(url, self._transport, line, tokens, self._waiting), self._clock)


class KommoSync(CrmSync):
    """One account of Kommo's."""

    def __init__(self, asking: Asking, clock: Clock) -> None:
        self._asking = asking
        self._clock = clock
        self._lists = Lists()

    async def account(self) -> RemoteAccount:
        """Return the account that the credentials belong to."""
        question = Question("/account", (("with", "is_api_filter_enabled"),))
        return await self._asking.ask(question, _account)

    async def filters_work(self) -> bool:
        """Return whether lists by time are honoured: nothing was changed tomorrow."""
        tomorrow = _seconds(self._clock() + timedelta(days=1))
        params = (("limit", "1"), ("filter[updated_at][from]", tomorrow))
        found = await self._asking.ask(Question("/leads", params), partial(listed, name="leads"))
        return not found.raws

    async def pipelines(self) -> RemotePage[RemotePipeline]:
        """Return all pipelines with their stages, each in its order."""
        read = partial(listed, name="pipelines")
        part = await self._asking.ask(Question("/leads/pipelines"), read)
        found = _page(part, wire.Pipeline, translate.pipeline)
        found.items.sort(key=lambda one: (one.position, one.id))
        return found

    async def users(self, page: int = 1) -> RemotePage[RemoteUser]:
        """Return users; CrmForbidden is no fault of the connection, but a lack of rights."""
        part = await self._list("/users", "users", page)
        return _page(part, wire.User, translate.user)

    async def fields(self, kind: RemoteKind, page: int = 1) -> RemotePage[RemoteField]:
        """Return the definitions of fields."""
        part = await self._list(f"/{_NAMES[kind]}/custom_fields", "custom_fields", page)
        return _page(part, wire.FieldDefinition, translate.field_of(kind))

    async def tags(self, kind: RemoteKind, page: int = 1) -> RemotePage[RemoteTag]:
        """Return the tags that there are."""
        part = await self._list(f"/{_NAMES[kind]}/tags", "tags", page)
        return _page(part, wire.Tag, translate.tag)

    async def leads(self, query: CrmList) -> RemotePage[RemoteLead]:
        """Return leads, with their tags and all their contacts."""
        return await self._entities(RemoteKind.LEAD, query, _leads)

    async def contacts(self, query: CrmList) -> RemotePage[RemoteContact]:
        """Return contacts, with their tags."""
        return await self._entities(RemoteKind.CONTACT, query, _contacts)

    async def leads_by_id(self, ids: Sequence[KommoId]) -> RemotePage[RemoteLead]:
        """Return those of at most `IDS_MAX` leads that there are, in whatever order."""
        return await self._by_id(RemoteKind.LEAD, ids, _leads)

    async def contacts_by_id(self, ids: Sequence[KommoId]) -> RemotePage[RemoteContact]:
        """Return those of at most `IDS_MAX` contacts that there are, in whatever order."""
        return await self._by_id(RemoteKind.CONTACT, ids, _contacts)

    async def deleted(self, kind: RemoteKind, page: int = 1) -> RemotePage[RemoteDeletion]:
        """Return what lies in the recycle bin, latest first."""
        name = _NAMES[kind]
        params = (("with", "only_deleted"), ("order[updated_at]", "desc"))
        part = await self._list(f"/{name}", name, page, params)
        return _page(part, wire.Deleted, translate.deletion)

    async def hints(self, since: datetime, page: int = 1) -> RemotePage[RemoteHint]:
        """Return what happened to leads and contacts at or after `since`, in whatever order."""
        question = Question(
            "/events",
            (
                ("limit", str(_HINTS_MAX)),
                ("page", str(page)),
                ("filter[created_at][from]", _seconds(since - _EARLIER)),
                ("filter[type]", ",".join(translate.HINTS)),
                ("filter[entity]", ",".join(kind.value for kind in RemoteKind)),
            ),
        )
        part = await self._asking.ask(question, partial(listed, name="events"))
        return _page(part, wire.Event, translate.hint)

    async def _entities(self, kind: RemoteKind, query: CrmList, read: Read[E]) -> RemotePage[E]:
        name, order = _NAMES[kind], "id" if query.since is None else "updated_at"
        params: Params = ((f"order[{order}]", "asc"), *_WITH[kind])
        if query.since is not None:
            params += (("filter[updated_at][from]", _seconds(query.since - _EARLIER)),)
        part = await self._list(f"/{name}", name, query.page, params, is_gentle=query.is_gentle)
        return read(part)

    async def _list(
        self,
        path: str,
        name: str,
        page: int,
        params: Params = (),
        *,
        is_gentle: bool = False,
    ) -> Part:
        async def fetch(number: int, parts: int) -> Part:
            where = (("limit", str(PAGE_MAX // parts)), ("page", str(number)))
            question = Question(path, where + params, is_gentle, parts != PARTS[-1])
            return await self._asking.ask(question, partial(listed, name=name))

        return await self._lists.page(path, page, fetch)

    async def _by_id(
        self, kind: RemoteKind, ids: Sequence[KommoId], read: Read[E]
    ) -> RemotePage[E]:
        """Ask for some by their ids, for half as many at once if those are too many."""
        if len(ids) > IDS_MAX:
            raise ValueError(f"more than {IDS_MAX} ids")
        if not ids:
            return RemotePage(items=[])
        try:
            return await self._some_by_id(kind, ids, read)
        except (CrmRefused, CrmHeavyPage):
            if len(ids) <= _IDS_AT_ONCE_IF_TOO_MANY:
                raise
        some = await self._some_by_id(kind, ids[:_IDS_AT_ONCE_IF_TOO_MANY], read)
        rest = await self._some_by_id(kind, ids[_IDS_AT_ONCE_IF_TOO_MANY:], read)
        return msgspec.structs.replace(
            some, items=some.items + rest.items, rejected=some.rejected + rest.rejected
        )

    async def _some_by_id(
        self, kind: RemoteKind, ids: Sequence[KommoId], read: Read[E]
    ) -> RemotePage[E]:
        """Ask for some; were the filter not honoured, others would come, and are left out."""
        name = _NAMES[kind]
        wanted: Params = tuple(("filter[id][]", str(id)) for id in ids)
        params = (("limit", str(PAGE_MAX)), *_WITH[kind], *wanted)
        is_many = len(ids) > _IDS_AT_ONCE_IF_TOO_MANY
        question = Question(f"/{name}", params, can_be_parted=is_many)
        part = await self._asking.ask(question, partial(listed, name=name))
        found = read(part)
        asked = set(ids)
        return RemotePage(
            items=[one for one in found.items if one.id in asked],
            rejected=[one for one in found.rejected if one.id is None or one.id in asked],
            at=found.at,
        )


def _account(answer: Answer) -> RemoteAccount:
    try:
        return translate.account(msgspec.json.decode(answer.body, type=wire.Account))
    except wire.UNREADABLE as error:
        raise CrmGarbage from error


def _leads(part: Part) -> RemotePage[RemoteLead]:
    return _page(part, wire.Lead, translate.lead)


def _contacts(part: Part) -> RemotePage[RemoteContact]:
    return _page(part, wire.Contact, translate.contact)


def _page(part: Part, shape: type[W], as_ours: Callable[[W], T | None]) -> RemotePage[T]:
    items, rejected = translate.read(part.raws, shape, as_ours)
    return RemotePage(items=items, has_next=part.has_next, rejected=rejected, at=part.at)


def _seconds(at: datetime) -> str:
    return str(int(at.timestamp()))
