"""Everything in this process and gone with it: for first steps, tests, and next to a store."""

from clarin_memory.budget import MemoryBudget
from clarin_memory.cache import MemoryCache
from clarin_memory.limiter import MemoryLimiter, Unlimited
from clarin_memory.publisher import MemoryPublisher
from clarin_memory.storage import MemoryStorage, storage_from_url

__all__ = [
    "MemoryBudget",
    "MemoryCache",
    "MemoryLimiter",
    "MemoryPublisher",
    "MemoryStorage",
    "Unlimited",
    "storage_from_url",
]
