"""What the tests of the HTTP surface share."""

import pytest


@pytest.fixture(params=["memory", "postgres"])
def address(request: pytest.FixtureRequest) -> str:
    """Return the address of an empty storage, of each kind in turn."""
    return "memory:" if request.param == "memory" else request.getfixturevalue("database")
