"""Hypothesis strategies for what an inbox tells, as a log must keep it."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from msgspec.structs import asdict

from clarin_core.domain.chats import Chat
from clarin_core.domain.devices import Device, DeviceStatus, PairingCode
from clarin_core.domain.ids import ID_MAX
from clarin_core.domain.inbox_events import (
    ChatDeleted,
    ChatOpened,
    ChatTagged,
    ChatUnited,
    ChatUntagged,
    ChatUpdated,
    ContactsSynced,
    DeviceCodeShown,
    DeviceCreated,
    DeviceDeleted,
    DeviceUpdated,
    InboxEvent,
    MediaChanged,
    MessageEdited,
    MessageQueued,
    MessageReceived,
    MessageRevoked,
    MessageSent,
    MessageStatusChanged,
    PollVoted,
    QuickReplyCreated,
    QuickReplyDeleted,
    QuickReplyUpdated,
    ReactionChanged,
)
from clarin_core.domain.media import Media, attachment_of
from clarin_core.domain.messages import Message
from clarin_core.domain.quick_replies import QuickReply
from clarin_core.domain.tags import TagLink
from clarin_core.testing.inbox_strategies import (
    bodies,
    chat_values,
    identities,
    media_drafts,
    message_drafts,
    reactions,
    votes,
)
from clarin_core.testing.strategies import instants, maybe, names, phones, texts


def devices() -> SearchStrategy[Device]:
    """Devices in any state."""
    return st.builds(
        Device, name=texts(100), phone=maybe(phones()), jid=maybe(st.just("51987654321:7@lid")),
        status=st.sampled_from(DeviceStatus), is_wanted=st.booleans(), reason=maybe(names()),
        last_seen_at=maybe(instants()), restricted_until=maybe(instants()), **_life(),
    )  # fmt: skip


def chats() -> SearchStrategy[Chat]:
    """Chats, live and deleted."""
    return st.builds(
        lambda values, **fields: Chat(**values, **fields),
        chat_values(), device_id=_ids(), identity=identities(), contact_id=maybe(_ids()),
        assigned_to=maybe(_ids()), **_life(),
    )  # fmt: skip


def messages() -> SearchStrategy[Message]:
    """Messages of every kind."""
    return st.builds(
        lambda draft, **life: Message(**asdict(draft), **life), message_drafts(), **_life()
    )


def files() -> SearchStrategy[Media]:
    """Files in any state."""
    return st.builds(
        lambda draft, **life: Media(**asdict(draft), **life),
        media_drafts(), not_before=instants(), **_life(),
    )  # fmt: skip


def quick_replies() -> SearchStrategy[QuickReply]:
    """Quick replies."""
    return st.builds(QuickReply, shortcut=texts(100), title=names(), body=bodies(), **_life())


def inbox_events() -> SearchStrategy[InboxEvent]:
    """Every kind of event of an inbox."""
    return st.one_of(_of_devices(), _of_chats(), _of_messages(), _of_others())


def _of_devices() -> SearchStrategy[InboxEvent]:
    code = st.builds(
        PairingCode, device_id=_ids(), code=texts(64), is_qr=st.booleans(), expires_at=instants()
    )
    return st.one_of(
        st.builds(DeviceCreated, device=devices()),
        st.builds(DeviceUpdated, device=devices(), changed=_some(st.just("status"))),
        st.builds(DeviceDeleted, device_id=_ids()),
        st.builds(DeviceCodeShown, code=code),
        st.builds(ContactsSynced, device_id=_ids(), count=st.integers(0, 1000)),
    )


def _of_chats() -> SearchStrategy[InboxEvent]:
    some = _some(chats())
    links = _some(st.builds(TagLink, target_id=_ids(), tag_id=_ids()))
    return st.one_of(
        st.builds(ChatOpened, chats=some),
        st.builds(ChatUpdated, chats=some, changed=_some(st.just("name"))),
        st.builds(ChatDeleted, chats=some),
        st.builds(ChatTagged, links=links),
        st.builds(ChatUntagged, links=links),
        st.builds(ChatUnited, chat=chats(), gone=_ids(), dropped=_some(_ids())),
    )


def _of_messages() -> SearchStrategy[InboxEvent]:
    some = _some(messages())
    file_seen = files().map(attachment_of)
    files_seen, file_seen = _some(file_seen), maybe(file_seen)
    jids = st.dictionaries(_ids(), identities().map(lambda identity: identity.jid), max_size=2)
    return st.one_of(
        st.builds(MessageReceived, chats=_some(chats()), messages=some, files=files_seen),
        st.builds(MessageQueued, chat=chats(), message=messages(), file=file_seen),
        st.builds(MessageSent, message=messages(), file=file_seen),
        st.builds(MessageStatusChanged, messages=some, jids=jids),
        st.builds(MessageEdited, messages=some, files=files_seen),
        st.builds(MessageRevoked, messages=some),
    )


def _of_others() -> SearchStrategy[InboxEvent]:
    return st.one_of(
        st.builds(ReactionChanged, reactions=_some(reactions())),
        st.builds(PollVoted, votes=_some(votes())),
        st.builds(MediaChanged, media=files()),
        st.builds(QuickReplyCreated, quick_reply=quick_replies()),
        st.builds(QuickReplyUpdated, quick_reply=quick_replies()),
        st.builds(QuickReplyDeleted, quick_reply_id=_ids()),
    )


def _ids() -> SearchStrategy[int]:
    return st.integers(1, ID_MAX)


def _life() -> dict[str, SearchStrategy[Any]]:
    at = instants()
    return {"id": _ids(), "created_at": at, "updated_at": at, "version": st.integers(1, 2**31 - 1)}


def _some(values: SearchStrategy[Any]) -> SearchStrategy[list[Any]]:
    return st.lists(values, max_size=2)
