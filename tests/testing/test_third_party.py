"""What a stranger sees who extends the contract: a class with one method, and a plain answer."""

import os
import re
import subprocess
import sys

import pytest

STRANGERS_TEST = """
from datetime import UTC, datetime

from clarin_core.testing import Capability, StorageContract
from clarin_memory import MemoryStorage


def now():
    return datetime.now(UTC)


class Amnesiac(MemoryStorage):
    async def positions(self, account_ids):
        found = await super().positions(account_ids)
        return {account_id: found[min(found)] for account_id in found}


class TestGood(StorageContract):
    @classmethod
    def open(cls):
        return MemoryStorage(clock=now, publisher=cls.publisher)


class TestBroken(StorageContract):
    @classmethod
    def open(cls):
        return Amnesiac(clock=now, publisher=cls.publisher)


class TestSilent(StorageContract):
    lacks = {Capability.ANNOUNCING: "nobody listens"}

    @classmethod
    def open(cls):
        return MemoryStorage(clock=now)


class TestUndeclared(StorageContract):
    @classmethod
    def open(cls):
        return MemoryStorage(clock=now)
"""
LAWS = "announced or positions or empty_log or dense"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Run the stranger's file in a folder of its own, with no configuration and no plugin."""
    folder = tmp_path_factory.mktemp("stranger")
    (folder / "test_my_storage.py").write_text(STRANGERS_TEST)
    paths = {"PYTHONPATH": os.pathsep.join(sys.path), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "-k", LAWS, "-c", os.devnull, "--rootdir", "."],
        cwd=folder, env={**os.environ, **paths}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return answer.stdout + answer.stderr


def outcomes(report: str, name: str) -> dict[str, str]:
    """Return what became of the laws of a class."""
    lines = re.findall(r"^(PASSED|FAILED) \S+::(\w+)::(\w+)", report, re.MULTILINE)
    return {law: outcome for outcome, owner, law in lines if owner == name}


def test_a_good_storage_passes(report: str) -> None:
    """Architecture section 6: one class, one method, nothing else."""
    assert set(outcomes(report, "TestGood").values()) == {"PASSED"}, report


def test_a_broken_storage_fails_at_the_law_it_breaks(report: str) -> None:
    """The name says which promise is broken, the assertion says how."""
    laws = outcomes(report, "TestBroken")
    assert [law for law in laws if laws[law] == "FAILED"] == [
        "test_positions_are_those_of_the_logs"
    ]
    assert "R3: one look finds out which accounts have news" in report
    assert re.search(r"^E +AssertionError: assert Position\(epoch=", report, re.MULTILINE), report


def test_a_declared_lack_is_reported_with_its_reason(report: str) -> None:
    """Architecture section 6: capabilities, not skips; only their laws are left out."""
    laws = outcomes(report, "TestSilent")
    assert set(laws.values()) == {"PASSED"}
    assert not [law for law in laws if "announced" in law]
    assert "TestSilent lacks announcing commits to a publisher: nobody listens" in report
    assert re.search(
        r"^SKIPPED \[3\] .*: lacks announcing commits .*: nobody listens$", report, re.M
    )


def test_an_undeclared_lack_fails_and_says_what_to_do(report: str) -> None:
    """A law that nobody excused always runs."""
    laws = outcomes(report, "TestUndeclared")
    assert laws["test_a_commit_with_events_is_announced_after_it"] == "FAILED"
    assert "declare that it lacks ANNOUNCING" in report
