"""Laws of what an account reads of its chats."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from hypothesis import strategies as st
from msgspec import UNSET, Struct
from msgspec.structs import asdict, replace

from clarin_core.domain.chats import LEADS_SHOWN_MAX, Chat, ChatQuery, ChatView
from clarin_core.domain.contacts import ContactDraft
from clarin_core.domain.ids import TagId, UserId
from clarin_core.domain.jid import Identity, IdentityKind
from clarin_core.domain.leads import TagsMode
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.tags import TagLink, TagTarget
from clarin_core.domain.text import fold
from clarin_core.testing import inbox_strategies, strategies
from clarin_core.testing.contract import Capability, Contract, law
from clarin_core.testing.inbox import Inbox, chats_shown, inbox_of, somebody
from clarin_core.testing.tenants import LATER, NOON, Tenant, draft

TAGS = ("vip", "frío")
ANA = ContactDraft(phone=PhoneNumber("+56987654321"), name="Añá 5%", email="ana@x.pe")


class Drawn(Struct, frozen=True, kw_only=True):
    """What a chat of a generated inbox is made of."""

    device: int
    is_known: bool
    name: str | None
    kind: IdentityKind
    last_message_at: datetime | None
    unread_count: int
    is_archived: bool
    is_pinned: bool
    is_mine: bool
    is_deleted: bool
    tags: frozenset[str]


drawn_chats = st.builds(
    Drawn,
    device=st.integers(0, 1),
    is_known=st.booleans(),
    name=st.sampled_from([None, "Ñandú", "NANDU 5%"]),
    kind=st.sampled_from(IdentityKind),
    last_message_at=strategies.maybe(strategies.hours()),
    unread_count=st.integers(0, 2),
    is_archived=st.sampled_from([False, False, True]),
    is_pinned=st.booleans(),
    is_mine=st.booleans(),
    is_deleted=st.sampled_from([False, False, False, True]),
    tags=st.frozensets(st.sampled_from(TAGS)),
)

ASKED: list[dict[str, Any]] = [
    {}, {"archived": True}, {"unread_only": True}, {"mine": True},
    *({"devices": devices} for devices in ([0], [1], [0, 1])),
    *({"tags": names} for names in (TAGS[:1], TAGS[1:], TAGS)),
    *({"tags": names, "tags_mode": TagsMode.ALL} for names in (TAGS[1:], TAGS)),
    *({"search": text} for text in ("ñandu", "%", "ANA@", "ana", "98765", "5199", "9900", "nadie")),
    {"search": "an", "devices": [0], "unread_only": True, "tags": TAGS, "mine": True},
]  # fmt: skip


class ChatListLaws(Contract):
    """What `Views` promises of chats."""

    @law(values=inbox_strategies.chat_values(), identity=inbox_strategies.identities())
    async def test_a_chat_is_shown_as_it_is(
        self, account: Tenant, values: dict[str, Any], identity: Identity
    ) -> None:
        """The view is the chat with its tags, alone and in the list."""
        inbox = await inbox_of(account)
        (chat,) = await inbox.open(identity)
        chat.alter({**values, "deleted_at": None}, at=LATER)
        await inbox.save(chat)
        view = await account.views.chat(chat.id)
        assert {name: getattr(view, name) for name in Chat.__struct_fields__} == asdict(chat)
        assert (view.tags, view.tag_ids, view.avatar_url) == ([], [], None)
        assert (view.contact, view.leads) == (None, [])
        (shown,) = await chats_shown(account, archived=chat.is_archived)
        assert asdict(shown) == {name: getattr(view, name) for name in ChatView.__struct_fields__}

    @law(ages=st.lists(strategies.hours(), max_size=4))
    async def test_a_chat_is_shown_with_its_contact_and_leads(
        self, account: Tenant, ages: list[datetime]
    ) -> None:
        """Section 8: both as they are shown by themselves, newest leads first; no other's."""
        inbox = await inbox_of(account)
        ana, eva = await account.add_contacts(ANA, ContactDraft(name="Eva"))
        chat = await inbox.open_one(contact_id=ana.id)
        (tag,) = await account.add_tags("vip")
        await account.link(TagTarget.CONTACT, TagLink(target_id=ana.id, tag_id=tag.id))
        leads = [await account.add_lead(None, contact_id=ana.id, at=at) for at in ages]
        gone = await account.add_lead(contact_id=ana.id)
        await account.delete_lead(gone.id)
        await account.add_lead(contact_id=eva.id)
        newest = sorted(leads, key=lambda lead: (lead.created_at, lead.id), reverse=True)
        expected = [await account.views.lead(lead.id) for lead in newest]
        shown = await account.views.chat(chat.id)
        assert shown.contact == await account.views.contact(ana.id)
        assert shown.leads == expected
        await account.delete_contact(ana)
        bare = await account.views.chat(chat.id)
        assert (bare.contact, bare.leads) == (None, expected)

    @law()
    async def test_a_chat_is_shown_with_its_newest_leads_only(self, account: Tenant) -> None:
        """Section 8: one who has very many does not make the chat slow."""
        inbox = await inbox_of(account)
        ana = await account.add_contact(name="Ana")
        chat = await inbox.open_one(contact_id=ana.id)
        leads = await account.add_leads(*[draft(contact_id=ana.id)] * (LEADS_SHOWN_MAX + 1))
        shown = (await account.views.chat(chat.id)).leads
        assert [lead.id for lead in shown] == [lead.id for lead in leads[:0:-1]]

    @law(
        person=strategies.contact_drafts(),
        name=strategies.maybe(strategies.names()),
        identity=inbox_strategies.identities(),
    )
    async def test_a_chat_is_called_by_what_is_known_best(
        self, account: Tenant, person: ContactDraft, name: str | None, identity: Identity
    ) -> None:
        """CT3: its contact, else its own name, else the phone, else the bare identity."""
        inbox = await inbox_of(account)
        (contact,) = await account.add_contacts(person)
        chat, stranger = await inbox.open(identity, somebody(1), name=name)
        chat.alter({"contact_id": contact.id}, at=LATER)
        await inbox.save(chat)
        view, bare = [await account.views.chat(one.id) for one in (chat, stranger)]
        own = name or identity.phone or identity.value
        assert view.display_name == (person.display_name or own)
        assert view.avatar_url == person.avatar_url
        assert bare.display_name == (name or somebody(1).phone)

    @law(needs=Capability.SEARCHING, drawn=st.lists(drawn_chats, max_size=6))
    async def test_chat_filters_let_through_what_they_say(
        self, account: Tenant, drawn: list[Drawn]
    ) -> None:
        """Section 8: every filter, alone and with others; pinned, then newest, then by id."""
        scene = await Scene.of(account)
        chats = [await scene.add(one, number) for number, one in enumerate(drawn)]
        inbox = sorted(
            zip(drawn, chats, strict=True),
            key=lambda pair: (pair[0].is_pinned, pair[1].active_at, pair[1].id),
            reverse=True,
        )
        for fields in ASKED:
            expected = [chat.id for one, chat in inbox if lets_through(fields, one, chat)]
            page = await account.views.chats(scene.query(fields))
            assert [one.id for one in page.data] == expected
            assert page.total == len(expected)

    @law()
    async def test_a_chat_moves_up_with_its_last_message(self, account: Tenant) -> None:
        """Section 8: pinned ones stay above; one without messages is as old as itself."""
        inbox = await inbox_of(account)
        first, second, pinned = await inbox.open(*map(somebody, range(3)))
        pinned.alter({"is_pinned": True}, at=LATER)
        (message,) = await inbox.say(inbox.said(first, sent_at=LATER))
        first.take([message], at=LATER)
        await inbox.save(first, pinned)
        shown = await chats_shown(account)
        assert [one.id for one in shown] == [pinned.id, first.id, second.id]


class Scene(Struct, frozen=True):
    """Two devices, a person, an agent and two tags."""

    boxes: list[Inbox]
    ana: int
    agent: UserId
    tags: dict[str, TagId]

    @classmethod
    async def of(cls, account: Tenant) -> "Scene":
        """Commit them."""
        boxes = [await inbox_of(account), await inbox_of(account)]
        (ana,), agent = await account.add_contacts(ANA), await account.hire()
        tags = {tag.name: tag.id for tag in await account.add_tags(*TAGS)}
        return cls(boxes, ana.id, agent, tags)

    async def add(self, drawn: Drawn, number: int) -> Chat:
        """Commit a chat."""
        inbox, account = self.boxes[drawn.device], self.boxes[0].account
        who = replace(somebody(number), kind=drawn.kind)
        (chat,) = await inbox.open(who, name=drawn.name)
        last = drawn.last_message_at
        values: dict[str, Any] = {
            "contact_id": self.ana if drawn.is_known else None,
            "assigned_to": self.agent if drawn.is_mine else None,
            "deleted_at": LATER if drawn.is_deleted else None,
            "unread_count": drawn.unread_count,
            "is_archived": drawn.is_archived,
            "is_pinned": drawn.is_pinned,
            "last_message_at": last,
            "last_message_id": last and 1,
        }
        chat.alter(values, at=NOON)
        await inbox.save(chat)
        links = [TagLink(target_id=chat.id, tag_id=self.tags[name]) for name in drawn.tags]
        await account.link(TagTarget.CHAT, *links)
        return chat

    def query(self, fields: Mapping[str, Any]) -> ChatQuery:
        """Return a query in which names and places in lists are ids."""
        own = {name: fields[name] for name in fields if name not in ("devices", "tags", "mine")}
        return ChatQuery(
            device_ids=frozenset(self.boxes[one].device_id for one in fields.get("devices", ()))
            or UNSET,
            tag_ids=frozenset(self.tags[name] for name in fields.get("tags", ())) or UNSET,
            assigned_to=self.agent if fields.get("mine") else UNSET,
            **own,
        )


def lets_through(fields: Mapping[str, Any], drawn: Drawn, chat: Chat) -> bool:
    """Return whether a chat is what a filter asks for."""
    checks = [
        not drawn.is_deleted,
        drawn.is_archived is fields.get("archived", False),
        drawn.device in fields.get("devices", [0, 1]),
        drawn.unread_count > 0 or not fields.get("unread_only"),
        drawn.is_mine or not fields.get("mine"),
        "tags" not in fields or _has_tags(fields, drawn.tags),
        "search" not in fields or _says(fields["search"], drawn, chat),
    ]
    return all(checks)


def _has_tags(fields: Mapping[str, Any], tags: frozenset[str]) -> bool:
    wanted = set(fields["tags"])
    needs_all = fields.get("tags_mode") is TagsMode.ALL
    return wanted <= tags if needs_all else bool(wanted & tags)


def _says(search: str, drawn: Drawn, chat: Chat) -> bool:
    known = (ANA.name, ANA.email) if drawn.is_known else ()
    phones = [chat.identity.phone, ANA.phone if drawn.is_known else None]
    in_phone = search.isdigit() and any(search in (phone or "") for phone in phones)
    return in_phone or any(fold(search) in fold(text or "") for text in (drawn.name, *known))
