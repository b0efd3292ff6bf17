"""Fields that an account invents for its leads: names with plain values."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta, UnsetType

from clarin_core.domain.text import clean_text
from clarin_core.errors import Invalid

_BYTES_MAX = 16 * 1024

_Key = Annotated[str, Meta(min_length=1, max_length=64)]
_Text = Annotated[str, Meta(max_length=1000)]
_Whole = Annotated[int, Meta(ge=-(2**53), le=2**53)]

CustomFields = Annotated[dict[_Key, bool | _Whole | float | _Text | None], Meta(max_length=100)]


def check_custom_fields(fields: Mapping[str, object] | UnsetType | None) -> None:
    """Raise Invalid for a key or text that is not clean, or more than 16 KiB in all."""
    if not isinstance(fields, Mapping):
        return
    for key, value in fields.items():
        _check_clean(key, shortest=1, longest=64)
        if isinstance(value, str):
            _check_clean(value, shortest=0, longest=1000)
    if len(msgspec.json.encode(fields)) > _BYTES_MAX:
        raise Invalid("custom_fields", f"is larger than {_BYTES_MAX} bytes")


def _check_clean(text: str, *, shortest: int, longest: int) -> None:
    clean_text("custom_fields", text, shortest=shortest, longest=longest, lines=True)
