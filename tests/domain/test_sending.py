"""What people ask to be said: who hears it, and in which bounds."""

from typing import Any

import msgspec
import pytest

from clarin_core.domain.ids import ChatId, MediaId, MessageId
from clarin_core.domain.media import MediaType
from clarin_core.domain.sending import Forward, NewMessage, NewPoll, NewReaction
from clarin_core.errors import Invalid


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"body": "hola"}, "chat_id"),
        ({"body": "hola", "device_id": 1}, "chat_id"),
        ({"body": "hola", "to": "987654321"}, "chat_id"),
        ({"body": "hola", "chat_id": 1, "device_id": 1, "to": "987654321"}, "chat_id"),
        ({"body": "hola", "chat_id": 1, "to": "987654321"}, "chat_id"),
        ({"chat_id": 1}, "body"),
        ({"chat_id": 1, "body": " \n "}, "body"),
        ({"chat_id": 1, "body": "x" * 65_537}, "body"),
        ({"chat_id": 1, "body": "a\0b"}, "body"),
        ({"chat_id": 1, "media_id": 1, "media_url": "https://a.pe/x"}, "media_url"),
        ({"chat_id": 1, "media_url": ""}, "media_url"),
        ({"chat_id": 1, "media_url": "x" * 2_001}, "media_url"),
        ({"chat_id": 1, "media_id": 1, "media_type": MediaType.IMAGE}, "media_type"),
    ],
)
def test_a_message_is_for_somebody_and_says_something(said: dict[str, Any], field: str) -> None:
    """CH17: to a chat, or to a phone from a device; up to 65,536 code points."""
    with pytest.raises(Invalid) as caught:
        NewMessage(**said)
    assert caught.value.field == field


def test_a_message_is_kept_as_it_is_meant() -> None:
    """Lines stay, blanks around do not; the longest text is allowed, and so is none."""
    chat = ChatId(1)
    assert NewMessage(chat_id=chat, body=" uno\n\tdos ").body == "uno\n\tdos"
    assert len(str(NewMessage(chat_id=chat, body="💬" * 65_536).body)) == 65_536
    assert NewMessage(chat_id=chat, media_id=MediaId(2)).media_id == 2
    assert NewReaction(message_id=MessageId(1), emoji="").emoji == ""


def poll(**changed: Any) -> NewPoll:
    usual = {"chat_id": 1, "question": "¿Cuándo?", "options": ["lunes", "martes"]}
    return msgspec.convert({**usual, **changed}, NewPoll)


@pytest.mark.parametrize(
    "wrong",
    [
        {"options": ["lunes"]},
        {"options": [f"{number}" for number in range(13)]},
        {"options": ["lunes", "lunes"]},
        {"options": ["lunes", "lunes "]},
        {"options": ["lunes", ""]},
        {"options": ["lunes", " "]},
        {"options": ["lunes", "x" * 101]},
        {"options": ["lunes", "mar\u202etes"]},
        {"max_selections": 0},
        {"max_selections": 3},
        {"max_selections": 13},
        {"question": ""},
        {"question": "x" * 256},
    ],
)
def test_a_poll_has_its_bounds(wrong: dict[str, Any]) -> None:
    """CH17: two to twelve different options, of which one to all may be chosen."""
    with pytest.raises((Invalid, msgspec.ValidationError)) as caught:
        poll(**wrong)
    (field,) = wrong
    assert field in str(caught.value)


def test_a_poll_at_its_bounds_is_allowed() -> None:
    """CH17: and its options are kept as they are meant."""
    assert poll(max_selections=2).max_selections == 2
    assert len(poll(options=[f"{number}" for number in range(12)]).options) == 12
    assert poll(options=[" lunes ", "martes"]).options == ["lunes", "martes"]


def test_a_forward_goes_to_some_chats() -> None:
    """One to twenty, each once."""
    assert msgspec.convert({"message_id": 1, "chat_ids": [2, 2]}, Forward).chat_ids == {2}
    for wrong in ([], list(range(1, 22))):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({"message_id": 1, "chat_ids": wrong}, Forward)
