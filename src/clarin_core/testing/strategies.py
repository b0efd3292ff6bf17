"""Hypothesis strategies for the values and drafts of the domain.

Texts are all that `clean_text` accepts, in the form in which it keeps them: any script, emoji,
combining marks, right to left, up to the longest. Ids are not drawn: a store gives them.
"""

from datetime import UTC, datetime
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from clarin_core.domain.actor import Cause, Origin
from clarin_core.domain.contacts import ContactDraft, ContactIdentity
from clarin_core.domain.devices import DeviceStatus, NewDevice
from clarin_core.domain.idempotency import (
    IdempotencyKey,
    Repeatable,
    StoredAnswer,
    repeatable,
)
from clarin_core.domain.ids import ID_MAX, KommoId, UserId
from clarin_core.domain.imports import ImportDraft, ImportKind, RowOutcome, RowResult
from clarin_core.domain.jid import Identity, IdentityKind
from clarin_core.domain.leads import LeadDraft, LeadStatus
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.pipelines import NewPipeline, NewStage, StageKind
from clarin_core.domain.quick_replies import NewQuickReply
from clarin_core.domain.tags import NewTag, tag_name
from clarin_core.domain.text import clean_text
from clarin_core.errors import Invalid

_HIDDEN: Final = ("Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp")
_JOINERS = st.sampled_from("\u200c\u200d\ufe0f")
_TELLING = st.sampled_from(
    [
        "Luz", "Ñandú", "Zoë", "jose\u0301", "Straße", "İstanbul", "ﬁn", "Ω", "漢字", "مرحبا",
        "שלום", "👩‍👩‍👧‍👦", "🇵🇪 Perú", "❤️", "a\u0308\u0323", "می‌خواهم", "null", "0", "%", "_", "\\",
        "100%_a\\b", "'; drop table leads; --", '"a,b"', "{{name}}", "<b>", "=1+1", "$1", "{}",
    ]
)  # fmt: skip
_LONGEST = st.sampled_from("xñ漢ب💬")


def texts(longest: int, *, shortest: int = 1, lines: bool = False) -> SearchStrategy[str]:
    """Texts as they are kept, `shortest` to `longest` code points."""

    def kept(raw: str) -> str | None:
        try:
            return clean_text("text", raw, shortest=shortest, longest=longest, lines=lines)
        except Invalid:
            return None

    anything = st.text(st.characters(exclude_categories=_HIDDEN) | _JOINERS, max_size=12)
    broken = st.just("una\n\tdos") if lines else st.nothing()
    raw = st.one_of(_TELLING, anything, broken, _LONGEST.map(lambda char: char * longest))
    return raw.map(kept).filter(lambda text: text is not None).map(str)


def names() -> SearchStrategy[str]:
    """Names and titles: 1 to 255 code points, one of them visible."""
    return texts(255)


def tag_names() -> SearchStrategy[str]:
    """Names of tags as they are shown."""
    return texts(100).map(tag_name)


def emails() -> SearchStrategy[str]:
    """E-mail addresses, those with letters of any script too."""
    local = st.sampled_from(["ana", "josé.díaz", "用户", "a+b", "x" * 239, "O'Neil"])
    return st.builds("{}@{}".format, local, st.sampled_from(["x.pe", "correo.example", "例.jp"]))


def phones() -> SearchStrategy[PhoneNumber]:
    """Numbers in the kept form, 7 to 15 digits; mobiles of Peru are frequent."""
    peruvian = st.integers(0, 99_999_999).map(lambda digits: f"+519{digits:08}")
    anywhere = st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True, alphabet="+0123456789")
    return (peruvian | anywhere).map(PhoneNumber)


def instants() -> SearchStrategy[datetime]:
    """Instants of this century in UTC, to the microsecond."""
    return st.datetimes(
        datetime(2000, 1, 1), datetime(2100, 12, 31), timezones=st.just(UTC), allow_imaginary=False
    )  # fmt: skip


def hours() -> SearchStrategy[datetime]:
    """Few instants, so that equal ones are frequent."""
    return st.sampled_from([datetime(2026, 3, 1, hour, tzinfo=UTC) for hour in range(8, 12)])


def colors() -> SearchStrategy[str]:
    """Colours as `#rrggbb`."""
    return st.integers(0, 0xFFFFFF).map(lambda value: f"#{value:06x}")


def kommo_ids() -> SearchStrategy[KommoId]:
    """Ids that Kommo gave."""
    return st.integers(1, ID_MAX).map(KommoId)


def custom_fields() -> SearchStrategy[dict[str, Any]]:
    """Invented fields with plain values."""
    numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    values = st.one_of(st.none(), st.booleans(), numbers, texts(200, shortest=0, lines=True))
    return st.dictionaries(texts(64), values, max_size=3)


def lead_drafts() -> SearchStrategy[LeadDraft]:
    """Leads that are linked to nothing yet."""
    return st.builds(
        LeadDraft,
        name=maybe(names()),
        status=st.sampled_from(LeadStatus),
        source=maybe(texts(100)),
        notes=maybe(texts(10_000, shortest=0, lines=True)),
        custom_fields=custom_fields(),
        value=maybe(st.integers(0, 2**53)),
        currency=maybe(st.sampled_from(["PEN", "USD", "CLP"])),
        loss_reason=maybe(names()),
        closed_at=maybe(instants()),
        kommo_id=maybe(kommo_ids()),
    )


def lead_batches() -> SearchStrategy[list[LeadDraft]]:
    """Some leads that can be live together."""
    return st.lists(lead_drafts(), max_size=4, unique_by=lambda one: one.kommo_id or object())


def contact_drafts() -> SearchStrategy[ContactDraft]:
    """People with or without a phone."""
    return st.builds(
        ContactDraft,
        phone=maybe(phones()),
        name=maybe(names()),
        last_name=maybe(names()),
        short_name=maybe(texts(100)),
        custom_name=maybe(names()),
        push_name=maybe(names()),
        avatar_url=maybe(st.just("https://example.com/a.jpg")),
        email=maybe(emails()),
        company=maybe(names()),
        age=maybe(st.integers(0, 150)),
        notes=maybe(texts(10_000, shortest=0, lines=True)),
        source=maybe(texts(100)),
        is_group=st.booleans(),
        do_not_contact=st.booleans(),
        kommo_id=maybe(kommo_ids()),
    )


def new_tags() -> SearchStrategy[NewTag]:
    """Tags to be."""
    return st.builds(NewTag, name=tag_names(), color=colors())


def shortcuts() -> SearchStrategy[str]:
    """Shortcuts of quick replies as they are kept: one word, no `/` before it."""
    return texts(100).map(lambda text: "".join(text.split()).lstrip("/")).filter(bool)


def new_quick_replies() -> SearchStrategy[NewQuickReply]:
    """Quick replies to be."""
    body = texts(10_000, lines=True)
    return st.builds(NewQuickReply, shortcut=shortcuts(), title=names(), body=body)


def identities() -> SearchStrategy[Identity]:
    """Names by which WhatsApp knows somebody; the same value in two kinds is frequent."""
    values = st.sampled_from(["51987654321", "123456789012345", "1203630-1", "x" * 64])
    return st.builds(Identity, st.sampled_from(IdentityKind), values)


def contact_identities() -> SearchStrategy[ContactIdentity]:
    """Identities that are no contact's yet; only a linked id has a phone behind it."""
    aliases = maybe(st.sampled_from(["51987654321", "56987654321"]))
    return st.builds(
        lambda identity, alias: ContactIdentity(
            identity=identity, alias=alias if identity.kind is IdentityKind.LID else None
        ),
        identities(), aliases,
    )  # fmt: skip


def new_devices() -> SearchStrategy[NewDevice]:
    """Devices to be paired."""
    return st.builds(NewDevice, name=texts(100))


def device_values() -> SearchStrategy[dict[str, Any]]:
    """What a device can become, all of it at once."""
    kept = {
        "name": texts(100),
        "phone": maybe(phones()),
        "jid": maybe(st.just("51987654321:7@s.whatsapp.net")),
        "status": st.sampled_from(DeviceStatus),
        "is_wanted": st.booleans(),
        "reason": maybe(texts(1000, lines=True)),
        "last_seen_at": maybe(instants()),
        "restricted_until": maybe(instants()),
        "pairing_phone": maybe(phones()),
        "is_leaving": st.booleans(),
        "wants_contacts": st.booleans(),
    }
    return st.fixed_dictionaries(kept)


def new_stages() -> SearchStrategy[NewStage]:
    """Stages to be; two of a pipeline may have one name."""
    return st.builds(NewStage, name=names(), color=colors(), kind=st.sampled_from(StageKind))


def new_pipelines() -> SearchStrategy[NewPipeline]:
    """Pipelines to be, with one to four stages."""
    stages = st.lists(new_stages(), min_size=1, max_size=4).map(tuple)
    notes = texts(10_000, shortest=0, lines=True)
    return st.builds(NewPipeline, name=names(), description=maybe(notes), stages=stages)


def origins() -> SearchStrategy[Origin]:
    """Who or what brought a change about."""
    return st.builds(
        Origin,
        cause=st.sampled_from(Cause),
        user_id=maybe(st.integers(1, ID_MAX).map(UserId)),
        request_id=maybe(st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True)),
    )


def import_drafts() -> SearchStrategy[ImportDraft]:
    """Uploads; each with a digest of its own."""
    return st.builds(
        ImportDraft,
        kind=st.sampled_from(ImportKind),
        overwrite=st.booleans(),
        filename=names(),
        sha256=st.binary(min_size=32, max_size=32).map(bytes.hex),
        region=st.sampled_from(["PE", "CL", "MX"]),
        origin=origins(),
        rows=st.integers(0, 100_000),
    )


def row_outcomes() -> SearchStrategy[list[RowOutcome]]:
    """Outcomes of the rows 1, 2, 3 … of a file."""
    each = st.tuples(st.sampled_from(RowResult), maybe(names()), maybe(st.just("phone")))
    return st.lists(each, max_size=8).map(
        lambda rows: [
            RowOutcome(row=number, result=result, reason=reason, field=field)
            for number, (result, reason, field) in enumerate(rows, start=1)
        ]
    )


def repeatables() -> SearchStrategy[Repeatable]:
    """Requests with a key."""
    keys = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=128)
    routes = st.sampled_from(["POST /leads", "POST /pipelines/<pipeline_id>/stages"])
    return st.builds(repeatable, routes, keys.map(IdempotencyKey), st.binary())


def stored_answers() -> SearchStrategy[StoredAnswer]:
    """Good answers, of a record or not; each body is any bytes."""
    return st.builds(
        StoredAnswer,
        status=st.sampled_from([200, 201, 202]),
        body=st.binary(),
        version=maybe(st.integers(1, 2**31 - 1)),
    )


def maybe(values: SearchStrategy[Any]) -> SearchStrategy[Any]:
    """A value or None."""
    return st.none() | values
