"""`clarin serve` from nothing to a service, through every kind of end, and back."""

import asyncio
import json
import re
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import httpx
import pytest

from clarin_embedded import EmbeddedPostgres
from support.service import ask, in_data, processes_of, serving, token_of

STOPS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


def test_a_first_start_makes_everything_and_a_second_finds_it(home: Path) -> None:
    with serving(*in_data(home)) as first:
        address = first.wait_until_ready()
        while httpx.get(f"{address}/ready").json()["status"] != "ready":
            pass  # A busy machine may answer late, and the service looks once more.
        assert first.password is not None
        token_of(address, first.password)
        assert f"curl -s {address}/api/auth/login" in first.said
        assert first.end() == 0
    assert first.said.splitlines()[-1].endswith("stopped")
    assert processes_of(home) == []
    with serving(*in_data(home)) as second:
        address = second.wait_until_ready()
        assert second.password is None
        token_of(address, first.password)
        assert second.end() == 0
    assert "creating the PostgreSQL cluster" not in second.said


def test_after_kill_9_the_next_start_recovers_what_was_answered(home: Path) -> None:
    """R2: whatever was answered with 2xx is there; the server that was left behind is joined."""
    with serving(*in_data(home), ADMIN_PASSWORD="correct horse") as killed:
        address = killed.wait_until_ready()
        assert killed.password is None
        token = token_of(address, "correct horse")
        lead = ask("POST", f"{address}/api/leads", token, json={"name": "Luz"})
        assert killed.end(signal.SIGKILL) == -signal.SIGKILL
    assert processes_of(home)
    with serving(*in_data(home)) as again:
        address = again.wait_until_ready()
        # The signing secret was kept, so the token still counts.
        assert ask("GET", f"{address}/api/leads/{lead['id']}", token)["name"] == "Luz"
        assert again.end() == 0


@pytest.fixture
def database(postgres: EmbeddedPostgres) -> str:
    """Return the address of an empty database on a server that is not ours to stop."""
    name = f"serve_{secrets.token_hex(4)}"

    async def create() -> None:
        connection = await asyncpg.connect(postgres.dsn)
        await connection.execute(f"create database {name}")
        await connection.close()

    asyncio.run(create())
    return postgres.dsn.replace("/clarin?", f"/{name}?")


def test_two_that_start_at_once_on_a_database_share_one_first_account(
    database: str, home: Path
) -> None:
    both = [in_data(home), ("--data-dir", str(home / "other"))]
    with (
        serving(*both[0], DATABASE_URL=database) as one,
        serving(*both[1], DATABASE_URL=database) as two,
    ):
        addresses = [one.wait_until_ready(), two.wait_until_ready()]
        (password,) = {one.password, two.password} - {None}
        for address in addresses:
            token_of(address, password)
        assert (one.end(), two.end()) == (0, 0)
    assert "PostgreSQL cluster" not in one.said + two.said


def test_a_stop_while_waiting_for_a_database_is_heard_at_once(home: Path) -> None:
    nowhere = f"postgresql://ana:canary@/clarin?host={home}"
    with serving(DATABASE_URL=nowhere) as service:
        service.wait_for("waiting for the database")
        assert service.end() == 0
    assert "canary" not in service.said


def test_the_doctor_finds_a_database_that_was_used(home: Path) -> None:
    with serving(*in_data(home)) as service:
        service.wait_until_ready()
        assert "answers after" in doctor(home)
        service.end()
    assert re.search(r"answers after \d+ ms, schema \d{4}", doctor(home))


def doctor(home: Path) -> str:
    command = [sys.executable, "-m", "clarin_server", "doctor", "--json", *in_data(home)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    (found,) = [each for each in json.loads(done.stdout) if each["subject"] == "database"]
    assert found["health"] == "good"
    return str(found["found"])


def test_a_stop_during_the_start_leaves_nothing_behind(home: Path) -> None:
    with serving(*in_data(home)) as service:
        service.wait_for("creating the PostgreSQL cluster")
        assert service.end() == 0
    assert "is ready" not in service.said


def test_a_terminal_that_is_gone_does_not_keep_it_from_stopping(home: Path) -> None:
    with serving(*in_data(home)) as service:
        service.wait_until_ready()
        assert service.process.stderr is not None
        service.process.stderr.close()
        service.process.send_signal(signal.SIGHUP)
        assert service.process.wait() == 0


@pytest.mark.parametrize("number", STOPS)
def test_each_way_of_asking_stops_it_in_order(number: signal.Signals) -> None:
    with serving("--storage", "memory") as service:
        service.wait_until_ready()
        assert service.end(number) == 0
    assert "stopping" in service.said


@contextmanager
def half_a_request(address: str) -> Iterator[socket.socket]:
    """Send a request whose body never comes."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            b"POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
            b"Content-Type: application/json\r\n\r\n"
        )
        yield connection


def test_asked_twice_it_stops_at_once_and_leaves_nothing_behind(home: Path) -> None:
    with serving(*in_data(home)) as service, half_a_request(service.wait_until_ready()):
        service.process.send_signal(signal.SIGTERM)
        service.wait_for("stopping: ")
        assert service.end(signal.SIGTERM) == 1
    assert "stopping PostgreSQL" in service.said
    assert processes_of(home) == []


def test_asked_twice_while_starting_it_leaves_nothing_behind_either(home: Path) -> None:
    with serving(*in_data(home)) as service:
        service.wait_for("starting PostgreSQL")
        service.process.send_signal(signal.SIGHUP)
        service.process.send_signal(signal.SIGTERM)
        assert service.rest() == 1
    assert processes_of(home) == []


def test_a_worker_that_does_not_start_ends_it_in_plain_words(home: Path) -> None:
    ending = "import os, sys\nif 'clarin_server.worker' in sys.orig_argv:\n    os._exit(3)\n"
    (home / "sitecustomize.py").write_text(ending)
    with serving(*in_data(home), "--workers", "2", PYTHONPATH=str(home)) as service:
        assert service.rest() == 1
    last = service.said.splitlines()[-1]
    assert re.fullmatch(r"clarin: Worker \d did not start: .* code 3, see its log", last)
    assert "Traceback" not in service.said
    assert processes_of(home) == []


def test_asked_thrice_it_ends_whatever_it_waits_for() -> None:
    with serving("--storage", "memory") as service, half_a_request(service.wait_until_ready()):
        for _ in range(3):
            service.process.send_signal(signal.SIGINT)
            service.process.send_signal(signal.SIGTERM)
        assert service.rest() != 0


def test_logs_for_machines_are_json_but_for_the_password_which_is_told_once() -> None:
    with serving("--storage", "memory", LOG_FORMAT="json") as service:
        service.wait_for("is ready at ")
        assert service.end() == 0
    lines = service.said.splitlines()
    (told,) = [line for line in lines if not line.startswith("{")]
    assert told.startswith("user admin, password ")
    events = [json.loads(line)["event"] for line in lines if line != told]
    assert events[-1] == "stopped"


def test_what_was_asked_is_answered_before_the_end() -> None:
    """R28: no accepted request is cut."""
    with serving("--storage", "memory") as service:
        with half_a_request(service.wait_until_ready()) as connection:
            service.process.send_signal(signal.SIGTERM)
            service.wait_for("stopping")
            connection.sendall(b'{"a": 12}')
            assert connection.recv(4096).startswith(b"HTTP/1.1 422")
        assert service.rest() == 0
