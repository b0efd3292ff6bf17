"""Who asks, in which account, and what that one may do."""

from dataclasses import dataclass
from enum import Enum

import msgspec
from msgspec import Struct

from clarin_core.domain.ids import AccountId, SessionId, UserId
from clarin_core.errors import Forbidden


class Role(Enum):
    """A member's role in one account."""

    ADMIN = "admin"
    AGENT = "agent"


class Cause(Enum):
    """What brought a change about."""

    USER = "user"
    IMPORT = "import"
    KOMMO = "kommo"
    WHATSAPP = "whatsapp"
    SYSTEM = "system"


class Origin(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Kept with every event: the cause, and who or which request it was."""

    cause: Cause
    user_id: UserId | None = None
    request_id: str | None = None


read_origin = msgspec.json.Decoder(Origin).decode
"""Returns an origin of its JSON, as logs keep it."""

SYSTEM = Origin(cause=Cause.SYSTEM)
WHATSAPP = Origin(cause=Cause.WHATSAPP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A user at work in one account; the scope of everything done with it."""

    account_id: AccountId
    user_id: UserId
    role: Role = Role.AGENT
    is_super_admin: bool = False
    region: str = "PE"
    session_id: SessionId | None = None
    origin: Origin = SYSTEM

    def require_admin(self) -> None:
        """Raise Forbidden unless the actor administers the account."""
        if self.role is not Role.ADMIN:
            raise Forbidden("the role admin")

    def require_super_admin(self) -> None:
        """Raise Forbidden unless the actor administers all accounts."""
        if not self.is_super_admin:
            raise Forbidden("the role super_admin")
