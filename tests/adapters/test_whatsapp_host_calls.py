"""A device's host, as it is asked for things: what it says to the library, and how that ends."""

from typing import Any

import pytest

from clarin_core.domain.inbound import Activity
from clarin_core.domain.jid import Identity, IdentityKind
from clarin_core.domain.media import MediaType
from clarin_core.domain.messages import Card, Location, Poll, Quoted
from clarin_core.ports.messaging import NotSent, OutcomeUnknown, Outgoing, Refused
from support.host_stage import Stage, sent, tell
from support.protobuf import PHONE, E, N, filled

HER = Identity(IdentityKind.PHONE, PHONE)
HER_JID = f"{PHONE}@s.whatsapp.net"

OUTGOING: dict[str, tuple[dict[str, Any], Any]] = {
    "text": ({"body": "hola @12345"}, E.Message(conversation="hola @12345")),
    "reply": (
        {"body": "sí", "quoted": Quoted(wa_message_id="3EB0Q", body="¿vienes?")},
        E.Message(
            extendedTextMessage={
                "text": "sí",
                "contextInfo": {
                    "stanzaID": "3EB0Q",
                    "participant": HER_JID,
                    "quotedMessage": {"conversation": "¿vienes?"},
                },
            }
        ),
    ),
    "location": (
        {"location": Location(latitude=-12.5, longitude=-77)},
        E.Message(locationMessage={"degreesLatitude": -12.5, "degreesLongitude": -77}),
    ),
    "card": (
        {"cards": [Card(name="Eva", vcard="V")]},
        E.Message(contactMessage={"displayName": "Eva", "vcard": "V"}),
    ),
    "cards": (
        {"cards": [Card(name="Eva", vcard="V")] * 2},
        E.Message(contactsArrayMessage={"contacts": [{"displayName": "Eva", "vcard": "V"}] * 2}),
    ),
}


@pytest.mark.parametrize("name", OUTGOING)
def test_a_message_is_composed(name: str) -> None:
    fields, expected = OUTGOING[name]

    async def story(stage: Stage) -> None:
        answer = await stage.session.send(Outgoing(to=HER, **fields))
        assert answer.wa_message_id == "3EB0NEW"
        assert answer.at.timestamp() == 1_795_000_000
        assert stage.go.message() == expected
        assert N.JID.FromString(stage.go.asked("SendMessage")[1]).User == PHONE

    tell(story)


def test_a_poll_brings_its_secret() -> None:
    async def story(stage: Stage) -> None:
        poll = Poll(options=["hoy", "no"], selectable=1)
        await stage.session.send(Outgoing(to=HER, body="¿Cuándo?", poll=poll))
        made = stage.go.message()
        asked = made.pollCreationMessage
        assert (asked.name, asked.selectableOptionsCount) == ("¿Cuándo?", 1)
        assert [option.optionName for option in asked.options] == ["hoy", "no"]
        assert len(made.messageContextInfo.messageSecret) == 32

    tell(story)


def test_a_file_is_uploaded_first() -> None:
    file = Outgoing(
        to=HER,
        body="la factura",
        media=b"%PDF",
        media_type=MediaType.DOCUMENT,
        mimetype="application/pdf",
        filename="f.pdf",
    )

    async def story(stage: Stage) -> None:
        kept = N.UploadResponse(DirectPath="/v/x", MediaKey=b"k", FileLength=4)
        done = filled(N.UploadReturnFunction(UploadResponse=kept))
        stage.go.answers["Upload"] = done.SerializeToString()
        await stage.session.send(file)
        assert stage.go.asked("Upload")[1] == b"%PDF"
        made = stage.go.message().documentMessage
        assert (made.directPath, made.mediaKey, made.fileLength) == ("/v/x", b"k", 4)
        assert (made.caption, made.fileName, made.mimetype) == (
            "la factura",
            "f.pdf",
            "application/pdf",
        )

    tell(story)


def test_other_calls_are_said_in_the_librarys_words() -> None:
    async def story(stage: Stage) -> None:
        session = stage.session
        await session.mark_read(HER, ["A", "B"])
        await session.type(HER, Activity.COMPOSING)
        await session.type(HER, Activity.AVAILABLE)
        assert stage.go.asked("MarkRead")[1] == b"A B"
        assert stage.go.asked("SendChatPresence")[3:] == (0, 0)
        assert stage.go.asked("SendPresence")[1] == b"available"
        stage.go.answers["DownloadAny"] = N.DownloadReturnFunction(
            Binary=b"%PDF"
        ).SerializeToString()
        assert await session.fetch(E.Message(imageMessage={}).SerializeToString()) == b"%PDF"

    tell(story)


def test_an_address_book_is_read_by_whom_it_names() -> None:
    """Full name, first name or that of a business; who has none, or no number, is left out."""
    jid = {"User": "51911111111", "Device": 0, "Server": "s.whatsapp.net", "IsEmpty": False}

    async def story(stage: Stage) -> None:
        rows = [
            {"FullName": "Ana Ríos", "FirstName": "Ana", "PushName": "anita"},
            {"FirstName": "Ana"}, {"BusinessName": "Ríos SAC"}, {"PushName": "anita"}, {},
        ]  # fmt: skip
        book = N.ContactsGetAllContactsReturnFunction(
            Contact=[
                filled(N.Contact(JID=filled(N.JID(**jid)), Info=N.ContactInfo(**row)))
                for row in rows
            ]
        )
        stage.go.answers["GetAllContacts"] = filled(book).SerializeToString()
        people = await stage.session.contacts()
        assert [(one.name, one.push_name) for one in people] == [
            ("Ana Ríos", "anita"), ("Ana", None), ("Ríos SAC", None), (None, "anita"),
        ]  # fmt: skip
        assert {one.chat.identity for one in people} == {HER}

    tell(story)


@pytest.mark.parametrize("what", ["edit", "revoke", "react"])
def test_a_change_names_its_message(what: str) -> None:
    async def story(stage: Stage) -> None:
        if what == "edit":
            await stage.session.edit(HER, "3EB0", "hola")
            change = stage.go.message().editedMessage.message.protocolMessage
            assert change.type == E.ProtocolMessage.MESSAGE_EDIT
            assert change.editedMessage.conversation == "hola"
        elif what == "revoke":
            await stage.session.revoke(HER, "3EB0")
            change = stage.go.message().protocolMessage
            assert change.HasField("type")
            assert change.type == E.ProtocolMessage.REVOKE
        else:
            await stage.session.react(HER, "3EB0", "👍", is_own=False)
            change = stage.go.message().reactionMessage
            assert change.text == "👍"
        assert (change.key.ID, change.key.remoteJID) == ("3EB0", HER_JID)
        assert change.key.fromMe is (what != "react")

    tell(story)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("websocket not connected", NotSent),
        ("the store doesn't contain a device JID", NotSent),
        ("failed to get device list: failed to send usync query: timed out", NotSent),
        ("server returned error 479", Refused),
        ("websocket disconnected before info query returned response", OutcomeUnknown),
        ("timed out waiting for message send response", OutcomeUnknown),
        ("something of a later version", OutcomeUnknown),
    ],
)
def test_an_error_of_the_library_is_one_of_three(said: str, error: type[Exception]) -> None:
    async def story(stage: Stage) -> None:
        stage.go.answers["SendMessage"] = sent("", error=said)
        with pytest.raises(error):
            await stage.session.send(Outgoing(to=HER, body="hola"))

    tell(story)


@pytest.mark.parametrize(
    ("said", "error"),
    [("download failed with status code 404", Refused), ("connection reset by peer", NotSent)],
)
def test_a_file_that_is_gone_is_told_from_one_that_was_not_reached(
    said: str, error: type[Exception]
) -> None:
    async def story(stage: Stage) -> None:
        stage.go.answers["DownloadAny"] = N.DownloadReturnFunction(Error=said).SerializeToString()
        with pytest.raises(error):
            await stage.session.fetch(b"")

    tell(story)
