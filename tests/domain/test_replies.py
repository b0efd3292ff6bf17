"""What counts of reactions, votes and marks, whatever the order in which they come."""

from copy import deepcopy

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from clarin_core.domain.messages import Mark, MessageStatus
from clarin_core.domain.replies import Reaction, Vote, counting
from clarin_core.testing import inbox_strategies
from clarin_core.testing.tenants import LATER, NOON

A_LATER = LATER.replace(minute=30)


@given(drawn=st.lists(inbox_strategies.reactions(), max_size=8))
def test_the_latest_reaction_counts(drawn: list[Reaction]) -> None:
    """CH15: one for each message and sender: the latest, of one time the greatest."""
    best: dict[object, tuple[object, str]] = {}
    for one in drawn:
        whose = one.wa_message_id, one.sender
        best[whose] = max([(one.at, one.emoji), *([best[whose]] if whose in best else [])])
    kept = counting(drawn).values()
    assert {(one.wa_message_id, one.sender): (one.at, one.emoji) for one in kept} == best
    assert [one for one in drawn if any(one is other for other in kept)] == list(kept)


@given(drawn=st.lists(inbox_strategies.votes(), max_size=8), data=st.data())
def test_votes_count_in_any_order(drawn: list[Vote], data: st.DataObject) -> None:
    """CH15: who counts twice, or in pieces, comes to the same."""
    shuffled = data.draw(st.permutations(drawn))
    cut = data.draw(st.integers(0, len(drawn)))
    assert counting(shuffled) == counting(drawn)
    pieces = [*counting(drawn[:cut]).values(), *counting(drawn[cut:]).values()]
    assert counting(pieces) == counting(drawn)


@given(mark=inbox_strategies.marks())
def test_a_mark_that_says_nothing_changes_none(mark: Mark) -> None:
    """CT7: joined with an empty one it says what it said."""
    nothing = Mark(chat_id=mark.chat_id, wa_message_id=mark.wa_message_id)
    joined = deepcopy(mark)
    joined.join(nothing)
    assert joined == mark


def test_joined_marks_say_what_both_said() -> None:
    """CH8, CH10: the highest status, the latest edit, the revocation, and that it was read."""
    delivered = Mark(
        chat_id=inbox_strategies.NOWHERE, wa_message_id="A", status=MessageStatus.DELIVERED,
        body="antes", edited_at=LATER, is_read=True,
    )  # fmt: skip
    played = replace(
        delivered, status=MessageStatus.PLAYED, body="después", edited_at=A_LATER,
        revoked_at=NOON, is_read=False,
    )  # fmt: skip
    for mark, other in ((delivered, played), (played, delivered)):
        joined = replace(mark)
        joined.join(other)
        assert joined == replace(played, is_read=True)
