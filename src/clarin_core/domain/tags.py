"""Tags: labels on leads, contacts and chats, unique by name without regard to case."""

from collections.abc import Iterable
from enum import Enum
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import force_setattr

from clarin_core.domain.command import Change, Command
from clarin_core.domain.entity import Entity
from clarin_core.domain.ids import ID_MAX, KommoId, TagId
from clarin_core.domain.paging import PageQuery, SearchText
from clarin_core.domain.pipelines import DEFAULT_COLOR, Color
from clarin_core.domain.text import caseless, clean_text
from clarin_core.errors import Invalid

NAME_MAX = 100

TagName = Annotated[str, Meta(min_length=1, max_length=NAME_MAX)]
_TargetId = Annotated[int, Meta(ge=1, le=ID_MAX)]


class TagOrigin(Enum):
    """Who set a tag; a sync removes only its own (TG5)."""

    LOCAL = "local"
    KOMMO = "kommo"


class TagTarget(Enum):
    """What a tag can be put on."""

    LEAD = "lead"
    CONTACT = "contact"
    CHAT = "chat"


class Tag(Entity, kw_only=True, omit_defaults=True):
    """The entity; the name is kept as it was typed."""

    id: TagId
    name: str
    color: str
    origin: TagOrigin
    kommo_id: KommoId | None = None


class TagLink(Struct, frozen=True, kw_only=True, order=True):
    """One tag on one lead, contact or chat."""

    target_id: int
    tag_id: TagId


class NewTag(Command, frozen=True, kw_only=True):
    """A tag to be."""

    name: TagName
    color: Color = DEFAULT_COLOR

    def __post_init__(self) -> None:
        """Put the name in its display form."""
        super().__post_init__()
        force_setattr(self, "name", tag_name(self.name))


class TagChange(Change, frozen=True, kw_only=True):
    """A partial update of a tag."""

    name: TagName | UnsetType = UNSET
    color: Color | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Put the name, if one is given, in its display form."""
        super().__post_init__()
        if self.name is not UNSET:
            force_setattr(self, "name", tag_name(self.name))


class TagQuery(PageQuery, frozen=True, kw_only=True):
    """Tags by name."""

    search: SearchText | UnsetType = UNSET


class TagAssignment(Command, frozen=True, kw_only=True):
    """Tags to put on, or take off, one lead, contact or chat."""

    entity_type: TagTarget
    entity_id: _TargetId
    tag_id: TagId | UnsetType = UNSET
    tag_ids: Annotated[frozenset[TagId], Meta(min_length=1, max_length=100)] | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Raise Invalid unless at least one tag is named."""
        super().__post_init__()
        if not self.all_tag_ids:
            raise Invalid("tag_ids", "or tag_id is needed")

    @property
    def all_tag_ids(self) -> list[TagId]:
        """Return the tags named either way, sorted."""
        one = set() if self.tag_id is UNSET else {self.tag_id}
        return sorted(one if self.tag_ids is UNSET else one | self.tag_ids)


def tag_name(raw: str) -> str:
    """Return a tag's display form: inner blanks collapsed."""
    return " ".join(raw.split())


def clean_tag_names(field: str, raw: Iterable[str]) -> frozenset[str]:
    """Return names in their display form; raises Invalid for one that is no name."""
    clean = (clean_text(field, name, shortest=1, longest=NAME_MAX, lines=False) for name in raw)
    return frozenset(map(tag_name, clean))


def tag_key(name: str) -> str:
    """Return what two spellings of one tag share: they differ in case and blanks only."""
    return caseless(tag_name(name))
