"""The frames of chats and of what is said in them.

What is about one thing lies flat in the data; what is about several is a list in one frame.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import asdict

from clarin_core.domain.chats import Chat
from clarin_core.domain.ids import MediaId
from clarin_core.domain.inbox_events import (
    ChatDeleted,
    ChatOpened,
    ChatTagged,
    ChatUnited,
    ChatUntagged,
    ChatUpdated,
    MediaChanged,
    MessageEdited,
    MessageQueued,
    MessageReceived,
    MessageRevoked,
    MessageSent,
    MessageStatusChanged,
    PollVoted,
    ReactionChanged,
)
from clarin_core.domain.media import Attachment, Media, MediaView
from clarin_core.domain.messages import SAID, Direction, Message
from clarin_core.domain.replies import PollCount, Reaction, Sender, Vote, chosen_in
from clarin_core.domain.tags import TagLink

Data = dict[str, Any]
ChatEvent = ChatOpened | ChatUpdated | ChatDeleted | ChatTagged | ChatUntagged | ChatUnited
MessageEvent = (
    MessageReceived | MessageQueued | MessageSent | MessageStatusChanged | MessageEdited
    | MessageRevoked | ReactionChanged | PollVoted | MediaChanged
)  # fmt: skip

_OF_A_CHAT = ("unread_count", "read_up_to", "is_archived", "is_pinned", "assigned_to")


def of_chat(event: ChatEvent) -> Data:
    """Return what a `chat_update` tells."""
    match event:
        case ChatOpened():
            return _chats("created", event.chats)
        case ChatUpdated():
            return _chats("updated", event.chats) | {"changed": event.changed}
        case ChatDeleted():
            return _list("ids", [chat.id for chat in event.chats]) | {"action": "deleted"}
        case ChatTagged():
            return _links("tagged", event.links)
        case ChatUntagged():
            return _links("untagged", event.links)
        case ChatUnited():
            moved = {"action": "merged", "id": event.gone, "merged_into": event.chat.id}
            return moved | {"chat": event.chat, "dropped": event.dropped}


def of_message(event: MessageEvent) -> tuple[str, Data]:
    """Return what the frame of an event is called that is about messages, and what it tells."""
    match event:
        case MessageReceived():
            return _received(event)
        case MessageQueued():
            return "new_message", _new(event.message, event.file, event.chat)
        case MessageSent():
            return "message_sent", _about(event.message, event.file)
        case MessageStatusChanged():
            return "message_status", _list("changes", _statuses(event))
        case MessageEdited():
            return "message_edited", _edited(event)
        case MessageRevoked():
            return "message_revoked", _list("messages", [*map(_named, event.messages)])
        case _:
            return _of_reply(event)


def _of_reply(event: ReactionChanged | PollVoted | MediaChanged) -> tuple[str, Data]:
    match event:
        case ReactionChanged():
            return "message_reaction", _list("reactions", _reactions(event))
        case PollVoted():
            return "poll_update", _list("votes", _votes(event))
        case MediaChanged():
            return "media_update", _media(event.media)


def _chats(action: str, chats: Sequence[Chat]) -> Data:
    data = {"action": action} | _list("ids", [chat.id for chat in chats])
    if len(chats) != 1:
        return data
    (chat,) = chats
    return data | {field: getattr(chat, field) for field in _OF_A_CHAT} | {"chat": chat}


def _links(action: str, links: Sequence[TagLink]) -> Data:
    targets = sorted({link.target_id for link in links})
    tag_ids = sorted({link.tag_id for link in links})
    return {"action": action, "tag_ids": tag_ids} | _list("ids", targets)


def _received(event: MessageReceived) -> tuple[str, Data]:
    """Return `message_sent` for what the account's own phone said, and for nothing else."""
    chats = {chat.id: chat for chat in event.chats}
    files = {file.id: file for file in event.files}
    own = all(message.direction is Direction.OUT for message in event.messages)
    news = [
        _new(message, _file(message, files), chats.get(message.chat_id))
        for message in event.messages
    ]
    return "message_sent" if own else "new_message", _list("messages", news)


def _new(message: Message, file: Attachment | None, chat: Chat | None) -> Data:
    data = _about(message, file) | {"is_from_me": message.direction is Direction.OUT}
    data |= {"sender_name": message.sender_name}
    if chat is not None:
        data |= {"chat_jid": chat.identity.jid, "unread_count": chat.unread_count, "chat": chat}
    return _given(data)


def _about(message: Message, file: Attachment | None) -> Data:
    return {"chat_id": message.chat_id, "message": _shown(message, file)}


def _shown(message: Message, file: Attachment | None) -> Data:
    """Return a message as people may see it: nothing of what was taken back (CH10)."""
    hidden = ("raw", "media", *SAID) if message.revoked_at else ("raw",)
    fields = asdict(message) | {"media": file}
    shown = {name: value for name, value in fields.items() if name not in hidden}
    return {name: value for name, value in shown.items() if value not in (None, [], False)}


def _file(message: Message, files: Mapping[MediaId, Attachment]) -> Attachment | None:
    return None if message.media_id is None else files.get(message.media_id)


def _statuses(event: MessageStatusChanged) -> list[Data]:
    """Return a change for all messages of a chat that have the same status now."""
    alike = defaultdict[Any, list[Message]](list)
    for message in event.messages:
        alike[message.chat_id, message.status, message.error].append(message)
    return [
        _given(
            {
                "chat_id": chat_id,
                "chat_jid": event.jids.get(chat_id),
                "message_ids": [one.id for one in group],
                "status": status,
                "error": error,
                "timestamp": max(one.updated_at for one in group),
            }
        )
        for (chat_id, status, error), group in alike.items()
    ]


def _edited(event: MessageEdited) -> Data:
    files = {file.id: file for file in event.files}
    told = [_named(message) | _about(message, _file(message, files)) for message in event.messages]
    return _list("messages", [_given(one | {"body": one["message"].get("body")}) for one in told])


def _named(message: Message) -> Data:
    return {"chat_id": message.chat_id, "message_id": message.id}


def _reactions(event: ReactionChanged) -> list[Data]:
    senders = {sender.identity: sender for sender in event.senders}
    return [_reaction(one, senders.get(one.sender)) for one in event.reactions]


def _reaction(reaction: Reaction, sender: Sender | None) -> Data:
    told = {
        "chat_id": reaction.chat_id,
        "target_message_id": reaction.wa_message_id,
        "sender_jid": reaction.sender.jid,
        "emoji": reaction.emoji,
        "removed": not reaction.emoji,
    }
    if sender is not None:
        told |= {"sender_name": sender.name, "is_from_me": sender.is_from_me}
    return _given(told)


def _votes(event: PollVoted) -> list[Data]:
    polls = {(poll.chat_id, poll.wa_message_id): poll for poll in event.polls}
    return [_vote(vote, polls.get((vote.chat_id, vote.wa_message_id))) for vote in event.votes]


def _vote(vote: Vote, poll: PollCount | None) -> Data:
    """Return who chose what by its text, and all results, as soon as the poll is known."""
    told: Data = {
        "chat_id": vote.chat_id,
        "wa_message_id": vote.wa_message_id,
        "voter_jid": vote.voter.jid,
    }
    if poll is not None:
        options = chosen_in(vote, [result.option for result in poll.results])
        told |= {"message_id": poll.message_id, "options": options, "votes": poll.results}
    return told


def _media(media: Media) -> Data:
    """Return a file without the note of how WhatsApp gives it."""
    file = {name: getattr(media, name) for name in MediaView.__struct_fields__}
    return {"action": "updated", "id": media.id, "state": media.state, "media": _given(file)}


def _list(name: str, rows: Sequence[Any]) -> Data:
    """Return what is told of one, or the list of several and its length."""
    if len(rows) != 1:
        return {name: rows, "count": len(rows)}
    return {"id": rows[0]} if name == "ids" else rows[0]


def _given(data: Data) -> Data:
    return {key: value for key, value in data.items() if value is not None}
