"""What one can do with files: bring them in, from a disk or the web, and read them.

A file is a row before it is bytes, and its bytes are written while no transaction is open. What
breaks off in between leaves a row that says where to look, and the purge removes both.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from msgspec import UNSET

from clarin_core.domain.actor import Actor, Cause, Origin
from clarin_core.domain.ids import AccountId, MediaId
from clarin_core.domain.inbox_events import MediaChanged
from clarin_core.domain.media import (
    KEY_BYTES,
    MediaDraft,
    MediaView,
    NewFile,
    NewUrlFile,
    check_key,
    check_size,
    label_of,
    new_key,
)
from clarin_core.domain.media_links import Link, MediaLinks, Signed
from clarin_core.domain.media_types import HEAD_BYTES, Intake
from clarin_core.domain.web_address import web_address
from clarin_core.ports.blobs import BlobStore
from clarin_core.ports.small import Clock, Random
from clarin_core.ports.storage import Storage
from clarin_core.ports.web import Web


@dataclass(frozen=True, slots=True)
class MediaUseCases:
    """What one can do with files. One method is one use case."""

    storage: Storage
    clock: Clock
    random: Random
    blobs: BlobStore
    web: Web
    links: MediaLinks

    async def upload(self, actor: Actor, new: NewFile, content: AsyncIterator[bytes]) -> MediaView:
        """Keep a file, which is what its first bytes say (CH16).

        Raises TooLarge as soon as it has more than WhatsApp takes, Unsupported for a type that
        it is not. What nobody sends within a day is removed.
        """
        return await self._keep(actor, new, content, is_news=True)

    async def from_url(self, actor: Actor, new: NewUrlFile) -> MediaView:
        """Keep a file that lies on the web, at an https address that everybody may ask.

        It is fetched at once, within 10 seconds, and as large as WhatsApp takes it.
        """
        return await self._fetch(actor, new, is_news=True)

    async def for_message(self, actor: Actor, new: NewUrlFile) -> MediaView:
        """Keep a file like `from_url` that a message will have; the message tells of it."""
        return await self._fetch(actor, new, is_news=False)

    async def link(self, actor: Actor, media_id: MediaId) -> Link:
        """Return a link that reads the file without a credential, for five minutes."""
        file = await self.storage.views(actor.account_id).media(media_id)
        file.require_bytes()
        return self.links.to_file(actor.account_id, actor.user_id, file.key, at=self.clock())

    async def upload_link(self, actor: Actor) -> Link:
        """Return a link that takes files in without a credential, for five minutes.

        Post a form to it as to `/media/upload`.
        """
        return self.links.to_upload(actor.account_id, actor.user_id, at=self.clock())

    async def file(self, account_id: AccountId, key: str) -> MediaView:
        """Return a file whose bytes are here; raises NotFound, Conflict `invalid_state`."""
        check_key(key)
        file = await self.storage.views(account_id).media_by_key(key)
        file.require_bytes()
        return file

    def who_uploads(self, signed: Signed, *, request_id: str) -> Actor:
        """Return for whom a link uploads; raises Forbidden."""
        self.links.check_upload(signed, at=self.clock())
        origin = Origin(cause=Cause.USER, user_id=signed.user, request_id=request_id)
        return Actor(account_id=signed.account, user_id=signed.user, origin=origin)

    def whose_file(self, signed: Signed, key: str) -> AccountId:
        """Return in which account a link reads a file; raises Forbidden."""
        self.links.check_file(key, signed, at=self.clock())
        return signed.account

    def content(
        self, account_id: AccountId, key: str, *, start: int, stop: int
    ) -> AsyncIterator[bytes]:
        """Give a part of a file's bytes, piece by piece."""
        return self.blobs.read(account_id, key, start=start, stop=stop)

    async def _fetch(self, actor: Actor, new: NewUrlFile, *, is_news: bool) -> MediaView:
        address = web_address("url", new.url)
        named = new.filename if new.filename is not UNSET else address.label or UNSET
        file = NewFile(filename=named, media_type=new.media_type)
        async with aclosing(self.web.fetch(address)) as content:
            return await self._keep(actor, file, content, is_news=is_news)

    async def _keep(
        self, actor: Actor, new: NewFile, content: AsyncIterator[bytes], *, is_news: bool
    ) -> MediaView:
        head = await _head(content)
        intake = Intake(head, None if new.media_type is UNSET else new.media_type)
        check_size(intake.type, len(head))
        draft = MediaDraft(
            key=new_key(self.random(KEY_BYTES)),
            type=intake.type,
            mimetype=intake.mimetype,
            filename=None if new.filename is UNSET else label_of(new.filename),
        )
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            (media,) = await tx.media.add([draft], at=self.clock())
        await self.blobs.put(actor.account_id, media.key, _taken_in(intake, head, content))
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            media = await tx.media.get(media.id)
            media.store(kept=intake.end(), at=self.clock())
            await tx.media.save(media)
            if is_news:
                tx.emit(MediaChanged(media=media))
        return await self.storage.views(actor.account_id).media(media.id)


async def _head(content: AsyncIterator[bytes]) -> bytes:
    """Return the beginning of some content, enough to tell what it is."""
    head = b""
    while len(head) < HEAD_BYTES and (part := await anext(content, None)) is not None:
        head += part
    return head


async def _taken_in(
    intake: Intake, head: bytes, rest: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    """Give all parts on, counted; the last one only when the whole is as it must be."""
    intake.take(head)
    yield head
    async for part in rest:
        intake.take(part)
        yield part
    intake.end()
