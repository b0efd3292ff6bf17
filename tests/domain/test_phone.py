"""The rules of phone numbers: every vector of the rules PH1 to PH8, and their laws."""

import re
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from phonenumbers import SUPPORTED_REGIONS, example_number, national_significant_number

from clarin_core.domain.phone import (
    PhoneNumber,
    digits,
    normalize_phone,
    normalize_phone_compat,
    phone_from_jid,
    phone_key,
)
from clarin_core.errors import Invalid

REGIONS = st.sampled_from(["PE", "CL", "BR", "MX", "AR", "US", "RU", "IT", "PT", "EC", "HU"])
DIGITS = st.text("0123456789", max_size=16)
TYPED = st.text("0123456789+-(). /'x٣५\uff19²①፩", max_size=24)
EXAMPLES = [e for r in SUPPORTED_REGIONS if (e := example_number(r)) is not None]
NATIONAL = [national_significant_number(e) for e in EXAMPLES]
NUMBERS = [*NATIONAL, *(f"{e.country_code}{n}" for e, n in zip(EXAMPLES, NATIONAL, strict=True))]
PERUVIAN_MOBILES = st.from_regex(r"9[0-9]{8}", fullmatch=True)
JIDS = st.from_regex(r"[1-9][0-9]{6,14}(:[0-9]{1,2})?@(s\.whatsapp\.net|c\.us)", fullmatch=True)


def read(raw: str, region: str = "PE") -> PhoneNumber | None:
    try:
        return normalize_phone(raw, region)
    except Invalid:
        return None


@st.composite
def dialled(draw: st.DrawFn) -> str:
    """Digits that are a number somewhere, or nearly so, behind some prefix."""
    number = draw(st.sampled_from(NUMBERS))
    kept = draw(st.integers(0, len(number)))
    prefix = draw(st.sampled_from(["", "0", "00", "1", "+", "+0", "8", "15"]))
    return prefix + number[:kept] + draw(DIGITS if kept < len(number) else st.just(""))


@st.composite
def spelled(draw: st.DrawFn) -> str:
    """A Peruvian mobile with or without its country code, blanks, hyphens and brackets."""
    mobile = draw(PERUVIAN_MOBILES)
    blank = draw(st.sampled_from(["", " ", "-"]))
    groups = blank.join([mobile[:3], mobile[3:6], mobile[6:]])
    return (
        draw(st.sampled_from(["", "51", "+51", "51 ", "+51 ", "+51-", "(51) ", "(+51) "])) + groups
    )


@pytest.mark.parametrize(
    "raw",
    [
        "+51 987 654 321",
        "987654321",
        "987-654-321",
        "(51) 987654321",
        "0051987654321",
        "987.654.321",
        "987654321 ext 12",
        "987654321 extensión 12",
        "987654321 anexo 12",
        "987654321;ext=12",
        "'+51987654321",
        '"987 654 321"',
        "whatsapp:+51987654321",
        "tel:+51-987-654-321",
        "＋51987654321",  # noqa: RUF001 - the full-width plus is the point.
        "９８７６５４３２１",  # noqa: RUF001 - so are full-width digits.
        "٩٨٧٦٥٤٣٢١",
        "९८७६५४३२१",
        "\u202a+51 987\u00a0654\u2011321\u202c",
        "51987654321:5@s.whatsapp.net",
        "51987654321.0:12@c.us",
    ],
)
def test_every_spelling_of_a_number_is_that_number(raw: str) -> None:
    """PH3, PH4: people and programs spell one number in many ways."""
    assert normalize_phone(raw, "PE") == "+51987654321"


@pytest.mark.parametrize(
    ("raw", "region", "phone"),
    [
        ("01 444 1234", "PE", "+5114441234"),
        ("+56 9 8765 4321", "PE", "+56987654321"),
        ("56987654321", "PE", "+56987654321"),
        ("551187654321@s.whatsapp.net", "PE", "+551187654321"),
        ("987654321", "CL", "+56987654321"),
        ("912345678", "PT", "+351912345678"),
        ("987654321", "EC", "+593987654321"),
        ("+5215512345678", "PE", "+5215512345678"),
    ],
)
def test_a_number_keeps_its_country(raw: str, region: str, phone: str) -> None:
    """PH3, PH4: a bare number is national, lost `+` or WhatsApp's own form are understood."""
    assert normalize_phone(raw, region) == phone


@pytest.mark.parametrize(
    "raw",
    [
        "",
        " \t ",
        "''",
        "+",
        "abc",
        "12",
        "999",
        "4441234",
        "98765432a",
        "051987654321",
        "987654321/912345678",
        "551187654321",
        "+0051987654321",
        "++51987654321",
        "51+987654321",
        "tel:",
        "ext 12",
        "9876543²¹\u0000",
        "፱፰፯፮፭፬፫፪፩",
        "\ud800987654321",
        "123456789012345@lid",
        "120363025246125486@g.us",
        "@s.whatsapp.net",
        "012345678@s.whatsapp.net",
        "123456@s.whatsapp.net",
        "1234567890123456@s.whatsapp.net",
        "９" * 65,  # noqa: RUF001 - full-width digits.
        "+51987654321" + " " * 21 + "0",
    ],
)
def test_anything_else_is_refused(raw: str) -> None:
    """PH3, PH7: what is not a number is an error with its own code, never an empty text."""
    with pytest.raises(Invalid) as caught:
        normalize_phone(raw, "PE")
    assert (caught.value.field, caught.value.code) == ("phone", "invalid_phone")


@pytest.mark.parametrize("region", ["", "XX", "pe", "001", "\u0000"])
def test_an_unknown_region_has_no_national_numbers(region: str) -> None:
    """PH8: a wrong region is no crash, and a `+` does without it."""
    assert read("987654321", region) is None
    assert read("+51987654321", region) == "+51987654321"


@pytest.mark.parametrize("read_text", [phone_from_jid, lambda jid: normalize_phone(jid, "PE")])
@given(jid=JIDS)
def test_a_number_that_whatsapp_gave_is_canonical(
    read_text: Callable[[str], PhoneNumber], jid: str
) -> None:
    """PH5: the user part of a phone JID is kept digit by digit, whatever a numbering plan says."""
    assert read_text(jid) == "+" + re.split("[:@]", jid)[0]


def test_a_number_is_no_jid() -> None:
    """PH5: only an address is taken at its word."""
    with pytest.raises(Invalid, match="address"):
        phone_from_jid("51987654321")


@given(raw=st.text(max_size=80) | TYPED, region=REGIONS)
@example(raw="+" + "9" * 30, region="PE")
def test_every_text_gives_a_phone_or_invalid(raw: str, region: str) -> None:
    """PH8: total; the result is `+` and 7 to 15 ASCII digits."""
    phone = read(raw, region)
    assert phone is None or re.fullmatch(r"\+[1-9][0-9]{6,14}", phone)


@given(raw=dialled() | TYPED, region=REGIONS, other=REGIONS)
@example(raw="+359002575094", region="PE", other="CL")
@example(raw="+5215512345678", region="MX", other="PE")
def test_a_phone_is_read_back_as_itself_everywhere(raw: str, region: str, other: str) -> None:
    """PH8: idempotent, in any region."""
    phone = read(raw, region)
    assert phone is None or normalize_phone(phone, other) == phone


@given(raw=dialled().map(lambda raw: raw.lstrip("+")), region=REGIONS, other=REGIONS)
def test_with_a_plus_the_region_does_not_matter(raw: str, region: str, other: str) -> None:
    """PH8: international is international, valid or not."""
    assert read(f"+{raw}", region) == read(f"+{raw}", other)


@given(raw=spelled())
def test_peruvian_mobiles_are_as_they_were_before_clarin(raw: str) -> None:
    """PH2, PH8: old data and new agree on every Peruvian mobile."""
    assert digits(normalize_phone(raw, "PE")) == normalize_phone_compat(raw)


@pytest.mark.parametrize(
    ("raw", "stored"),
    [
        (" 987 654-321 ", "51987654321"),
        ("'+51 (987) 654321", "51987654321"),
        ("0051987654321", "0051987654321"),
        ("987.654.321", "987.654.321"),
        ("987654321ext12", "987654321ext12"),
        ("01 444 1234", "014441234"),
        ("5198765432a", "5198765432a"),
        ("98765432a", "5198765432a"),
        ("++987654321", "+987654321"),
        ("+987654321", "51987654321"),
        ("", ""),
    ],
)
def test_the_old_rule_guesses(raw: str, stored: str) -> None:
    """PH2: exactly what the backend before Clarin did, faults included."""
    assert normalize_phone_compat(raw) == stored


@pytest.mark.parametrize(
    ("phone", "key"),
    [
        ("+5511987654321", "+551187654321"),
        ("+551187654321", "+551187654321"),
        ("+551132654321", "+551132654321"),
        ("+5511932654321", "+5511932654321"),
        ("+5491123456789", "+541123456789"),
        ("+541123456789", "+541123456789"),
        ("+5215512345678", "+525512345678"),
        ("+525512345678", "+525512345678"),
        ("+51987654321", "+51987654321"),
        ("+56987654321", "+56987654321"),
    ],
)
def test_the_variants_of_a_mobile_share_a_key(phone: str, key: str) -> None:
    """PH6: Brazil's 9 after the area code, Argentina's before it, Mexico's 1; no other digit."""
    assert phone_key(PhoneNumber(phone)) == key
    assert phone_key(PhoneNumber(key)) == key
