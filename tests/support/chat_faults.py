"""Faults to plant in the inbox of the memory storage, each of which some law must find."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from clarin_core.domain.chats import Chat
from clarin_core.domain.messages import UNSETTLED, Message, MessageStatus
from clarin_core.domain.replies import Reply, counting
from clarin_core.ports.inbox import Tally
from clarin_memory import (
    chat_views,
    chats,
    media,
    message_views,
    messages,
    outbox,
    paging,
    purge,
    replies,
    storage,
    tables,
    uniting,
)
from support.faults import Patch, changed_answer


def forgetting(owner: Any, field: str, patch: Patch) -> None:
    """Make a store lose a field of what is added to it."""
    add: Callable[..., object] = owner._add
    patch.setattr(
        owner, "_add", lambda self, draft, at: add(self, replace(draft, **{field: None}), at)
    )


def a_chat_loses_its_name(patch: Patch) -> None:
    forgetting(chats.MemoryChatStore, "name", patch)


def a_message_loses_its_quote(patch: Patch) -> None:
    forgetting(messages.MemoryMessageStore, "quoted", patch)


def an_errand_loses_its_text(patch: Patch) -> None:
    forgetting(outbox.MemoryOutboxStore, "text", patch)


def a_chat_is_one_on_all_devices(patch: Patch) -> None:
    patch.setattr(chats, "_whom", lambda chat: chat.identity)


def identities_need_not_be_unique(patch: Patch) -> None:
    patch.setattr(chats, "rival", lambda *args: None)


def a_claim_says_that_all_is_new(patch: Patch) -> None:
    changed_answer(
        chats.MemoryChatStore, "claim", lambda found: [(chat, True) for chat, _ in found], patch
    )


def chats_of_contacts_leave_out_the_deleted(patch: Patch) -> None:
    changed_answer(
        chats.MemoryChatStore, "of_contacts",
        lambda found: [chat for chat in found if chat.deleted_at is None], patch,
    )  # fmt: skip


def chats_of_identities_are_anybodys(patch: Patch) -> None:
    async def wrong(self: chats.MemoryChatStore, identities: Any) -> list[Chat]:
        return await self.get_many([row.id for row in self.scope.tables.chats.rows()])

    patch.setattr(chats.MemoryChatStore, "of_identities", wrong)


def links_of_chats_are_accepted(patch: Patch) -> None:
    patch.setattr(chats, "_check_links", lambda *args: None)


def links_of_messages_are_accepted(patch: Patch) -> None:
    patch.setattr(messages.MemoryMessageStore, "_check_links", lambda *args: None)


def links_of_errands_are_accepted(patch: Patch) -> None:
    patch.setattr(outbox.MemoryOutboxStore, "_check_links", lambda *args: None)


def anything_is_said_of_any_chat(patch: Patch) -> None:
    patch.setattr(messages.MemoryMessageStore, "_check_chat", lambda *args: None)


def a_message_may_come_twice(patch: Patch) -> None:
    patch.setattr(messages, "wa_key", lambda message: None)


def an_id_of_whatsapp_counts_in_all_chats(patch: Patch) -> None:
    patch.setattr(messages, "wa_key", lambda message: message.wa_message_id)


def ids_of_whatsapp_need_not_be_unique(patch: Patch) -> None:
    patch.setattr(messages, "rival", lambda *args: None)


def whatever_failed_is_unsettled(patch: Patch) -> None:
    patch.setattr(messages, "UNSETTLED", (MessageStatus.FAILED, *UNSETTLED))


def errands_outlive_their_message(patch: Patch) -> None:
    def drop(inside: Any, message_ids: Any) -> None:
        for message_id in message_ids:
            inside.messages.drop(message_id)

    patch.setattr(messages, "drop_messages", drop)
    patch.setattr(uniting, "drop_messages", drop)


def a_revoked_message_is_the_latest(patch: Patch) -> None:
    patch.setattr(
        messages, "newest", lambda found: max(found, key=lambda one: one.place, default=None)
    )


def the_last_to_arrive_is_the_latest(patch: Patch) -> None:
    def newest(found: list[Message]) -> Message | None:
        shown = [one for one in found if one.revoked_at is None]
        return max(shown, key=lambda one: one.id, default=None)

    patch.setattr(messages, "newest", newest)


def own_messages_are_unread(patch: Patch) -> None:
    tally = messages.MemoryMessageStore._tally

    def wrong(self: messages.MemoryMessageStore, chat: Chat) -> Tally:
        rows = self.scope.tables.messages.rows()
        return tally(self, chat)._replace(unread=sum(row.chat_id == chat.id for row in rows))

    patch.setattr(messages.MemoryMessageStore, "_tally", wrong)


def what_was_read_is_forgotten(patch: Patch) -> None:
    tally = messages.MemoryMessageStore._tally
    patch.setattr(
        messages.MemoryMessageStore, "_tally",
        lambda self, chat: tally(self, replace(chat, read_up_to=None)),
    )  # fmt: skip


def what_was_cleared_is_counted(patch: Patch) -> None:
    tally = messages.MemoryMessageStore._tally
    patch.setattr(
        messages.MemoryMessageStore, "_tally",
        lambda self, chat: tally(self, replace(chat, cleared_up_to=None)),
    )  # fmt: skip


def what_was_cleared_is_shown(patch: Patch) -> None:
    patch.setattr(message_views, "_is_shown", lambda message, chat: message.chat_id == chat.id)


def all_marks_are_ripe(patch: Patch) -> None:
    async def wrong(self: messages.MemoryMessageStore, chat_id: Any) -> Any:
        keys = [(row.chat_id, row.wa_message_id) for row in self.scope.tables.marks.rows()]
        taken = await self.take_marks([key for key in keys if key[0] == chat_id])
        return [taken[key] for key in sorted(taken)]

    patch.setattr(messages.MemoryMessageStore, "take_ripe_marks", wrong)


def marks_stay(patch: Patch) -> None:
    patch.setattr(tables.Overlay, "drop", lambda self, key: None)


def the_first_mark_stays(patch: Patch) -> None:
    put = tables.Overlay.put

    def wrong(table: tables.Overlay[Any, Any], key: Any, row: Any) -> None:
        if table.peek(key) is None:
            put(table, key, row)

    patch.setattr(tables.Overlay, "put", wrong)


def the_last_to_come_counts(patch: Patch) -> None:
    def keep(table: tables.Table[Any, Any], said: list[Reply]) -> list[Reply]:
        for one in said:
            table.put(one.key, one)
        return list({one.key: one for one in said}.values())

    patch.setattr(messages, "keep", keep)


def the_first_of_a_time_counts(patch: Patch) -> None:
    def keep(table: tables.Table[Any, Any], said: list[Reply]) -> list[Reply]:
        news = []
        for key, one in counting(said).items():
            known = table.peek(key)
            if known is None or one.at > known.at:
                table.put(key, one)
                news.append(one)
        return news

    patch.setattr(messages, "keep", keep)


def all_that_is_said_is_news(patch: Patch) -> None:
    keep: Callable[..., list[Any]] = replies.keep
    patch.setattr(messages, "keep", lambda table, said: keep(table, said) and list(said))


def reactions_that_were_taken_back_are_shown(patch: Patch) -> None:
    def reactions(inside: Any, message: Message) -> list[Any]:
        rows = inside.reactions.rows()
        own = [row for row in rows if message_views._is_about(row.key, message)]
        return sorted(own, key=lambda row: (row.at, row.sender.kind.value, row.sender.value))

    patch.setattr(message_views, "_reactions", reactions)


def reactions_are_shown_in_any_chat(patch: Patch) -> None:
    patch.setattr(message_views, "_is_about", lambda key, message: key[1] == message.wa_message_id)


def what_was_revoked_is_shown(patch: Patch) -> None:
    patch.setattr(message_views, "SAID", ("body",))


def what_was_revoked_is_found(patch: Patch) -> None:
    patch.setattr(message_views, "_says", lambda message, needle: needle.is_in(message.body))


def a_chat_stays_when_deleted(patch: Patch) -> None:
    saved = chats.MemoryChatStore.save
    patch.setattr(
        chats.MemoryChatStore, "save",
        lambda self, rows: saved(self, [replace(row, deleted_at=None) for row in rows]),
    )  # fmt: skip


def messages_are_shown_by_arrival(patch: Patch) -> None:
    by_id = paging.Order[Any](lambda message: (0, -message.id), (int, int))
    patch.setattr(message_views, "_NEWEST", by_id)


def pins_do_not_count(patch: Patch) -> None:
    newest = paging.Order[Any](
        lambda chat: (False, -paging.instant(chat.active_at), -chat.id), (bool, int, int)
    )
    patch.setattr(chat_views, "_INBOX", newest)


def chats_are_shown_by_birth(patch: Patch) -> None:
    born = paging.Order[Any](
        lambda chat: (not chat.is_pinned, -paging.instant(chat.created_at), -chat.id),
        (bool, int, int),
    )
    patch.setattr(chat_views, "_INBOX", born)


def archived_chats_are_shown_with_the_others(patch: Patch) -> None:
    tests: Callable[..., Iterator[Callable[[Chat], bool]]] = chat_views._tests

    def wrong(query: Any, inside: Any) -> Iterator[Callable[[Chat], bool]]:
        _, *others = tests(query, inside)
        yield lambda chat: chat.deleted_at is None and (query.archived or not chat.is_archived)
        yield from others

    patch.setattr(chat_views, "_tests", wrong)


def chats_are_searched_by_their_name_alone(patch: Patch) -> None:
    patch.setattr(chat_views, "_mentions", lambda chat, _, needle: needle.is_in(chat.name))


def a_linked_id_is_searched_as_a_phone(patch: Patch) -> None:
    mentions: Callable[..., bool] = chat_views._mentions

    def wrong(chat: Chat, contact: Any, needle: Any) -> bool:
        return needle.is_in(chat.identity.value) or mentions(chat, contact, needle)

    patch.setattr(chat_views, "_mentions", wrong)


def a_chat_is_called_by_its_own_name_first(patch: Patch) -> None:
    view: Callable[..., Any] = chat_views._view

    def wrong(inside: Any, chat: Chat) -> Any:
        shown = view(inside, chat)
        return replace(shown, display_name=chat.name or shown.display_name)

    patch.setattr(chat_views, "_view", wrong)


def a_union_drops_nothing(patch: Patch) -> None:
    patch.setattr(uniting, "wa_key", lambda message: message.id)


def a_union_forgets(part: str) -> Callable[[Patch], None]:
    """Return the fault that a union leaves something behind."""

    def fault(patch: Patch) -> None:
        patch.setattr(uniting, f"_unite_{part}", lambda *args: None)

    fault.__name__ = f"a_union_forgets_{part}"
    return fault


def a_union_lets_the_other_win(patch: Patch) -> None:
    def keep(table: tables.Table[Any, Any], said: list[Reply]) -> None:
        for one in said:
            table.put(one.key, one)

    patch.setattr(uniting, "keep", keep)


def a_union_loses_its_errands(patch: Patch) -> None:
    unite: Callable[..., Any] = uniting.unite

    def wrong(inside: Any, survivor: Any, gone: Any) -> Any:
        errands = [item for item in inside.outbox.rows() if item.chat_id == gone]
        for item in errands:
            inside.outbox.drop(item.id)
        return unite(inside, survivor, gone)

    patch.setattr(chats, "unite", wrong)


def errands_overtake_each_other(patch: Patch) -> None:
    changed_in_order(lambda items: items[::-1], patch)


def what_is_at_work_holds_up_nothing(patch: Patch) -> None:
    changed_in_order(lambda items: [item for item in items if item.token is None], patch)


def what_waits_holds_up_everything(patch: Patch) -> None:
    right = outbox.MemoryOutboxStore.next

    async def wrong(self: Any, device_id: Any, *, at: datetime) -> Any:
        own = [item for item in self._in_order() if item.device_id == device_id]
        if own and own[0].not_before > at:
            return None
        return await right(self, device_id, at=at)

    patch.setattr(outbox.MemoryOutboxStore, "next", wrong)


def errands_are_never_late(patch: Patch) -> None:
    right = outbox.MemoryOutboxStore.next
    end = datetime.max.replace(tzinfo=UTC)
    patch.setattr(
        outbox.MemoryOutboxStore, "next",
        lambda self, device_id, *, at: right(self, device_id, at=end),
    )  # fmt: skip


def changed_in_order(change: Callable[[list[Any]], list[Any]], patch: Patch) -> None:
    """Make the outbox look at other items, or in another order."""
    right = outbox.MemoryOutboxStore._in_order
    patch.setattr(outbox.MemoryOutboxStore, "_in_order", lambda self: change(right(self)))


def contacts_go_from_under_their_chats(patch: Patch) -> None:
    right: Callable[..., None] = purge.purge_account

    def wrong(inside: Any, before: datetime) -> None:
        known = [replace(chat, contact_id=None) for chat in inside.chats.rows()]
        for chat in known:
            inside.chats.put(chat.id, chat)
        right(inside, before)

    patch.setattr(storage, "purge_account", wrong)


def files_keep_their_first_state(patch: Patch) -> None:
    async def save(self: media.MemoryMediaStore, changed: object) -> None:
        pass

    patch.setattr(media.MemoryMediaStore, "save", save)


def a_file_loses_its_name(patch: Patch) -> None:
    forgetting(media.MemoryMediaStore, "filename", patch)
