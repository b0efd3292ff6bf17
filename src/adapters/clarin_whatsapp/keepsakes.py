"""Small files that people of the simulated town send: each opens in a viewer.

Each lies at a source that is the same in every run, so that a file that was offered before a
restart can still be fetched after it.
"""

import struct
import zlib
from typing import NamedTuple

from clarin_core.domain.inbound import MediaOffer
from clarin_core.domain.media import MediaType

_SIDE = 96
_COLOURS = ((0x1F, 0x9D, 0x8B), (0xF2, 0xA5, 0x41), (0x5B, 0x6E, 0xE1), (0xD9, 0x4F, 0x70))
_PHOTOS = len(_COLOURS)
_OGG_POLYNOMIAL = 0x04C11DB7
_SILENCE = b"\xf8\xff\xfe"  # An Opus frame of 20 ms.
_FRAMES = 50


def photo(number: int) -> bytes:
    """Return a picture in PNG, another one for each of some numbers."""
    dark = bytes(_COLOURS[number % len(_COLOURS)])
    light = bytes(255 - (255 - part) // 2 for part in dark)
    rows = (
        b"\0" + b"".join(_checked(x, y, dark, light) for x in range(_SIDE)) for y in range(_SIDE)
    )
    head = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def voice_note() -> bytes:
    """Return a second of silence in Opus."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, 48_000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 6) + b"clarin" + struct.pack("<I", 0)
    return b"".join((
        _ogg_page(2, 0, 0, [head]),
        _ogg_page(0, 0, 1, [tags]),
        _ogg_page(4, 960 * _FRAMES, 2, [_SILENCE] * _FRAMES),
    ))  # fmt: skip


def paper() -> bytes:
    """Return a page in PDF."""
    text = b"BT /F1 24 Tf 72 760 Td (Pedido: 40 polos, 15 casacas) Tj ET"
    parts = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R"
        b"/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%b\nendstream" % (len(text), text),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    )
    body, places = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        places.append(b"%010d 00000 n \n" % len(body))
        body += b"%d 0 obj%b endobj\n" % (number, part)
    table = b"xref\n0 %d\n0000000000 65535 f \n%b" % (len(parts) + 1, b"".join(places))
    end = b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(parts) + 1, len(body))
    return body + table + end


def keepsakes() -> tuple[dict[str, list[MediaOffer]], dict[bytes, bytes]]:
    """Return what there is to be sent, by the kind of message, and what lies at each source."""
    files: list[_File] = [
        *(_File(MediaType.IMAGE, "image/png", photo(at), f"{at}.png") for at in range(_PHOTOS)),
        _File(MediaType.AUDIO, "audio/ogg; codecs=opus", voice_note()),
        _File(MediaType.DOCUMENT, "application/pdf", paper(), "pedido.pdf"),
    ]
    offers: dict[str, list[MediaOffer]] = {}
    for file in files:
        offers.setdefault(file.type.value, []).append(file.offer)
    return offers, {file.offer.source: file.content for file in files}


class _File(NamedTuple):
    type: MediaType
    mimetype: str
    content: bytes
    name: str | None = None

    @property
    def offer(self) -> MediaOffer:
        source = f"town:{self.type.value}:{self.name or ''}".encode()
        size, is_named = len(self.content), self.type is MediaType.DOCUMENT
        filename = self.name if is_named else None
        return MediaOffer(
            type=self.type, mimetype=self.mimetype, filename=filename, size=size, source=source
        )


def _checked(x: int, y: int, dark: bytes, light: bytes) -> bytes:
    return dark if (x // 16 + y // 16) % 2 else light


def _chunk(name: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )


def _ogg_page(kind: int, position: int, number: int, packets: list[bytes]) -> bytes:
    head = b"OggS" + struct.pack("<BBqIIIB", 0, kind, position, 1, number, 0, len(packets))
    page = head + bytes(map(len, packets)) + b"".join(packets)
    return page[:22] + struct.pack("<I", _ogg_sum(page)) + page[26:]


def _ogg_sum(page: bytes) -> int:
    """Return the checksum of Ogg (RFC 3533): CRC-32, but neither reflected nor inverted."""
    total = 0
    for byte in page:
        total ^= byte << 24
        for _ in range(8):
            total = (total << 1) ^ (_OGG_POLYNOMIAL if total & 0x80000000 else 0)
        total &= 0xFFFFFFFF
    return total
