"""Ctrl-C, SIGTERM and a closed terminal: once is in order, twice is at once, thrice is dead."""

import asyncio
import os
import signal

_PATIENCE = 2


class StopSignals:
    """What the current task hears of them, from the making of this on.

    A signal before `wait` cancels the task, which is still starting; a later one ends `wait`.
    The second one cancels the task again: requests are cut, but what was opened is closed. The
    third one ends the process: what was answered is stored (R2).
    """

    def __init__(self) -> None:
        self._came = asyncio.Event()
        self._heard = 0
        self._is_starting = True
        self._task = asyncio.current_task()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # As `nohup` does.
                asyncio.get_running_loop().add_signal_handler(number, self.heed)

    @property
    def came(self) -> bool:
        """Whether somebody asked to stop."""
        return self._came.is_set()

    @property
    def is_urgent(self) -> bool:
        """Whether somebody would not wait for the requests in flight."""
        return self._heard > 1

    async def wait(self) -> None:
        """Return when somebody asks to stop."""
        self._is_starting = False
        await self._came.wait()

    def heed(self) -> None:
        """Take it that somebody asked to stop."""
        self._heard += 1
        if self._heard > _PATIENCE:
            os._exit(1)
        self._came.set()
        if self._task is not None and (self._is_starting or self.is_urgent):
            self._task.cancel()
