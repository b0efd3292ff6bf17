"""Hypothesis strategies for entities and events as a log must keep them."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from msgspec.structs import asdict, replace

from clarin_core.domain.accounts import Account, Plan, ResendUnknown
from clarin_core.domain.actor import Role
from clarin_core.domain.contacts import Contact
from clarin_core.domain.devices import Device, PairingCode
from clarin_core.domain.events import (
    AccountChanged,
    ContactCreated,
    ContactDeleted,
    ContactMerged,
    ContactRestored,
    ContactTagged,
    ContactUntagged,
    ContactUpdated,
    Event,
    EventAction,
    ImportAdvanced,
    ImportFinished,
    KommoAdvanced,
    LeadAssigned,
    LeadCreated,
    LeadDeleted,
    LeadMoved,
    LeadRestored,
    LeadTagged,
    LeadUntagged,
    LeadUpdated,
    MembershipChanged,
    PipelineChanged,
    TagCreated,
    TagDeleted,
    TagRenamed,
)
from clarin_core.domain.ids import ID_MAX, PipelineId, StageId
from clarin_core.domain.imports import ImportCounts, ImportJob, ImportState
from clarin_core.domain.inbox_events import (
    DeviceCodeShown,
    DeviceCreated,
    DeviceDeleted,
    DeviceUpdated,
    QuickReplyCreated,
    QuickReplyDeleted,
    QuickReplyUpdated,
)
from clarin_core.domain.kommo import KommoPhase, KommoProgress, StreamProgress
from clarin_core.domain.leads import Lead, StageMove
from clarin_core.domain.pipelines import NewPipeline, Pipeline, Stage
from clarin_core.domain.quick_replies import QuickReply
from clarin_core.domain.tags import Tag, TagLink, TagOrigin
from clarin_core.testing.inbox_entities import inbox_events
from clarin_core.testing.strategies import (
    colors,
    contact_drafts,
    device_values,
    import_drafts,
    instants,
    kommo_ids,
    lead_drafts,
    maybe,
    names,
    new_pipelines,
    new_quick_replies,
    tag_names,
)
from clarin_core.testing.tenants import NOON


def ids() -> SearchStrategy[int]:
    """Ids of anything."""
    return st.integers(1, ID_MAX)


def leads() -> SearchStrategy[Lead]:
    """Leads, linked and placed anywhere."""
    return st.builds(
        lambda draft, **fields: Lead(**{**asdict(draft), **fields}),
        lead_drafts(), contact_id=maybe(ids()), pipeline_id=maybe(ids()), stage_id=maybe(ids()),
        assigned_to=maybe(ids()), deleted_at=maybe(instants()), **_life(),
    )  # fmt: skip


def contacts() -> SearchStrategy[Contact]:
    """Contacts, live and deleted."""
    return st.builds(
        lambda draft, **fields: Contact(**asdict(draft), **fields),
        contact_drafts(), deleted_at=maybe(instants()), **_life(),
    )  # fmt: skip


def tags() -> SearchStrategy[Tag]:
    """Tags of either origin."""
    return st.builds(
        Tag, name=tag_names(), color=colors(), origin=st.sampled_from(TagOrigin),
        kommo_id=maybe(kommo_ids()), **_life(),
    )  # fmt: skip


def pipelines() -> SearchStrategy[Pipeline]:
    """Pipelines with their stages."""
    return st.builds(_pipeline, new_pipelines(), is_default=st.booleans(), **_life())


def import_jobs() -> SearchStrategy[ImportJob]:
    """Imports on their way."""
    return st.builds(
        lambda draft, **fields: ImportJob(**asdict(draft), **fields),
        import_drafts(), state=st.sampled_from(ImportState), rows_done=st.integers(0, 100_000),
        counts=st.builds(ImportCounts, created=st.integers(0, 9)), error=maybe(names()), **_life(),
    )  # fmt: skip


def accounts() -> SearchStrategy[Account]:
    """Accounts."""
    return st.builds(
        Account, name=names(), slug=maybe(st.just("luz-y-sal")), plan=st.sampled_from(Plan),
        max_devices=st.integers(0, 10_000), is_active=st.booleans(), default_region=st.just("PE"),
        timezone=st.just("America/Lima"), resend_unknown=st.sampled_from(ResendUnknown),
        leads_from_chats=st.booleans(), **_life(),
    )  # fmt: skip


def devices() -> SearchStrategy[Device]:
    """Devices in any state."""
    return st.builds(
        lambda values, **fields: Device(**values, **fields), device_values(), **_life()
    )


def quick_replies() -> SearchStrategy[QuickReply]:
    """Quick replies."""
    return st.builds(
        lambda new, **fields: QuickReply(**asdict(new), **fields), new_quick_replies(), **_life()
    )


def events() -> SearchStrategy[Event]:
    """Every kind of event."""
    return st.one_of(
        _events_of_leads(), _events_of_contacts(), _events_of_others(), _events_of_the_inbox(),
        inbox_events(),
    )  # fmt: skip


def _events_of_leads() -> SearchStrategy[Event]:
    some, links, changed = _some(leads()), _some(_links()), _some(st.just("name"))
    return st.one_of(
        st.builds(LeadCreated, leads=some),
        st.builds(LeadUpdated, leads=some, changed=changed),
        st.builds(LeadMoved, leads=some, moves=_some(_moves())),
        st.builds(LeadAssigned, lead=leads(), before=maybe(ids())),
        st.builds(LeadDeleted, leads=some),
        st.builds(LeadRestored, lead=leads()),
        st.builds(LeadTagged, links=links),
        st.builds(LeadUntagged, links=links),
    )


def _events_of_contacts() -> SearchStrategy[Event]:
    some, links, changed = _some(contacts()), _some(_links()), _some(st.just("phone"))
    return st.one_of(
        st.builds(ContactCreated, contacts=some),
        st.builds(ContactUpdated, contacts=some, changed=changed),
        st.builds(ContactDeleted, contacts=some),
        st.builds(ContactMerged, contact=contacts(), gone=some),
        st.builds(ContactRestored, contact=contacts()),
        st.builds(ContactTagged, links=links),
        st.builds(ContactUntagged, links=links),
    )


def _events_of_others() -> SearchStrategy[Event]:
    return st.one_of(
        st.builds(TagCreated, tags=_some(tags())),
        st.builds(TagRenamed, tag=tags()),
        st.builds(TagDeleted, tag_id=ids()),
        st.builds(PipelineChanged, action=st.sampled_from(EventAction), pipeline=pipelines()),
        st.builds(ImportAdvanced, job=import_jobs()),
        st.builds(ImportFinished, job=import_jobs()),
        st.builds(KommoAdvanced, progress=_progress()),
        st.builds(AccountChanged, account=accounts()),
        st.builds(MembershipChanged, user_id=ids(), role=maybe(st.sampled_from(Role))),
    )


def _events_of_the_inbox() -> SearchStrategy[Event]:
    codes = st.builds(
        PairingCode, device_id=ids(), code=names(), is_qr=st.booleans(), expires_at=instants()
    )
    return st.one_of(
        st.builds(DeviceCreated, device=devices()),
        st.builds(DeviceUpdated, device=devices(), changed=_some(st.just("status"))),
        st.builds(DeviceDeleted, device_id=ids()),
        st.builds(DeviceCodeShown, code=codes),
        st.builds(QuickReplyCreated, quick_reply=quick_replies()),
        st.builds(QuickReplyUpdated, quick_reply=quick_replies()),
        st.builds(QuickReplyDeleted, quick_reply_id=ids()),
    )


def _progress() -> SearchStrategy[KommoProgress]:
    done = st.builds(StreamProgress, done=st.integers(0, 9), total=maybe(st.integers(0, 9)))
    return st.builds(
        KommoProgress, phase=st.sampled_from(KommoPhase), leads=maybe(done),
        rate=maybe(st.floats(0, 9_000)), left_s=maybe(st.integers(0, 9)),
        last_ok_at=maybe(instants()),
    )  # fmt: skip


def _pipeline(new: NewPipeline, **fields: object) -> Pipeline:
    stages = [
        Stage(id=StageId(place + 1), position=place, **asdict(stage))
        for place, stage in enumerate(new.stages or ())
    ]
    bare = Pipeline(
        id=PipelineId(1), name=new.name, description=new.description, position=0, stages=stages,
        is_default=False, created_at=NOON, updated_at=NOON, version=1,
    )  # fmt: skip
    return replace(bare, **fields)


def _life() -> dict[str, SearchStrategy[Any]]:
    at = instants()
    return {"id": ids(), "created_at": at, "updated_at": at, "version": st.integers(1, 2**31 - 1)}


def _links() -> SearchStrategy[TagLink]:
    return st.builds(TagLink, target_id=ids(), tag_id=ids())


def _moves() -> SearchStrategy[StageMove]:
    return st.builds(
        StageMove, lead_id=ids(), from_stage=maybe(ids()), to_stage=ids(), actor=maybe(ids()),
        at=instants(),
    )  # fmt: skip


def _some(values: SearchStrategy[Any]) -> SearchStrategy[list[Any]]:
    return st.lists(values, max_size=2)
