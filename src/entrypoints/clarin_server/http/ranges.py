"""Parts of a file by the header Range (RFC 9110, 14): one, in bytes."""

import re
from typing import NamedTuple

from sanic import Request

_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.IGNORECASE)


class Span(NamedTuple):
    """From one byte up to another."""

    start: int
    stop: int


class NotSatisfiable(Exception):
    """A part that the file does not have."""


def span_of(request: Request, size: int, etag: str) -> Span | None:
    """Return the part that is asked for, None for the whole; raises NotSatisfiable.

    What is no single range of bytes is not heard, and neither is any range when the caller has
    another version (If-Range).
    """
    found = _RANGE.fullmatch(request.headers.get("range", ""))
    if found is None or request.headers.get("if-range", etag) != etag or request.method != "GET":
        return None
    first, last = found.groups()
    if not first and not last:
        return None
    if not first:  # The last so many bytes.
        span = Span(max(0, size - int(last)), size)
    elif last and int(last) < int(first):
        return None
    else:
        span = Span(int(first), min(size, int(last) + 1) if last else size)
    if span.start >= span.stop:
        raise NotSatisfiable
    return span
