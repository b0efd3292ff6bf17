"""Search as people type it, as patterns of LIKE.

A row keeps its folded texts in `search`, one a line. Folded text has no line breaks, so that
no pattern reaches from one text into the next.
"""

import re
from collections.abc import Iterable

from clarin_core.domain.contacts import ContactDraft
from clarin_core.domain.leads import LeadDraft
from clarin_core.domain.phone import digits_in_search
from clarin_core.domain.text import fold

_SPECIAL = re.compile(r"([\\%_])")


def searched(texts: Iterable[str | None]) -> str:
    """Return what is kept of texts that can be searched."""
    return "\n".join(fold(text) for text in texts if text)


def searched_of_contact(contact: ContactDraft) -> str:
    """Return what is kept of a contact; its phone is searched as it is."""
    names = (contact.full_name, contact.short_name, contact.custom_name, contact.push_name)
    return searched((*names, contact.email, contact.company))


def searched_of_lead(lead: LeadDraft) -> str:
    """Return what is kept of a lead, whose person is searched with the contact."""
    return searched([lead.name])


def text_pattern(text: str) -> str:
    """Return the pattern that finds a text in folded texts."""
    escaped = _SPECIAL.sub(r"\\\1", fold(text))
    return f"%{escaped}%"


def on_contact(pattern: str, digits: str | None) -> str:
    """Return the condition that a contact `c` holds a text, or these digits if it is a phone."""
    found = f"c.search like {pattern} escape '\\'"
    return found if digits is None else f"({found} or c.phone like {digits})"


def phone_pattern(text: str) -> str | None:
    """Return the pattern that finds a text's digits in phones, None if it is no part of one."""
    digits = digits_in_search(text)
    return None if digits is None else f"%{digits}%"
