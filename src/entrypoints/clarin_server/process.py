"""How this process is called where several share something, and how it keeps its memory."""

import gc
import os
import platform

from clarin_core.ports.small import Random

_COLLECT_AFTER = (10_000, 20, 50)  # New objects, then collections of them, then of those.


def process_name(random: Random) -> str:
    """Return what no other process is called that holds leases."""
    return f"{platform.node()[:60]}-{os.getpid()}-{random(4).hex()}"


def settle_memory() -> None:
    """Say that what is there now stays: to look through all of it stops the loop for 0.2 s."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)
