"""Kommo's adapter, held to the contract over a connection to a Kommo of our own."""

from contextlib import AbstractAsyncContextManager

from clarin_core.testing import CrmContract
from clarin_core.testing.crm_stage import CrmStage
from support.kommo.stage import staged


class TestKommoCrm(CrmContract):
    """Each request and answer goes over a socket."""

    def open(self) -> AbstractAsyncContextManager[CrmStage]:
        return staged()
