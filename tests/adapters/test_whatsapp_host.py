"""A device's host, as the library tells it things: in order, until it ends."""

import asyncio
import ctypes
from typing import Any

import pytest

from clarin_core.domain.inbound import MessageSeen, VoteSeen
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.replies import option_digest
from clarin_core.ports.messaging import CodeShown, NotSent, Step
from clarin_whatsapp import frames
from support.host_stage import Stage, tell
from support.protobuf import E, N, filled, message

pytest.importorskip("support.protobuf")

from clarin_whatsapp.host import bridge


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


def test_a_device_that_logs_out_ends() -> None:
    async def story(stage: Stage) -> None:
        await stage.session.log_out()
        assert stage.go.asked("Logout")
        await stage.ear.step(Step.LOGGED_OUT)
        await stage.ear.end()

    tell(story)
