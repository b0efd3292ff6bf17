"""Which addresses we may ask that somebody else chose (section 5, 7.7)."""

import socket
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarin_core.domain.web_address import is_public, web_address
from clarin_core.errors import Invalid

INSIDE = [
    "127.0.0.1", "127.255.255.254", "0.1.2.3", "10.0.0.1", "100.64.0.1",
    "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1",
    "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.9", "224.0.0.1",
    "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:7f00:1::", "2001:10::1",
    "2001:db8::1", "2002:7f00:1::", "2002:a00:1::1", "3fff::1", "5f00::1", "fc00::1", "fd12::1",
    "fe80::1", "fe80::1%eth0", "2606:4700::1%eth0", "fec0::1", "ff02::1",
]  # fmt: skip
OUTSIDE = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
    "126.255.255.255", "128.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255",
    "192.169.0.0", "223.255.255.255", "2606:4700:4700::1111", "2001:200::1", "2a00:1450::1",
]  # fmt: skip
NO_ADDRESS = [
    "",
    "localhost",
    "127.1",
    "2130706433",
    "0x7f.1",
    "0177.0.0.1",
    "1.1.1.1.",
    " 1.1.1.1",
]

WRONG = {
    "http://a.example.com/x": "https",
    "ftp://a.example.com/x": "https",
    "//a.example.com/x": "https",
    "javascript:alert(1)": "https",
    "file:///etc/passwd": "https",
    "https:///x": "host",
    "https://localhost/x": "host",
    "https://intranet/x": "host",
    "https://127.0.0.1/x": "host",
    "https://2130706433/x": "host",
    "https://0x7f000001/x": "host",
    "https://0177.0.0.1/x": "host",
    "https://0x7f.0.0.1/x": "host",
    "https://127.1/x": "host",
    "https://127.0.0.1./x": "host",
    "https://[::1]/x": "host",
    "https://[::ffff:127.0.0.1]/x": "host",
    "https://[fe80::1%25eth0]/x": "host",
    "https://8.8.8.8/x": "host",
    "https://1.2.3.0x4/x": "host",
    "https://-a.example.com/": "host",
    "https://a..example.com/": "host",
    "https://a_b.example.com/": "host",
    "https://ⓔxample.com/": "host",
    "https://a.example.com%2f@b.example.com/": "user",
    "https://ana@a.example.com/": "user",
    "https://ana:clave@a.example.com/": "user",
    "https://@a.example.com/": "user",
    "https://a.example.com:80/": "port",
    "https://a.example.com:8443/": "port",
    "https://a.example.com:0/": "port",
    "https://a.example.com:99999/": "URL",
    "https://a.example.com:x/": "URL",
    "https://[a.example.com/": "URL",
    "https://a.example.com\\@b.example.com/": "URL",
    "https://a.example.com/a b": "URL",
    "https://a.example.com/\n": "URL",
    "https://a.example.com/\x00": "URL",
    "https://a.example.com/\ud800": "URL",
    "https://a.example.com/" + "x" * 2000: "URL",
}


@pytest.mark.parametrize("address", INSIDE)
def test_what_is_not_of_the_public_internet_is_seen(address: str) -> None:
    """Loopback, private, link-local, mapped, translated, tunnelled, for tests, many at once."""
    assert not is_public(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_what_is_public_is_let_through(address: str) -> None:
    """Right up to the neighbours of what is not."""
    assert is_public(address)


@pytest.mark.parametrize("text", NO_ADDRESS)
def test_what_is_no_address_is_not_public(text: str) -> None:
    """Only the plain form counts: the others are read differently by others."""
    assert not is_public(text)


@given(st.ip_addresses())
def test_nothing_that_python_calls_private_is_public(address: object) -> None:
    """Our list is at least as long as the standard library's, in any of its versions."""
    known = ip_address(str(address))
    if not known.is_global or known.is_multicast:
        assert not is_public(str(address))


@pytest.mark.parametrize(("url", "reason"), WRONG.items())
def test_a_url_that_may_mislead_is_refused(url: str, reason: str) -> None:
    """https, the usual port, no user, and the name of a host; numbers in no way of writing."""
    with pytest.raises(Invalid, match=reason) as refused:
        web_address("url", url)
    assert refused.value.field == "url"


@pytest.mark.parametrize(
    ("url", "host", "target", "label"),
    [
        ("https://a.example.com", "a.example.com", "/", None),
        ("HTTPS://A.Example.COM./x", "a.example.com", "/x", "x"),
        ("https://a.example.com:443/x?y=1#z", "a.example.com", "/x?y=1", "x"),
        ("https://xn--d1acufc.xn--p1ai/ñandú.png", "xn--d1acufc.xn--p1ai",
         "/%C3%B1and%C3%BA.png", "ñandú.png"),
        ("https://a.example.com/%2e%2e/%41", "a.example.com", "/%2e%2e/%41", "A"),
        ("https://a.example.com?x", "a.example.com", "/?x", None),
        ("https://a.example.com//b.example.com/c", "a.example.com", "//b.example.com/c", "c"),
    ],
)  # fmt: skip
def test_a_url_is_read_once(url: str, host: str, target: str, label: str | None) -> None:
    """What is looked up and what is asked for come from the same reading."""
    address = web_address("url", url)
    assert (address.host, address.target, address.label) == (host, target, label)


@given(st.text(max_size=60) | st.text("htps:/.@[]%\\127.0aA?#-", max_size=60))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    """And no address is a number to whatever looks it up."""
    try:
        address = web_address("url", f"https://{text}")
    except Invalid:
        return
    with pytest.raises(OSError, match=r"illegal|invalid"):
        socket.inet_aton(address.host)
