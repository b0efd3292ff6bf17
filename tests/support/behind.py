"""What no request can bring about: done past the surface, in the storage behind a house."""

from datetime import UTC, datetime

from clarin_core.domain.devices import DeviceStatus
from clarin_core.domain.ids import DeviceId, MediaId, MessageId
from clarin_core.domain.media import MediaDraft, MediaState, MediaType
from clarin_core.domain.messages import MessageStatus
from clarin_core.ports.storage import Storage
from clarin_security import system_random
from support.serving import Client, Person


def storage_of(person: Person) -> Storage:
    """Return the storage of the house where somebody asks."""
    assert isinstance(person.http, Client)
    return person.http.storage


async def become(person: Person, message_id: MessageId, status: MessageStatus) -> None:
    """Let a message be so, as whoever runs its device does."""
    async with storage_of(person).begin(person.account_id) as tx:
        message = await tx.messages.get(message_id)
        message.alter({"status": status, "wa_message_id": f"WA{message_id}"}, at=message.sent_at)
        await tx.messages.save([message])
        for item in await tx.outbox.of_message(message_id):
            await tx.outbox.remove(item)


async def add_file(person: Person) -> MediaId:
    """Add a file, as whoever takes uploads does."""
    draft = MediaDraft(
        key=system_random(8).hex(), type=MediaType.IMAGE, mimetype="image/png",
        state=MediaState.STORED,
    )  # fmt: skip
    async with storage_of(person).begin(person.account_id) as tx:
        (media,) = await tx.media.add([draft], at=datetime.now(UTC))
    return media.id


async def connect(person: Person, device_id: int) -> None:
    """Let a device be connected, as whoever runs it does."""
    async with storage_of(person).begin(person.account_id) as tx:
        device = await tx.devices.get(DeviceId(device_id))
        device.become(DeviceStatus.CONNECTED, at=datetime.now(UTC))
        await tx.devices.save(device)
