"""The laws of sessions: pairing, connecting, and all the ways to end."""

import asyncio

import pytest

from clarin_core.domain.phone import PhoneNumber
from clarin_core.ports.messaging import (
    CodeShown,
    NotSent,
    Outgoing,
    Paired,
    SessionStep,
    Step,
)
from clarin_core.testing.messaging_stage import (
    KEY,
    OTHER_KEY,
    Ear,
    Stage,
    StagedLaws,
    connected,
    messages,
)


class SessionLaws(StagedLaws):
    """How a device comes and goes."""

    def test_a_device_is_paired_by_the_code_that_it_shows(self) -> None:
        """Then it says whose it is, connects, and can be opened by its address."""

        async def story(stage: Stage) -> None:
            async with stage.messaging.session(KEY, jid=None) as session:
                ear = Ear(session)
                shown = await ear.next()
                assert isinstance(shown, CodeShown)
                assert shown.is_qr
                assert shown.expires_at > stage.now()
                phone = stage.scan(shown.code)
                paired = await ear.first(Paired)
                assert paired.phone == phone
                await ear.step(Step.CONNECTED)
            async with connected(stage, paired.jid):
                pass

        self.tell(story)

    def test_a_code_is_replaced_when_it_expires(self) -> None:
        """Only the last one that was shown links a phone."""

        async def story(stage: Stage) -> None:
            async with stage.messaging.session(KEY, jid=None) as session:
                ear = Ear(session)
                first = await ear.next()
                assert isinstance(first, CodeShown)
                await stage.forward(first.expires_at - stage.now())
                second = await ear.next()
                assert isinstance(second, CodeShown)
                assert second.code != first.code
                with pytest.raises(LookupError):
                    stage.scan(first.code)
                stage.scan(second.code)
                await ear.first(Paired)

        self.tell(story)

    def test_a_pairing_to_which_nobody_comes_ends(self) -> None:
        """It says so, and no code counts any more."""

        async def story(stage: Stage) -> None:
            async with stage.messaging.session(KEY, jid=None) as session:
                ear = Ear(session)
                heard = await ear.next()
                while isinstance(heard, CodeShown):
                    last = heard
                    await stage.forward(heard.expires_at - stage.now())
                    heard = await ear.next()
                assert isinstance(heard, SessionStep)
                assert heard.step is Step.PAIRING_ENDED
                await ear.end()
                with pytest.raises(LookupError):
                    stage.scan(last.code)

        self.tell(story)

    def test_a_code_may_be_typed_instead(self) -> None:
        """Once codes are shown, there is one for the keys of that phone."""

        async def story(stage: Stage) -> None:
            async with stage.messaging.session(KEY, jid=None) as session:
                ear = Ear(session)
                assert isinstance(await ear.next(), CodeShown)
                stage.scan(await session.pair_code(PhoneNumber("+51900000000")))
                await ear.first(Paired)
                await ear.step(Step.CONNECTED)

        self.tell(story)

    def test_a_lost_connection_comes_back(self) -> None:
        """Meanwhile nothing is sent, and the session says both."""

        async def story(stage: Stage) -> None:
            jid = stage.link()
            async with connected(stage, jid) as (session, ear):
                stage.break_off(jid)
                assert (await ear.step(Step.DISCONNECTED)).reason
                with pytest.raises(NotSent):
                    await session.send(Outgoing(to=stage.her, body="hola"))
                await ear.step(Step.CONNECTED)
                await session.send(Outgoing(to=stage.her, body="hola"))
                assert len(messages(stage)) == 1

        self.tell(story)

    @pytest.mark.parametrize("step", [Step.LOGGED_OUT, Step.BANNED, Step.OUTDATED])
    def test_what_whatsapp_ends_is_over(self, step: Step) -> None:
        """The session says why, ends, and sends nothing; and it is so when it is opened again."""

        async def story(stage: Stage) -> None:
            jid = stage.link()
            async with connected(stage, jid) as (session, ear):
                stage.end(jid, step)
                told = await ear.step(step)
                assert (told.restricted_for is not None) == (step is Step.BANNED)
                await ear.end()
                with pytest.raises(NotSent):
                    await session.send(Outgoing(to=stage.her, body="hola"))
            async with stage.messaging.session(KEY, jid=jid) as session:
                ear = Ear(session)
                await ear.step(step)
                await ear.end()

        self.tell(story)

    def test_a_ban_passes(self) -> None:
        """After the time that was told the device connects."""

        async def story(stage: Stage) -> None:
            jid = stage.link()
            async with connected(stage, jid) as (_, ear):
                stage.end(jid, Step.BANNED)
                time = (await ear.step(Step.BANNED)).restricted_for
                assert time is not None
            await stage.forward(time)
            async with connected(stage, jid):
                pass

        self.tell(story)

    def test_a_second_session_replaces_the_first(self) -> None:
        """The first one says so and ends; the second one hears all that comes."""

        async def story(stage: Stage) -> None:
            jid = stage.link()
            async with connected(stage, jid) as (old, old_ear), connected(stage, jid) as (_, ear):
                await old_ear.step(Step.REPLACED)
                await old_ear.end()
                with pytest.raises(NotSent):
                    await old.send(Outgoing(to=stage.her, body="hola"))
                stage.she_says("¿y ahora?")
                await ear.message("¿y ahora?")

        self.tell(story)

    def test_a_device_logs_out(self) -> None:
        """Its phone does not know it any more."""

        async def story(stage: Stage) -> None:
            jid = stage.link()
            async with connected(stage, jid) as (session, ear):
                await session.log_out()
                await ear.step(Step.LOGGED_OUT)
                await ear.end()
            async with stage.messaging.session(KEY, jid=jid) as session:
                await Ear(session).step(Step.LOGGED_OUT)

        self.tell(story)

    def test_who_leaves_hears_and_sends_nothing_more(self) -> None:
        """A listener that waits is told of the end, and does not wait for ever."""

        async def story(stage: Stage) -> None:
            async with asyncio.TaskGroup() as group:
                async with connected(stage) as (session, ear):
                    listener = group.create_task(ear.end())
                    await asyncio.sleep(0)
                await listener
            with pytest.raises(NotSent):
                await session.send(Outgoing(to=stage.her, body="hola"))
            assert messages(stage) == []

        self.tell(story)

    @pytest.mark.parametrize("is_linked", [True, False])
    def test_where_nobody_answers_a_session_says_so(self, is_linked: bool) -> None:
        """Opening raises nothing; the reason is heard, calls are not sent, the session ends."""

        async def story(stage: Stage) -> None:
            jid = stage.link() if is_linked else None
            stage.cut_off()
            async with stage.messaging.session(KEY, jid=jid) as session:
                ear = Ear(session)
                assert (await ear.step(Step.DISCONNECTED)).reason
                await ear.end()
                with pytest.raises(NotSent):
                    await session.send(Outgoing(to=stage.her, body="hola"))

        self.tell(story)

    def test_devices_are_opened_by_themselves(self) -> None:
        """Two devices of one phone are two: one may end while the other goes on."""

        async def story(stage: Stage) -> None:
            async with connected(stage) as (_, ear):
                other = stage.link()
                async with stage.messaging.session(OTHER_KEY, jid=other) as session:
                    other_ear = Ear(session)
                    await other_ear.step(Step.CONNECTED)
                    stage.she_says("a los dos")
                    await other_ear.message("a los dos")
                stage.she_says("a uno")
                await ear.message("a los dos")
                await ear.message("a uno")

        self.tell(story)
