"""Media: files that come with messages, or are uploaded to be sent.

A file's key is made here, of chance, and never of what somebody sent. What somebody sent is only
a label. A file is announced before its bytes are here, and is of use when it is stored.
"""

import re
from datetime import datetime, timedelta
from enum import Enum
from typing import Annotated, NamedTuple

from msgspec import UNSET, Meta, Struct, UnsetType

from clarin_core.domain.command import Command
from clarin_core.domain.entity import Living
from clarin_core.domain.ids import DeviceId, MediaId
from clarin_core.errors import Conflict, Invalid, NotFound, TooLarge

_MIB = 1024 * 1024
TRIES_MAX = 5
KEY_BYTES = 24
URL_MAX = 2_000

_LABEL_MAX = 255
_KEY = re.compile(f"[0-9a-f]{{{2 * KEY_BYTES}}}")
_FIRST_PAUSE = timedelta(minutes=1)
_LONGER = 5  # Each pause is so many times the one before: two hours before the last try.

FileName = Annotated[str, Meta(min_length=1, max_length=_LABEL_MAX)]
FileUrl = Annotated[str, Meta(min_length=1, max_length=URL_MAX)]


class MediaType(Enum):
    """What a file is to those who see it."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    DOCUMENT = "document"
    STICKER = "sticker"


class MediaState(Enum):
    """Where the bytes are: on their way, here, refused for what they are, or lost."""

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
    """A file.

    While it is still with WhatsApp, `source` is what the binding needs to fetch it, opaque to
    everybody else, and `device_id` says whose binding that is.
    """

    key: str
    type: MediaType
    mimetype: str
    filename: str | None = None
    size: int | None = None
    sha256: str | None = None
    state: MediaState = MediaState.PENDING
    source: bytes | None = None
    device_id: DeviceId | None = None


class Kept(NamedTuple):
    """What is known of a file when its bytes are here."""

    type: MediaType
    mimetype: str
    size: int
    sha256: str


class Attachment(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file as it is shown with its message: not where it lies, nor how WhatsApp gives it."""

    id: MediaId
    type: MediaType
    mimetype: str
    filename: str | None = None
    size: int | None = None
    state: MediaState


class Media(MediaDraft, Living, kw_only=True, omit_defaults=True):
    """The entity."""

    id: MediaId
    created_at: datetime
    updated_at: datetime
    version: int
    attempts: int = 0
    not_before: datetime

    def store(self, *, kept: Kept, at: datetime) -> None:
        """Have the bytes here: they are what they are, and not what was said of them."""
        self._end(MediaState.STORED, at, **kept._asdict())

    def miss(self, *, at: datetime) -> None:
        """Have failed to fetch them once more: later again, and after the last time no more."""
        self.attempts += 1
        if self.attempts >= TRIES_MAX:
            return self._end(MediaState.EXPIRED, at)
        self.not_before = at + _FIRST_PAUSE * _LONGER ** (self.attempts - 1)
        return self.touch(at)

    def refuse(self, *, at: datetime) -> None:
        """Never have them, because of what they are."""
        self._end(MediaState.FAILED, at)

    def expire(self, *, at: datetime) -> None:
        """Never have them (again)."""
        self._end(MediaState.EXPIRED, at)

    def _end(self, state: MediaState, at: datetime, **values: object) -> None:
        self.alter(values | {"state": state, "source": None, "device_id": None}, at=at)


class MediaView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file as people may see it; `key` is its address, which grants nothing by itself."""

    id: MediaId
    key: str
    type: MediaType
    mimetype: str
    filename: str | None = None
    size: int | None = None
    sha256: str | None = None
    state: MediaState
    created_at: datetime
    updated_at: datetime
    version: int

    def require_bytes(self) -> None:
        """Raise Conflict `invalid_state` unless the bytes are here."""
        if self.state is not MediaState.STORED:
            raise Conflict("invalid_state", f"the file is {self.state.value}", id=self.id)


class NewFile(Command, frozen=True, kw_only=True):
    """A file to be kept; without a type it is what its first bytes say."""

    filename: FileName | UnsetType = UNSET
    media_type: MediaType | UnsetType = UNSET


class NewUrlFile(NewFile, frozen=True, kw_only=True):
    """A file that lies on the web."""

    url: FileUrl


def attachment_of(file: Media | MediaView) -> Attachment:
    """Return a file as it is shown with its message."""
    return Attachment(**{name: getattr(file, name) for name in Attachment.__struct_fields__})


def check_size(type_: MediaType, size: int) -> None:
    """Raise TooLarge for more than WhatsApp takes, Invalid for nothing at all."""
    if size < 1:
        raise Invalid("file", "is empty")
    if size > SIZE_MAX[type_]:
        raise TooLarge(f"{type_.value} file", f"{SIZE_MAX[type_] // _MIB} MiB")


def new_key(chance: bytes) -> str:
    """Return a file's key; the account's folder is the store's business."""
    return chance.hex()


def check_key(key: str) -> None:
    """Raise NotFound for what is no key of any file."""
    if not _KEY.fullmatch(key):
        raise NotFound("file", "with this key")


def label_of(raw: str) -> str | None:
    """Return what to call a file that somebody called so: one line, and no path."""
    last = raw.replace("\\", "/").rpartition("/")[2]
    label = "".join(filter(str.isprintable, last)).strip()
    return label[:_LABEL_MAX].strip() or None
