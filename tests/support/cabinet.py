"""A desk with a place for files, and a device that WhatsApp offers some to."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import msgspec
from msgspec.structs import replace

from clarin_core.domain.devices import DeviceLease
from clarin_core.domain.media import KEY_BYTES, Media, MediaDraft, MediaType, NewFile, new_key
from clarin_core.domain.media_links import MediaLinks, Signed
from clarin_core.domain.messages import MessageQuery
from clarin_core.errors import Unavailable
from clarin_core.ports.blobs import BlobStore
from clarin_core.ports.small import Clock
from clarin_core.ports.storage import Storage
from clarin_core.testing.blobs import whole
from clarin_core.testing.inbox import Inbox, inbox_of
from clarin_core.usecases.media import MediaUseCases
from clarin_core.usecases.media_fetch import MediaFetchUseCases
from clarin_core.usecases.media_purge import MediaPurgeUseCases
from clarin_memory import MemoryBlobs
from clarin_security import system_random
from support.desk import Desk
from support.web import PNG, SmallWeb

LINKS = MediaLinks(b"a secret of the tests, long enough")


class Blobs(MemoryBlobs):
    """A place for bytes that may be away, and says what it has."""

    is_away = False

    async def put(self, account_id: Any, key: str, content: AsyncIterator[bytes]) -> None:
        self._look()
        await super().put(account_id, key, content)

    async def remove(self, account_id: Any, key: str) -> None:
        self._look()
        await super().remove(account_id, key)

    def _look(self) -> None:
        if self.is_away:
            raise Unavailable("the media store")

    @property
    def keys(self) -> set[str]:
        return {key for _, key in self._kept}


@dataclass
class Cabinet:
    """What one can do with the files of an account."""

    desk: Desk
    inbox: Inbox
    lease: DeviceLease
    blobs: Blobs = field(default_factory=Blobs)
    web: SmallWeb = field(default_factory=SmallWeb)

    @classmethod
    async def open(cls, desk: Desk | None = None) -> Self:
        desk = desk or await Desk.open()
        inbox = await inbox_of(desk.tenant)
        device = await desk.tenant.views.device(inbox.device_id)
        leases = desk.tenant.storage.leases
        lease = await leases.lease(desk.tenant.key_of(device), "a test", timedelta(days=9))
        assert lease is not None
        return cls(desk, inbox, lease)

    @property
    def media(self) -> MediaUseCases:
        storage = self.desk.tenant.storage
        return MediaUseCases(storage, self.desk.clock, system_random, self.blobs, self.web, LINKS)

    @property
    def fetching(self) -> MediaFetchUseCases:
        return MediaFetchUseCases(self.desk.tenant.storage, self.desk.clock, self.blobs)

    @property
    def purging(self) -> MediaPurgeUseCases:
        return MediaPurgeUseCases(self.desk.tenant.storage, self.desk.clock, self.blobs)

    async def upload(self, *parts: bytes, **said: Any) -> Any:
        """Upload a file as an agent."""
        return await self.media.upload(self.desk.agent, NewFile(**said), given(*(parts or (PNG,))))

    async def offer(self, **fields: Any) -> Media:
        """Commit a file that the device has to fetch, and a message that has it."""
        draft = MediaDraft(
            key=new_key(system_random(KEY_BYTES)), type=MediaType.IMAGE, mimetype="image/png",
            source=b"where it is", device_id=self.inbox.device_id,
        )  # fmt: skip
        async with self.desk.tenant.begin() as tx:
            (media,) = await tx.media.add([replace(draft, **fields)], at=self.desk.clock())
        chat = await self.inbox.open_one()
        await self.inbox.say(self.inbox.said(chat, media_id=media.id))
        return media

    async def unsay(self) -> None:
        """Remove all messages of the chat in which files were offered."""
        chat = await self.inbox.open_one()
        async with self.desk.tenant.begin() as tx:
            said = (await tx.views.messages(chat.id, MessageQuery())).data
            await tx.messages.remove([message.id for message in said])

    async def stored(self, media_id: Any) -> Media:
        """Return a file as the store has it."""
        async with self.desk.tenant.begin() as tx:
            return await tx.media.get(media_id)

    async def bytes_of(self, file: Any) -> bytes:
        """Return all bytes of a file."""
        return await whole(self.blobs, file.key, self.desk.tenant.id)


def media_over(storage: Storage, clock: Clock, blobs: BlobStore) -> MediaUseCases:
    """Return what one can do with files, on a web of a few pages."""
    return MediaUseCases(storage, clock, system_random, blobs, SmallWeb(), LINKS)


def signed_by(url: str) -> Signed:
    """Return what stands behind the `?` of a link."""
    query = dict(parse_qsl(urlsplit(url).query, strict_parsing=True))
    return msgspec.convert(query, Signed, strict=False)


async def given(*parts: bytes) -> AsyncIterator[bytes]:
    """Give some content in parts."""
    for part in parts:
        yield part
