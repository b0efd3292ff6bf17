"""Run one device, for whoever holds the other end of the socket that is named by its number."""

import asyncio
import logging
import os
import sys
import traceback

from clarin_whatsapp.host.device import serve


def main() -> None:
    """Serve until the device or the other end is gone."""
    os.umask(0o077)
    logging.getLogger().setLevel(logging.ERROR)  # Below that it writes who said what.
    asyncio.run(_serve_and_exit(int(sys.argv[1])))


async def _serve_and_exit(descriptor: int) -> None:
    """End the process from within: its loop would wait for threads of the library for ever."""
    try:
        await serve(descriptor)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main()
