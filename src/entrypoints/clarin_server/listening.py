"""Whether an address can be listened on, and in plain words why not."""

import errno
import socket

from clarin_server.errors import CannotStart
from clarin_server.http.serving import bind


def check_address(host: str, port: int) -> None:
    """Raise CannotStart now rather than after the database was started."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise cannot_listen(host, port, error) from error


def share_address(host: str, port: int) -> socket.socket:
    """Return a bound socket; other processes of ours may have one at the same address.

    Raises CannotStart. Only Linux spreads connections over several that listen.
    """
    try:
        return bind(host, port, shared=True)
    except OSError as error:
        raise cannot_listen(host, port, error) from error


def cannot_listen(host: str, port: int, error: OSError) -> CannotStart:
    """Return why an address cannot be had and what helps."""
    if error.errno == errno.EADDRINUSE:
        what = f"Port {port} of {host} is in use, perhaps by another Clarin; "
        return CannotStart(
            f"{what}stop that, or choose another port: clarin serve --port {port + 1}"
        )
    if error.errno == errno.EACCES:
        return CannotStart(f"Port {port} is for root only; choose one from 1024 on with --port.")
    return CannotStart(f"{host}:{port} cannot be listened on: {error.strerror}. Check HOST.")
