"""Any operation done once: effect and answer together, or neither."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

import pytest

from clarin_core.domain.accounts import NewUser, UserQuery
from clarin_core.domain.actor import SYSTEM, Actor, Origin, Role
from clarin_core.domain.idempotency import (
    IdempotencyKey,
    Repeatable,
    StoredAnswer,
    repeatable,
)
from clarin_core.domain.ids import AccountId
from clarin_core.domain.leads import NewLead
from clarin_core.domain.members import NewMember
from clarin_core.domain.tags import NewTag, TagOrigin
from clarin_core.errors import Conflict, Forbidden, Invalid, NotFound
from clarin_core.ports.directory import Directory
from clarin_core.ports.small import PasswordHasher
from clarin_core.ports.storage import Storage
from clarin_core.ports.transaction import Transaction
from clarin_core.testing.publisher import RecordingPublisher
from clarin_core.testing.tenants import LATER, NOON, OnPurposeError
from clarin_core.usecases.idempotency import Once
from clarin_core.usecases.leads import LeadUseCases
from clarin_core.usecases.members import MemberUseCases
from clarin_core.usecases.tags import TagUseCases
from clarin_memory import MemoryStorage
from support.desk import Desk, Ticking, tell
from support.gate import PASSWORD, Gate, gate

Operation = Callable[[Storage], Awaitable[StoredAnswer]]


def a_request(key: str = "k", said: bytes = b"") -> Repeatable:
    return repeatable("POST /x", IdempotencyKey(key), said)


def done(text: object) -> StoredAnswer:
    return StoredAnswer(201, str(text).encode())


def opening(desk: Desk, name: str = "Luz") -> Operation:
    """Return the opening of a lead, which is answered with its view."""

    async def open_lead(storage: Storage) -> StoredAnswer:
        leads = LeadUseCases(storage, desk.clock)
        view = await leads.create(desk.admin, NewLead(name=name, tags=frozenset({"vip"})))
        return done((view.id, view.name, view.stage_name, view.tags))

    return open_lead


def once(desk: Desk) -> Once:
    return Once(desk.tenant.storage, desk.clock)


def test_a_repeat_changes_nothing_and_gets_the_first_answer() -> None:
    """R16: the use case is any, unchanged; what it reads after its own transaction is there."""

    async def story() -> None:
        desk = await Desk.open()
        first = await once(desk).run(desk.admin, a_request(), opening(desk))
        before = await desk.tenant.picture()
        assert b"'Luz', 'Nuevo', ['vip']" in first.answer.body
        assert await desk.names() == ["lead.created", "tag.created", "lead.tagged"]
        for operation in (opening(desk), opening(desk, "Sol")):
            again = await once(desk).run(desk.admin, a_request(), operation)
            assert (again.answer, again.is_repeated) == (first.answer, True)
        with pytest.raises(Conflict):
            await once(desk).run(desk.admin, a_request(said=b"other"), opening(desk))
        assert await desk.tenant.picture() == before
        assert not first.is_repeated

    tell(story())


def test_what_fails_after_its_effect_leaves_neither() -> None:
    """R16: a crash between effect and commit is a request that never was."""

    async def story() -> None:
        desk = await Desk.open()
        before = await desk.tenant.picture()

        async def crash(storage: Storage) -> StoredAnswer:
            await opening(desk)(storage)
            raise OnPurposeError

        with pytest.raises(OnPurposeError):
            await once(desk).run(desk.admin, a_request(), crash)
        assert await desk.tenant.picture() == before
        told = await once(desk).run(desk.admin, a_request(said=b"other"), opening(desk))
        assert not told.is_repeated

    tell(story())


class BrittleStorage(MemoryStorage):
    """Fails at every commit while it is brittle."""

    is_brittle = False

    @asynccontextmanager
    async def begin(
        self, account_id: AccountId, origin: Origin = SYSTEM
    ) -> AsyncIterator[Transaction]:
        async with super().begin(account_id, origin) as tx:
            yield tx
            if self.is_brittle:
                raise OnPurposeError


def test_effect_key_and_answer_are_one_commit() -> None:
    """R16: when it fails, nobody was answered and nothing is there; then it can be had."""

    async def story() -> None:
        storage = BrittleStorage(clock=Ticking())
        desk = await Desk.open(storage)
        before = await desk.tenant.picture()
        storage.is_brittle = True
        for _ in range(2):
            with pytest.raises(OnPurposeError):
                await once(desk).run(desk.admin, a_request(), opening(desk))
        assert await desk.tenant.picture() == before
        storage.is_brittle = False
        assert not (await once(desk).run(desk.admin, a_request(), opening(desk))).is_repeated

    tell(story())


def test_simultaneous_repeats_are_one_operation() -> None:
    """R16: all get the answer of the one that acted."""

    async def story() -> None:
        desk = await Desk.open()
        asked = [once(desk).run(desk.admin, a_request(), opening(desk)) for _ in range(10)]
        told = await asyncio.gather(*asked)
        assert len({one.answer for one in told}) == 1
        assert sorted(one.is_repeated for one in told) == [False] + [True] * 9
        assert len(await desk.tenant.lead_ids()) == 1

    tell(story())


def test_who_may_no_longer_do_it_is_not_shown_the_answer() -> None:
    """Section 7: the role counts that one has when one asks."""

    async def story() -> None:
        desk = await Desk.open()

        def tagging(actor: Actor) -> Operation:
            async def tag(storage: Storage) -> StoredAnswer:
                return done(
                    await TagUseCases(storage, desk.clock).create(actor, NewTag(name="vip"))
                )

            return tag

        demoted = replace(desk.admin, role=Role.AGENT)
        await once(desk).run(desk.admin, a_request(), tagging(desk.admin))
        with pytest.raises(Forbidden):
            await once(desk).run(demoted, a_request(), tagging(demoted))

    tell(story())


def test_events_keep_their_origin_and_are_announced_after_the_commit() -> None:
    """R3: as for any other transaction."""

    async def story() -> None:
        publisher = RecordingPublisher()
        desk = await Desk.open(MemoryStorage(clock=Ticking(), publisher=publisher))
        told = len(publisher.announced(desk.tenant.id))

        async def listen(storage: Storage) -> StoredAnswer:
            answer = await opening(desk)(storage)
            assert len(publisher.announced(desk.tenant.id)) == told
            return answer

        await once(desk).run(desk.admin, a_request(), listen)
        events = await desk.tenant.events()
        assert {one.origin for one in events[-3:]} == {desk.admin.origin}
        assert publisher.announced(desk.tenant.id)[told:] == [events[-1].seq]

    tell(story())


def test_an_operation_that_writes_nothing_is_repeated_too() -> None:
    """What it reads, it reads as without a key."""

    async def story() -> None:
        desk = await Desk.open()
        lead = await desk.tenant.add_lead()

        async def look(storage: Storage) -> StoredAnswer:
            view = await storage.views(desk.tenant.id).lead(lead.id)
            assert await storage.user(desk.admin.user_id) == await desk.tenant.storage.user(
                desk.admin.user_id
            )
            return done(view.name)

        assert not (await once(desk).run(desk.admin, a_request(), look)).is_repeated
        await desk.tenant.delete_lead(lead.id)
        with pytest.raises(NotFound):
            await once(desk).run(desk.admin, a_request("other"), look)

    tell(story())


def test_another_account_is_refused() -> None:
    """R22: a transaction of one account does not go on in another one, nor above them."""

    async def story() -> None:
        desk = await Desk.open()
        stranger = await desk.stranger()
        before = await desk.tenant.picture(), await stranger.tenant.picture()

        def beginning(
            opened: Callable[[Storage], AbstractAsyncContextManager[object]],
        ) -> Operation:
            async def work(storage: Storage) -> StoredAnswer:
                await opening(desk)(storage)
                async with opened(storage):
                    return done("never")

            return work

        for opened in (lambda s: s.begin(stranger.tenant.id), lambda s: s.directory()):
            with pytest.raises(RuntimeError):
                await once(desk).run(desk.admin, a_request(), beginning(opened))

        async def stray(storage: Storage) -> StoredAnswer:
            async with storage.begin(stranger.tenant.id):
                return done("never")

        async def peek(storage: Storage) -> StoredAnswer:
            await opening(desk)(storage)
            return done(storage.views(stranger.tenant.id))

        for work in (stray, peek):
            with pytest.raises(RuntimeError):
                await once(desk).run(desk.admin, a_request(), work)
        assert (await desk.tenant.picture(), await stranger.tenant.picture()) == before

    tell(story())


def test_a_failure_that_was_made_light_of_undoes_all() -> None:
    """R6: alone its part would have left nothing, so the whole does not count either."""

    async def story() -> None:
        desk = await Desk.open()
        before = await desk.tenant.picture()

        async def careless(storage: Storage) -> StoredAnswer:
            try:
                async with storage.begin(desk.tenant.id) as tx:
                    await tx.tags.add(NewTag(name="vip"), origin=TagOrigin.LOCAL, at=NOON)
                    raise Invalid("name", "is wrong after all")
            except Invalid:
                return await opening(desk)(storage)

        with pytest.raises(RuntimeError):
            await once(desk).run(desk.admin, a_request(), careless)
        assert await desk.tenant.picture() == before

    tell(story())


class Busy(PasswordHasher):
    """Looks, while it hashes, whether others can work meanwhile."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def hash(self, password: str) -> str:
        async with asyncio.timeout(5), self._storage.directory():
            return "$a-hash"

    async def verify(self, password_hash: str | None, password: str) -> bool:
        return False

    def is_outdated(self, password_hash: str) -> bool:
        return False


def test_a_password_is_hashed_before_anything_is_held() -> None:
    """Nobody waits for slow work that needs no transaction."""

    async def story() -> None:
        desk = await Desk.open()
        storage, new = (
            desk.tenant.storage,
            NewMember(username="a", email="a@x.pe", password=PASSWORD),
        )

        async def hire(joined: Storage) -> StoredAnswer:
            members = MemberUseCases(joined, desk.clock, Busy(storage))
            return done((await members.add(desk.admin, new)).user_id)

        first = await once(desk).run(desk.admin, a_request(), hire)
        again = await once(desk).run(desk.admin, a_request(), hire)
        assert (again.answer, again.is_repeated) == (first.answer, True)

    tell(story())


def enrolling(at: Gate, account_id: AccountId) -> Operation:
    new = NewUser(username="nuevo", email="nuevo@x.pe", password=PASSWORD, account_id=account_id)

    async def enrol(storage: Storage) -> StoredAnswer:
        return done((await replace(at.accounts, storage=storage).create_user(at.root, new)).id)

    return enrol


def test_work_above_accounts_is_done_once() -> None:
    """R16: the key is the actor's account's, whichever account the work is in."""

    async def story() -> None:
        async with gate() as at:
            accounts = Once(at.storage, at.clock)
            seqs = await at.seq(at.here.id), await at.seq(at.there.id)
            asked = [
                accounts.run(at.root, a_request(), enrolling(at, at.there.id)) for _ in range(5)
            ]
            assert len({told.answer for told in await asyncio.gather(*asked)}) == 1
            assert (await at.accounts.users(at.root, UserQuery())).total == 2
            assert (await at.seq(at.here.id), await at.seq(at.there.id)) == (seqs[0], seqs[1] + 1)
            with pytest.raises(Conflict) as caught:
                await accounts.run(at.root, a_request("other"), enrolling(at, at.there.id))
            assert caught.value.code == "conflict"

    tell(story())


def test_parts_above_accounts_and_in_them_are_one() -> None:
    """R6: what began above accounts goes on in one of them, and reads there what it wrote."""

    async def story() -> None:
        async with gate() as at:

            async def work(storage: Storage) -> StoredAnswer:
                async with storage.directory() as directory:
                    await rename(directory, at.there.id)
                async with asyncio.timeout(5), storage.directory() as directory:
                    assert (await directory.accounts.get(at.there.id)).name == "Sol"
                async with storage.begin(at.there.id) as tx:
                    assert (await tx.account.get()).name == "Sol"
                with pytest.raises(RuntimeError):
                    storage.views(at.here.id)
                return done((await storage.views(at.there.id).account()).name)

            told = await Once(at.storage, at.clock).run(at.root, a_request(), work)
            assert told.answer.body == b"Sol"

    tell(story())


async def rename(directory: Directory, account_id: AccountId) -> None:
    tx = await directory.enter(account_id)
    account = await tx.account.get()
    account.alter({"name": "Sol"}, at=LATER)
    await tx.account.save(account)


def test_the_rest_of_the_storage_is_handed_on() -> None:
    """What belongs to no transaction is answered as without a key."""

    async def story() -> None:
        desk = await Desk.open()
        whole, tenant = desk.tenant.storage, desk.tenant
        await tenant.add_import()

        async def look(storage: Storage) -> StoredAnswer:
            for one in (whole, storage):
                await one.ping()
            assert await storage.positions([tenant.id]) == await whole.positions([tenant.id])
            assert await storage.pending_imports() == await whole.pending_imports() != []
            assert await storage.standings([], at=NOON) == []
            await storage.purge(
                deleted_before=LATER, events_before=LATER, answers_before=LATER, marks_before=LATER
            )
            return done("seen")

        await once(desk).run(desk.admin, a_request(), look)

    tell(story())
