"""Media: files that come with messages, or are uploaded to be sent.

A file's key is made here, of the account and chance, and never of what somebody sent. What
somebody sent is only a label.
"""

from datetime import datetime
from enum import Enum
from typing import Annotated

from msgspec import Meta, Struct

from clarin_core.domain.entity import Living
from clarin_core.domain.ids import MediaId
from clarin_core.errors import Invalid, TooLarge

_MIB = 1024 * 1024
TRIES_MAX = 5

FileName = Annotated[str, Meta(min_length=1, max_length=255)]


class MediaType(Enum):
    """What a file is to those who see it."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    DOCUMENT = "document"
    STICKER = "sticker"


class MediaState(Enum):
    """Where the bytes are: still with WhatsApp, here, or lost."""

    PENDING = "pending"
    STORED = "stored"
    FAILED = "failed"
    EXPIRED = "expired"


SIZE_MAX = {
    MediaType.IMAGE: 16 * _MIB,
    MediaType.STICKER: 1 * _MIB,
    MediaType.VIDEO: 64 * _MIB,
    MediaType.AUDIO: 16 * _MIB,
    MediaType.DOCUMENT: 64 * _MIB,
}


class MediaDraft(Struct, kw_only=True, omit_defaults=True):
    """A file; `source` is what the binding needs to fetch it, opaque to everybody else."""

    key: str
    type: MediaType
    mimetype: str
    filename: str | None = None
    size: int | None = None
    sha256: str | None = None
    state: MediaState = MediaState.PENDING
    source: bytes | None = None


class Media(MediaDraft, Living, kw_only=True, omit_defaults=True):
    """The entity."""

    id: MediaId
    created_at: datetime
    updated_at: datetime
    version: int
    attempts: int = 0

    def store(self, *, size: int, sha256: str, at: datetime) -> None:
        """Have the bytes here."""
        values = {"size": size, "sha256": sha256, "state": MediaState.STORED, "source": None}
        self.alter(values, at=at)

    def miss(self, *, at: datetime) -> None:
        """Have failed to fetch them once more; the last time they are given up."""
        tries = self.attempts + 1
        state = MediaState.EXPIRED if tries >= TRIES_MAX else MediaState.PENDING
        self.alter({"attempts": tries, "state": state}, at=at)


def check_size(type_: MediaType, size: int) -> None:
    """Raise TooLarge for more than WhatsApp takes, Invalid for nothing at all."""
    if size < 1:
        raise Invalid("file", "is empty")
    if size > SIZE_MAX[type_]:
        raise TooLarge(f"{type_.value} file", f"{SIZE_MAX[type_] // _MIB} MiB")


def new_key(chance: bytes) -> str:
    """Return a file's key; the account's folder is the store's business."""
    return chance.hex()
