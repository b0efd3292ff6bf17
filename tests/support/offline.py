"""Hosts of devices for tests: some that are played, and the real one without a way out."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from functools import cache
from pathlib import Path
from secrets import token_bytes

import pytest

_BYTES = {
    "noise_key": 32, "identity_key": 32, "signed_pre_key": 32, "signed_pre_key_sig": 64,
    "adv_key": 32, "adv_details": 1, "adv_account_sig": 64, "adv_account_sig_key": 32,
    "adv_device_sig": 64,
}  # fmt: skip

_LINK = """
insert into whatsmeow_device (
    jid, registration_id, signed_pre_key_id, noise_key, identity_key, signed_pre_key,
    signed_pre_key_sig, adv_key, adv_details, adv_account_sig, adv_account_sig_key, adv_device_sig
) values (
    :jid, 1, 1, :noise_key, :identity_key, :signed_pre_key,
    :signed_pre_key_sig, :adv_key, :adv_details, :adv_account_sig, :adv_account_sig_key,
    :adv_device_sig
)
"""

_IMPORT = (sys.executable, "-c", "import neonize")


@cache
def require_library() -> None:
    """Skip the test where the library lacks what it needs of the system, and only then."""
    done = subprocess.run(_IMPORT, check=False, capture_output=True, text=True)
    if "libmagic" in done.stderr:
        pytest.skip("the system library libmagic is missing")
    assert done.returncode == 0, done.stderr


def cut_off(patch: pytest.MonkeyPatch) -> None:
    """Let children find nobody outside: their proxy is a port where nothing listens."""
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        patch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        patch.delenv(name, raising=False)


def link(store: Path, jid: str) -> None:
    """Give a session's file, which the library has made, the keys of a device."""
    keys = {name: token_bytes(size) for name, size in _BYTES.items()}
    with closing(sqlite3.connect(store)) as file:
        file.execute(_LINK, {"jid": jid, **keys})
        file.commit()
