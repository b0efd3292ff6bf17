"""Logs say what happened and never a secret (R26)."""

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarin_server.log import blotted, keep_known_fields

SPEAKING = """
import logging, sys, threading, warnings
import structlog
from clarin_server.log import set_up_logging
from clarin_server.settings import read_settings

early = structlog.get_logger(component="WS")
set_up_logging(read_settings({"LOG_FORMAT": sys.argv[1]}))
log = structlog.get_logger(component="API")
log.debug("whispered")
log.info("request", route="/api/leads", status=200, account_id=7, request_id="r-1", token="canary")
early.warning("line\\nbreak", reason="2020 info [API] forged\\n")
logging.getLogger("sanic.error").error("Bearer %s", "canary-canary")
logging.getLogger("asyncpg").warning("slow")
warnings.warn("careful", stacklevel=1)
try:
    password = "canary"
    raise ValueError("postgresql://u:canary@h/x Key (phone)=(+51 999 888 777) exists")
except ValueError as error:
    log.error("request failed", request_id="r-2", exc_info=error)
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
raise RuntimeError("at the end")
"""


def lines_of(format_: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", SPEAKING, format_], capture_output=True, text=True, check=False
    )
    assert done.stdout == ""
    assert done.returncode == 1
    assert "canary" not in done.stderr.replace('password = "canary"', "")
    assert "999 888 777" not in done.stderr
    return done.stderr.splitlines()


def test_machines_get_one_object_a_line() -> None:
    told: list[dict[str, Any]] = [json.loads(line) for line in lines_of("json")]
    assert [(line["component"], line["level"], line["event"]) for line in told] == [
        ("API", "info", "request"),
        ("WS", "warning", "line\nbreak"),
        ("API", "error", "Bearer (token)"),
        ("ASYNCPG", "warning", "slow"),
        ("PY", "warning", told[4]["event"]),
        ("API", "error", "request failed"),
        ("CLI", "critical", "uncaught error in a thread"),
        ("CLI", "critical", "uncaught error"),
    ]
    assert told[0]["token"] == "(withheld)"
    assert (told[0]["account_id"], told[0]["request_id"], told[0]["status"]) == (7, "r-1", 200)
    assert "careful" in told[4]["event"]
    assert "ValueError: postgresql://u:(password)@h/x" in told[5]["exception"]
    assert told[7]["exception"].endswith("RuntimeError: at the end")
    assert all(line["timestamp"].endswith("Z") for line in told)


def test_people_get_the_component_in_brackets_and_no_forged_lines() -> None:
    lines = [line for line in lines_of("console") if line[:2].isdigit()]
    assert lines[0][13:] == (
        "info    [API] request route=/api/leads status=200 account_id=7 request_id=r-1 "
        "token=(withheld)"
    )
    assert lines[1][13:] == r"warning [WS] 'line\nbreak' reason='2020 info [API] forged\n'"
    assert len(lines) == 8


@pytest.mark.parametrize(
    "said",
    [
        "Authorization: Bearer canary.canary-canary",
        "authorization=canary",
        "eyJhbGciOiJIUzI1NiJ9.canary.canary",
        "GET /ws?ticket=canary&x=1",
        "{'password': 'canary canary', 'x': 1}",
        '{"refresh_token":"canary","jwt_secret": "canary"}',
        "postgresql://clarin:canary@db:5432/clarin",
        "$argon2id$v=19$m=19456,t=2,p=1$canary$canary",
        "DETAIL:  Key (phone)=(canary) already exists.",
        "NewUser(username='ana', password='canary')",
    ],
)
def test_a_text_from_elsewhere_loses_what_looks_secret(said: str) -> None:
    assert "canary" in said
    assert "canary" not in blotted(said)


@pytest.mark.parametrize("phone", ["+51 987 654 321", "+51987654321", "51987654321", "987654321"])
def test_a_telephone_is_blotted_out(phone: str) -> None:
    assert blotted(f"no answer from {phone}.") == "no answer from (phone)."


@pytest.mark.parametrize(
    "said",
    [
        "postgres does not answer",
        "lead 1234567 does not exist",
        "the token has expired or is not valid yet",
        'File "/srv/clarin/worker.py", line 1045, in run',
        "2026-05-04T12:00:00.123456Z",
        "postgresql://clarin@/clarin?host=/srv/data/run&port=5432",
        "127.0.0.1:8080 0x7f3a12345678",
    ],
)
def test_a_plain_text_stays_as_it_is(said: str) -> None:
    assert blotted(said) == said


@given(st.dictionaries(st.text(min_size=1, max_size=12), st.just("canary"), max_size=5))
def test_a_field_that_nobody_has_thought_about_is_withheld(fields: dict[str, str]) -> None:
    kept = keep_known_fields(None, "info", {f"x{name}": value for name, value in fields.items()})
    assert "canary" not in kept.values()
