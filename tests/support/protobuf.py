"""Events of WhatsApp's library as it makes them, for tests of what we make of these.

Loads the library: who imports this module without it, or without libmagic, is skipped.
"""

from datetime import UTC, datetime
from importlib import import_module
from io import StringIO
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import strategies as st

from clarin_core.domain.inbound import Peer
from clarin_core.domain.jid import Identity, IdentityKind
from clarin_core.ports.messaging import Heard

# It asks the shell whether this is a telephone, and leaves the pipe open.
with patch("os.popen", lambda _: StringIO()):
    try:
        import_module("neonize")
    except ImportError as error:
        if "libmagic" not in str(error):
            raise
        pytest.skip("the system library libmagic is missing", allow_module_level=True)

from google.protobuf.descriptor import FieldDescriptor
from neonize.proto import Neonize_pb2 as N
from neonize.proto.waE2E import WAWebProtobufsE2E_pb2 as E
from neonize.utils.jid import build_jid

PHONE, LID = "51911111111", "123456789012345"
SENT_AT_MS = 1_795_000_000_123
HER = Peer(identity=Identity(IdentityKind.PHONE, PHONE))
HER_LID = Identity(IdentityKind.LID, LID)
AT = datetime.fromtimestamp(1_795_000_000, UTC)

_WHOLE = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_TEXTS = st.sampled_from(
    ["", "hola", "\0", "x@lid", f"{PHONE}@s.whatsapp.net", "g-1@g.us", "a:b@c"]
)


def the(heard: list[Heard]) -> Any:
    """Return the only one."""
    assert len(heard) == 1
    return heard[0]


def filled(message: Any) -> Any:
    """Set whatever is required and is not set, so that the library could have sent it."""
    for field in message.DESCRIPTOR.fields:
        if field.is_required and not message.HasField(field.name):
            _set_default(message, field)
    for field, value in message.ListFields():
        if field.message_type:
            for part in value if field.is_repeated else [value]:
                filled(part)
    return message


def _set_default(message: Any, field: FieldDescriptor) -> None:
    if field.message_type:
        getattr(message, field.name).SetInParent()
    else:
        setattr(message, field.name, field.default_value)


def source(
    chat: str = PHONE,
    server: str = "s.whatsapp.net",
    *,
    sender: Any = None,
    from_me: bool = False,
    **alternatives: Any,
) -> Any:
    """Return where an event comes from."""
    return N.MessageSource(
        Chat=build_jid(chat, server),
        Sender=sender or build_jid(chat, server),
        IsFromMe=from_me,
        IsGroup=server == "g.us",
        **alternatives,
    )


def message(body: Any, *, origin: Any = None, name: str = "3EB0C0FFEE", **flags: Any) -> Any:
    """Return a message as it is received."""
    info = N.MessageInfo(
        ID=name, MessageSource=origin or source(), Timestamp=SENT_AT_MS, Pushname="Ana", Type="text"
    )
    return filled(N.Message(Info=info, Message=body, **flags))


@st.composite
def anything(draw: st.DrawFn, kind: Any, depth: int = 4) -> Any:
    """Return any value of a generated type, as wild as the type allows."""
    made = kind()
    fields = [field for field in kind.DESCRIPTOR.fields if depth or not field.message_type]
    names = st.sets(st.sampled_from(fields), max_size=4) if fields else st.just(set())
    for field in sorted(draw(names), key=lambda field: field.number):
        _set(draw, made, field, depth)
    return made


def _set(draw: st.DrawFn, made: Any, field: FieldDescriptor, depth: int) -> None:
    if field.message_type:
        if field.message_type.GetOptions().map_entry:
            return
        held = getattr(made, field.name)
        part = held.add() if field.is_repeated else held
        part.SetInParent()
        part.CopyFrom(draw(anything(type(part), depth - 1)))
    elif field.is_repeated:
        getattr(made, field.name).append(draw(_scalar(field)))
    else:
        setattr(made, field.name, draw(_scalar(field)))


def _scalar(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.enum_type:
        return st.sampled_from([value.number for value in field.enum_type.values])
    if field.cpp_type in _WHOLE:
        return st.integers(*_WHOLE[field.cpp_type])
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return st.booleans()
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        is_bytes = field.type == FieldDescriptor.TYPE_BYTES
        return st.binary(max_size=8) if is_bytes else _TEXTS
    return st.floats(width=32)


__all__ = [
    "AT", "HER", "HER_LID", "LID", "PHONE", "E", "N", "anything", "build_jid", "filled",
    "message", "source", "the",
]  # fmt: skip
