"""A simulated WhatsApp, held to the contract and to its own bad manners."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from clarin_core.testing import MessagingContract
from clarin_core.testing.messaging_stage import Stage
from support.world import SimulatedStage


@asynccontextmanager
async def simulated(*, honours_ids: bool) -> AsyncIterator[Stage]:
    yield SimulatedStage(honours_ids=honours_ids)


class TestSimulatedMessaging(MessagingContract):
    """It takes the ids that it is given."""

    def open(self) -> AbstractAsyncContextManager[Stage]:
        return simulated(honours_ids=True)


class TestForgetfulSimulatedMessaging(MessagingContract):
    """It names messages itself."""

    def open(self) -> AbstractAsyncContextManager[Stage]:
        return simulated(honours_ids=False)
