"""What callers ask for: one class serves as command and as request body."""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict, force_setattr

from clarin_core.domain.text import clean_text
from clarin_core.errors import Invalid

_LINES = {"lines": True}
VERBATIM = {"verbatim": True}
"""Marks a text that is kept as it is, such as a password."""

Name = Annotated[str, Meta(min_length=1, max_length=255)]
ShortName = Annotated[str, Meta(min_length=1, max_length=100)]
Notes = Annotated[str, Meta(max_length=10_000, extra=_LINES)]
Phone = Annotated[str, Meta(min_length=1, max_length=64)]
Email = Annotated[str, Meta(min_length=3, max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")]
Age = Annotated[int, Meta(ge=0, le=150)]
Version = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class _TextRule(NamedTuple):
    shortest: int
    longest: int
    lines: bool
    verbatim: bool = False

    def kept(self, field: str, raw: str) -> str:
        """Return the text in its kept form; raises Invalid."""
        if not self.verbatim:
            longest, lines = self.longest, self.lines
            return clean_text(field, raw, shortest=self.shortest, longest=longest, lines=lines)
        if not self.shortest <= len(raw) <= self.longest:
            raise Invalid(field, f"must have {self.shortest} to {self.longest} characters")
        return raw


class Command(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of every command: text fields are cleaned and bounded however it is made."""

    def __post_init__(self) -> None:
        """Put each text in its kept form; raises Invalid with the field's name."""
        for field, rule in text_rules(type(self)).items():
            raw = getattr(self, field)
            if type(raw) is str:
                force_setattr(self, field, rule.kept(field, raw))

    @property
    def takes_long(self) -> bool:
        """Whether much is done, outside of any transaction, before anything is stored."""
        return False

    def given(self) -> dict[str, Any]:
        """Return the fields that the caller named, null ones included."""
        return {field: value for field, value in asdict(self).items() if value is not UNSET}


class Change(Command, frozen=True, kw_only=True):
    """A partial update: an absent field is left alone, null clears it.

    `version`, when given, must be the stored one (also sent as the header If-Match).
    """

    version: Version | UnsetType = UNSET

    def values(self) -> dict[str, Any]:
        """Return what is to change, without the version."""
        return {field: value for field, value in self.given().items() if field != "version"}


class Precondition(Change, frozen=True, kw_only=True):
    """Nothing to set: only the version that the caller saw, if there is one to compare."""


@cache
def text_rules(command: type[Struct]) -> Mapping[str, _TextRule]:
    """Return the length rules of a command's bounded text fields, by field name."""
    hints = get_type_hints(command, include_extras=True)
    rules = {field: _text_rule(hint) for field, hint in hints.items()}
    return {field: rule for field, rule in rules.items() if rule is not None}


def _text_rule(hint: object) -> _TextRule | None:
    if get_origin(hint) is not Annotated:
        nested = (_text_rule(part) for part in get_args(hint))
        return next((rule for rule in nested if rule is not None), None)
    base, meta = get_args(hint)[:2]
    if base is not str or not isinstance(meta, Meta) or meta.max_length is None:
        return None
    extra = meta.extra or {}
    if extra.get("verbatim"):
        return _TextRule(meta.min_length or 0, meta.max_length, lines=True, verbatim=True)
    lines = bool(extra.get("lines"))
    return _TextRule(meta.min_length or 0, meta.max_length, lines)


ANY_VERSION = Precondition()
