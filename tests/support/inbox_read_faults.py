"""Faults to plant in what the memory storage reads and purges, each for some law to find."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace as replace_tables
from typing import Any

from msgspec.structs import replace

from clarin_core.domain.chats import Chat, ChatDetail
from clarin_core.domain.leads import TagsMode
from clarin_core.domain.messages import (
    Place,
)
from clarin_core.domain.replies import (
    PollResult,
    Vote,
)
from clarin_memory import chat_views, contacts, lead_filter, message_views, messages, purge, storage
from clarin_memory.tables import Table
from support.faults import Patch

Store = messages.MemoryMessageStore


def leads_are_shown_with_any_chat(patch: Patch) -> None:
    patch.setattr(chat_views, "_is_of", lambda lead, chat: lead.deleted_at is None)


def deleted_leads_are_shown_with_their_chat(patch: Patch) -> None:
    patch.setattr(chat_views, "_is_of", lambda lead, chat: lead.contact_id == chat.contact_id)


def all_leads_are_shown_with_a_chat(patch: Patch) -> None:
    patch.setattr(chat_views, "LEADS_SHOWN_MAX", 10**6)


def a_deleted_contact_is_shown_with_its_chat(patch: Patch) -> None:
    detail = chat_views._detail

    def wrong(tables: Any, chat: Chat) -> ChatDetail:
        contact = tables.contacts.peek(chat.contact_id)
        shown = contacts.contact_view(tables, contact) if contact else None
        return replace(detail(tables, chat), contact=shown)

    patch.setattr(chat_views, "_detail", wrong)


def one_tag_of_all_is_enough(patch: Patch) -> None:
    tests = lead_filter.TAG_TESTS
    patch.setattr(chat_views, "TAG_TESTS", {**tests, TagsMode.ALL: tests[TagsMode.ANY]})


def a_chat_ends_with_its_preview(patch: Patch) -> None:
    async def wrong(self: Store, chat_ids: Collection[Any]) -> dict[Any, Place]:
        ends: dict[Any, Place] = {}
        for row in self.scope.tables.messages.rows():
            if row.chat_id in chat_ids and row.revoked_at is None:
                ends[row.chat_id] = max(row.place, ends.get(row.chat_id, row.place))
        return ends

    patch.setattr(Store, "ends", wrong)


def unread_messages_are_told_oldest_first(patch: Patch) -> None:
    unread = Store.unread

    async def wrong(self: Store, chat: Chat, up_to: Place, *, limit: int) -> list[str]:
        return (await unread(self, chat, up_to, limit=10**6))[::-1][:limit]

    patch.setattr(Store, "unread", wrong)


def all_that_is_unread_is_told(patch: Patch) -> None:
    unread = Store.unread

    async def wrong(self: Store, chat: Chat, up_to: Place, *, limit: int) -> list[str]:
        return await unread(self, chat, replace_at(up_to), limit=limit)

    def replace_at(place: Place) -> Place:
        return place._replace(at=place.at.replace(year=9999))

    patch.setattr(Store, "unread", wrong)


def votes_name_options_by_their_text(patch: Patch) -> None:
    def wrong(options: Sequence[str], votes: Iterable[Vote]) -> list[PollResult]:
        chosen = [option for vote in votes for option in vote.options]
        return [PollResult(option=one, votes=chosen.count(one)) for one in options]

    patch.setattr(message_views, "results_of", wrong)


def votes_of_the_whole_chat_are_given(patch: Patch) -> None:
    async def wrong(self: Store, keys: Collection[Any]) -> list[Vote]:
        chats = {key[0] for key in keys}
        return [row for row in self.scope.tables.votes.rows() if row.chat_id in chats]

    patch.setattr(Store, "votes", wrong)


def contacts_without_a_name_have_an_empty_one(patch: Patch) -> None:
    async def wrong(self: contacts.MemoryContactStore, ids: Collection[Any]) -> dict[Any, str]:
        people = [row for row in self.scope.tables.contacts.rows() if row.id in ids]
        return {one.id: one.display_name or "" for one in people if one.deleted_at is None}

    patch.setattr(contacts.MemoryContactStore, "names", wrong)


def deleted_contacts_have_names(patch: Patch) -> None:
    async def wrong(self: contacts.MemoryContactStore, ids: Collection[Any]) -> dict[Any, str]:
        people = [row for row in self.scope.tables.contacts.rows() if row.id in ids]
        return {one.id: one.display_name for one in people if one.display_name}

    patch.setattr(contacts.MemoryContactStore, "names", wrong)


def deleted_chats_make_contacts_of_a_device(patch: Patch) -> None:
    def wrong(tables: Any, device_id: Any) -> list[Chat]:
        return [chat for chat in tables.chats.rows() if chat.device_id == device_id]

    patch.setattr(contacts, "_live_chats", wrong)


def any_chat_makes_a_contact_of_a_device(patch: Patch) -> None:
    patch.setattr(contacts, "_live_chats", lambda tables, device_id: list(tables.chats.rows()))


def capitals_make_another_address(patch: Patch) -> None:
    patch.setattr(contacts, "email_key", lambda email: email)


def variants_of_phones_are_strangers(patch: Patch) -> None:
    patch.setattr(contacts, "phone_key", lambda phone: phone)


def groups_and_the_deleted_are_duplicates(patch: Patch) -> None:
    twins = contacts._twins

    def wrong(tables: Any) -> Any:
        living = Table[Any, Any]()
        for row in tables.contacts.rows():
            living.put(row.id, replace(row, deleted_at=None, is_group=False))
        return twins(replace_tables(tables, contacts=living))

    patch.setattr(contacts, "_twins", wrong)


def all_duplicates_are_shown(patch: Patch) -> None:
    patch.setattr(contacts, "DUPLICATES_SHOWN_MAX", 10**6)


def deleted_chats_stay(patch: Patch) -> None:
    patch.setattr(purge, "_forget_chats", lambda tables, before: None)


def messages_outlive_their_chat(patch: Patch) -> None:
    patch.setattr(purge, "drop_messages", lambda tables, message_ids: None)


def marks_outlive_their_chat(patch: Patch) -> None:
    patch.setattr(purge, "drop_mark", lambda tables, key: None)


def marks_are_never_old(patch: Patch) -> None:
    patch.setattr(storage, "purge_marks", lambda tables, before: None)


def a_mark_is_as_old_as_the_first(patch: Patch) -> None:
    def wrong(tables: Any, mark: Any, at: Any) -> None:
        tables.marks.put(mark.key, mark)
        tables.marked_at.put(mark.key, tables.marked_at.peek(mark.key) or at)

    patch.setattr(messages, "put_mark", wrong)
