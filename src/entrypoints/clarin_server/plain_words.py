"""How a command ends that could not do what it should: with a line or two, and no trace."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from clarin_core.errors import ClarinError
from clarin_embedded import EmbeddedServerError
from clarin_postgres import PostgresSetupError
from clarin_server.errors import CannotStart, WrongSettings


@contextmanager
def plain_words() -> Iterator[None]:
    """End the program with a line or two for what is no fault of Clarin's."""
    try:
        yield
    except (CannotStart, ClarinError, EmbeddedServerError, PostgresSetupError) as error:
        typer.echo(f"clarin: {error}", err=True)
        sys.exit(2 if isinstance(error, WrongSettings) else 1)
    finally:
        _let_go_of_a_lost_terminal()


def _let_go_of_a_lost_terminal() -> None:
    """Drop what nobody can read any more: Python would end with a failure of its own over it."""
    try:
        sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
