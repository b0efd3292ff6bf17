"""Which column of a file means what: the headings of Kommo's exports and of simple lists.

The order of a field's headings is the order in which its columns are asked. Sources: Kommo's
lead export in Spanish and English; lists that sales teams keep by hand (IM2).
"""

import re
from collections.abc import Mapping, Sequence

from clarin_core.domain.text import fold

Columns = Mapping[str, tuple[int, ...]]
"""The positions of the columns of each field, in the order in which they are asked."""

_HEADINGS = {
    "kommo_id": "kommo id|id de kommo|id",
    "lead_name": "nombre del lead|lead title|lead name|titulo del lead",
    "name": "contacto principal|main contact|nombre|name|first name|nombre completo|full name",
    "last_name": "apellido|apellidos|apellido s|last name|surname",
    "phone": (
        "telefono celular|mobile phone|celular|movil|telefono movil|whatsapp|phone|phone number"
        "|telefono|numero|numero de telefono|telefono oficina|work phone|telefono oficina directo"
        "|work direct phone|telefono de casa|home phone|otro telefono|other phone"
    ),
    "email": (
        "correo|work email|email|e mail|correo electronico|e mail priv|personal email"
        "|private email|otro e mail|other email"
    ),
    "company": "compania|company|empresa|compania del lead|lead company|company of the lead",
    "age": "edad|age",
    "notes": (
        "notas|notes|observaciones|nota|note|nota 1|note 1|nota 2|note 2|nota 3|note 3"
        "|nota 4|note 4|nota 5|note 5"
    ),
    "tags": "etiquetas del lead|lead tags|tags|etiquetas",
    "stage": "estatus del lead|lead status|stage|lead stage|etapa|estado lead|estado del lead",
    "pipeline": "embudo de ventas|pipeline|sales pipeline|embudo",
    "value": "presupuesto|sale|price|budget",
}
_KNOWN = {
    heading: (field, rank)
    for field, headings in _HEADINGS.items()
    for rank, heading in enumerate(headings.split("|"))
}
_HEADING_MAX = 255
_OF_THE_CONTACT = re.compile(r"\s*\((?:contacto|contact)\)\s*$", re.IGNORECASE)
_NO_WORD = re.compile(r"[\W_]+")


def is_known(header: str) -> bool:
    """Tell whether the column under `header` has a meaning."""
    return _key(header) in _KNOWN


def find_columns(headers: Sequence[str]) -> Columns:
    """Return where each field that the file has is to be read.

    A bare `ID` is Kommo's only beside the name of a lead: other programs number their rows too.
    """
    keys = [_key(header) for header in headers]
    if not any(_KNOWN.get(key, ("", 0))[0] == "lead_name" for key in keys):
        keys = ["" if key == "id" else key for key in keys]
    places = sorted((*_KNOWN[key], at) for at, key in enumerate(keys) if key in _KNOWN)
    fields = dict.fromkeys(field for field, _, _ in places)
    return {field: tuple(at for name, _, at in places if name == field) for field in fields}


def _key(header: str) -> str:
    """Return the heading's words: no case, accents, punctuation, nor `(contacto)` at its end."""
    if len(header) > _HEADING_MAX:
        return ""
    return _NO_WORD.sub(" ", fold(_OF_THE_CONTACT.sub("", header))).strip()
