"""A connection to Kommo: its credentials, what goes wrong, and how far it says to be."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clarin_core.domain.ids import KommoId, PipelineId
from clarin_core.domain.kommo import (
    KommoCredentials,
    KommoDictionaries,
    KommoFault,
    KommoLink,
    KommoPhase,
    KommoPipeline,
    StreamProgress,
    Trouble,
    pipelines_shown,
    progress_of,
    status_of,
)
from clarin_core.domain.kommo_sync import SyncState, Walk
from clarin_core.domain.remote import PAGE_MAX, RemoteKind, RemotePipeline, RemoteTag
from clarin_core.errors import Invalid
from clarin_core.testing.tenants import LATER, NOON

OAUTH: dict[str, Any] = {
    "client_id": "c", "client_secret": "s", "redirect_uri": "https://a.pe", "access_token": "a",
    "refresh_token": "r", "expires_at": NOON,
}  # fmt: skip


def link(**values: Any) -> KommoLink:
    usual: dict[str, Any] = {
        "subdomain": "acme", "remote_id": KommoId(1), "name": "Acme", "connected": [KommoId(2)],
        "state": SyncState(), "created_at": NOON, "updated_at": NOON, "version": 1,
    }  # fmt: skip
    return KommoLink(**usual | values)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "token"),
        ({"token": "t", "client_id": "c"}, "token"),
        ({name: value for name, value in OAUTH.items() if name != "refresh_token"}, "token"),
        (OAUTH | {"expires_at": datetime(1999, 1, 1, tzinfo=UTC)}, "expires_at"),
    ],
)
def test_credentials_are_of_one_kind_and_whole(given: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        KommoCredentials(subdomain="acme", **given)
    assert caught.value.field == field


def test_credentials_of_either_kind_are_taken() -> None:
    assert KommoCredentials(subdomain="acme", token="t").token == "t"
    assert KommoCredentials(subdomain="acme", **OAUTH).oauth() == OAUTH


def test_what_is_connected_first_is_read_whole_and_then_its_leads_alone() -> None:
    """Contacts are the same for all pipelines; one that is under way begins anew with leads."""
    one = link()
    assert one.phase is KommoPhase.LIVE
    one.begin_backfill(NOON)
    assert one.state.backfill is not None
    assert one.state.backfill.contacts == Walk()
    one.state.begin(NOON)
    one.state.backfill.contacts = Walk(upto=3)
    one.state.backfill.leads.upto = 7
    one.begin_backfill(LATER)
    assert one.state.backfill.contacts == Walk(upto=3)
    assert (one.state.backfill.leads.upto, one.state.backfill.start) == (0, NOON)
    one.state.backfill = None
    one.begin_backfill(LATER)
    assert one.state.backfill is not None
    assert one.state.backfill.contacts is None
    one.begin_backfill(LATER, is_full=True)
    assert one.state.backfill.contacts == Walk()
    assert one.phase is KommoPhase.BACKFILL


def test_a_fault_is_waited_for_and_named_once() -> None:
    one = link()
    first = KommoFault(trouble=Trouble.BLOCKED, text="no", since=NOON, retry_at=LATER)
    again = KommoFault(trouble=Trouble.BLOCKED, text="no!", since=LATER, retry_at=LATER)
    assert one.fail(first)
    assert not one.fail(again)
    assert one.fault is not None
    assert (one.fault.since, one.fault.text) == (NOON, "no!")
    assert not one.may_go_on(NOON)
    assert one.may_go_on(LATER)
    for trouble, may in (
        (Trouble.UNAUTHORIZED, False), (Trouble.NO_FILTERS, False), (Trouble.MASS_DELETION, True),
    ):  # fmt: skip
        one.fault = None
        one.fail(KommoFault(trouble=trouble, text="no", since=NOON))
        assert one.may_go_on(LATER) is may
        assert trouble.needs_a_person is not may
    assert not link(connected=[]).may_go_on(LATER)


def test_progress_has_a_rate_and_a_time_left() -> None:
    """Counted from when the process began that is at it."""
    one = link()
    one.begin_backfill(NOON)
    backfill = one.state.backfill
    assert backfill is not None
    assert backfill.contacts is not None
    backfill.contacts.store(1, rows=PAGE_MAX, has_next=False)
    backfill.take_over(NOON + timedelta(seconds=60))
    backfill.leads.store(1, rows=PAGE_MAX, has_next=True)
    shown = progress_of(one, NOON + timedelta(seconds=70))
    assert (shown.rate, shown.left_s) == (25.0, None)
    assert shown.leads == StreamProgress(done=PAGE_MAX)
    backfill.leads.store(4, rows=10, has_next=False)
    shown = progress_of(one, NOON + timedelta(seconds=70))
    assert shown.contacts == StreamProgress(done=PAGE_MAX, total=PAGE_MAX)
    assert shown.leads == StreamProgress(done=260, total=3 * PAGE_MAX + 10)
    assert (shown.rate, shown.left_s) == (26.0, round(2 * PAGE_MAX / 26))
    assert progress_of(one, NOON).rate == 0.0


def test_a_status_says_how_old_it_is() -> None:
    shown = status_of(link(last_ok_at=NOON), NOON + timedelta(seconds=7.4))
    assert (shown.lag_s, shown.connected, shown.is_configured) == (7, 1, True)
    assert status_of(link(), NOON).lag_s is None


def test_a_renamed_tag_is_noticed() -> None:
    """Their leads say nothing of it."""
    before = KommoDictionaries(lead_tags=[RemoteTag(id=KommoId(1), name="vip")])
    for name, is_new in (("vip", False), ("VIP", True)):
        tags = [RemoteTag(id=KommoId(1), name=name), RemoteTag(id=KommoId(2), name="otra")]
        later = KommoDictionaries(lead_tags=tags)
        assert before.has_renamed_tags(later, RemoteKind.LEAD) is is_new
        assert not before.has_renamed_tags(later, RemoteKind.CONTACT)


def test_pipelines_are_shown_in_their_order() -> None:
    said = [RemotePipeline(id=KommoId(key), name=f"{key}", position=-key) for key in (1, 2)]
    shown = pipelines_shown(said, [KommoId(1)], {KommoId(2): PipelineId(9)})
    assert shown == [
        KommoPipeline(kommo_id=KommoId(2), name="2", pipeline_id=PipelineId(9)),
        KommoPipeline(kommo_id=KommoId(1), name="1", is_connected=True),
    ]
