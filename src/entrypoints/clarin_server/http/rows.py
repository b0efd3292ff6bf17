"""A row says which operation answers a method and a path.

The operation's signature is the contract: `actor` comes from the credential, a parameter named
in the path from the path, `address` from the connection or the proxy, and the one remaining
Struct from the body, or from the query where there is no body. An operation without an actor is
public, except that a method of `Views` always belongs to the actor's account.
"""

import inspect
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_type_hints

from msgspec import Struct

from clarin_core.domain.command import Change, Precondition
from clarin_core.ports.views import Views
from clarin_core.reads.cached import KEPT

_PLACEHOLDER = re.compile(r"<(\w+)>")

Operation = Callable[..., Awaitable[Any]]


@dataclass(frozen=True)
class Row:
    """One operation of the HTTP surface."""

    method: str
    path: str
    operation: Operation
    status: int
    for_admins: bool = False
    """Whether an account's agents are refused; use cases refuse them, too, views know no roles."""
    is_repeatable: bool = False

    @cached_property
    def hints(self) -> dict[str, Any]:
        """Types of the parameters and of the answer, with their bounds."""
        return get_type_hints(self.operation, include_extras=True)

    @cached_property
    def owner(self) -> str:
        """Name of the class that has the operation."""
        return self.operation.__qualname__.split(".")[0]

    @cached_property
    def parameters(self) -> list[str]:
        """Names of the operation's parameters, without self."""
        return list(inspect.signature(self.operation).parameters)[1:]

    @property
    def in_path(self) -> list[str]:
        """Names that the path gives."""
        return _PLACEHOLDER.findall(self.path)

    @property
    def is_public(self) -> bool:
        """Whether it answers without a credential."""
        return "actor" not in self.parameters and self.owner != Views.__name__

    @cached_property
    def input(self) -> tuple[str, type[Struct]] | None:
        """Name and type of the one parameter that the body or the query gives."""
        known = {"actor", "address", *self.in_path}
        names = [name for name in self.parameters if name not in known]
        if not names:
            return None
        (name,) = names  # A row that cannot be bound stops the start.
        return name, self.hints[name]

    @property
    def is_kept(self) -> bool:
        """Whether some of its answers are kept; none is that not all of an account may see."""
        return not self.for_admins and self.operation in [getattr(Views, name) for name in KEPT]

    @property
    def reads_query(self) -> bool:
        """Whether the input is the query rather than the body."""
        only_version = self.input is not None and self.input[1] is Precondition
        return self.method == "GET" or (self.method == "DELETE" and only_version)

    @property
    def is_conditional(self) -> bool:
        """Whether If-Match counts."""
        return self.input is not None and issubclass(self.input[1], Change)


def get(path: str, operation: Operation, *, for_admins: bool = False) -> Row:
    """Return a row that reads."""
    return Row("GET", path, operation, 200, for_admins)


def post(path: str, operation: Operation, *, status: int = 200, for_admins: bool = False) -> Row:
    """Return a row that acts, and may as well act twice."""
    return Row("POST", path, operation, status, for_admins)


def post_once(
    path: str, operation: Operation, *, status: int = 201, for_admins: bool = False
) -> Row:
    """Return a row that creates or sends; with an Idempotency-Key it does so once."""
    return Row("POST", path, operation, status, for_admins, is_repeatable=True)


def put(path: str, operation: Operation, *, for_admins: bool = False) -> Row:
    """Return a row that changes what the body names."""
    return Row("PUT", path, operation, 200, for_admins)


def patch(path: str, operation: Operation, *, for_admins: bool = False) -> Row:
    """Return a row that changes what the body names."""
    return Row("PATCH", path, operation, 200, for_admins)


def delete(path: str, operation: Operation, *, status: int = 204, for_admins: bool = False) -> Row:
    """Return a row that removes."""
    return Row("DELETE", path, operation, status, for_admins)
