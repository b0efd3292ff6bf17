"""What every stored thing has in common: a life and a version."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from clarin_core.errors import Conflict


class Living:
    """What everything with a life does, for structs that have its fields.

    It has no fields itself: a struct that is made of its draft cannot have a second parent
    with fields, and declares them.
    """

    __slots__ = tuple[str, ...]()  # Opaque to mypy, which misses the slots of the structs.

    updated_at: datetime
    version: int

    def alter(self, values: Mapping[str, Any], *, at: datetime) -> tuple[str, ...]:
        """Set what differs and return the names of the fields that did, sorted."""
        changed = tuple(sorted(f for f, value in values.items() if getattr(self, f) != value))
        for field in changed:
            setattr(self, field, values[field])
        if changed:
            self.touch(at)
        return changed

    def touch(self, at: datetime) -> None:
        """Count a change."""
        self.updated_at = at
        self.version += 1

    def expect(self, version: int | UnsetType) -> None:
        """Raise Conflict when the caller saw another version than the stored one."""
        if version is not UNSET and version != self.version:
            raise Conflict("version_conflict", f"the stored version is {self.version}")


class Entity(Struct, Living, kw_only=True, omit_defaults=True):
    """A thing with a life; `version` starts at 1 and grows by 1 with each change."""

    created_at: datetime
    updated_at: datetime
    version: int


class Perishable(Living):
    """What is deleted softly and can be restored for a while."""

    __slots__ = tuple[str, ...]()  # Opaque to mypy, which misses the slots of the structs.

    deleted_at: datetime | None

    def delete(self, at: datetime) -> None:
        """Hide it."""
        self.deleted_at = at
        self.touch(at)

    def restore(self, at: datetime) -> None:
        """Show it again."""
        self.deleted_at = None
        self.touch(at)
