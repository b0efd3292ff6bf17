"""How this process is called where several share something."""

import os
import platform

from clarin_core.ports.small import Random


def process_name(random: Random) -> str:
    """Return what no other process is called that holds leases."""
    return f"{platform.node()[:60]}-{os.getpid()}-{random(4).hex()}"
