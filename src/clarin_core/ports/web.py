"""What lies on the web, at addresses that somebody else chose."""

from collections.abc import AsyncGenerator
from typing import Protocol

from clarin_core.domain.web_address import WebAddress

FETCH_BYTES_MAX = 64 * 1024 * 1024
FETCH_S_MAX = 10.0


class Web(Protocol):
    """Fetches from the public internet, and from nowhere else.

    The name is looked up once; if any of its numbers is not public nothing is asked, else the
    connection goes to one of just these, and its certificate must be for the name. Nobody is
    led on to another address, and nothing is decoded.
    """

    def fetch(self, address: WebAddress) -> AsyncGenerator[bytes, None]:
        """Give the bytes that lie there, part by part; to be closed when no more are wanted.

        Raises Invalid `url` with the reason where there is nothing to be had in `FETCH_S_MAX`
        seconds, TooLarge for more than `FETCH_BYTES_MAX`.
        """
        ...
