"""Quick replies: texts that are found by a shortcut, kept by administrators."""

import pytest
from hypothesis import given

from clarin_core.domain.quick_replies import (
    NewQuickReply,
    QuickReplyChange,
    QuickReplyQuery,
    clean_shortcut,
)
from clarin_core.errors import Conflict, Forbidden, Invalid, NotFound
from clarin_core.testing.strategies import shortcuts
from support.desk import Desk, tell

HELLO = NewQuickReply(shortcut="hola", title="Saludo", body="¡Hola!\n¿Cómo está?")


def test_a_quick_reply_is_made_changed_and_removed() -> None:
    """Each step is told, and one that changes nothing is not."""

    async def story() -> None:
        desk = await Desk.open()
        reply = await desk.quick_replies.create(desk.admin, HELLO)
        assert await desk.names() == ["quick_reply.created"]
        change = QuickReplyChange(shortcut="/Buenas", version=1)
        changed = await desk.quick_replies.update(desk.admin, reply.id, change)
        assert (changed.shortcut, changed.body, changed.version) == ("Buenas", reply.body, 2)
        assert await desk.names() == ["quick_reply.updated"]
        again = QuickReplyChange(shortcut="Buenas")
        assert await desk.quick_replies.update(desk.admin, reply.id, again) == changed
        assert await desk.names() == []
        await desk.quick_replies.delete(desk.admin, reply.id)
        assert await desk.names() == ["quick_reply.deleted"]
        assert (await desk.tenant.views.quick_replies(QuickReplyQuery())).data == []
        with pytest.raises(NotFound):
            await desk.quick_replies.delete(desk.admin, reply.id)

    tell(story())


def test_a_shortcut_that_is_taken_is_a_conflict() -> None:
    """Section 8: 409 shortcut_exists with the id of the one that has it."""

    async def story() -> None:
        desk = await Desk.open()
        reply = await desk.quick_replies.create(desk.admin, HELLO)
        other = NewQuickReply(shortcut="/HOLA", title="Otro", body="x")
        with pytest.raises(Conflict) as caught:
            await desk.quick_replies.create(desk.admin, other)
        assert (caught.value.code, caught.value.id) == ("shortcut_exists", reply.id)

    tell(story())


def test_a_change_of_an_old_version_is_refused() -> None:
    """Who did not see the last change is told so, and nothing is changed."""

    async def story() -> None:
        desk = await Desk.open()
        reply = await desk.quick_replies.create(desk.admin, HELLO)
        change = QuickReplyChange(title="Otro", version=7)
        with pytest.raises(Conflict, match="stored version is 1"):
            await desk.quick_replies.update(desk.admin, reply.id, change)
        assert (await desk.tenant.views.quick_replies(QuickReplyQuery())).data == [reply]

    tell(story())


def test_agents_keep_no_quick_replies() -> None:
    """Section 7: they use them."""

    async def story() -> None:
        desk = await Desk.open()
        reply = await desk.quick_replies.create(desk.admin, HELLO)
        for refused in (
            desk.quick_replies.create(desk.agent, HELLO),
            desk.quick_replies.update(desk.agent, reply.id, QuickReplyChange(title="Otro")),
            desk.quick_replies.delete(desk.agent, reply.id),
        ):
            with pytest.raises(Forbidden):
                await refused

    tell(story())


@given(shortcut=shortcuts())
def test_a_kept_shortcut_is_kept_as_it_is(shortcut: str) -> None:
    """Whether it is typed with `/` or without, it is one word."""
    assert clean_shortcut(shortcut) == clean_shortcut(f"//{shortcut}") == shortcut


@pytest.mark.parametrize("raw", ["/", "//", "dos palabras", "una\u00a0dos"])
def test_what_is_not_one_word_is_no_shortcut(raw: str) -> None:
    """It is found while somebody types."""
    with pytest.raises(Invalid):
        NewQuickReply(shortcut=raw, title="Saludo", body="x")
