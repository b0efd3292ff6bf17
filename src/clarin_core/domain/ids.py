"""Identifiers: signed 64-bit, greater than zero, given by the store, never reused."""

from typing import Annotated, NewType

from msgspec import Meta

ID_MAX = 2**63 - 1

_Id = Annotated[int, Meta(ge=1, le=ID_MAX)]

AccountId = NewType("AccountId", _Id)
UserId = NewType("UserId", _Id)
SessionId = NewType("SessionId", _Id)
ContactId = NewType("ContactId", _Id)
LeadId = NewType("LeadId", _Id)
PipelineId = NewType("PipelineId", _Id)
StageId = NewType("StageId", _Id)
TagId = NewType("TagId", _Id)
ImportId = NewType("ImportId", _Id)
DeviceId = NewType("DeviceId", _Id)
ChatId = NewType("ChatId", _Id)
MessageId = NewType("MessageId", _Id)
MediaId = NewType("MediaId", _Id)
QuickReplyId = NewType("QuickReplyId", _Id)
OutboxId = NewType("OutboxId", _Id)
KommoId = NewType("KommoId", _Id)
