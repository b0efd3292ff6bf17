"""Laws of what is known of files."""

import asyncio
from datetime import datetime, timedelta

import pytest
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from clarin_core.domain.ids import MediaId
from clarin_core.domain.media import Media, MediaDraft, MediaState, MediaView, attachment_of
from clarin_core.errors import Conflict, NotFound
from clarin_core.testing import inbox_strategies
from clarin_core.testing.contract import Contract, law
from clarin_core.testing.inbox import PHOTO, Inbox, inbox_of
from clarin_core.testing.tenants import LATER, NOON, Tenant

MINUTE = timedelta(minutes=1)
HOW = ["offered", "stored", "late", "uploaded"]


class MediaLaws(Contract):
    """What `MediaStore` promises."""

    @law(
        drafts=st.lists(inbox_strategies.media_drafts(), max_size=3, unique_by=lambda m: m.key),
        is_offered=st.booleans(),
    )
    async def test_files_come_back_as_they_were_added(
        self, account: Tenant, drafts: list[MediaDraft], is_offered: bool
    ) -> None:
        """No field is lost on the way; ids are in the order given."""
        inbox = await inbox_of(account)
        device_id = inbox.device_id if is_offered else None
        drafts = [replace(draft, device_id=device_id) for draft in drafts]
        async with account.begin() as tx:
            files = await tx.media.add(drafts, at=NOON)
        assert [one.id for one in files] == sorted({one.id for one in files})
        for draft, media in zip(drafts, files, strict=True):
            life = {"id": media.id, "created_at": NOON, "updated_at": NOON, "version": 1}
            due = {"attempts": 0, "not_before": NOON}
            assert asdict(media) == asdict(draft) | life | due
            async with account.begin() as tx:
                assert await tx.media.get(media.id) == media

    @law(before=inbox_strategies.media_drafts(), after=inbox_strategies.media_drafts())
    async def test_a_saved_file_comes_back_as_it_was_saved(
        self, account: Tenant, before: MediaDraft, after: MediaDraft
    ) -> None:
        """Every field can be changed, to nothing too."""
        media_id = await (await inbox_of(account)).add_media(before)
        async with account.begin() as tx:
            media = await tx.media.get(media_id)
            media.alter({**asdict(after), "attempts": 2, "not_before": LATER}, at=LATER)
            await tx.media.save(media)
        async with account.begin() as tx:
            assert await tx.media.get(media_id) == media

    @law()
    async def test_files_are_seen_by_id(self, account: Tenant) -> None:
        """Each once, as messages show them; unknown ones are left out."""
        inbox = await inbox_of(account)
        ids = [await inbox.add_media(replace(PHOTO, key=f"{n}")) for n in range(3)]
        shown = [attachment_of(await account.views.media(one)) for one in ids]
        async with account.begin() as tx:
            assert await tx.media.seen([ids[2], ids[0], ids[2], MediaId(2**62)]) == shown[::2]

    @law(draft=inbox_strategies.media_drafts())
    async def test_a_file_is_shown_by_id_and_by_key(
        self, account: Tenant, draft: MediaDraft
    ) -> None:
        """All but how it is fetched, which is nobody's business."""
        media_id = await (await inbox_of(account)).add_media(draft)
        async with account.begin() as tx:
            media = await tx.media.get(media_id)
        shown = MediaView(**{name: getattr(media, name) for name in MediaView.__struct_fields__})
        assert await account.views.media(media_id) == shown
        assert await account.views.media_by_key(draft.key) == shown
        with pytest.raises(NotFound):
            await account.views.media_by_key(draft.key + "0")

    @law(
        drawn=st.lists(
            st.tuples(
                st.integers(0, 1), st.sampled_from(["offered", "stored", "late", "uploaded"])
            ),
            max_size=8,
        )
    )
    async def test_a_device_fetches_what_is_due_for_the_longest(
        self, account: Tenant, drawn: list[tuple[int, str]]
    ) -> None:
        """CH16: its own files, and neither those that are here nor those that wait."""
        boxes = [await inbox_of(account), await inbox_of(account)]
        left = [await self._offer(boxes[box], how, at) for at, (box, how) in enumerate(drawn)]
        for box in boxes:
            own = [one for one in left if one.device_id == box.device_id]
            due = [one for one in own if one.not_before <= LATER]
            for expected in [*sorted(due, key=lambda one: (one.not_before, one.id)), None]:
                async with account.begin() as tx:
                    found = await tx.media.next(box.device_id, at=LATER)
                    assert found == expected
                    if found is not None:
                        found.expire(at=LATER)
                        await tx.media.save(found)

    @law()
    async def test_a_file_that_was_missed_waits_its_turn(self, account: Tenant) -> None:
        """It lets the others pass, and is due again after its pause."""
        inbox = await inbox_of(account)
        first, second = await self._add(inbox, "a"), await self._add(inbox, "b")
        first.miss(at=NOON)
        async with account.begin() as tx:
            await tx.media.save(first)
            assert await tx.media.next(inbox.device_id, at=NOON) == second
            second.expire(at=NOON)
            await tx.media.save(second)
            early = first.not_before - timedelta(microseconds=1)
            assert await tx.media.next(inbox.device_id, at=early) is None
            assert await tx.media.next(inbox.device_id, at=first.not_before) == first

    @law()
    async def test_unused_files_are_those_no_message_has(self, account: Tenant) -> None:
        """Not one that a message of any chat has, until that message is gone."""
        inbox = await inbox_of(account)
        used, free = await self._add(inbox, "a"), await self._add(inbox, "b")
        chat = await inbox.open_one()
        (message,) = await inbox.say(inbox.said(chat, media_id=used.id))
        async with account.begin() as tx:
            assert await tx.media.unused([used.id, free.id]) == [free]
            assert await tx.media.unused([]) == []
        assert await self._idle(account, used, free) == [free.id]
        async with account.begin() as tx:
            await tx.messages.remove([message.id])
        async with account.begin() as tx:
            assert await tx.media.unused([free.id, used.id]) == [used, free]
        assert await self._idle(account, used, free) == [used.id, free.id]

    @law()
    async def test_files_that_changed_lately_are_not_idle(self, account: Tenant) -> None:
        """The time is that of the last change, and itself not before itself."""
        inbox = await inbox_of(account)
        media = await self._add(inbox, "a")
        assert await self._idle(account, media, before=media.updated_at) == []
        after = media.updated_at + timedelta(microseconds=1)
        assert await self._idle(account, media, before=after) == [media.id]
        media.expire(at=LATER)
        async with account.begin() as tx:
            await tx.media.save(media)
        assert await self._idle(account, media, before=LATER) == []

    @law()
    async def test_who_gives_a_file_to_a_message_is_waited_for(self, account: Tenant) -> None:
        """A file that is used at this very moment is not found unused."""
        inbox = await inbox_of(account)
        media, chat = await self._add(inbox, "a"), await inbox.open_one()
        is_given = asyncio.Event()

        async def give() -> None:
            async with account.begin() as tx:
                await tx.media.get(media.id)
                is_given.set()
                for _ in range(20):  # Whoever looks meanwhile has to wait, or looks too early.
                    await asyncio.sleep(0)
                await tx.messages.add([inbox.said(chat, media_id=media.id)], at=NOON)

        async def look() -> list[Media]:
            await is_given.wait()
            async with account.begin() as tx:
                return await tx.media.unused([media.id])

        _, found = await asyncio.gather(give(), look())
        assert found == []

    @law()
    async def test_a_forgotten_file_is_gone(self, account: Tenant) -> None:
        """It may be forgotten twice, but not while a message has it."""
        inbox = await inbox_of(account)
        used, free = await self._add(inbox, "a"), await self._add(inbox, "b")
        await inbox.say(inbox.said(await inbox.open_one(), media_id=used.id))
        for _ in range(2):
            async with account.begin() as tx:
                await tx.media.remove(free.id)
        with pytest.raises(Conflict) as refused:
            async with account.begin() as tx:
                await tx.media.remove(used.id)
        assert refused.value.code == "in_use"
        async with account.begin() as tx:
            assert await tx.media.get(used.id) == used
            with pytest.raises(NotFound):
                await tx.media.get(free.id)

    @law()
    async def test_a_device_that_is_gone_fetches_nothing(self, account: Tenant) -> None:
        """Its files stay, and nobody's device has them to fetch."""
        inbox = await inbox_of(account)
        media = await self._add(inbox, "a")
        async with account.begin() as tx:
            await tx.devices.remove(inbox.device_id)
        async with account.begin() as tx:
            assert (await tx.media.get(media.id)).device_id is None

    async def _add(self, inbox: Inbox, key: str) -> Media:
        """Commit a file that the device has to fetch."""
        draft = replace(PHOTO, key=key, source=b"x", device_id=inbox.device_id)
        async with inbox.account.begin() as tx:
            (media,) = await tx.media.add([draft], at=NOON)
        return media

    async def _offer(self, inbox: Inbox, how: str, minute: int) -> Media:
        """Commit a file in some state, each of them a minute older than the one before."""
        media = await self._add(inbox, f"{minute}")
        media.not_before = LATER + MINUTE if how == "late" else NOON - minute * MINUTE
        if how == "stored":
            media.alter({"state": MediaState.STORED, "source": None, "device_id": None}, at=NOON)
        elif how == "uploaded":
            media.alter({"source": None, "device_id": None}, at=NOON)
        async with inbox.account.begin() as tx:
            await tx.media.save(media)
        return media

    async def _idle(
        self, account: Tenant, *files: Media, before: datetime = LATER + MINUTE
    ) -> list[MediaId]:
        """Return which of some files the store has for idle, other accounts left out."""
        found = await self.storage.unused_media(before=before, limit=100_000)
        assert found == sorted(found)
        own = [media_id for account_id, media_id in found if account_id == account.id]
        return [media_id for media_id in own if media_id in {one.id for one in files}]
