"""`clarin devices`: the WhatsApp numbers of an account, paired and looked at from a terminal."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from clarin_server.client import Client, Frame, NextFrame, SignIn
from clarin_server.errors import CannotStart
from clarin_server.plain_words import plain_words
from clarin_server.qr import as_letters

SILENCE_S = 90.0
"""So long nothing may be heard of a device that is being connected: a code lasts a minute."""

devices = typer.Typer(no_args_is_help=True)

Device = dict[str, Any]

_Url = Annotated[str, typer.Option(envvar="CLARIN_URL", help="Where the service is.")]
_User = Annotated[str, typer.Option(envvar="CLARIN_USER", help="An administrator.")]
_Account = Annotated[
    int, typer.Option(envvar="CLARIN_ACCOUNT", help="An account's id; 0 is the user's first one.")
]
_Id = Annotated[int, typer.Argument(metavar="ID", help="The device's id, as `list` shows it.")]
_Name = Annotated[str, typer.Argument(metavar="NAME", help="What people call the device.")]
_Phone = Annotated[str, typer.Argument(metavar="PHONE", help="The phone's number.")]

_HELP = {
    "logged_out": "connect it again to pair it anew",
    "replaced": "another program runs it; connecting it takes it back",
    "outdated": "this version of WhatsApp's library is too old: update Clarin",
    "banned": "WhatsApp has shut the number out for a time",
}


@devices.callback()
def sign_in(
    context: typer.Context,
    url: _Url = "http://127.0.0.1:8080",
    user: _User = "admin",
    account: _Account = 0,
) -> None:
    """List, pair and unlink the WhatsApp numbers of a running service.

    The password comes from CLARIN_PASSWORD, or is asked for: arguments can be seen by others.
    """
    context.obj = url, user, account


@devices.command("list")
def show(context: typer.Context) -> None:
    """List the devices, and how they are."""
    with _client(context) as client:
        found = client.get("/api/devices?limit=200")["data"]
    table = Table(box=None, pad_edge=False)
    for title in ("ID", "NAME", "PHONE", "STATUS", "REASON"):
        table.add_column(title)
    for one in found:
        values = (one["name"], one.get("phone", ""), _status(one), one.get("reason", ""))
        table.add_row(str(one["id"]), *map(Text, values))
    _console().print(table)


@devices.command()
def add(context: typer.Context, name: _Name) -> None:
    """Make a device, which is then to be connected."""
    with _client(context) as client:
        device = client.post("/api/devices", {"name": name})
    _say(f"device {device['id']} is there; next: clarin devices connect {device['id']}")


@devices.command()
def connect(context: typer.Context, device_id: _Id) -> None:
    """Connect a device; show the code that a phone scans until one has."""
    with _client(context) as client:
        _bring(client, device_id, "connect")


@devices.command()
def pair(context: typer.Context, device_id: _Id, phone: _Phone) -> None:
    """Connect a device by a code that is typed on its phone."""
    with _client(context) as client:
        _bring(client, device_id, "pair", {"phone": phone})


@devices.command()
def disconnect(context: typer.Context, device_id: _Id) -> None:
    """Disconnect a device, which stays paired with its phone."""
    with _client(context) as client:
        device = client.post(f"/api/devices/{device_id}/disconnect")
    _say(f"{_called(device)} is {_status(device)}")


@devices.command()
def unlink(context: typer.Context, device_id: _Id) -> None:
    """Unlink a device from its phone: a connected one, or one that was disconnected here."""
    with _client(context) as client:
        with client.frames() as next_frame:
            client.post(f"/api/devices/{device_id}/unlink")
            ends = ("logged_out", "disconnected")
            device = Watch(device_id, next_frame, settled_as=ends).follow()
        if _status(device) != "logged_out":
            raise CannotStart(f"{_called(device)} could not be unlinked{_why(device)}")
    _say(f"{_called(device)} is unlinked{_why(device)}")


class Watch:
    """What becomes of a device, with the codes that it shows on the way."""

    def __init__(
        self, device_id: int, next_frame: NextFrame, *, settled_as: tuple[str, ...]
    ) -> None:
        self._device_id = device_id
        self._next_frame = next_frame
        self._settled_as = settled_as
        console = _console()
        self._live = Live(console=console, transient=True, vertical_overflow="visible")
        self._console = console

    def follow(self) -> Device:
        """Return the device when it has settled; raises CannotStart if nothing is heard of it."""
        with self._live if self._console.is_terminal else _nothing():
            while True:
                data = self._heard()
                if device := data.get("device"):
                    if _status(device) in self._settled_as:
                        settled: Device = device
                        return settled
                else:
                    self._show(data)

    def _heard(self) -> Frame:
        """Return what is heard next of this device."""
        while (frame := self._next_frame(SILENCE_S)) is not None:
            data: Frame = frame.get("data", {})
            is_known = frame["event"] in ("device_status", "device_update", "qr_code")
            if is_known and self._device_id in (data.get("device_id"), data.get("id")):
                return data
        raise CannotStart(
            "Nothing is heard of the device. Does a process run devices (clarin serve or clarin "
            "work), and is CLARIN_MESSAGING what you want?"
        )

    def _show(self, code: Frame) -> None:
        shown = _drawn(code, self._console.height)
        if self._console.is_terminal:
            self._live.update(shown, refresh=True)
        else:
            self._console.print(shown)


def _drawn(code: Frame, height: int) -> Text:
    """Return a code with what to do about it."""
    until = datetime.fromisoformat(code["expires_at"]).astimezone().strftime("%H:%M:%S")
    where = "WhatsApp on the phone: Settings, Linked devices, Link a device"
    if typed := code.get("pair_code"):
        how = "\n  Then: Link with phone number instead. Type "
        return Text.assemble(f"  {where}.", how, (typed, "bold"), f", before {until}.\n")
    letters = as_letters(code["qr_code"])
    lines = letters.plain.count("\n") + 4
    low = f"\n  It takes {lines} lines: enlarge the terminal, or make its letters smaller."
    hint = low if lines > height else ""
    return Text.assemble(letters, f"\n  {where}; scan before {until}.{hint}\n")


def _bring(client: Client, device_id: int, how: str, body: object = None) -> None:
    """Have a device connected, and wait for what comes of it."""
    with client.frames() as next_frame:
        device = client.post(f"/api/devices/{device_id}/{how}", body)
        if _status(device) != "connected":
            _say("connecting; Ctrl-C leaves it to the service")
            settled_as = ("connected", "disconnected", *_HELP)
            device = Watch(device_id, next_frame, settled_as=settled_as).follow()
    if _status(device) != "connected":
        raise CannotStart(f"{_called(device)} is not connected{_why(device)}")
    _say(f"{_called(device)} is connected as {device.get('phone', 'nobody')}")


def _status(device: Device) -> str:
    """Return how it is; what is usual is left out of answers."""
    status: str = device.get("status", "disconnected")
    return status


def _why(device: Device) -> str:
    told = [device.get("reason"), _HELP.get(_status(device))]
    if _status(device) == "disconnected" and device.get("is_wanted"):
        told.append("the service keeps trying, and `clarin devices list` shows how it is")
    why = "; ".join(filter(None, told))
    return f": {why}" if why else ""


def _called(device: Device) -> str:
    return f"device {device['id']} ({device['name']})"


@contextmanager
def _client(context: typer.Context) -> Iterator[Client]:
    url, user, account = context.obj
    with plain_words():
        password = os.environ.get("CLARIN_PASSWORD") or _ask_for_password(user)
        with Client.signed_in(SignIn(url, user, password, account or None)) as client:
            yield client


def _ask_for_password(user: str) -> str:
    if not sys.stdin.isatty():
        raise CannotStart("Nobody can be asked for the password here: set CLARIN_PASSWORD.")
    password: str = typer.prompt(f"password of {user}", hide_input=True, err=True)
    return password


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _say(what: str) -> None:
    _console().print(Text(what))


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)
