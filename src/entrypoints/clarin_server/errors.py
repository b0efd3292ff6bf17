"""Why the service does not start: said in a line or two, without a trace."""

from collections.abc import Sequence


class CannotStart(Exception):
    """Something outside of Clarin is in the way; the text says what helps."""


class WrongSettings(CannotStart):
    """Settings that cannot be used, all of them at once."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(("These settings need another value:", *faults)))
        self.faults = faults
