"""What the library's messages mean, tried with its own types; and that nothing is too odd."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clarin_core.domain.inbound import (
    EditSeen,
    MessageSeen,
    Peer,
    ReactionSeen,
    RevokeSeen,
    VoteSeen,
)
from clarin_core.domain.jid import Identity, IdentityKind
from clarin_core.domain.media import MediaType
from clarin_core.domain.messages import Card, Location, MessageKind, Poll, Quoted
from clarin_core.domain.replies import option_digest
from clarin_core.ports.messaging import Heard
from clarin_whatsapp.translate import translate
from support.protobuf import (
    AT,
    HER,
    HER_LID,
    LID,
    PHONE,
    E,
    N,
    anything,
    build_jid,
    filled,
    message,
    source,
    the,
)

SENT_AT = AT + timedelta(milliseconds=123)
KEY = {"remoteJID": f"{PHONE}@s.whatsapp.net", "fromMe": True, "ID": "3EB0TARGET"}
WHO: dict[str, Any] = {"chat": HER, "wa_message_id": "3EB0TARGET"}


def said(body: Any, **flags: Any) -> Any:
    return the(translate(message(body, **flags)))


def test_a_text_is_told_with_all_that_is_known() -> None:
    assert said(E.Message(conversation="hola")) == MessageSeen(
        chat=HER,
        wa_message_id="3EB0C0FFEE",
        is_from_me=False,
        sender=HER,
        sender_name="Ana",
        kind=MessageKind.TEXT,
        body="hola",
        sent_at=SENT_AT,
    )


def test_a_reply_names_what_it_answers() -> None:
    context = E.ContextInfo(
        stanzaID="3EB0Q",
        participant=f"{PHONE}:3@s.whatsapp.net",
        quotedMessage=E.Message(imageMessage=E.ImageMessage(caption="¿esta?")),
    )
    seen = said(
        E.Message(extendedTextMessage=E.ExtendedTextMessage(text="sí", contextInfo=context))
    )
    assert seen.body == "sí"
    assert seen.quoted == Quoted(wa_message_id="3EB0Q", body="¿esta?", sender=HER.identity)


FILE = {"mimetype": "a/b", "fileLength": 1234, "directPath": "/v/t62", "mediaKey": b"k" * 32}
FILES: dict[str, Any] = {
    "imageMessage": (E.ImageMessage, MediaType.IMAGE, {"caption": "foto"}),
    "videoMessage": (E.VideoMessage, MediaType.VIDEO, {"caption": "foto"}),
    "ptvMessage": (E.VideoMessage, MediaType.VIDEO, {}),
    "audioMessage": (E.AudioMessage, MediaType.AUDIO, {"PTT": True}),
    "documentMessage": (E.DocumentMessage, MediaType.DOCUMENT, {"fileName": "f.pdf"}),
    "stickerMessage": (E.StickerMessage, MediaType.STICKER, {}),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_offered(name: str) -> None:
    kind, type_, more = FILES[name]
    seen = said(E.Message(**{name: kind(**FILE, **more)}))
    assert seen.kind is MessageKind(type_.value)
    assert seen.body == more.get("caption")
    assert (seen.media.type, seen.media.mimetype, seen.media.size) == (type_, "a/b", 1234)
    assert seen.media.filename == more.get("fileName")
    kept = getattr(E.Message.FromString(seen.media.source), name)
    assert (kept.directPath, kept.mediaKey) == ("/v/t62", b"k" * 32)


def test_what_is_needed_to_fetch_a_file_holds_no_thumbnail() -> None:
    heavy = E.ImageMessage(**FILE, JPEGThumbnail=b"x" * 9_000)
    assert len(said(E.Message(imageMessage=heavy)).media.source) < 100


@pytest.mark.parametrize(
    ("body", "location"),
    [
        (
            E.Message(
                locationMessage=E.LocationMessage(
                    degreesLatitude=-12.5, degreesLongitude=-77, name="Lima"
                )
            ),
            Location(latitude=-12.5, longitude=-77, name="Lima"),
        ),
        (
            E.Message(liveLocationMessage=E.LiveLocationMessage(degreesLatitude=1)),
            Location(latitude=1, longitude=0),
        ),
        (
            E.Message(locationMessage=E.LocationMessage(degreesLatitude=float("nan"))),
            None,
        ),
    ],
)
def test_a_place_is_told_in_degrees(body: Any, location: Location | None) -> None:
    seen = said(body)
    assert (seen.kind, seen.location) == (MessageKind.LOCATION, location)


def test_cards_are_told_one_or_many() -> None:
    card = E.ContactMessage(displayName="Eva", vcard="BEGIN:VCARD")
    many = E.ContactsArrayMessage(displayName="dos", contacts=[card, card])
    known = Card(name="Eva", vcard="BEGIN:VCARD")
    assert said(E.Message(contactMessage=card)).cards == [known]
    assert said(E.Message(contactsArrayMessage=many)).cards == [known, known]


@pytest.mark.parametrize("version", ["", "V2", "V3", "V4", "V5", "V6"])
def test_a_poll_of_any_version_is_one(version: str) -> None:
    options = [E.PollCreationMessage.Option(optionName=name) for name in ("hoy", "no")]
    poll = E.PollCreationMessage(name="¿Cuándo?", options=options, selectableOptionsCount=1)
    if version == "V4":
        body = E.Message(pollCreationMessageV4={"message": E.Message(pollCreationMessage=poll)})
    else:
        body = E.Message(**{f"pollCreationMessage{version}": poll})
    seen = said(body)
    assert (seen.kind, seen.body) == (MessageKind.POLL, "¿Cuándo?")
    assert seen.poll == Poll(options=["hoy", "no"], selectable=1)


def test_a_vote_names_options_by_their_digests() -> None:
    vote = E.PollUpdateMessage(pollCreationMessageKey=KEY, senderTimestampMS=1_795_000_000_000)
    event = message(E.Message(pollUpdateMessage=vote))
    digest = bytes.fromhex(option_digest("hoy"))
    expected = VoteSeen(**WHO, voter=HER, options=[option_digest("hoy")], at=AT)
    assert translate(event, [digest]) == [expected]


@pytest.mark.parametrize("emoji", ["👍", ""])
def test_a_reaction_is_of_whoever_sent_it(emoji: str) -> None:
    body = E.Message(reactionMessage=E.ReactionMessage(key=KEY, text=emoji))
    assert said(body) == ReactionSeen(**WHO, sender=HER, emoji=emoji, at=SENT_AT)


def test_a_reaction_has_the_time_of_its_sender() -> None:
    """Two within a second are told apart."""
    reaction = E.ReactionMessage(key=KEY, text="x", senderTimestampMS=1_795_000_000_500)
    assert said(E.Message(reactionMessage=reaction)).at == AT + timedelta(milliseconds=500)


def test_an_edit_says_something_else() -> None:
    change = E.ProtocolMessage(
        type=E.ProtocolMessage.MESSAGE_EDIT, key=KEY, editedMessage=E.Message(conversation="¡hola!")
    )
    expected = EditSeen(**WHO, body="¡hola!", at=SENT_AT)
    assert said(E.Message(protocolMessage=change), IsEdit=True) == expected
    wrapped = E.Message(editedMessage={"message": E.Message(protocolMessage=change)})
    assert said(wrapped) == expected


def test_a_revocation_takes_back() -> None:
    change = E.ProtocolMessage(type=E.ProtocolMessage.REVOKE, key=KEY)
    assert said(E.Message(protocolMessage=change)) == RevokeSeen(**WHO, at=SENT_AT)


@pytest.mark.parametrize("type_", ["REVOKE", "MESSAGE_EDIT"])
@pytest.mark.parametrize("is_mine", [False, True])
def test_a_change_is_by_whoever_sent_it(type_: str, is_mine: bool) -> None:
    """CH10: not by whom it names as the author."""
    number = E.ProtocolMessage.Type.Value(type_)
    change = E.ProtocolMessage(type=number, key={**KEY, "fromMe": not is_mine})
    seen = said(E.Message(protocolMessage=change), origin=source(from_me=is_mine))
    assert seen.is_from_me is is_mine


def test_a_change_of_a_newer_kind_is_no_revocation() -> None:
    """Its number is unknown to the library, and what is not set reads as 0, which is one."""
    change = E.ProtocolMessage(key=KEY)
    change.MergeFromString(b"\x10\xe7\x07")
    assert change.type == E.ProtocolMessage.REVOKE
    assert translate(message(E.Message(protocolMessage=change))) == []


WRAPPINGS = [
    "ephemeralMessage",
    "viewOnceMessage",
    "viewOnceMessageV2",
    "viewOnceMessageV2Extension",
    "documentWithCaptionMessage",
    "lottieStickerMessage",
    "deviceSentMessage",
]


@pytest.mark.parametrize("name", WRAPPINGS)
def test_wrappings_change_nothing(name: str) -> None:
    plain = E.Message(extendedTextMessage=E.ExtendedTextMessage(text="hola"))
    twice = E.Message(**{name: {"message": E.Message(**{name: {"message": plain}})}})
    assert said(twice) == said(plain)


@pytest.mark.parametrize(
    "body",
    [
        E.Message(),
        E.Message(conversation=""),
        E.Message(conversation="\0"),
        E.Message(messageContextInfo={}),
        E.Message(senderKeyDistributionMessage={"groupID": "1-2@g.us"}),
        E.Message(protocolMessage={"type": E.ProtocolMessage.APP_STATE_SYNC_KEY_SHARE, "key": KEY}),
        E.Message(protocolMessage={"type": E.ProtocolMessage.REVOKE}),
        E.Message(reactionMessage={"text": "👍"}),
    ],
)
def test_noise_is_nothing(body: Any) -> None:
    assert translate(message(body)) == []


def test_what_nobody_knows_is_kept() -> None:
    body = E.Message(groupInviteMessage={"groupJID": "1@g.us"}, messageContextInfo={})
    seen = said(body)
    assert seen.kind is MessageKind.UNKNOWN
    assert E.Message.FromString(seen.raw) == body


def test_what_cannot_be_decrypted_has_a_place() -> None:
    info = message(E.Message()).Info
    shown = filled(N.UndecryptableMessage(Info=info, DecryptFailMode=1))
    hidden = filled(N.UndecryptableMessage(Info=info, DecryptFailMode=2))
    seen = the(translate(shown))
    assert (seen.kind, seen.is_placeholder) == (MessageKind.UNKNOWN, True)
    assert seen.wa_message_id == "3EB0C0FFEE"
    assert translate(hidden) == []


def test_an_own_message_belongs_to_the_chat_of_the_other() -> None:
    mine = source(sender=build_jid("51900000000"), from_me=True, RecipientAlt=build_jid(LID, "lid"))
    seen = said(E.Message(conversation="hola"), origin=mine)
    assert (seen.is_from_me, seen.sender, seen.sender_name) == (True, None, None)
    assert seen.chat == Peer(identity=HER.identity, other=HER_LID)


def test_a_linked_id_is_no_phone() -> None:
    alone = said(E.Message(conversation="x"), origin=source(LID, "lid"))
    assert alone.chat == alone.sender == Peer(identity=HER_LID)
    told = source(LID, "lid", SenderAlt=build_jid(PHONE))
    both = said(E.Message(conversation="x"), origin=told)
    assert both.chat == both.sender == Peer(identity=HER_LID, other=HER.identity)


def test_a_group_is_a_chat_of_many() -> None:
    origin = source("123-456", "g.us", sender=build_jid(LID, "lid"), SenderAlt=build_jid(PHONE))
    seen = said(E.Message(conversation="x"), origin=origin)
    assert seen.chat == Peer(identity=Identity(IdentityKind.GROUP, "123-456"))
    assert seen.sender == Peer(identity=HER_LID, other=HER.identity)


@pytest.mark.parametrize(
    ("user", "server"), [("status", "broadcast"), ("1", "newsletter"), ("1", "bot"), ("", "")]
)
def test_who_is_no_person_is_not_heard(user: str, server: str) -> None:
    assert translate(message(E.Message(conversation="x"), origin=source(user, server))) == []


MEANT = [
    "Message", "UndecryptableMessage", "Receipt", "ChatPresence", "Presence", "PairStatus",
    "TemporaryBan", "LoggedOut", "ConnectFailure", "HistorySync",
]  # fmt: skip


@pytest.mark.parametrize("name", MEANT)
def test_translation_never_raises_whatever_the_event(name: str) -> None:
    """And what it makes can be told to another process."""

    @settings(deadline=None, max_examples=60)
    @given(event=anything(getattr(N, name)), chosen=st.lists(st.binary(max_size=32), max_size=2))
    def example(event: Any, chosen: list[bytes]) -> None:
        heard = translate(event, chosen)
        packed = msgspec.msgpack.encode(heard)
        assert msgspec.msgpack.decode(packed, type=list[Heard]) == heard

    example()


@settings(deadline=None, max_examples=200)
@given(body=anything(E.Message))
def test_no_content_is_too_odd(body: Any) -> None:
    """It means at most one thing, and never a text that says nothing."""
    heard = translate(message(body))
    assert len(heard) <= 1
    for one in heard:
        assert not (isinstance(one, MessageSeen) and one.kind is MessageKind.TEXT and not one.body)
