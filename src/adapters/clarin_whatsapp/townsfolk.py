"""Who lives in the simulated town: the same people in every run, each with a name and a phone."""

from hashlib import sha256
from typing import NamedTuple

from clarin_core.domain.phone import PhoneNumber, digits
from clarin_whatsapp.small_talk import FIRST_NAMES, SURNAMES

FOLK = 300
"""So many are in the phone book."""

CIRCLE = 20
"""With so many of them a shop talks."""

_HIDES_PHONE = 8
_NOBODY = "0000"
_SPREAD, _FIRST = 48_271, 12_345_678  # Odd and no multiple of five: no phone comes twice.


class Inhabitant(NamedTuple):
    """Somebody who can be reached; some show only a linked id to those they write to."""

    name: str
    phone: PhoneNumber
    hides_phone: bool


def inhabitant(number: int) -> Inhabitant:
    """Return who has a number in the phone book, which begins again after the last one."""
    number %= FOLK
    first = FIRST_NAMES[number % len(FIRST_NAMES)]
    last = SURNAMES[number * 7 % len(SURNAMES)]
    subscriber = (_FIRST + number * _SPREAD) % 10**8
    phone = PhoneNumber(f"+519{subscriber:08}")
    return Inhabitant(f"{first} {last}", phone, number % _HIDES_PHONE == _HIDES_PHONE - 1)


def inhabitant_with(phone: PhoneNumber) -> Inhabitant | None:
    """Return who has a phone, whether in the book or not; numbers that end in 0000 are nobody's."""
    if phone.endswith(_NOBODY):
        return None
    stranger = inhabitant(int(digits(phone)))._replace(phone=phone, hides_phone=False)
    return _BOOK.get(phone, stranger)


def shop_phone(number: int) -> PhoneNumber:
    """Return the phone of one of the shops, of which the first has the number 1."""
    return PhoneNumber(f"+51900{number:06}")


def circle_of(shop: PhoneNumber) -> list[Inhabitant]:
    """Return who talks with a shop: neighbouring shops have customers of their own."""
    first = (int(digits(shop)[-4:]) - 1) * CIRCLE
    return [inhabitant(first + place) for place in range(CIRCLE)]


def past_name(*parts: object) -> str:
    """Return what a message of the past is called, which a second telling must not double."""
    return f"3EB0{sha256(repr(parts).encode()).hexdigest()[:18].upper()}"


_BOOK = {person.phone: person for person in map(inhabitant, range(FOLK))}
