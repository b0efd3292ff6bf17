"""Ctrl-C, SIGTERM and a closed terminal: asked once we stop in order, asked twice at once."""

import asyncio
import os
import signal


class StopSignals:
    """What the current task hears of them, from the making of this on.

    A signal before `wait` cancels the task, which is still starting; a later one ends `wait`.
    The second one ends the process: what was answered is stored (R2).
    """

    def __init__(self) -> None:
        self._came = asyncio.Event()
        self._starting = asyncio.current_task()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # As `nohup` does.
                asyncio.get_running_loop().add_signal_handler(number, self._heed)

    @property
    def came(self) -> bool:
        """Whether somebody asked to stop."""
        return self._came.is_set()

    async def wait(self) -> None:
        """Return when somebody asks to stop."""
        self._starting = None
        await self._came.wait()

    def _heed(self) -> None:
        if self._came.is_set():
            os._exit(1)
        self._came.set()
        if self._starting is not None:
            self._starting.cancel()
