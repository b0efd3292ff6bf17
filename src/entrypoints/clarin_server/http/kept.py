"""Requests that a kept read answers: its bytes are sent as they are, and nothing is read twice."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from sanic import HTTPResponse, Request

from clarin_core.domain.cache import CacheKey
from clarin_core.domain.ids import AccountId
from clarin_core.reads.cached import CachedStorage
from clarin_server.http.answers import kept_answer, request_id_of

_TARGETS_MAX = 20_000
_TARGET_BYTES_MAX = 512

Target = tuple[AccountId, bytes]


class KeptAnswers:
    """Knows under which key the answer to a path with its query is kept, for each account."""

    def __init__(self, storage: CachedStorage) -> None:
        self._storage = storage
        self._keys = OrderedDict[Target, CacheKey]()

    def known(self, request: Request, account_id: AccountId) -> HTTPResponse | None:
        """Return the answer to what was asked before and is kept, None if there is none."""
        target = account_id, request.raw_url
        key = self._keys.get(target)
        if key is None or (entry := self._storage.through.near(key)) is None:
            return None
        self._keys.move_to_end(target)
        request.ctx.kept = key, entry  # So the lane knows what it may answer the next time.
        return kept_answer(entry, request_id_of(request))

    async def read(
        self, request: Request, account_id: AccountId, name: str, arguments: Mapping[str, Any]
    ) -> HTTPResponse | None:
        """Return the answer of a read that may be kept, None if this one may not."""
        plan = self._storage.kept_views(account_id).plan(name, arguments)
        if plan is None:
            return None
        entry = await self._storage.through.read(plan)
        self._learn((account_id, request.raw_url), plan.key)
        return kept_answer(entry, request_id_of(request))

    def _learn(self, target: Target, key: CacheKey) -> None:
        if len(target[1]) <= _TARGET_BYTES_MAX:
            self._keys[target] = key
            if len(self._keys) > _TARGETS_MAX:
                self._keys.popitem(last=False)
