"""Where a request comes from, also when proxies hand it on."""

from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, ip_address

from sanic import Request

from clarin_server.settings import Network


def address_of(request: Request, proxies: Collection[Network]) -> str:
    """Return where a request comes from, as far as one subscriber has it; empty if unknown.

    That is the peer. If it is one of `proxies`, it is whom the peer has seen: the last entry of
    X-Forwarded-For, and so on from right to left. What stands left of an address that is no
    proxy is only said; at what is no address the last proxy counts.
    """
    address = _read(request.ip)
    entries = ",".join(request.headers.getall("x-forwarded-for", ())).split(",")
    while entries and address and any(address in network for network in proxies):
        seen = _read(entries.pop().strip(" \t"))
        if seen is None:
            break
        address = seen
    return _subscriber(address) if address else ""


def _read(text: str) -> IPv4Address | IPv6Address | None:
    """Return an address, an IPv4 one in the guise of IPv6 as what it is."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _subscriber(address: IPv4Address | IPv6Address) -> str:
    """Return the address, of IPv6 the network of 64 bits: its owner may use all of them."""
    if isinstance(address, IPv4Address):
        return str(address)
    return f"{address.packed[:8].hex()}/64"
