"""The ring: the last frames of a room, bounded in number and in bytes."""

from hypothesis import given
from hypothesis import strategies as st

from clarin_server.http.frames import Frame
from clarin_server.http.ring import Ring


@given(
    first=st.integers(1, 10**6),
    sizes=st.lists(st.integers(0, 30), max_size=40),
    away=st.integers(-3, 45),
    limit=st.integers(1, 50),
)
def test_what_it_returns_is_the_log_after_the_number(
    first: int, sizes: list[int], away: int, limit: int
) -> None:
    """R3: the next frames without a gap, or none when the next one is gone or not there yet."""
    ring = Ring(frames_max=10, bytes_max=100)
    log = [(seq, sized(size)) for seq, size in enumerate(sizes, start=first)]
    for seq, frame in log:
        ring.append(seq, frame)
    after = first + away
    kept = ring.after(after, limit=limit)
    assert kept in ([], [entry for entry in log if entry[0] > after][:limit])


@given(sizes=st.lists(st.integers(0, 30), max_size=40))
def test_it_keeps_as_much_as_it_may(sizes: list[int]) -> None:
    """What is kept is within both bounds; one frame more would not be."""
    ring = Ring(frames_max=10, bytes_max=100)
    for seq, size in enumerate(sizes):
        ring.append(seq, sized(size))
    kept = max((ring.after(seq, limit=99) for seq in range(-1, len(sizes))), key=len, default=[])
    used = sum(len(frame.for_admins) for _, frame in kept)
    assert len(kept) <= 10
    assert used <= 100
    is_all = len(kept) == len(sizes)
    assert is_all or len(kept) == 10 or used + sizes[-len(kept) - 1] > 100


def test_a_cleared_ring_begins_anew() -> None:
    """Another history may have other frames under the same numbers."""
    ring = Ring()
    ring.append(1, sized(3))
    ring.clear()
    assert ring.after(0, limit=9) == []
    ring.append(7, sized(4))
    assert ring.after(6, limit=9) == [(7, sized(4))]


def sized(size: int) -> Frame:
    """Return a frame of so many bytes."""
    return Frame(bytes(size), bytes(size))
