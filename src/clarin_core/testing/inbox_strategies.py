"""Hypothesis strategies for what an inbox holds.

Ids are not drawn, since a store gives them: a draft lies in the chat and on the device that a
strategy is given.
"""

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from clarin_core.domain.ids import ChatId, DeviceId
from clarin_core.domain.jid import Identity, IdentityKind
from clarin_core.domain.media import MediaDraft, MediaState, MediaType
from clarin_core.domain.messages import (
    Card,
    Direction,
    Location,
    Mark,
    MessageDraft,
    MessageKind,
    MessageStatus,
    PastBody,
    Place,
    Poll,
    Quoted,
)
from clarin_core.domain.outbox import OutboxDraft, OutboxKind
from clarin_core.domain.replies import (
    Reaction,
    Vote,
    option_digest,
)
from clarin_core.testing.strategies import hours, instants, maybe, names, texts

NOWHERE, NOBODY = ChatId(1), DeviceId(1)
"""Where drafts lie until a law puts them into a chat of its own."""


def identities() -> SearchStrategy[Identity]:
    """Whom WhatsApp knows, by phone, linked id or group."""
    phones = st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True, alphabet="0123456789")
    values = phones | st.just("120363000000000000-1")
    return st.builds(Identity, st.sampled_from(IdentityKind), values)


def wa_ids() -> SearchStrategy[str]:
    """Ids that WhatsApp gives to messages, as far as anybody relies on them."""
    return st.from_regex(r"[A-Za-z0-9._:-]{1,128}", fullmatch=True)


def bodies() -> SearchStrategy[str]:
    """What people write."""
    return texts(4096, lines=True)


def chat_values() -> SearchStrategy[dict[str, Any]]:
    """What can be changed of a chat, but whom it is with."""
    preview = st.fixed_dictionaries(
        {
            "last_message": texts(200, shortest=0),
            "last_message_at": instants(),
            "last_message_id": _numbers(),
        }
    )
    rest = st.fixed_dictionaries(
        {
            "name": maybe(names()),
            "unread_count": st.integers(0, 2**31 - 1),
            "read_up_to": maybe(places()),
            "cleared_up_to": maybe(places()),
            "is_archived": st.booleans(),
            "is_pinned": st.booleans(),
            "deleted_at": maybe(instants()),
        }
    )
    return st.tuples(st.just({}) | preview, rest).map(lambda parts: parts[0] | parts[1])


def places() -> SearchStrategy[Place]:
    """Places in a chat."""
    return st.builds(Place, instants(), _numbers())


def message_drafts() -> SearchStrategy[MessageDraft]:
    """Messages of every kind, without a file."""
    return st.builds(
        MessageDraft,
        chat_id=st.just(NOWHERE),
        device_id=st.just(NOBODY),
        wa_message_id=maybe(wa_ids()),
        direction=st.sampled_from(Direction),
        sender=maybe(identities()),
        sender_name=maybe(names()),
        kind=st.sampled_from(MessageKind),
        body=maybe(bodies()),
        quoted=maybe(_quotes()),
        location=maybe(_locations()),
        cards=st.lists(st.builds(Card, name=names(), vcard=bodies()), max_size=2),
        poll=maybe(_polls()),
        status=st.sampled_from(MessageStatus),
        sent_at=instants(),
        edited_at=maybe(instants()),
        edits=st.lists(st.builds(PastBody, body=maybe(bodies()), until=instants()), max_size=2),
        revoked_at=maybe(instants()),
        error=maybe(texts(1000)),
        actor=maybe(_numbers()),
        is_guess=st.booleans(),
        raw=maybe(st.binary(max_size=64)),
    )


def media_drafts() -> SearchStrategy[MediaDraft]:
    """Files; each with a key of its own."""
    return st.builds(
        MediaDraft,
        key=st.uuids().map(str),
        type=st.sampled_from(MediaType),
        mimetype=st.sampled_from(["image/jpeg", "audio/ogg; codecs=opus"]),
        filename=maybe(names()),
        size=maybe(st.integers(0, 2**40)),
        sha256=maybe(st.binary(min_size=32, max_size=32).map(bytes.hex)),
        state=st.sampled_from(MediaState),
        source=maybe(st.binary(max_size=64)),
    )


def marks() -> SearchStrategy[Mark]:
    """What is said of a message before it comes."""
    return st.builds(
        Mark,
        chat_id=st.just(NOWHERE),
        wa_message_id=wa_ids(),
        status=maybe(st.sampled_from(MessageStatus)),
        body=maybe(bodies()),
        edited_at=maybe(instants()),
        revoked_at=maybe(instants()),
        is_from_me=st.booleans(),
        is_read=st.booleans(),
    )


def reactions() -> SearchStrategy[Reaction]:
    """Reactions by few people at few times, so that many are about one thing."""
    return st.builds(
        Reaction,
        chat_id=st.just(NOWHERE),
        wa_message_id=st.sampled_from(["A", "B"]),
        sender=few_people(),
        emoji=st.sampled_from(["", "👍", "❤️", "é", "z"]),
        at=hours(),
    )


def votes() -> SearchStrategy[Vote]:
    """Votes by few people at few times."""
    options = st.sampled_from(["sí", "no", "tal vez"])
    return st.builds(
        Vote,
        chat_id=st.just(NOWHERE),
        wa_message_id=st.sampled_from(["A", "B"]),
        voter=few_people(),
        options=st.lists(options.map(option_digest), unique=True, max_size=2),
        at=hours(),
    )


def few_people() -> SearchStrategy[Identity]:
    """Two people, one of them known by two names."""
    return st.sampled_from(
        [
            Identity(IdentityKind.PHONE, "51987654321"),
            Identity(IdentityKind.LID, "51987654321"),
            Identity(IdentityKind.PHONE, "51987654322"),
        ]
    )


def outbox_drafts() -> SearchStrategy[OutboxDraft]:
    """Things to do, about no message of ours."""
    return st.builds(
        OutboxDraft,
        kind=st.sampled_from(OutboxKind),
        device_id=st.just(NOBODY),
        chat_id=st.just(NOWHERE),
        wa_message_ids=st.lists(wa_ids(), max_size=3),
        text=maybe(bodies()),
        expires_at=maybe(instants()),
        doubts=st.integers(0, 2),
    )


def _numbers() -> SearchStrategy[int]:
    return st.integers(1, 2**63 - 1)


def _quotes() -> SearchStrategy[Quoted]:
    return st.builds(
        Quoted, wa_message_id=wa_ids(), body=maybe(bodies()), sender=maybe(identities())
    )


def _locations() -> SearchStrategy[Location]:
    degrees = st.floats(-180, 180, allow_nan=False)
    return st.builds(Location, latitude=degrees, longitude=degrees, name=maybe(names()))


def _polls() -> SearchStrategy[Poll]:
    options = st.lists(texts(100), min_size=2, max_size=4, unique=True)
    return st.builds(Poll, options=options, selectable=st.integers(0, 4))
