"""Settings: read once, refused all at once, never shown when they are secret (R26, R27)."""

import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarin_security import system_random
from clarin_server.data_folder import make_data_folder, make_media_folder, signing_secret
from clarin_server.errors import CannotStart, WrongSettings
from clarin_server.settings import WANTED, Settings, read_settings

GOOD_SECRET = "9f2c4be07a5d4c8e91b6d3f0a1e2c3b4"
WRONG = {
    "CLARIN_ENV": "staging",
    "HOST": "local host",
    "PORT": "65536",
    "DATABASE_URL": "mysql://clarin:canary@localhost/clarin",
    "CLARIN_STORAGE": "Canary storage",
    "CLARIN_MEDIA_URL": "file:media",
    "JWT_SECRET": "canary",
    "ADMIN_USER": "a" * 256,
    "ADMIN_EMAIL": "nobody",
    "ADMIN_PASSWORD": "canary",
    "ACCOUNT_NAME": "a" * 256,
    "CORS_ORIGINS": "https://crm.example.com,*",
    "TRUSTED_PROXIES": "10.0.0.7,unix:",
    "CLARIN_MESSAGING": "telegram",
    "LOG_LEVEL": "loud",
    "LOG_FORMAT": "xml",
    "CLARIN_RATE_LIMITS": "maybe",
    "CLARIN_REQUESTS_MAX": "0",
    "CLARIN_CACHE_MB": "0",
}


def faults_of(environ: Mapping[str, str]) -> str:
    with pytest.raises(WrongSettings) as caught:
        read_settings(environ)
    return str(caught.value)


def test_an_empty_environment_is_enough_for_development() -> None:
    settings = read_settings({})
    assert settings == Settings()
    assert (settings.host, settings.port, settings.data_dir) == ("127.0.0.1", 8080, "./data")
    assert settings.storage_url is None
    assert not settings.is_production


def test_every_setting_is_read_by_its_name() -> None:
    settings = read_settings({
        "CLARIN_ENV": "production",
        "HOST": "0.0.0.0",  # noqa: S104  (a setting, nothing is bound)
        "PORT": " 9000 ",
        "CLARIN_DATA_DIR": "/srv/clarin",
        "DATABASE_URL": "postgres://u:p%40ss@db:5433/clarin?sslmode=require",
        "CLARIN_MEDIA_URL": "s3://clarin-media/prod",
        "JWT_SECRET": GOOD_SECRET,
        "ADMIN_USER": "ana",
        "ADMIN_EMAIL": "ana@example.com",
        "ADMIN_PASSWORD": "correct horse",
        "ACCOUNT_NAME": "Luz",
        "CORS_ORIGINS": "https://crm.example.com, http://localhost:3000,",
        "TRUSTED_PROXIES": "10.0.0.7, 2001:db8:7::/64,",
        "LOG_LEVEL": "WARNING",
        "LOG_FORMAT": "Json",
        "CLARIN_RATE_LIMITS": "ON",
        "CLARIN_REQUESTS_MAX": "64",
        "CLARIN_CACHE_MB": "3",
    })  # fmt: skip
    assert settings.cors_origins == ("https://crm.example.com", "http://localhost:3000")
    assert (settings.port, settings.folder) == (9000, Path("/srv/clarin"))
    assert (settings.log_level, settings.log_format) == ("warning", "json")
    assert settings.storage_url == "postgres://u:p%40ss@db:5433/clarin?sslmode=require"
    assert (settings.is_production, settings.requests_in_flight_max) == (True, 64)
    assert settings.cache_bytes == 3 * 1024 * 1024
    assert settings.rate_limits == "on"
    assert settings.media_address("postgres://") == "s3://clarin-media/prod"
    assert list(map(str, settings.proxies)) == ["10.0.0.7/32", "2001:db8:7::/64"]


def test_an_empty_variable_counts_as_absent() -> None:
    assert read_settings({"DATABASE_URL": "", "PORT": "  "}) == Settings()


def test_a_named_storage_wins_over_the_database() -> None:
    both = {"CLARIN_STORAGE": "memory", "DATABASE_URL": "postgresql://db/clarin"}
    assert read_settings(both).storage_url == "memory"


def test_all_faults_are_told_at_once_each_with_an_example() -> None:
    """Design decision 7: the name, the value's fault and an example; no secret (R26)."""
    told = faults_of(WRONG)
    lines = told.splitlines()[1:]
    assert {line.split()[0] for line in lines} == WRONG.keys()
    for line in lines:
        name = line.split()[0]
        assert f"for example {name}={WANTED[name].example}" in line
    assert "PORT is '65536', and must be" in told
    assert "canary" not in told.lower()


@pytest.mark.parametrize("name", WRONG)
def test_each_wrong_value_alone_stops_the_start(name: str) -> None:
    assert faults_of({name: WRONG[name]}).splitlines()[1].split()[0] == name


@pytest.mark.parametrize("name", WANTED)
def test_every_example_is_a_good_value(name: str) -> None:
    example = WANTED[name].example.replace("$(openssl rand -hex 32)", GOOD_SECRET)
    read_settings({"JWT_SECRET": GOOD_SECRET, name: example})


def test_every_setting_is_explained() -> None:
    assert {info.encode_name for info in msgspec.structs.fields(Settings)} == WANTED.keys()


@pytest.mark.parametrize(
    "secret",
    [
        None,
        "9f2c4be07a5d4c8e91b6d3f0a1e2c3b",
        "a" * 64,
        "abcabcabcabcabcabcabcabcabcabcabcabc",
        "change-me-change-me-change-me-change-me",
        "your-super-secret-jwt-token-with-at-least-32-characters-long",
        "a-string-secret-at-least-256-bits-long",
    ],
)
def test_production_refuses_a_secret_that_can_be_guessed(secret: str | None) -> None:
    """R27: none, a short one, one of few letters, one out of a manual."""
    given = {"JWT_SECRET": secret} if secret else {}
    assert "JWT_SECRET must be" in faults_of({"CLARIN_ENV": "production", **given})


def test_limits_cannot_be_switched_off_in_production() -> None:
    environ = {"CLARIN_RATE_LIMITS": "off", "JWT_SECRET": GOOD_SECRET}
    assert "CLARIN_RATE_LIMITS" in faults_of({"CLARIN_ENV": "production", **environ})
    assert read_settings(environ).rate_limits == "off"


def test_nothing_is_made_up_in_production() -> None:
    environ = {"CLARIN_MESSAGING": "simulated", "JWT_SECRET": GOOD_SECRET}
    assert "CLARIN_MESSAGING" in faults_of({"CLARIN_ENV": "production", **environ})
    assert read_settings(environ).messaging == "simulated"


@pytest.mark.parametrize(
    "proxies", ["10.0.0.7/8", "10.0.0", "10.0.0.0/33", "2001:db8:7", "0.0.0.0/0", "10.0.0.7,::/0"]
)
def test_proxies_are_addresses_and_never_everybody(proxies: str) -> None:
    """A network has no bits of a host: who writes some means another network."""
    assert "TRUSTED_PROXIES must be" in faults_of({"TRUSTED_PROXIES": proxies})


@pytest.mark.parametrize("url", ["postgresql://h:99999/x", "postgresql://h:0/x", "postgres://[x/"])
def test_an_address_that_no_server_can_have_is_refused(url: str) -> None:
    assert "DATABASE_URL" in faults_of({"DATABASE_URL": url})


@pytest.mark.parametrize(
    "url",
    ["media", "/srv/media", "file:media", "file://srv/media", "file:///", "s3://", "s3://b",
     "s3://Bucket/x", "s3://key:secret@bucket/x", "s3://bucket?x=1", "gs://bucket/x"],
)  # fmt: skip
def test_files_lie_in_a_folder_or_a_bucket(url: str) -> None:
    """And no credential is in the address, which is shown."""
    assert "CLARIN_MEDIA_URL" in faults_of({"CLARIN_MEDIA_URL": url})


def test_a_folder_for_files_that_cannot_be_is_told_in_plain_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    make_media_folder("s3://bucket/prefix")
    make_media_folder((tmp_path / "los medios").as_uri())
    assert stat.S_IMODE((tmp_path / "los medios").stat().st_mode) == 0o700
    with pytest.raises(CannotStart, match="file/media cannot be used: Not a directory"):
        make_media_folder(f"file://{tmp_path}/file/media")


@pytest.mark.parametrize(
    "origin", ["*", "null", "crm.example.com", "https://a.example/path", "ftp://a.example"]
)
def test_an_origin_is_a_scheme_and_a_host(origin: str) -> None:
    """Reliability 2.11: an explicit list, never `*`, never `null`."""
    assert "CORS_ORIGINS" in faults_of({"CORS_ORIGINS": origin})


@given(st.dictionaries(st.sampled_from(list(WANTED)), st.text(max_size=40)))
def test_any_environment_is_read_or_refused_by_name(environ: dict[str, str]) -> None:
    """R23, at the start: no text brings anything but settings or a list of faults."""
    faults: Sequence[str] = ()
    try:
        read_settings(environ)
    except WrongSettings as error:
        faults = error.faults
    assert {line.split()[0] for line in faults} <= WANTED.keys()


def test_settings_are_shown_without_their_secrets() -> None:
    """R26."""
    shown = repr(
        Settings(
            database_url="postgresql://u:canary@db/x", jwt_secret="canary", admin_password="canary"
        )
    )
    assert "canary" not in shown
    assert "port=8080" in shown


def in_folder(folder: Path, **more: str) -> Settings:
    return read_settings({"CLARIN_DATA_DIR": str(folder), **more})


def test_a_signing_secret_is_made_once_and_kept_for_us_alone(tmp_path: Path) -> None:
    settings = in_folder(tmp_path / "data")
    secret = signing_secret(settings, system_random)
    assert len(secret) == 32
    assert signing_secret(settings, system_random) == secret
    (kept,) = (tmp_path / "data").iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_of_two_processes_that_make_a_secret_one_wins(tmp_path: Path) -> None:
    settings = in_folder(tmp_path)
    others: list[bytes] = []

    def slow_random(size_bytes: int) -> bytes:
        others.append(signing_secret(settings, system_random))
        return system_random(size_bytes)

    assert [signing_secret(settings, slow_random)] == others


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    settings = in_folder(tmp_path)
    signing_secret(settings, system_random)
    (tmp_path / "jwt-secret").chmod(0o640)
    with pytest.raises(CannotStart, match="open to others"):
        signing_secret(settings, system_random)


def test_a_given_secret_or_none_at_all_leaves_no_file(tmp_path: Path) -> None:
    given = in_folder(tmp_path, JWT_SECRET=GOOD_SECRET)
    assert signing_secret(given, system_random) == GOOD_SECRET.encode()
    in_memory = in_folder(tmp_path, CLARIN_STORAGE="memory")
    assert signing_secret(in_memory, system_random) != signing_secret(in_memory, system_random)
    assert list(tmp_path.iterdir()) == []


def test_a_data_directory_that_cannot_be_is_told_in_plain_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotStart, match="file/data cannot be used: Not a directory"):
        make_data_folder(tmp_path / "file" / "data")
