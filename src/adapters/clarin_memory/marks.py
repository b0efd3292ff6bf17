"""What was said of messages before they came, and when."""

from datetime import datetime

from clarin_core.domain.messages import Mark
from clarin_core.ports.inbox import WaKey
from clarin_memory.state import AccountTables


def put_mark(tables: AccountTables, mark: Mark, at: datetime) -> None:
    """Keep a mark, in the place of an older one."""
    tables.marks.put(mark.key, mark)
    tables.marked_at.put(mark.key, at)


def drop_mark(tables: AccountTables, key: WaKey) -> None:
    """Forget a mark, if there is one."""
    tables.marks.drop(key)
    tables.marked_at.drop(key)


def marked_at(tables: AccountTables, key: WaKey) -> datetime:
    """Return when a mark that is there was put."""
    at = tables.marked_at.peek(key)
    assert at is not None
    return at
