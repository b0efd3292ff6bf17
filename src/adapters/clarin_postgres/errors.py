"""What PostgreSQL and its driver say, in the core's words (reliability section 6).

The driver's texts quote values, so none of them goes on: neither in an error nor as its cause.
"""

import logging

import asyncpg

from clarin_core.errors import Conflict, Contention, Invalid, NotFound, Unavailable

_log = logging.getLogger("clarin_postgres")

POSTGRES = "postgresql"
DRIVER_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # A connection that died at the wrong moment.
    asyncpg.TargetServerAttributeNotMatched,  # Where the primary was, there is a standby now.
    OSError,
    TimeoutError,
)
_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidCachedStatementError,
    asyncpg.TargetServerAttributeNotMatched,
    ConnectionError,
)
_REFUSED = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)

_UNKNOWN_ACCOUNT = "CL404"
_WALL = "42501"
_RIVALS = {"40001", "40P01", "55P03"}
_AWAY = {"08", "53", "57"}
_UNFIT = {"22"}
_TOO_MUCH = {"54000", "54001"}

_TAKEN = {
    "accounts_slug": ("conflict", "the slug is taken"),
    "user_logins_key": ("conflict", "the user name or the e-mail address is taken"),
    "contacts_phone": ("duplicate_contact", "a contact has this phone"),
    "leads_kommo": ("duplicate_lead", "a lead has this Kommo id"),
    "pipelines_default": ("conflict", "another pipeline is the default"),
    "pipelines_key": ("duplicate_pipeline", "a pipeline has this name"),
    "chats_identity": ("duplicate_chat", "a chat has this device and identity"),
    "messages_wa": ("duplicate_message", "a message has this id"),
    "devices_jid": ("duplicate_device", "a device has this address"),
    "quick_replies_key": ("shortcut_exists", "a quick reply has this shortcut"),
    "tags_key": ("tag_exists", "a tag has this name"),
    "imports_file": ("already_imported", "this file was imported before"),
}
_RACED = {"device_leases_token", "kommo_leases_token"}  # Of two first leases, the later one.
_STILL_USED = {
    "accounts.remove": ("invalid_state", "users, leads or devices are in the account"),
    "devices.remove": ("has_chats", "chats are in the device"),
    "media.remove": ("in_use", "messages have the file"),
    "pipelines.remove": ("stage_not_empty", "leads are in the stage"),
    "pipelines.save": ("stage_not_empty", "leads are in the stage"),
}
_MISSING = {
    "idempotency_account": "account",
    "leads_contact": "contact",
    "leads_pipeline": "pipeline",
    "leads_stage": "stage",
    "kommo_leads_lead": "lead",
    "kommo_contacts_contact": "contact",
    "lead_tags_lead": "lead",
    "contacts_merged_into": "contact",
    "contact_identities_contact": "contact",
    "contact_tags_contact": "contact",
    "chat_tags_chat": "chat",
    "chats_assigned_to": "user",
    "chats_contact": "contact",
    "chats_device": "device",
    "messages_chat": "chat",
    "messages_device": "device",
    "media_device": "device",
    "messages_media": "media",
    "message_marks_chat": "chat",
    "reactions_chat": "chat",
    "poll_votes_chat": "chat",
    "outbox_device": "device",
    "outbox_chat": "chat",
    "outbox_message": "message",
    "lead_tags_tag": "tag",
    "contact_tags_tag": "tag",
    "chat_tags_tag": "tag",
    "stage_moves_lead": "lead",
    "memberships_user": "user",
    "sessions_user": "user",
    "sessions_account": "account",
    "tickets_session": "session",
    "tickets_account": "account",
    "import_outcomes_import": "import",
}


class ConnectionLost(Unavailable):
    """The connection is of no use any more: a read may be tried on another one.

    It was dead, or died, or what it has prepared was for tables that have changed since.
    """


class PostgresSetupError(RuntimeError):
    """The database cannot be used as it is; the text says why and what helps."""


class StatementFailed(RuntimeError):
    """A statement is wrong: a bug of this adapter, or a schema that somebody changed."""

    def __init__(self, statement: str, error: asyncpg.PostgresError) -> None:
        super().__init__(f"{statement} failed: {error.sqlstate} {error.args[0]}")


def refusal(error: Exception) -> Exception:
    """Return the error for a connection that was not made."""
    if isinstance(error, asyncpg.InvalidParameterValueError | asyncpg.InsufficientPrivilegeError):
        return PostgresSetupError(
            f"The database was not prepared for its user ({error.args[0]}): run clarin migrate."
        )
    if isinstance(error, _REFUSED):
        return PostgresSetupError(f"The server lets nobody in ({error.args[0]}).")
    if isinstance(error, ValueError):
        return PostgresSetupError("The address of the database cannot be read.")
    return translated(error, "connect")


def translated(error: Exception, statement: str) -> Exception:
    """Return the error of the core for an error of the driver in a named statement."""
    if isinstance(error, asyncpg.DataError):
        return _unfit(statement)
    if isinstance(error, _LOST):
        _log.warning("%s lost its connection: %s", statement, type(error).__name__)
        return ConnectionLost(POSTGRES)
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        return _of_constraint(error, error.constraint_name or "", statement)
    if isinstance(error, asyncpg.PostgresError):
        return _of_state(error, error.sqlstate or "", statement)
    _log.warning("%s got no answer: %s", statement, type(error).__name__)
    return Unavailable(POSTGRES)


def _of_state(error: asyncpg.PostgresError, state: str, statement: str) -> Exception:
    if state == _UNKNOWN_ACCOUNT:
        return NotFound("account", int(error.args[0]))
    if state == _WALL:
        _log.critical("%s ran into the wall between accounts: %s", statement, error.args[0])
        return NotFound("record", "named")
    if state[:2] in _UNFIT or state in _TOO_MUCH:
        return _unfit(statement)
    if state not in _RIVALS and state[:2] not in _AWAY:
        return StatementFailed(statement, error)
    _log.warning("%s failed with %s", statement, state)
    return Contention(POSTGRES) if state in _RIVALS else Unavailable(POSTGRES)


def _unfit(statement: str) -> Invalid:
    """Say what the validation before us should have said: each time, it has a gap."""
    _log.error("%s was given a value that cannot be stored", statement)
    return Invalid("value", "cannot be stored")


def _of_constraint(
    error: asyncpg.IntegrityConstraintViolationError, constraint: str, statement: str
) -> Exception:
    if isinstance(error, asyncpg.ForeignKeyViolationError):
        if statement in _STILL_USED:
            return Conflict(*_STILL_USED[statement])
        return NotFound(_MISSING.get(constraint, "record"), "of the link")
    if constraint in _RACED:
        return Contention(POSTGRES)
    if constraint in _TAKEN:
        return Conflict(*_TAKEN[constraint])
    if isinstance(error, asyncpg.CheckViolationError | asyncpg.NotNullViolationError):
        return _unfit(statement)
    return StatementFailed(statement, error)
