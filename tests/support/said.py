"""Requests about messages that succeed, for the surface as data."""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from clarin_core.domain.messages import MessageStatus
from clarin_core.domain.sending import (
    Forward,
    MessageChoice,
    MessageEdit,
    NewMessage,
    NewPoll,
    NewReaction,
    Typing,
)

OF_MESSAGES: Mapping[type[Struct], Callable[[Any], dict[str, Any]]] = {
    Forward: lambda stock: {
        "message_id": stock.ids["MessageId"],
        "chat_ids": [stock.ids["ChatId"]],
    },
    MessageChoice: lambda stock: {"message_id": stock.ids["MessageId"]},
    MessageEdit: lambda stock: {"message_id": stock.ids["MessageId"], "body": "digo"},
    NewMessage: lambda stock: {"chat_id": stock.ids["ChatId"], "body": "hola"},
    NewPoll: lambda stock: {
        "chat_id": stock.ids["ChatId"],
        "question": "¿Cuándo?",
        "options": ["lunes", "martes"],
    },
    NewReaction: lambda stock: {"message_id": stock.ids["MessageId"], "emoji": "👍"},
    Typing: lambda stock: {"chat_id": stock.ids["ChatId"]},
}

BECOMING = {
    "/api/messages/react": MessageStatus.SENT,
    "/api/messages/<message_id>/retry": MessageStatus.FAILED,
    "/api/messages/<message_id>/give-up": MessageStatus.UNKNOWN,
}
"""How messages have to be for what can be done to them."""
