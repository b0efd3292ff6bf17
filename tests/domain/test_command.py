"""Commands: one class for library and HTTP, with the same rules however it is made."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from msgspec import UNSET, UnsetType

from clarin_core.domain.accounts import NewUser, PasswordChange
from clarin_core.domain.command import Change, Command, Name, Notes, ShortName, text_rules
from clarin_core.domain.contacts import NewContact
from clarin_core.domain.leads import LeadChange, LeadQuery, NewLead
from clarin_core.domain.pipelines import NewPipeline, NewStage
from clarin_core.domain.tags import NewTag, TagChange
from clarin_core.errors import Invalid
from clarin_core.testing.strategies import names


class _Letter(Command, frozen=True, kw_only=True):
    title: Name
    aside: ShortName | None = None
    body: Notes | UnsetType | None = UNSET
    copies: int = 1


class _LetterChange(Change, frozen=True, kw_only=True):
    title: Name | UnsetType = UNSET
    body: Notes | UnsetType | None = UNSET


@given(title=names().filter(lambda title: len(title) < 250))
def test_texts_are_cleaned_however_a_command_is_made(title: str) -> None:
    """Section 1: by a constructor, from JSON, and from values."""
    raw: dict[str, Any] = {"title": f"  {title} ", "body": "uno\r\ndos "}
    made = [
        _Letter(**raw),
        msgspec.json.decode(msgspec.json.encode(raw), type=_Letter),
        msgspec.convert(raw, _Letter),
    ]
    assert {(letter.title, letter.body) for letter in made} == {(title, "uno\ndos")}


def test_each_text_has_its_own_rule() -> None:
    """Section 5: bounds and line breaks by field, optional ones included, others not at all."""
    rules = text_rules(_Letter)
    assert {field: (r.shortest, r.longest, r.lines) for field, r in rules.items()} == {
        "title": (1, 255, False),
        "aside": (1, 100, False),
        "body": (0, 10_000, True),
    }


@pytest.mark.parametrize(
    "wrong", [{"title": " "}, {"title": "x" * 256}, {"aside": "a\nb"}, {"body": "\0"}]
)
def test_a_wrong_text_names_its_field(wrong: dict[str, Any]) -> None:
    """Section 13: 422 with the field."""
    with pytest.raises(Invalid) as refusal:
        _Letter(**{"title": "Luz", **wrong})
    assert refusal.value.field == next(iter(wrong))


@pytest.mark.parametrize(
    "command", [NewLead, NewContact, NewTag, NewPipeline, NewUser, LeadChange, LeadQuery]
)
def test_what_nobody_knows_cannot_ride_along(command: type[Command]) -> None:
    """TN3, R22: unknown fields are refused, such as another account's id."""
    for field in ("account_id_", "id", "is_admin", "version_"):
        with pytest.raises(msgspec.ValidationError, match="unknown field"):
            msgspec.json.decode(f'{{"name":"x","{field}":1}}', type=command)


def test_every_text_of_every_command_has_a_rule() -> None:
    """R23: no text reaches a store without bounds, lists of texts and nested commands included.

    A text that is kept as it is typed says so; a closed list of words is no free text.
    """
    free = [
        f"{command.__name__}.{field.name}"
        for command in commands(Command)
        for field in msgspec.structs.fields(command)
        if any(is_free_text(part) for part in parts(msgspec.inspect.type_info(field.type)))
    ]
    assert free == []


def test_absent_keeps_and_null_clears() -> None:
    """15.18: what is not named is not among the values, null is; the version is neither."""
    change = msgspec.json.decode(b'{"body":null,"version":3}', type=_LetterChange)
    assert change.values() == {"body": None}
    assert change.given() == {"body": None, "version": 3}
    assert _LetterChange().values() == {}


def test_a_password_is_kept_as_it_was_typed() -> None:
    """Section 7: blanks around are part of it."""
    typed = "  una clave con e\u0301 y blancos  "
    user = NewUser(username=" ana ", email="ana@x.pe", password=typed)
    assert (user.username, user.password) == ("ana", typed)
    assert PasswordChange(current_password=typed, new_password=typed).new_password == typed


def test_names_of_tags_have_one_blank_inside() -> None:
    """Section 2: collapsed, in a new tag, a changed one, and in a new lead's list."""
    assert NewTag(name=" muy  vip ").name == "muy vip"
    assert TagChange(name=" muy  vip ").name == "muy vip"
    assert NewLead(name="Luz", tags=frozenset({" muy  vip "})).tags == {"muy vip"}
    for wrong in ("", " ", "a\0b", "x" * 101):
        with pytest.raises(Invalid):
            NewLead(name="Luz", tags=frozenset({wrong}))


def test_nested_commands_keep_the_rules() -> None:
    """R23: the stages of a new pipeline are commands themselves."""
    body = {"name": "Uno", "stages": [{"name": " a "}]}
    assert msgspec.convert(body, NewPipeline).stages == (NewStage(name="a"),)


def commands(parent: type[Command]) -> Iterator[type[Command]]:
    """Yield every command of the product."""
    for child in parent.__subclasses__():
        yield from commands(child)
        if child.__module__.startswith("clarin_core."):
            yield child


def parts(info: Any) -> Iterator[Any]:
    """Yield a type and what it is made of."""
    yield info
    if isinstance(info, msgspec.inspect.UnionType):
        for kind in info.types:
            yield from parts(kind)
    elif isinstance(info, msgspec.inspect.CollectionType | msgspec.inspect.VarTupleType):
        yield from parts(info.item_type)


def is_free_text(info: Any) -> bool:
    """Return whether any text at all would pass."""
    return isinstance(info, msgspec.inspect.StrType) and info.max_length is None


def test_the_search_above_finds_free_texts() -> None:
    """What is not bounded is seen, wherever it is."""
    for free in (str, str | None, list[str], tuple[str, ...] | UnsetType):
        assert any(map(is_free_text, parts(msgspec.inspect.type_info(free))))
    assert not any(map(is_free_text, parts(msgspec.inspect.type_info(list[ShortName] | None))))
