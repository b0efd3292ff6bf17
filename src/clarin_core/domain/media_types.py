"""What a file is, by its first bytes and by nothing that was said of it.

A table of our own: the question is only what WhatsApp takes as an image, a video, a recording or
a sticker, and what a browser shows without running it. A library that knows a thousand formats
answers neither. What is not in the table is a document, and is only ever handed out as a file.
"""

from codecs import getincrementaldecoder
from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple

from clarin_core.domain.media import Kept, MediaType, check_size
from clarin_core.errors import Unsupported

HEAD_BYTES = 4096
"""So many bytes at the beginning say it, or none do."""

_BINARY = "application/octet-stream"
_TEXT = "text/plain; charset=utf-8"
_IN_TEXT = "\r\n\t\f\ufeff\u200b\u200c\u200d\u2028"
_OFFICE = "application/vnd.openxmlformats-officedocument."

_IMAGE = (MediaType.IMAGE,)
_VIDEO = (MediaType.VIDEO,)
_AUDIO = (MediaType.AUDIO,)
_DOCUMENT = (MediaType.DOCUMENT,)


class Sniffed(NamedTuple):
    """What a file is, and as what it may be sent, the usual first."""

    mimetype: str
    types: tuple[MediaType, ...]

    def as_(self, wanted: MediaType | None) -> MediaType:
        """Return as what it is sent; anything may be a document. Raises Unsupported."""
        if wanted is None:
            return self.types[0]
        if wanted in (*self.types, MediaType.DOCUMENT):
            return wanted
        raise Unsupported(f"the file is no {wanted.value}: it is {self.mimetype}")


class Intake:
    """A file on its way in: what it is, how large it may be, and what has come of it."""

    def __init__(self, head: bytes, wanted: MediaType | None = None) -> None:
        """Look at the first HEAD_BYTES; raises Unsupported for what is not what was wanted."""
        sniffed = sniff(head[:HEAD_BYTES])
        self.mimetype = sniffed.mimetype
        self.type = sniffed.as_(wanted)
        self._size = 0
        self._digest = sha256()

    def take(self, part: bytes) -> None:
        """Count the next part; raises TooLarge as soon as there is too much."""
        self._size += len(part)
        self._digest.update(part)
        if part:
            check_size(self.type, self._size)

    def end(self) -> Kept:
        """Return what is known of the whole; raises Invalid when nothing came."""
        check_size(self.type, self._size)
        return Kept(self.type, self.mimetype, self._size, self._digest.hexdigest())


_BEGINNINGS: tuple[tuple[bytes, str, tuple[MediaType, ...]], ...] = (
    (b"\xff\xd8\xff", "image/jpeg", _IMAGE),
    (b"\x89PNG\r\n\x1a\n", "image/png", _IMAGE),
    (b"GIF87a", "image/gif", _IMAGE),
    (b"GIF89a", "image/gif", _IMAGE),
    (b"ID3", "audio/mpeg", _AUDIO),
    (b"\xff\xfb", "audio/mpeg", _AUDIO),
    (b"\xff\xf3", "audio/mpeg", _AUDIO),
    (b"\xff\xf2", "audio/mpeg", _AUDIO),
    (b"\xff\xf1", "audio/aac", _AUDIO),
    (b"\xff\xf9", "audio/aac", _AUDIO),
    (b"#!AMR", "audio/amr", _AUDIO),
    (b"%PDF-", "application/pdf", _DOCUMENT),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage", _DOCUMENT),
)
_BRANDS = {
    b"M4A ": ("audio/mp4", _AUDIO),
    b"qt  ": ("video/quicktime", _VIDEO),
    b"3gp": ("video/3gpp", _VIDEO),
    b"iso": ("video/mp4", _VIDEO),
    b"mp4": ("video/mp4", _VIDEO),
    b"avc1": ("video/mp4", _VIDEO),
    b"M4V": ("video/mp4", _VIDEO),
    b"MSNV": ("video/mp4", _VIDEO),
    b"dash": ("video/mp4", _VIDEO),
    b"heic": ("image/heic", _DOCUMENT),
    b"mif1": ("image/heif", _DOCUMENT),
    b"avif": ("image/avif", _DOCUMENT),
}
_RIFFS = {
    b"WEBP": ("image/webp", (MediaType.IMAGE, MediaType.STICKER)),
    b"WAVE": ("audio/wav", _AUDIO),
    b"AVI ": ("video/x-msvideo", _VIDEO),
}
_IN_ZIPS = {
    b"word/": f"{_OFFICE}wordprocessingml.document",
    b"xl/": f"{_OFFICE}spreadsheetml.sheet",
    b"ppt/": f"{_OFFICE}presentationml.presentation",
}
_SHOWN = {
    "image/jpeg", "image/png", "image/gif", "image/webp", "audio/mpeg", "audio/aac", "audio/mp4",
    "audio/ogg", "audio/wav", "video/mp4", "video/webm", "video/3gpp", "video/quicktime",
}  # fmt: skip


def sniff(head: bytes) -> Sniffed:
    """Return what a file is that begins so."""
    for beginning, mimetype, types in _BEGINNINGS:
        if head.startswith(beginning):
            return Sniffed(mimetype, types)
    for look in _LOOKS:
        if found := look(head):
            return found
    return Sniffed(_TEXT if _is_text(head) else _BINARY, _DOCUMENT)


def is_shown(mimetype: str) -> bool:
    """Return whether a browser may show it in a page: it has nothing that could be run."""
    return mimetype.partition(";")[0] in _SHOWN


def _mp4(head: bytes) -> Sniffed | None:
    if head[4:8] != b"ftyp":
        return None
    brand = head[8:12]
    known = _BRANDS.get(brand) or _BRANDS.get(brand[:3])
    return Sniffed(*known) if known else Sniffed(_BINARY, _DOCUMENT)


def _riff(head: bytes) -> Sniffed | None:
    known = _RIFFS.get(head[8:12]) if head.startswith(b"RIFF") else None
    return Sniffed(*known) if known else None


def _ogg(head: bytes) -> Sniffed | None:
    if not head.startswith(b"OggS"):
        return None
    if b"OpusHead" in head[:64]:
        return Sniffed("audio/ogg; codecs=opus", _AUDIO)
    return Sniffed("audio/ogg", _AUDIO) if b"\x01vorbis" in head[:64] else None


def _matroska(head: bytes) -> Sniffed | None:
    if not head.startswith(b"\x1a\x45\xdf\xa3"):
        return None
    return Sniffed("video/webm" if b"webm" in head[:64] else "video/x-matroska", _VIDEO)


def _zip(head: bytes) -> Sniffed | None:
    """Office files are archives of which the names of the first parts say what they are."""
    if not head.startswith(b"PK\x03\x04"):
        return None
    known = (kind for part, kind in _IN_ZIPS.items() if part in head)
    is_office = b"[Content_Types].xml" in head
    return Sniffed(next(known, "application/zip") if is_office else "application/zip", _DOCUMENT)


def _is_text(head: bytes) -> bool:
    """Whether it reads as UTF-8; the last letter of a long file may be cut in two."""
    reader = getincrementaldecoder("utf-8")()
    try:
        text = reader.decode(head, final=len(head) < HEAD_BYTES)
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter in _IN_TEXT for letter in text)


_LOOKS: tuple[Callable[[bytes], Sniffed | None], ...] = (_mp4, _riff, _ogg, _matroska, _zip)
