"""Everything in this process and gone with it: for first steps, tests, and next to a store."""

from clarin_memory.blobs import MemoryBlobs
from clarin_memory.budget import MemoryBudget
from clarin_memory.cache import MemoryCache
from clarin_memory.crm import MemoryCrm
from clarin_memory.limiter import MemoryLimiter, Unlimited
from clarin_memory.publisher import MemoryPublisher
from clarin_memory.remote import RemoteBook
from clarin_memory.storage import MemoryStorage, storage_from_url

__all__ = [
    "MemoryBlobs",
    "MemoryBudget",
    "MemoryCache",
    "MemoryCrm",
    "MemoryLimiter",
    "MemoryPublisher",
    "MemoryStorage",
    "RemoteBook",
    "Unlimited",
    "storage_from_url",
]
