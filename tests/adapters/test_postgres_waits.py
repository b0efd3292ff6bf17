"""What happens when two want the same rows, or do the same."""

import asyncio

import pytest

from clarin_core.domain.devices import DeviceKey
from clarin_core.domain.idempotency import StoredAnswer
from clarin_core.domain.leads import LeadQuery
from clarin_core.domain.messages import Direction, MessageStatus
from clarin_core.domain.outbox import OutboxKind
from clarin_core.domain.pipelines import NewStage
from clarin_core.domain.tags import TagOrigin
from clarin_core.errors import AlreadyRunning, Contention, NotFound
from clarin_core.testing.devices import LONG, OVER
from clarin_core.testing.idempotency import DONE, a_request, answer_in
from clarin_core.testing.inbox import inbox_of, somebody
from clarin_core.testing.tenants import LATER, NOON, Tenant, draft
from clarin_core.usecases.sending import SendingUseCases
from support.administered import Admin, someone_waits, tell


def test_waiting_too_long_for_a_row_is_contention(database: str) -> None:
    """Section 2.1: nothing happened, trying again is safe."""

    async def story(account: Tenant, admin: Admin) -> None:
        lead = await account.add_lead()
        async with account.begin() as tx:
            await tx.leads.get(lead.id)
            with pytest.raises(Contention):
                async with account.begin() as other:
                    await other.leads.get(lead.id)

    tell(database, story)


def test_a_repeat_waits_for_the_first_and_gets_its_answer(database: str) -> None:
    """2.9: at the unique index, before it does anything of its own."""

    async def story(account: Tenant, admin: Admin) -> None:
        async def repeat() -> StoredAnswer | None:
            async with account.begin() as tx:
                return await tx.idempotency.claim(a_request("uno"), at=LATER)

        async with account.begin() as tx:
            await answer_in(tx, a_request("uno"))
            repeating = asyncio.create_task(repeat())
            await someone_waits(admin)
        assert await repeating == DONE

    tell(database, story)


def test_a_repeat_of_what_takes_too_long_is_told_to_come_back(database: str) -> None:
    """R16: not to try again at once; and nothing of the first is disturbed."""

    async def story(account: Tenant, admin: Admin) -> None:
        async def repeat() -> StoredAnswer | None:
            async with account.begin() as tx:
                return await tx.idempotency.claim(a_request("uno"), at=LATER)

        async def repeat_above() -> StoredAnswer | None:
            async with account.storage.directory() as directory:
                answers = await directory.idempotency(account.id)
                return await answers.claim(a_request("uno"), at=LATER)

        async with account.begin() as tx:
            await answer_in(tx, a_request("uno"))
            told = await asyncio.gather(repeat(), repeat_above(), return_exceptions=True)
        assert [type(one) for one in told] == [AlreadyRunning] * 2
        assert await repeat() == await repeat_above() == DONE

    tell(database, story)


def test_one_of_two_that_deadlock_goes_on(database: str) -> None:
    """Section 2.1: the other one is Contention and left no trace."""

    async def story(account: Tenant, admin: Admin) -> None:
        leads = await account.add_leads(draft("Luz"), draft("Sol"))
        both = asyncio.Barrier(2)

        async def cross(first: int, second: int) -> None:
            async with account.begin() as tx:
                await tx.leads.get(leads[first].id)
                await both.wait()
                lead = await tx.leads.get(leads[second].id)
                lead.touch(LATER)
                await tx.leads.save([lead])

        ends = await asyncio.gather(cross(0, 1), cross(1, 0), return_exceptions=True)
        assert sorted(type(end).__name__ for end in ends) == ["Contention", "NoneType"]
        page = await account.views.leads(LeadQuery())
        assert sorted(lead.version for lead in page.data) == [1, 2]

    tell(database, story)


def test_who_waited_for_a_pipeline_sees_its_new_stages(database: str) -> None:
    """LD7: a statement that waits for a lock looks at other tables as of before the wait."""

    async def story(account: Tenant, admin: Admin) -> None:
        async def look() -> list[str]:
            async with account.begin() as other:
                pipeline = await other.pipelines.default()
                return [stage.name for stage in pipeline.stages]

        async with account.begin() as tx:
            await tx.pipelines.get(account.pipeline.id)
            await tx.pipelines.add_stages(account.pipeline.id, [NewStage(name="Nueva")])
            looking = asyncio.create_task(look())
            await someone_waits(admin)
        assert (await looking)[-1] == "Nueva"

    tell(database, story)


def test_a_claim_waits_for_the_claim_of_another(database: str) -> None:
    """CT2: the second finds what the first made; one that is undone leaves the way free."""

    async def story(account: Tenant, admin: Admin) -> None:
        async def claim() -> bool:
            async with account.begin() as other:
                ((_, is_new),) = await other.tags.claim(["vip"], origin=TagOrigin.LOCAL, at=NOON)
                return is_new

        async def claim_in_vain() -> None:
            async with account.begin() as tx:
                await tx.tags.claim(["vip"], origin=TagOrigin.LOCAL, at=NOON)
                claiming.append(asyncio.create_task(claim()))
                await someone_waits(admin)
                raise ZeroDivisionError

        claiming: list[asyncio.Task[bool]] = []
        with pytest.raises(ZeroDivisionError):
            await claim_in_vain()
        assert await claiming[0]
        assert not await claim()

    tell(database, story)


def test_a_takeover_waits_for_a_write_and_a_renewal_does_not(database: str) -> None:
    """2.7: the holder's transaction holds a key of the lease, which only a takeover changes."""

    async def story(account: Tenant, admin: Admin) -> None:
        device, leases = await account.add_device(), account.storage.leases
        lease = await leases.lease(account.key_of(device), "a", OVER)
        assert lease is not None
        async with account.begin() as tx:
            held = await tx.devices.hold(device.id, lease.token)
            taking = asyncio.create_task(leases.lease(lease.key, "b", LONG))
            await someone_waits(admin)
            await tx.devices.save(held)
        taken = await taking
        assert taken is not None
        async with account.begin() as tx:
            await tx.devices.hold(device.id, taken.token)
            assert await leases.renew([taken], LONG)

    tell(database, story)


def test_a_takeover_that_waited_does_not_take_what_was_renewed(database: str) -> None:
    """2.7: whether a lease is over is judged when the takeover's turn comes."""

    async def story(account: Tenant, admin: Admin) -> None:
        device, leases = await account.add_device(), account.storage.leases
        lease = await leases.lease(account.key_of(device), "a", OVER)
        assert lease is not None
        async with account.begin() as tx:
            await tx.devices.hold(device.id, lease.token)
            taking = asyncio.create_task(leases.lease(lease.key, "b", LONG))
            await someone_waits(admin)
            assert await leases.renew([lease], LONG)
        assert await taking is None
        async with account.begin() as tx:
            await tx.devices.hold(device.id, lease.token)

    tell(database, story)


def test_of_many_first_leases_one_counts(database: str) -> None:
    """2.7: the others are told that somebody has it, in whatever moment each of them came."""

    async def story(account: Tenant, admin: Admin) -> None:
        leases = account.storage.leases
        for number in range(150):
            key = account.key_of(await account.add_device(jid=f"{number}@s.whatsapp.net"))
            taken = await asyncio.gather(*(leases.lease(key, who, LONG) for who in "abcd"))
            assert len(taken) - taken.count(None) == 1

    tell(database, story)


def test_a_write_waits_for_the_removal_of_its_device(database: str) -> None:
    """Both lock the device before its lease, so that neither waits for the other for ever."""

    async def story(account: Tenant, admin: Admin) -> None:
        async def write(token: int) -> None:
            async with account.begin() as other:
                await other.devices.hold(device.id, token)

        device, leases = await account.add_device(), account.storage.leases
        lease = await leases.lease(account.key_of(device), "a", LONG)
        assert lease is not None
        async with account.begin() as tx:
            await tx.devices.get(device.id)
            writing = asyncio.create_task(write(lease.token))
            await someone_waits(admin)
            await tx.devices.remove(device.id)
        with pytest.raises(NotFound):
            await writing

    tell(database, story)


def test_who_begins_to_send_waits_for_a_union_of_chats_and_goes_on(database: str) -> None:
    """Both lock the chat before its messages and errands; what was to be sent is in the other."""

    async def story(account: Tenant, admin: Admin) -> None:
        inbox = await inbox_of(account)
        survivor, gone = await inbox.open(somebody(1), somebody(2))
        waiting = {"direction": Direction.OUT, "status": MessageStatus.QUEUED}
        (message,) = await inbox.say(inbox.said(gone, **waiting))
        await inbox.order(inbox.to_do(gone, kind=OutboxKind.SEND, message_id=message.id))
        key = DeviceKey(account_id=account.id, device_id=inbox.device_id)
        lease = await account.storage.leases.lease(key, "a", LONG)
        assert lease is not None
        sending = SendingUseCases(account.storage, lambda: NOON)
        async with account.begin() as tx:
            await tx.chats.get_many([survivor.id, gone.id])
            beginning = asyncio.create_task(sending.begin(lease, wa_message_id=None))
            await someone_waits(admin)
            await tx.chats.unite(survivor.id, gone.id)
        errand = await beginning
        assert errand is not None
        assert errand.message is not None
        assert errand.message.id == message.id
        places = {errand.chat.id, errand.item.chat_id, errand.message.chat_id}
        assert places == {survivor.id}

    tell(database, story)
