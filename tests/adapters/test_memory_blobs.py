"""The place for bytes in this process keeps the contract."""

from contextlib import AbstractAsyncContextManager

from clarin_core.ports.blobs import BlobStore
from clarin_core.testing import BlobStoreContract
from clarin_memory import MemoryBlobs


class TestMemoryBlobs(BlobStoreContract):
    """Bytes in a dict."""

    def open(self) -> AbstractAsyncContextManager[BlobStore]:
        return MemoryBlobs()
