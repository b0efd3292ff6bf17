"""What the library's other events mean: receipts, presence, steps of a session, history."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from clarin_core.domain.inbound import Activity, MessageSeen, Peer, PeerSeen, Presence, ReceiptSeen
from clarin_core.domain.messages import MessageStatus
from clarin_core.domain.phone import PhoneNumber
from clarin_core.ports.messaging import CodeShown, Paired, SessionStep, Step
from clarin_whatsapp.translate import code_shown, logged_in, translate
from support.protobuf import AT, HER, HER_LID, LID, PHONE, E, N, build_jid, filled, source, the

RECEIPTS = {
    "DELIVERED": (MessageStatus.DELIVERED, False),
    "READ": (MessageStatus.READ, False),
    "PLAYED": (MessageStatus.PLAYED, False),
    "READ_SELF": (MessageStatus.READ, True),
    "PLAYED_SELF": (MessageStatus.PLAYED, True),
}


def receipt(type_: str, **fields: Any) -> Any:
    number = N.Receipt.ReceiptType.Value(type_)
    ids = fields.pop("ids", ["A", "B"])
    event = N.Receipt(
        MessageSource=source(**fields), MessageIDs=ids, Timestamp=1_795_000_000, Type=number
    )
    return filled(event)


@pytest.mark.parametrize("type_", N.Receipt.ReceiptType.keys())
def test_a_receipt_says_how_far_messages_came(type_: str) -> None:
    """Those of other kinds say nothing (CH9)."""
    expected = []
    if type_ in RECEIPTS:
        status, is_own = RECEIPTS[type_]
        ids = ["A", "B"]
        expected = [ReceiptSeen(chat=HER, wa_message_ids=ids, status=status, is_own=is_own, at=AT)]
    assert translate(receipt(type_)) == expected


def test_ones_own_receipts_are_told_apart() -> None:
    assert the(translate(receipt("READ", from_me=True))).is_own
    assert translate(receipt("DELIVERED", from_me=True)) == []
    assert translate(receipt("READ", ids=[])) == []


@pytest.mark.parametrize(("state", "activity"), [(1, Activity.COMPOSING), (2, Activity.PAUSED)])
def test_typing_passes(state: int, activity: Activity) -> None:
    event = filled(N.ChatPresence(MessageSource=source(), State=state))
    assert translate(event) == [Presence(chat=HER, activity=activity)]
    mine = filled(N.ChatPresence(MessageSource=source(from_me=True), State=state))
    assert translate(mine) == []


@pytest.mark.parametrize(
    ("gone", "last_seen", "activity", "at"),
    [
        (False, -62_135_596_800, Activity.AVAILABLE, None),
        (True, 1_795_000_000, Activity.UNAVAILABLE, AT),
    ],
)
def test_presence_may_tell_when_somebody_was_seen(
    gone: bool, last_seen: int, activity: Activity, at: datetime | None
) -> None:
    event = N.Presence(Unavailable=gone, LastSeen=last_seen)
    event.From.CopyFrom(build_jid(PHONE))
    assert translate(filled(event)) == [Presence(chat=HER, activity=activity, last_seen_at=at)]


STEPS = [
    (N.Connected(), Step.CONNECTED),
    (N.Disconnected(), Step.DISCONNECTED),
    (N.LoggedOut(OnConnect=True, Reason=N.LOGGED_OUT), Step.LOGGED_OUT),
    (N.StreamReplaced(), Step.REPLACED),
    (N.ClientOutdated(), Step.OUTDATED),
    (N.ConnectFailure(Reason=N.SERVICE_UNAVAILABLE), Step.DISCONNECTED),
]


@pytest.mark.parametrize(("event", "step"), STEPS, ids=lambda value: getattr(value, "value", None))
def test_a_session_goes_on_or_ends(event: Any, step: Step) -> None:
    told = the(translate(filled(event)))
    assert told.step is step
    assert bool(told.reason) is (step is not Step.CONNECTED)


def test_a_ban_says_how_long_it_lasts() -> None:
    event = filled(N.TemporaryBan(Code=N.TemporaryBan.BLOCKED_BY_USERS, Expire=3600))
    assert translate(event) == [
        SessionStep(step=Step.BANNED, reason="blocked by users", restricted_for=timedelta(hours=1))
    ]


def test_a_pairing_tells_the_full_address() -> None:
    jid = build_jid(PHONE)
    jid.Device = 7
    event = filled(N.PairStatus(ID=jid, Status=N.PairStatus.SUCCESS))
    assert translate(event) == [
        Paired(jid=f"{PHONE}:7@s.whatsapp.net", phone=PhoneNumber(f"+{PHONE}"))
    ]
    event.Status = N.PairStatus.ERROR
    assert the(translate(event)).step is Step.PAIRING_ENDED


def test_codes_and_their_end() -> None:
    shown = CodeShown(code="2@x", is_qr=True, expires_at=AT + timedelta(seconds=60))
    assert code_shown(b"2@x", is_first=True, now=AT) == shown
    later = code_shown(b"2@x", is_first=False, now=AT)
    assert later.expires_at == AT + timedelta(seconds=20)
    ends = [logged_in(status) for status in ("success", "timeout", "error", "err-client-outdated")]
    steps = [end and end.step for end in ends]
    assert steps == [None, Step.PAIRING_ENDED, Step.PAIRING_ENDED, Step.OUTDATED]


def test_history_tells_addresses_names_and_messages() -> None:
    past = {
        "key": {"remoteJID": f"{LID}@lid", "fromMe": False, "ID": "3EB0PAST"},
        "message": E.Message(conversation="antes"),
        "messageTimestamp": 1_795_000_000,
        "pushName": "Ana",
    }
    talk = {
        "ID": f"{LID}@lid",
        "pnJID": f"{PHONE}@s.whatsapp.net",
        "displayName": "Ana de Lima",
        "messages": [{"message": past}, {"message": {"key": {"fromMe": True}}}],
    }
    event = N.HistorySync(
        Data={
            "syncType": 3,
            "phoneNumberToLidMappings": [
                {"pnJID": f"{PHONE}@s.whatsapp.net", "lidJID": f"{LID}@lid"}
            ],
            "pushnames": [{"ID": f"{PHONE}@s.whatsapp.net", "pushname": "Ana"}],
            "conversations": [talk, {"ID": "status@broadcast"}],
        }
    )
    both = Peer(identity=HER_LID, other=HER.identity)
    *people, seen = translate(event)
    assert people == [
        PeerSeen(chat=both),
        PeerSeen(chat=HER, push_name="Ana"),
        PeerSeen(chat=both, name="Ana de Lima"),
    ]
    assert isinstance(seen, MessageSeen)
    assert (seen.chat, seen.sender, seen.is_history) == (both, both, True)
    assert (seen.wa_message_id, seen.body, seen.sent_at) == ("3EB0PAST", "antes", AT)


OTHERS = ["QR", "KeepAliveTimeout", "KeepAliveRestored", "JoinedGroup", "Picture", "CallOffer"]


@pytest.mark.parametrize("name", OTHERS)
def test_other_events_mean_nothing_to_us(name: str) -> None:
    assert translate(getattr(N, name)()) == []
