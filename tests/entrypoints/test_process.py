"""What a process does about its memory."""

import gc

from clarin_server.process import settle_memory


def test_what_a_start_has_made_is_looked_at_no_more() -> None:
    """A look of the collector at all of it stops whatever is answered meanwhile."""
    before = gc.get_threshold()
    try:
        settle_memory()
        assert gc.get_freeze_count() > 10_000
        assert gc.get_threshold()[0] > before[0]
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
