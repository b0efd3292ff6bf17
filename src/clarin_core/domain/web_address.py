"""Addresses on the web that somebody else chose: which of them we may ask at all.

The one who asks is inside of our network, and the one who chose the address is not; so neither a
name nor a number may lead to anything but the public internet.
"""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from clarin_core.domain.media import URL_MAX, label_of
from clarin_core.errors import Invalid

HTTPS_PORT = 443

_HOST = re.compile(
    r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])"
)
# The registries of special purposes of the IANA, RFC 6890 and later.
_NOT_PUBLIC = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
            "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
            "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        ),
    )
)  # fmt: skip
_PUBLIC_6 = IPv6Network("2000::/3")
# Within it, but with an IPv4 address inside (Teredo, 6to4), or for examples and tests.
_NOT_PUBLIC_6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
_FIT_FOR_A_PATH = "/%:@!$&'()*+,;=~-._?"


class WebAddress(NamedTuple):
    """A name, and what to ask of it; the port is that of https."""

    host: str
    target: str

    @property
    def label(self) -> str | None:
        """What the file is called there."""
        return label_of(unquote(self.target.partition("?")[0]))


def web_address(field: str, url: str) -> WebAddress:
    """Return the parts of a URL that count, read once: nobody reads it again in another way.

    Raises Invalid for anything but https, the usual port and the name of a host: numbers can be
    written in ways that only some programs take for an address.
    """
    if len(url) > URL_MAX or not url.isprintable() or " " in url or "\\" in url:
        raise Invalid(field, "is not a URL")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Invalid(field, "is not a URL") from error
    if parts.scheme != "https":
        raise Invalid(field, "must begin with https://")
    if parts.username is not None or parts.password is not None:
        raise Invalid(field, "must have no user in it")
    if port not in (None, HTTPS_PORT):
        raise Invalid(field, f"must have no port but {HTTPS_PORT}")
    host = (parts.hostname or "").removesuffix(".")
    if not _HOST.fullmatch(host):
        raise Invalid(field, "must have a host with a public name")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return WebAddress(host, quote(target, safe=_FIT_FOR_A_PATH))


def is_public(address: str) -> bool:
    """Return whether a numeric address is one of the public internet, whatever it stands for."""
    try:
        number = ip_address(address)
    except ValueError:
        return False
    if isinstance(number, IPv4Address):
        return not any(number in network for network in _NOT_PUBLIC)
    is_plain = number.scope_id is None and number in _PUBLIC_6
    return is_plain and not any(number in network for network in _NOT_PUBLIC_6)
