"""The contract of messaging, held to simulations with a fault each: a law must find it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import pytest
from msgspec.structs import replace

from clarin_core.domain.inbound import MessageSeen
from clarin_core.domain.messages import MessageKind
from clarin_core.ports.messaging import NotSent, OutcomeUnknown, Outgoing, SentAs
from clarin_core.testing import MessagingContract
from clarin_core.testing.messaging_stage import Stage
from clarin_whatsapp import Person, World, people, simulator
from clarin_whatsapp.lines import Line
from clarin_whatsapp.simulator import SimulatedSession
from support.world import SimulatedStage

Patch = pytest.MonkeyPatch
FOUND = (AssertionError, TimeoutError, pytest.fail.Exception, NotSent, OutcomeUnknown)


@asynccontextmanager
async def simulated() -> AsyncIterator[Stage]:
    yield SimulatedStage(honours_ids=True)


class Mutant(MessagingContract):
    """The contract on a simulation that has a fault meanwhile."""

    patience_s = 1.0

    def open(self) -> AbstractAsyncContextManager[Stage]:
        return simulated()


def nothing(*_: object, **__: object) -> None:
    pass


async def nothing_soon(*_: object) -> None:
    pass


def acknowledgements_are_lost(patch: Patch) -> None:
    patch.setattr(Line, "acknowledge", nothing)


def what_is_told_counts_as_acknowledged(patch: Patch) -> None:
    right = Line.post

    def post(line: Line, heard: MessageSeen) -> None:
        right(line, heard)
        line.unacknowledged.clear()

    patch.setattr(Line, "post", post)


def only_who_listens_is_told(patch: Patch) -> None:
    patch.setattr(Line, "post", Line.mention)


def a_doubt_is_tried_again(patch: Patch) -> None:
    right = SimulatedSession._send

    async def send(session: SimulatedSession, message: Outgoing) -> SentAs:
        try:
            return await session._attempt(partial(right, session, message))
        except OutcomeUnknown:
            return await session._attempt(partial(right, session, message))

    patch.setattr(SimulatedSession, "send", send)


def a_doubt_is_told_as_a_failure(patch: Patch) -> None:
    patch.setattr(simulator, "OutcomeUnknown", NotSent)


def a_failure_is_told_as_a_doubt(patch: Patch) -> None:
    patch.setattr(simulator, "NotSent", OutcomeUnknown)


def ids_are_forgotten(patch: Patch) -> None:
    patch.setattr(World, "letter", nothing)


def everything_arrives_twice(patch: Patch) -> None:
    right = Person._receive

    def receive(person: Person, letter: people.Letter) -> None:
        right(person, letter)
        right(person, letter)

    patch.setattr(Person, "_receive", receive)


def own_words_are_anybodys(patch: Patch) -> None:
    right = people.Letter.seen_by
    patch.setattr(people.Letter, "seen_by", lambda *args: replace(right(*args), is_from_me=False))


def everything_is_text(patch: Patch) -> None:
    right = people.Letter.seen_by
    changed: dict[str, object] = dict.fromkeys(("poll", "media", "location", "quoted"))
    patch.setattr(
        people.Letter,
        "seen_by",
        lambda *args: replace(right(*args), kind=MessageKind.TEXT, **changed),
    )


def a_code_counts_for_ever(patch: Patch) -> None:
    patch.setattr(World, "hide", nothing)


def the_old_session_goes_on(patch: Patch) -> None:
    patch.setattr(SimulatedSession, "end", nothing)


def nobody_wakes_the_listener(patch: Patch) -> None:
    patch.setattr(SimulatedSession, "close", nothing)


def a_session_never_ends(patch: Patch) -> None:
    right = SimulatedSession._let_go

    def let_go(session: SimulatedSession) -> None:
        right(session)
        session._is_over = False

    patch.setattr(SimulatedSession, "_let_go", let_go)


def a_device_is_never_unlinked(patch: Patch) -> None:
    patch.setattr(World, "unlink", nothing)


def reactions_are_kept(patch: Patch) -> None:
    patch.setattr(Person, "reacts", nothing)


def edits_are_kept(patch: Patch) -> None:
    patch.setattr(Person, "edits", nothing)


def reading_is_kept(patch: Patch) -> None:
    patch.setattr(Person, "reads", nothing)


Fault = Callable[[Patch], None]

CAUGHT: list[tuple[Fault, str, dict[str, object]]] = [
    (acknowledgements_are_lost, "what_was_acknowledged_does_not_come_again", {}),
    (what_is_told_counts_as_acknowledged, "what_was_not_acknowledged_comes_again", {}),
    (only_who_listens_is_told, "a_device_does_not_miss_what_was_said_meanwhile", {}),
    (a_doubt_is_tried_again, "a_doubt_is_told_as_one", {"is_done": True}),
    (a_doubt_is_told_as_a_failure, "a_doubt_is_told_as_one", {"is_done": False}),
    (a_failure_is_told_as_a_doubt, "what_surely_failed_did_not_arrive", {}),
    (ids_are_forgotten, "an_id_that_is_honoured_is_delivered_once", {}),
    (everything_arrives_twice, "what_is_sent_arrives_as_it_is", {"content": 0}),
    (everything_is_text, "what_is_sent_arrives_as_it_is", {"content": 5}),
    (own_words_are_anybodys, "what_the_phone_says_is_heard_as_ones_own", {}),
    (a_code_counts_for_ever, "a_code_is_replaced_when_it_expires", {}),
    (a_code_counts_for_ever, "a_pairing_to_which_nobody_comes_ends", {}),
    (the_old_session_goes_on, "a_second_session_replaces_the_first", {}),
    (nobody_wakes_the_listener, "who_leaves_hears_and_sends_nothing_more", {}),
    (a_session_never_ends, "where_nobody_answers_a_session_says_so", {"is_linked": True}),
    (a_device_is_never_unlinked, "a_device_logs_out", {}),
    (reactions_are_kept, "reactions_find_their_message", {}),
    (edits_are_kept, "an_own_message_is_edited_and_taken_back", {}),
    (reading_is_kept, "the_other_side_sees_what_was_read_and_that_somebody_types", {}),
]


@pytest.mark.parametrize(
    ("fault", "law", "fields"), CAUGHT, ids=lambda value: getattr(value, "__name__", str(value))
)
def test_a_planted_fault_breaks_its_law(
    fault: Fault, law: str, fields: dict[str, object], monkeypatch: Patch
) -> None:
    """The law holds without the fault, and not with it."""
    proof = partial(getattr(Mutant(), f"test_{law}"), **fields)
    proof()
    fault(monkeypatch)
    with pytest.raises((*FOUND, ExceptionGroup)):
        proof()
