"""Clarin's storage in PostgreSQL, through asyncpg."""

from clarin_postgres.errors import PostgresSetupError
from clarin_postgres.migrations import identify, migrate
from clarin_postgres.storage import PostgresStorage, storage_from_url

__all__ = ["PostgresSetupError", "PostgresStorage", "identify", "migrate", "storage_from_url"]
