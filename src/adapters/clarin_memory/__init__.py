"""Clarin's ports in memory: for demonstrations, first runs and fast tests."""

from clarin_memory.publisher import MemoryPublisher
from clarin_memory.storage import MemoryStorage, storage_from_url

__all__ = ["MemoryPublisher", "MemoryStorage", "storage_from_url"]
