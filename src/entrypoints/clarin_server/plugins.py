"""Adapters that are installed, by entry points: ours and other people's alike."""

from contextlib import AbstractAsyncContextManager
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol

from clarin_core.errors import Invalid
from clarin_core.ports.blobs import BlobStore
from clarin_core.ports.event_publisher import EventPublisher
from clarin_core.ports.small import Clock
from clarin_core.ports.storage import Storage
from clarin_media import blobs_from_url
from clarin_memory import MemoryBlobs
from clarin_server.errors import CannotStart
from clarin_server.settings import MEMORY

_STORAGE = "clarin.storage"


class InstalledStorage(Storage, AbstractAsyncContextManager[Storage], Protocol):
    """A storage that has yet to be opened."""


class InstalledBlobs(BlobStore, AbstractAsyncContextManager[BlobStore], Protocol):
    """A place for bytes that has yet to be opened."""


def installed_storages() -> dict[str, EntryPoint]:
    """Return the installed storages by the scheme of their addresses."""
    return {point.name: point for point in sorted(entry_points(group=_STORAGE))}


def connect_storage(url: str, *, clock: Clock, publisher: EventPublisher) -> InstalledStorage:
    """Return the storage for an address, constructed but not open.

    Raises CannotStart for an unknown scheme, with the known ones, and for a wrong address.
    """
    scheme = url.partition(":")[0]
    storages = installed_storages()
    if scheme not in storages:
        raise CannotStart(
            f"No storage is installed for addresses that begin with {scheme}: "
            f"(installed: {', '.join(storages) or 'none'})."
        )
    try:
        storage: InstalledStorage = storages[scheme].load()(url, clock=clock, publisher=publisher)
    except Invalid as error:
        raise CannotStart(f"The address of the storage {error.reason}.") from error
    return storage


def connect_media(url: str) -> InstalledBlobs:
    """Return the place for the bytes of files at an address, constructed but not open."""
    return MemoryBlobs() if url == MEMORY else blobs_from_url(url)
