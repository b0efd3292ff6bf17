"""A device's host with the library's own client, whose foreign half is played."""

import asyncio
import ctypes
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from clarin_core.domain.inbound import Activity, MessageSeen, VoteSeen
from clarin_core.domain.jid import Identity, IdentityKind
from clarin_core.domain.media import MediaType
from clarin_core.domain.messages import Card, Location, Poll, Quoted
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.replies import option_digest
from clarin_core.ports.messaging import (
    CodeShown,
    NotSent,
    OutcomeUnknown,
    Outgoing,
    Refused,
    Session,
    Step,
)
from clarin_core.testing.messaging_stage import Ear
from clarin_whatsapp import frames
from clarin_whatsapp.messaging import NeonizeSession
from support.protobuf import PHONE, E, N, filled, message

pytest.importorskip("support.protobuf")

from neonize.aioze import events as library
from neonize.aioze.client import NewAClient
from neonize.events import EVENT_TO_INT

from clarin_whatsapp.host import bridge
from clarin_whatsapp.host.device import DeviceHost

HER = Identity(IdentityKind.PHONE, PHONE)
HER_JID = f"{PHONE}@s.whatsapp.net"


class Go:
    """The foreign half of the library: writes down what it is asked, answers as it was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.answers: dict[str, bytes] = {"SendMessage": sent("3EB0NEW")}
        self.is_over = asyncio.Event()

    def __getattr__(self, name: str) -> Callable[..., Awaitable[bytes]]:
        async def call(*given: Any) -> bytes:
            self.calls.append((name, *given))
            if name == "Stop":
                self.is_over.set()
            if name == "Neonize":
                await self.is_over.wait()
            return self.answers.get(name, b"")

        return call

    def asked(self, name: str) -> tuple[Any, ...]:
        """Return what was given with the one call of that name."""
        (given,) = (call[1:] for call in self.calls if call[0] == name)
        return given

    def message(self) -> Any:
        """Return the message that was sent."""
        return E.Message.FromString(self.asked("SendMessage")[3])


class Stage:
    """A device at work, and the session of whoever started it."""

    def __init__(self, session: Session, client: Any, go: Go) -> None:
        self.session = session
        self.ear = Ear(session)
        self.client = client
        self.go = go

    def fire(self, event: Any) -> None:
        """Tell of an event as the library does; called by a thread of its own."""
        raw = event.SerializeToString()
        held = ctypes.create_string_buffer(raw, len(raw))
        code = EVENT_TO_INT[type(event)]
        self.client.event.execute(0, ctypes.addressof(held), len(raw), code)

    async def happens(self, *events: Any) -> None:
        for event in events:
            await asyncio.to_thread(self.fire, event)


Story = Callable[[Stage], Awaitable[None]]


def sent(name: str, error: str = "") -> bytes:
    answer = N.SendResponse(ID=name, Timestamp=1_795_000_000)
    done = filled(N.SendMessageReturnFunction(SendResponse=answer, Error=error))
    return bytes(done.SerializeToString())


@pytest.fixture(autouse=True)
def new_loop() -> Iterator[None]:
    """Let the library, which remembers the first loop for ever, take that of each test."""
    library.event_global_loop = None
    yield
    library.event_global_loop = None


@asynccontextmanager
async def at_work() -> AsyncIterator[Stage]:
    ours, theirs = socket.socketpair()
    client, go = NewAClient("unused.db", uuid="device", new_device=True), Go()
    client._stop_finalizer.detach()
    client._NewAClient__client = client.contact._ContactStore__client = go
    reader, writer = await asyncio.open_connection(sock=theirs)

    host = DeviceHost(client, reader, writer)

    async def run() -> None:
        await host.run()
        writer.close()
        await writer.wait_closed()

    async with asyncio.TaskGroup() as group, NeonizeSession(ours, call_s=30) as session:
        group.create_task(run())
        yield Stage(session, client, go)


def tell(story: Story) -> None:
    async def told() -> None:
        async with asyncio.timeout(30), at_work() as stage:
            await story(stage)

    asyncio.run(told())


def test_events_are_told_in_order() -> None:
    async def story(stage: Stage) -> None:
        texts = [message(E.Message(conversation=str(at)), name=f"N{at}") for at in range(20)]
        await stage.happens(filled(N.Connected()), *texts)
        await stage.ear.step(Step.CONNECTED)
        for at in range(20):
            assert (await stage.ear.message(str(at))).wa_message_id == f"N{at}"

    tell(story)


def test_what_nobody_takes_holds_the_library_up() -> None:
    """It holds up WhatsApp in turn, which keeps what is not told; nothing is dropped."""
    many, fired = 1_000, []
    most = frames.WINDOW + bridge.QUEUED_MAX + 3  # One is told, one handed over, one fired.

    def flood(stage: Stage) -> None:
        for at in range(many):
            stage.fire(message(E.Message(conversation=str(at))))
            fired.append(at)

    async def story(stage: Stage) -> None:
        flooding = asyncio.create_task(asyncio.to_thread(flood, stage))
        for at in range(many):
            assert (await stage.ear.first(MessageSeen)).body == str(at)
            assert len(fired) <= at + most
        await flooding

    tell(story)


def test_codes_are_shown_until_the_library_gives_up() -> None:
    async def story(stage: Stage) -> None:
        with pytest.raises(NotSent):
            await stage.session.pair_code(PhoneNumber("+51900000000"))
        for code in (b"uno", b"dos"):
            await stage.client.event._qr(stage.client, code)
        shown = [await stage.ear.first(CodeShown) for _ in range(2)]
        assert [one.code for one in shown] == ["uno", "dos"]
        given = N.PairPhoneReturnFunction(Code="ABCD-1234")
        stage.go.answers["PairPhone"] = given.SerializeToString()
        assert await stage.session.pair_code(PhoneNumber("+51900000000")) == "ABCD-1234"
        status = ctypes.create_string_buffer(b"timeout")
        told = stage.client._NewAClient__onLoginStatus
        await asyncio.to_thread(told, 0, ctypes.addressof(status))
        await stage.ear.step(Step.PAIRING_ENDED)
        await stage.ear.end()

    tell(story)


@pytest.mark.parametrize(
    ("event", "step"),
    [
        (N.StreamReplaced(), Step.REPLACED),
        (N.LoggedOut(OnConnect=True, Reason=2), Step.LOGGED_OUT),
        (N.ConnectFailure(), Step.DISCONNECTED),
    ],
    ids=["replaced", "logged out", "failure"],
)
def test_the_host_ends_when_the_library_does(event: Any, step: Step) -> None:
    async def story(stage: Stage) -> None:
        await stage.happens(filled(event))
        await stage.ear.step(step)
        await stage.ear.end()
        assert stage.go.asked("Stop")

    tell(story)


def test_a_first_connection_that_fails_is_told() -> None:
    async def story(stage: Stage) -> None:
        stage.go.answers["Neonize"] = b"failed to dial"
        stage.go.is_over.set()
        assert (await stage.ear.step(Step.DISCONNECTED)).reason == "WhatsApp cannot be reached"
        await stage.ear.end()

    tell(story)


def test_a_vote_is_read_and_one_that_cannot_be_is_dropped() -> None:
    async def story(stage: Stage) -> None:
        key = {"ID": "3EB0POLL"}
        vote = message(E.Message(pollUpdateMessage={"pollCreationMessageKey": key}))
        failed = N.ReturnFunctionWithError(Error="no secret")
        stage.go.answers["DecryptPollVote"] = failed.SerializeToString()
        await stage.happens(vote, message(E.Message(conversation="después")))
        await stage.ear.message("después")
        digest = bytes.fromhex(option_digest("hoy"))
        done = N.ReturnFunctionWithError(PollVoteMessage={"selectedOptions": [digest]})
        stage.go.answers["DecryptPollVote"] = done.SerializeToString()
        await stage.happens(vote)
        assert (await stage.ear.first(VoteSeen)).options == [option_digest("hoy")]

    tell(story)


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


def test_a_device_that_logs_out_ends() -> None:
    async def story(stage: Stage) -> None:
        await stage.session.log_out()
        assert stage.go.asked("Logout")
        await stage.ear.step(Step.LOGGED_OUT)
        await stage.ear.end()

    tell(story)
