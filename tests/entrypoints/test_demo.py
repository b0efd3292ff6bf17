"""The demo: an account that looks like one, colleagues who answer, and nothing left at the end."""

import asyncio
import csv
import io
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from threading import Timer

import pytest
from rich.console import Console

from clarin_core.domain.actor import Actor, Role
from clarin_core.domain.chats import ChatQuery
from clarin_core.domain.devices import Device, DeviceChange, DeviceKey, DeviceQuery, NewDevice
from clarin_core.domain.inbound import MessageSeen, Peer
from clarin_core.domain.jid import Identity
from clarin_core.domain.leads import LeadQuery
from clarin_core.domain.messages import Direction, MessageKind, MessageQuery
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.quick_replies import QuickReplyQuery
from clarin_core.usecases.inbox import InboxUseCases
from clarin_security import system_random
from clarin_server.demo import desk
from clarin_server.demo import run as demo
from clarin_server.demo.desk import Desk, answer_to
from clarin_server.demo.filling import DEVICES, Filling, people_as_csv
from clarin_server.demo.screen import Screen, gist
from clarin_server.settings import WANTED
from clarin_whatsapp import CALM
from clarin_whatsapp.lines import Chance
from clarin_whatsapp.townsfolk import FOLK
from support.screen import run
from support.serving import House, now, serving

KILLED = """
import os, signal
from clarin_embedded import EmbeddedPostgres, EmbeddedValkey
from clarin_server.temporary_folder import temporary_folder
with temporary_folder("demo") as folder:
    folder.chmod(0o711)
    EmbeddedPostgres(folder / "postgres", durable=False).start()
    EmbeddedValkey(folder / "valkey").start()
    os.kill(os.getpid(), signal.SIGKILL)
"""
LATE_S = 120
ANA = Peer(identity=Identity.of_phone(PhoneNumber("+51987654321")))


@asynccontextmanager
async def shop() -> AsyncIterator[tuple[House, Actor]]:
    """Serve an account, and do its imports."""
    async with serving() as house:
        admin = Actor(account_id=house.ana.account_id, user_id=house.ana.user_id, role=Role.ADMIN)

        async def work() -> None:
            while True:
                await house.services.imports.run_pending()
                await asyncio.sleep(0)

        working = asyncio.create_task(work())
        try:
            yield house, admin
        finally:
            working.cancel()


async def write(house: House, device: Device, *bodies: str) -> None:
    """Let somebody write to a device."""
    storage = house.services.storage
    key = DeviceKey(account_id=house.ana.account_id, device_id=device.id)
    lease = await storage.leases.lease(key, "test", timedelta(minutes=5))
    assert lease is not None
    seen = [
        MessageSeen(
            chat=ANA,
            wa_message_id=f"M{number}",
            is_from_me=False,
            sender=ANA,
            sender_name="Ana [bold]Ávila",
            kind=MessageKind.TEXT,
            body=body,
            sent_at=now(),
        )
        for number, body in enumerate(bodies)
    ]
    await InboxUseCases(storage, now, system_random).receive(lease, seen)
    await storage.leases.release(lease)


def test_an_account_is_filled_by_use_cases() -> None:
    async def story() -> None:
        async with shop() as (house, admin):
            colleagues = await Filling(house.services, admin).fill()
            views = house.services.storage.views(admin.account_id)
            leads = await views.leads(LeadQuery(limit=200))
            assert leads.total == FOLK
            assert len({lead.stage_id for lead in leads.data}) == 6
            assert sum(bool(lead.tags) for lead in leads.data) > 100
            owners = Counter(lead.assigned_to for lead in leads.data if lead.assigned_to)
            assert owners == dict.fromkeys((who.user_id for who in colleagues), 20)
            devices = (await views.devices(DeviceQuery())).data
            assert [(device.name, device.is_wanted) for device in devices] == [
                (name, True) for name in DEVICES
            ]
            assert len((await views.quick_replies(QuickReplyQuery())).data) > 3

    run(story())


def test_the_file_of_people_is_one_that_people_would_bring() -> None:
    rows = list(csv.DictReader(io.StringIO(people_as_csv(["Nuevo", "Cerrado"]).decode())))
    assert len({row["celular"] for row in rows}) == len({row["correo"] for row in rows}) == FOLK
    assert {row["etapa"] for row in rows} == {"Nuevo", "Cerrado"}
    assert all(row["correo"].isascii() for row in rows)


def test_a_colleague_reads_and_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "_TYPES_S", (0, 0))
    monkeypatch.setattr(desk, "_ASKS", 0)

    async def story() -> None:
        async with shop() as (house, admin):
            here = Desk(house.services, [admin], Chance(1, CALM))
            await here.answer_somebody()
            device = await house.services.devices.create(admin, NewDevice(name="Ventas"))
            await write(house, device, "hola", "¿cuánto está?")
            await here.answer_somebody()
            views = house.services.storage.views(admin.account_id)
            (chat,) = (await views.chats(ChatQuery())).data
            assert (chat.unread_count, chat.assigned_to) == (0, admin.user_id)
            said = (await views.messages(chat.id, MessageQuery())).data
            assert [message.direction for message in said] == [
                Direction.OUT, Direction.IN, Direction.IN,
            ]  # fmt: skip
            assert said[0].body == answer_to("¿cuánto está?", Chance(1, CALM))
            assert "S/ 129.90" in (said[0].body or "")

    run(story())


def test_a_colleague_may_ask() -> None:
    async def story() -> None:
        async with shop() as (house, admin):
            device = await house.services.devices.create(admin, NewDevice(name="Ventas"))
            await write(house, device, "hola")
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(desk, "_TYPES_S", (0, 0))
                patch.setattr(desk, "_ASKS", 1)
                await Desk(house.services, [admin], Chance(1, CALM)).answer_somebody()
            views = house.services.storage.views(admin.account_id)
            (chat,) = (await views.chats(ChatQuery())).data
            newest = (await views.messages(chat.id, MessageQuery(limit=1))).data[0]
            assert newest.kind is MessageKind.POLL

    run(story())


def test_the_screen_shows_chats_devices_and_events() -> None:
    async def story() -> None:
        async with shop() as (house, admin):
            console = Console(force_terminal=True, file=io.StringIO(), width=100, record=True)
            screen = Screen(house.services, admin.account_id, console)
            stream = house.services.feed.attach(admin.account_id, screen)
            await stream.open()
            device = await house.services.devices.create(admin, NewDevice(name="Ventas"))
            for number in range(40):
                change = DeviceChange(name=f"Ventas {number}" if number < 39 else "Ventas")
                await house.services.devices.update(admin, device.id, change)
            await write(house, device, "¿cuánto está?")
            await stream.follow()
            console.print(await screen.drawn("Clarin at http://localhost", 16))
            house.services.feed.detach(stream, screen)
            text = console.export_text()
            assert len(text.splitlines()) < 16
            assert "Clarin at http://localhost" in text
            assert "● Ventas  disconnected" in text
            (chat,) = (line for line in text.splitlines() if "Ávila" in line and ":" in line[:5])
            assert re.fullmatch(
                r"\d\d:\d\d +Ana \[bold\]Ávila +Ventas +1 +¿cuánto está\? *", chat
            ), chat
            assert re.search(r"\d+ new_message +Ana \[bold\]Ávila text received ¿cuánto", text)

    run(story())


def test_where_there_is_no_terminal_each_event_is_a_line() -> None:
    async def story() -> None:
        async with shop() as (house, admin):
            console = Console(file=io.StringIO(), width=100, record=True)
            screen = Screen(house.services, admin.account_id, console)
            showing = asyncio.create_task(screen.show("Clarin at http://localhost"))
            await asyncio.sleep(0)
            while not console.export_text(clear=False):
                await asyncio.sleep(0)
            await house.services.devices.create(admin, NewDevice(name="Ventas"))
            while "device_update" not in console.export_text(clear=False):
                await asyncio.sleep(0)
            showing.cancel()
            assert len(console.export_text().splitlines()) == 2

    run(story())


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"action": "updated", "ids": [1, 2, 3]}, "updated (3 of them)"),
        ({"changes": [{"id": 1, "status": "read"}], "chat_id": 7}, "read #7"),
        ({"reactions": [{"emoji": "👍", "sender_name": "Ana"}]}, "Ana 👍 "),
        ({"message": {"kind": "text", "body": "x" * 500}}, f"text {'x' * 60} "),
        ({}, ""),
    ],
)
def test_what_a_frame_tells_is_put_in_some_words(data: dict[str, object], told: str) -> None:
    assert gist(data) == told


def test_nothing_of_a_real_installation_is_touched(tmp_path: Path) -> None:
    """Whatever the environment says, the demo is in its folder, and is made up."""
    environ = {name: wanted.example for name, wanted in WANTED.items()}
    settings = demo.settings_of(environ | {"PORT": "0"}, tmp_path)
    assert settings.messaging == "simulated"
    assert settings.storage_url is settings.redis_url is settings.jwt_secret is None
    assert settings.admin_password is None
    assert not settings.is_production
    assert settings.folder == tmp_path
    assert settings.media_address(f"postgresql:///x?host={tmp_path}").startswith(
        f"file://{tmp_path}"
    )


def test_a_port_that_is_taken_is_left_to_who_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "_is_free", lambda _: False)
    assert demo.settings_of({}, tmp_path).port == 0
    assert demo.settings_of({"PORT": "9000"}, tmp_path).port == 9000
    monkeypatch.setattr(demo, "_is_free", lambda _: True)
    assert demo.settings_of({}, tmp_path).port == 8080


def test_the_next_demo_ends_what_one_that_was_killed_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its servers, too, of which nobody else would know."""

    def processes() -> str:
        return subprocess.run(["/bin/ps", "-axwwo", "args="], capture_output=True, text=True).stdout

    with tempfile.TemporaryDirectory(prefix="demos-") as place:
        Path(place).chmod(0o711)
        environ = os.environ | {"TMPDIR": place}
        subprocess.run([sys.executable, "-c", KILLED], env=environ, check=False)
        (left,) = Path(place).iterdir()
        assert processes().count(str(left)) > 1
        monkeypatch.setattr("tempfile.tempdir", place)
        monkeypatch.setattr(demo, "until_stopped", lambda *_, **__: None)
        monkeypatch.setattr(demo, "set_up_logging", lambda _: None)
        demo.demo({})
        assert str(left) not in processes()
        assert list(Path(place).iterdir()) == []


def test_a_demo_starts_talks_and_leaves_nothing() -> None:
    """As one types it; the first message comes from a phone that has scanned a code."""
    command = [sys.executable, "-m", "clarin_server", "demo", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    ) as process:
        late = Timer(LATE_S, process.kill)
        late.start()
        assert process.stdout is not None
        assert process.stderr is not None
        said = ""
        for line in process.stdout:
            said += line
            if re.search(r"new_message +\w+ \w+ \w+ received", line):
                break
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        progress = process.stderr.read()
        late.cancel()
    assert process.returncode == 0, progress
    assert "Traceback" not in progress + rest
    folder = re.search(r"a demo in (\S+), which", progress)
    assert folder
    assert f"{folder[1]} is removed" in progress
    assert not Path(folder[1]).exists()
    assert "/api/auth/login" in said
    assert '"username":"admin","password":"' in said
    assert "/api/chats?limit=3" in said
    assert "/ws?ticket=" in said
