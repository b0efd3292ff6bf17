"""A process that runs devices until it is killed, or until whoever started it is gone."""

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import clarin_core.pool.pool as the_pool
from clarin_core.domain.devices import DeviceKey, DeviceLease
from clarin_core.domain.inbound import Presence
from clarin_core.pool.parts import Parts
from clarin_core.pool.pool import DevicePool
from clarin_core.ports.storage import Storage
from clarin_core.usecases.device_sessions import DeviceSessionUseCases
from clarin_core.usecases.inbox import InboxUseCases
from clarin_core.usecases.media_fetch import MediaFetchUseCases
from clarin_core.usecases.sending import SendingUseCases
from clarin_memory import MemoryBlobs, MemoryPublisher
from clarin_postgres import PostgresStorage
from clarin_security import system_random
from clarin_whatsapp import NeonizeMessaging

TESTS = Path(__file__).parents[1]
LEASE_S, RENEW_S, SAFE_S = 1.5, 0.3, 1.2
CALL_S, GRACE_S = 0.4, 1.0


def now() -> datetime:
    return datetime.now(UTC)


async def pause(seconds: float) -> None:
    await asyncio.sleep(seconds)


class Loud:
    """Tells of failures where pytest shows them, and of nothing else."""

    def failed(self, what: str, error: Exception, key: DeviceKey | None) -> None:
        sys.stderr.write(f"could not {what}: {type(error).__name__}: {error}\n")

    def heard(self, count: int) -> None:
        pass

    def did(self, outcome: str) -> None:
        pass

    def runs(self, count: int) -> None:
        pass

    def present(self, lease: DeviceLease, presence: Presence) -> None:
        pass


@contextmanager
def doomed(address: str, folder: Path, seed: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Have such a process run the devices of a storage; on the way out it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "support.doomed", address, str(folder), str(seed)],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        stdin=subprocess.PIPE,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def parts(storage: Storage, folder: Path, seed: str) -> Parts:
    host = (sys.executable, "-m", "support.played_host", seed)
    blobs = MemoryBlobs()
    return Parts(
        messaging=NeonizeMessaging(folder, host=host, call_s=CALL_S, grace_s=GRACE_S),
        inbox=InboxUseCases(storage, now, system_random),
        sending=SendingUseCases(storage, now),
        sessions=DeviceSessionUseCases(storage, now),
        blobs=blobs,
        files=MediaFetchUseCases(storage, now, blobs),
        watch=Loud(),
        clock=now,
        new_name=lambda: "nobody asks for one",
        pause=pause,
    )


async def live(address: str, folder: Path, seed: str) -> None:
    """Run all devices of a storage, under short leases: who comes next shall not wait long."""
    the_pool.LEASE = timedelta(seconds=LEASE_S)
    the_pool.RENEW_S, the_pool.SAFE_S = RENEW_S, SAFE_S
    publisher = MemoryPublisher(is_whole=False)
    async with PostgresStorage(address, clock=now, publisher=publisher) as storage:
        own = parts(storage, folder, seed)
        pool = DevicePool(str(os.getpid()), storage.leases, publisher, own, random.random)
        async with pool.running():
            await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(live(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
