"""What every event is."""

from msgspec import Struct


class DomainEvent(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="name"):
    """Something that happened, with the state after it; its tag is its name in the log."""
