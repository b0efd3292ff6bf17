"""What a service, its PostgreSQL and its Redis spend on what is asked of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias
from urllib.parse import urlsplit

import asyncpg
from msgspec import Struct

from benchmarks.serving import Service, cpu_s_of, parent_of, tree_cpu_s

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_RAN = """
    select coalesce(sum(s.calls), 0)::bigint from pg_stat_statements s
    where s.dbid = $1 and s.query !~* '^(begin|commit|rollback)'"""
_DEAREST = """
    select s.query, s.calls, s.total_exec_time as ms from pg_stat_statements s
    where s.dbid = $1 order by s.total_exec_time desc limit $2"""
_FORGET = "select pg_stat_statements_reset(0, $1, 0)"
_NAME = 90
_OID = "select d.oid from pg_database d where d.datname = $1"


class Spent(Struct, frozen=True, kw_only=True):
    """Processor time in seconds, and statements without BEGIN and COMMIT."""

    service: float
    postgres: float
    redis: float
    statements: int


class Statement(Struct, frozen=True, kw_only=True):
    """How a statement begins, how often it ran, and the time that took."""

    name: str
    calls: int
    ms: float


class Gauge:
    """Reads what was spent from /proc and from pg_stat_statements."""

    def __init__(self, service: Service, above: Connection, *, database: int, server: int) -> None:
        self._service = service
        self._above = above
        self._database = database
        self._server = server

    async def begin(self) -> Spent:
        """Forget the statements of before, and read what was spent until now."""
        await self._above.execute(_FORGET, self._database)
        return await self.read()

    async def read(self) -> Spent:
        """Read what was spent until now."""
        return Spent(
            service=tree_cpu_s(self._service.root),
            postgres=tree_cpu_s(self._server),
            redis=cpu_s_of(self._service.redis),
            statements=await self._above.fetchval(_RAN, self._database),
        )

    async def dearest(self, count: int) -> list[Statement]:
        """Return the statements that took most since the beginning."""
        rows = await self._above.fetch(_DEAREST, self._database, count)
        return [
            Statement(name=_name(row["query"]), calls=row["calls"], ms=row["ms"]) for row in rows
        ]


@asynccontextmanager
async def gauge(service: Service, dsn: str, database: str) -> AsyncIterator[Gauge]:
    """Yield what reads the costs of a service that works on a database of this server."""
    above: Connection = await asyncpg.connect(dsn)
    try:
        await above.execute("create extension if not exists pg_stat_statements")
        oid = await above.fetchval(_OID, urlsplit(database).path.removeprefix("/"))
        server = parent_of(await above.fetchval("select pg_backend_pid()"))
        yield Gauge(service, above, database=oid, server=server)
    finally:
        await above.close()


def _name(query: str) -> str:
    """Return how a statement begins; PostgreSQL drops the comment with its name."""
    return " ".join(query.split())[:_NAME]
