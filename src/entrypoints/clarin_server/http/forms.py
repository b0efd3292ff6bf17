"""Multipart forms (RFC 7578): few parts, short heads, any bytes as content; here read whole."""

import re
from email.message import Message
from email.parser import HeaderParser
from typing import NamedTuple

from clarin_core.errors import Malformed, Unsupported

_PARTS_MAX = 16
HEAD_BYTES_MAX = 4096
_BOUNDARY = re.compile(r'boundary="?([!-~]{1,70}?)"?(?:;|$)', re.IGNORECASE)


class Part(NamedTuple):
    """One field; `filename` is None for one that is no file."""

    name: str
    filename: str | None
    content: bytes

    @property
    def text(self) -> str:
        """The content of a field that is no file; raises Malformed."""
        try:
            return self.content.decode()
        except UnicodeDecodeError as error:
            raise Malformed(self.name[:64], "is not UTF-8") from error


def boundary_of(content_type: str) -> bytes:
    """Return what parts the fields of a form; raises Unsupported for another content type."""
    kind, _, parameters = content_type.partition(";")
    found = _BOUNDARY.search(parameters.strip())
    if kind.strip().lower() != "multipart/form-data" or found is None:
        raise Unsupported("the body must be multipart/form-data with the field file")
    return found[1].encode()


def read_form(body: bytes, boundary: bytes) -> dict[str, Part]:
    """Return the fields by name; raises Malformed for a broken form or one of too many fields."""
    _, *sections = (b"\r\n" + body).split(b"\r\n--" + boundary, _PARTS_MAX + 1)
    if not sections or not sections.pop().startswith(b"--"):
        raise unreadable()
    parts: dict[str, Part] = {}
    for section in sections:
        part = _part(section)
        if part.name in parts:
            raise Malformed(part.name[:64], "is given more than once")
        parts[part.name] = part
    return parts


def read_head(head: bytes) -> Part:
    """Return a field without its content, by what stands between boundary and blank line."""
    start = head.lstrip(b" \t")
    if not start.startswith(b"\r\n") or len(head) > HEAD_BYTES_MAX:
        raise unreadable()
    try:
        return _named(HeaderParser().parsestr(start[2:].decode()))
    except (ValueError, TypeError) as error:  # The library fails so on odd RFC 2231 parameters.
        raise unreadable() from error


def unreadable() -> Malformed:
    """Return the error for what is no form."""
    return Malformed("body", "is not a readable form")


def _part(section: bytes) -> Part:
    head, blank, content = section.partition(b"\r\n\r\n")
    if not blank:
        raise unreadable()
    return read_head(head)._replace(content=content)


def _named(head: "Message[str, str]") -> Part:
    name = head.get_param("name", header="content-disposition")
    if not isinstance(name, str):
        raise unreadable()
    return Part(name, head.get_filename(), b"")
