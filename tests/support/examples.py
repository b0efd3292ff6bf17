"""Requests that succeed, for the surface as data: what their bodies say, by their types."""

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from msgspec import Struct

from clarin_core.domain.accounts import (
    AccountChange,
    NewAccount,
    NewMembership,
    NewUser,
    PasswordChange,
    ProfileChange,
    TenantChange,
    UserChange,
)
from clarin_core.domain.chats import ChatChange, ChatIds, ChatRead, NewChat
from clarin_core.domain.command import Precondition
from clarin_core.domain.contacts import ContactChange, ContactIds, ContactMerge, NewContact
from clarin_core.domain.devices import DeviceChange, NewDevice, PhonePairing
from clarin_core.domain.kommo import KommoCredentials
from clarin_core.domain.leads import LeadChange, LeadIds, NewLead, StageChoice, StatusChange
from clarin_core.domain.media import NewUrlFile
from clarin_core.domain.members import MemberChange, NewMember
from clarin_core.domain.pipelines import (
    NewPipeline,
    NewStage,
    PipelineChange,
    Removal,
    StageChange,
    StageOrder,
)
from clarin_core.domain.quick_replies import NewQuickReply, QuickReplyChange
from clarin_core.domain.sign_in import AccountChoice, Credentials, RefreshToken
from clarin_core.domain.tags import NewTag, TagAssignment, TagChange
from clarin_security import system_random
from support.said import OF_MESSAGES
from support.serving import PASSWORD

FRESH = count(1)
"""Numbers that nothing has yet: for names and phones."""

_RUN = system_random(4).hex()  # Tests may share a database.

EXAMPLES: Mapping[type[Struct], Callable[[Any], dict[str, Any]]] = {
    **OF_MESSAGES,
    AccountChange: lambda _: {"name": "Sol"},
    AccountChoice: lambda stock: {"account_id": stock.account},
    ChatChange: lambda _: {"is_pinned": True},
    ChatIds: lambda stock: {"ids": [stock.ids["ChatId"]]},
    ChatRead: lambda stock: {"up_to_message_id": stock.ids["MessageId"]},
    ContactChange: lambda _: {"notes": "prefiere la tarde"},
    ContactMerge: lambda stock: {
        "keep_id": stock.ids["ContactId"],
        "merge_ids": [stock.other_contact],
    },
    ContactIds: lambda stock: {"ids": [stock.ids["ContactId"]]},
    Credentials: lambda _: {"username": "nadie", "password": PASSWORD},
    DeviceChange: lambda _: {"name": "Cobranza"},
    PhonePairing: lambda _: {"phone": "+51987654321"},
    MemberChange: lambda _: {"role": "admin"},
    NewMember: lambda _: new_user(),
    Precondition: lambda _: {},
    KommoCredentials: lambda stock: {"subdomain": f"a{stock.account}", "token": "un-token"},
    LeadChange: lambda _: {"notes": "llamar el lunes"},
    LeadIds: lambda stock: {"ids": [stock.ids["LeadId"]]},
    NewAccount: lambda _: {"name": "Luna"},
    NewChat: lambda stock: {
        "device_id": stock.chat_device,
        "phone": "+51 911 222 444",
        "initial_message": "hola",
    },
    NewContact: lambda _: {"name": "Julia"},
    NewDevice: lambda _: {"name": "Ventas"},
    NewLead: lambda _: {"name": "Rosa"},
    NewMembership: lambda stock: {"account_id": stock.ids["AccountId"]},
    NewPipeline: lambda _: {"name": f"Postventa {next(FRESH)}"},
    NewQuickReply: lambda _: new_quick_reply(),
    NewStage: lambda _: {"name": f"Visita {next(FRESH)}"},
    NewUrlFile: lambda _: {"url": "https://archivos.ejemplo.pe/foto.png"},
    NewTag: lambda _: {"name": f"nueva {next(FRESH)}"},
    NewUser: lambda _: new_user(),
    PasswordChange: lambda _: {"current_password": PASSWORD, "new_password": PASSWORD},
    PipelineChange: lambda _: {"description": "solo mayoristas"},
    ProfileChange: lambda _: {"display_name": "La jefa"},
    QuickReplyChange: lambda _: {"title": "Bienvenida"},
    RefreshToken: lambda _: {"refresh_token": "1.nada"},
    Removal: lambda stock: {"move_to": stock.other_stage},
    StageChange: lambda _: {"color": "#112233"},
    StageChoice: lambda stock: {"stage_id": stock.other_stage},
    StageOrder: lambda stock: {"stage_ids": stock.stages[::-1]},
    StatusChange: lambda _: {"status": "contacted"},
    TagAssignment: lambda stock: {
        "entity_type": "lead",
        "entity_id": stock.ids["LeadId"],
        "tag_id": stock.ids["TagId"],
    },
    TagChange: lambda _: {"color": "#112233"},
    TenantChange: lambda _: {"plan": "pro"},
    UserChange: lambda _: {"display_name": "Nuevo"},
}


def new_user() -> dict[str, Any]:
    """Return a user to be, with a name of its own."""
    name = f"nuevo-{_RUN}-{next(FRESH)}"
    return {"username": name, "email": f"{name}@ejemplo.pe", "password": PASSWORD}


def new_quick_reply() -> dict[str, Any]:
    """Return a quick reply to be, with a shortcut of its own."""
    return {"shortcut": f"hola{next(FRESH)}", "title": "Saludo", "body": "¡Hola!"}


def csv_file() -> bytes:
    """Return a file with one person, another one each time."""
    return f"nombre,celular\nRosa,98{next(FRESH):07}\n".encode()
