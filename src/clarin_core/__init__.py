"""Clarin's domain as a library: entities, ports and use cases, without input or output.

Plug a storage in (`clarin_memory`, `clarin_postgres`, or one that keeps the contract of
`clarin_core.testing`), construct the use cases with it, and call them.
"""

from clarin_core.domain.accounts import NewAccount
from clarin_core.domain.actor import Actor, Role
from clarin_core.domain.contacts import ContactChange, ContactQuery, NewContact
from clarin_core.domain.events import EventQuery, replay
from clarin_core.domain.ids import AccountId, ContactId, LeadId, PipelineId, StageId, TagId, UserId
from clarin_core.domain.leads import LeadChange, LeadQuery, LeadStatus, NewLead, StageChoice
from clarin_core.domain.paging import Page
from clarin_core.domain.phone import normalize_phone
from clarin_core.domain.pipelines import NewPipeline, NewStage
from clarin_core.domain.tags import NewTag, TagAssignment, TagTarget
from clarin_core.errors import ClarinError, Conflict, Forbidden, Invalid, NotFound, Unavailable
from clarin_core.ports.storage import Storage
from clarin_core.usecases.accounts import AccountUseCases, open_account
from clarin_core.usecases.contacts import ContactUseCases
from clarin_core.usecases.leads import LeadUseCases
from clarin_core.usecases.pipelines import PipelineUseCases
from clarin_core.usecases.tags import TagUseCases

__all__ = [
    "AccountId",
    "AccountUseCases",
    "Actor",
    "ClarinError",
    "Conflict",
    "ContactChange",
    "ContactId",
    "ContactQuery",
    "ContactUseCases",
    "EventQuery",
    "Forbidden",
    "Invalid",
    "LeadChange",
    "LeadId",
    "LeadQuery",
    "LeadStatus",
    "LeadUseCases",
    "NewAccount",
    "NewContact",
    "NewLead",
    "NewPipeline",
    "NewStage",
    "NewTag",
    "NotFound",
    "Page",
    "PipelineId",
    "PipelineUseCases",
    "Role",
    "StageChoice",
    "StageId",
    "Storage",
    "TagAssignment",
    "TagId",
    "TagTarget",
    "TagUseCases",
    "Unavailable",
    "UserId",
    "normalize_phone",
    "open_account",
    "replay",
]
