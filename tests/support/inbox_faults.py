"""Faults of the inbox to plant in the memory storage, each of which some law must find."""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from clarin_core.domain.accounts import ResendUnknown
from clarin_core.domain.contacts import ContactIdentity
from clarin_core.domain.devices import Device, DeviceKey, DeviceLease
from clarin_core.domain.ids import DeviceId
from clarin_core.domain.messages import Message
from clarin_core.domain.outbox import OutboxItem
from clarin_core.ports.devices import Call
from clarin_memory import (
    accounts,
    contacts,
    devices,
    media,
    message_views,
    outbox,
    paging,
    purge,
    quick_replies,
    search,
    tables,
)
from support.chat_faults import forgetting
from support.faults import Patch, changed_answer


def capitals_make_another_shortcut(patch: Patch) -> None:
    patch.setattr(quick_replies, "shortcut_key", lambda shortcut: shortcut)


def quick_replies_are_shown_by_id(patch: Patch) -> None:
    patch.setattr(quick_replies, "BY_SHORTCUT", paging.BY_ID)


def a_body_is_not_searched(patch: Patch) -> None:
    is_in = search.Needle.is_in
    patch.setattr(search.Needle, "is_in", lambda needle, *texts: is_in(needle, *texts[:2]))


def every_token_holds(patch: Patch) -> None:
    get = devices.MemoryDeviceStore.get

    async def hold(self: devices.MemoryDeviceStore, device_id: DeviceId, token: int) -> Device:
        return await get(self, device_id)

    patch.setattr(devices.MemoryDeviceStore, "hold", hold)


def every_device_is_free(patch: Patch) -> None:
    patch.setattr(devices.MemoryDeviceLeases, "_is_free", lambda self, key: True)


def every_lease_is_the_last(patch: Patch) -> None:
    patch.setattr(devices.MemoryDeviceLeases, "_is_last", lambda self, lease: True)


def tokens_begin_anew(patch: Patch) -> None:
    put: Callable[..., None] = tables.Table.put

    def wrong(table: object, key: object, row: object) -> None:
        put(table, key, replace(row, token=1) if isinstance(row, DeviceLease) else row)

    patch.setattr(tables.Table, "put", wrong)


def a_release_is_forgotten(patch: Patch) -> None:
    async def release(self: devices.MemoryDeviceLeases, lease: DeviceLease) -> None:
        pass

    patch.setattr(devices.MemoryDeviceLeases, "release", release)


def a_renewal_waits(patch: Patch) -> None:
    right = devices.MemoryDeviceLeases.renew

    async def renew(
        self: devices.MemoryDeviceLeases, leases: Collection[DeviceLease], ttl: timedelta
    ) -> set[DeviceKey]:
        (lease,) = leases
        space = self.shared.spaces.peek(lease.key.account_id)
        assert space is not None
        async with space.lock:
            return await right(self, leases, ttl)

    patch.setattr(devices.MemoryDeviceLeases, "renew", renew)


def who_is_shut_out_is_wanted(patch: Patch) -> None:
    patch.setattr(devices.MemoryDeviceLeases, "_is_shut_out", lambda self, device: False)


def every_device_is_called(patch: Patch) -> None:
    async def calls(
        self: devices.MemoryDeviceLeases, keys: Collection[DeviceKey], *, at: datetime
    ) -> list[Call]:
        return [self._call(key, at) for key in keys]

    patch.setattr(devices.MemoryDeviceLeases, "calls", calls)


def what_is_late_calls_already(patch: Patch) -> None:
    call = devices.MemoryDeviceLeases._call

    def wrong(self: devices.MemoryDeviceLeases, key: DeviceKey, at: datetime) -> Call:
        return call(self, key, at + timedelta(days=1))

    patch.setattr(devices.MemoryDeviceLeases, "_call", wrong)


def what_was_set_aside_stays(patch: Patch) -> None:
    async def take_aside(
        self: devices.MemoryDeviceStore, device_id: DeviceId, *, skip: int
    ) -> bytes | None:
        return dict(enumerate(self.scope.tables.aside.peek(device_id) or [])).get(skip)

    patch.setattr(devices.MemoryDeviceStore, "take_aside", take_aside)


def addresses_need_not_be_unique(patch: Patch) -> None:
    patch.setattr(devices, "rival", lambda *args: None)


def an_alias_is_dropped(patch: Patch) -> None:
    put = contacts.MemoryContactStore.put_identities

    async def wrong(self: contacts.MemoryContactStore, rows: Collection[ContactIdentity]) -> None:
        await put(self, [replace(row, alias=None) for row in rows])

    patch.setattr(contacts.MemoryContactStore, "put_identities", wrong)


def identities_are_shown_as_they_came(patch: Patch) -> None:
    patch.setattr(contacts, "_name_of", lambda row: ("", ""))


def messages_show_no_file(patch: Patch) -> None:
    patch.setattr(message_views, "_file", lambda tables, message: None)


def the_file_of_a_revoked_message_is_shown(patch: Patch) -> None:
    view: Callable[..., Any] = message_views._view

    def wrong(inside: Any, message: Message) -> Any:
        return replace(view(inside, message), media=message_views._file(inside, message))

    patch.setattr(message_views, "_view", wrong)


def only_the_first_file_is_seen(patch: Patch) -> None:
    changed_answer(media.MemoryMediaStore, "seen", lambda found: found[:1], patch)


def errands_at_work_are_not_found(patch: Patch) -> None:
    changed_answer(
        outbox.MemoryOutboxStore, "of_message",
        lambda found: [item for item in found if item.token is None], patch,
    )  # fmt: skip


def an_errand_loses_its_doubts(patch: Patch) -> None:
    forgetting(outbox.MemoryOutboxStore, "doubts", patch)


def a_saved_errand_is_put_as_it_was_known(patch: Patch) -> None:
    async def save(self: outbox.MemoryOutboxStore, item: OutboxItem) -> None:
        self._check_links(item)
        self.scope.tables.outbox.put(item.id, item)

    patch.setattr(outbox.MemoryOutboxStore, "save", save)


def an_account_never_sends_again(patch: Patch) -> None:
    save = accounts.MemoryAccountStore.save
    never = ResendUnknown.NEVER
    patch.setattr(
        accounts.MemoryAccountStore, "save",
        lambda self, account: save(self, replace(account, resend_unknown=never)),
    )  # fmt: skip


def a_purge_leaves_identities(patch: Patch) -> None:
    patch.setattr(purge, "_forget_contacts", lambda tables: None)
