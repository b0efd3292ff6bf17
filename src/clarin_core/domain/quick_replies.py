"""Quick replies: texts that are typed often, found by a shortcut."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import force_setattr

from clarin_core.domain.command import Change, Command, Name
from clarin_core.domain.entity import Entity
from clarin_core.domain.ids import QuickReplyId
from clarin_core.domain.paging import PageQuery, SearchText
from clarin_core.domain.text import caseless
from clarin_core.errors import Invalid

Shortcut = Annotated[str, Meta(min_length=1, max_length=100)]
ReplyBody = Annotated[str, Meta(min_length=1, max_length=10_000, extra={"lines": True})]


class QuickReply(Entity, kw_only=True, omit_defaults=True):
    """The entity; the shortcut is unique without regard to case, and has no `/` before it."""

    id: QuickReplyId
    shortcut: str
    title: str
    body: str


class NewQuickReply(Command, frozen=True, kw_only=True):
    """A quick reply to be."""

    shortcut: Shortcut
    title: Name
    body: ReplyBody

    def __post_init__(self) -> None:
        """Put the shortcut in its kept form."""
        super().__post_init__()
        force_setattr(self, "shortcut", clean_shortcut(self.shortcut))


class QuickReplyChange(Change, frozen=True, kw_only=True):
    """A partial update of a quick reply."""

    shortcut: Shortcut | UnsetType = UNSET
    title: Name | UnsetType = UNSET
    body: ReplyBody | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Put the shortcut, if one is given, in its kept form."""
        super().__post_init__()
        if self.shortcut is not UNSET:
            force_setattr(self, "shortcut", clean_shortcut(self.shortcut))


class QuickReplyQuery(PageQuery, frozen=True, kw_only=True):
    """Quick replies by shortcut."""

    search: SearchText | UnsetType = UNSET


def clean_shortcut(raw: str) -> str:
    """Return a shortcut without the `/` before it; raises Invalid for one that holds blanks."""
    text = raw.lstrip("/")
    if not text or any(char.isspace() for char in text):
        raise Invalid("shortcut", "must be one word")
    return text


def shortcut_key(shortcut: str) -> str:
    """Return what two spellings of a shortcut share: they differ in case only."""
    return caseless(shortcut)
