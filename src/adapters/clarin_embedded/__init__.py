"""Servers that Clarin starts itself, so that one command runs it on an empty machine."""

from clarin_embedded.errors import EmbeddedServerError
from clarin_embedded.postgres import EmbeddedPostgres
from clarin_embedded.valkey import EmbeddedValkey

__all__ = ["EmbeddedPostgres", "EmbeddedServerError", "EmbeddedValkey"]
