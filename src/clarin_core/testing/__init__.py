"""The harness that holds a storage to its laws; needs `clarin[testing]`.

    class TestMyStorage(StorageContract):
        @classmethod
        def open(cls) -> AbstractAsyncContextManager[Storage]:
            return MyStorage("my://localhost/test", publisher=cls.publisher)

pytest runs it without a plugin and without configuration.
"""

from clarin_core.testing import assertions as assertions
from clarin_core.testing import entities, strategies
from clarin_core.testing.blobs import BlobStoreContract
from clarin_core.testing.budget import BudgetContract
from clarin_core.testing.cache import CacheContract
from clarin_core.testing.contract import Capability, Contract, law
from clarin_core.testing.crm import CrmContract
from clarin_core.testing.event_publisher import EventPublisherContract
from clarin_core.testing.limiter import LimiterContract
from clarin_core.testing.messaging import MessagingContract
from clarin_core.testing.publisher import RecordingPublisher
from clarin_core.testing.storage import StorageContract
from clarin_core.testing.tenants import Tenant

__all__ = [
    "BlobStoreContract",
    "BudgetContract",
    "CacheContract",
    "Capability",
    "Contract",
    "CrmContract",
    "EventPublisherContract",
    "LimiterContract",
    "MessagingContract",
    "RecordingPublisher",
    "StorageContract",
    "Tenant",
    "entities",
    "law",
    "strategies",
]
