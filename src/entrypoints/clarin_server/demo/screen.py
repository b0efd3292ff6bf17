"""The inbox in a terminal: chats by their last message, devices, and what happens, by number."""

import asyncio
import json
from collections import deque
from collections.abc import Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from clarin_core.domain.chats import ChatQuery, ChatView
from clarin_core.domain.devices import Device, DeviceQuery, DeviceStatus
from clarin_core.domain.events import Recorded
from clarin_core.domain.ids import AccountId
from clarin_core.reads.feed import Listener
from clarin_server.http.frames import frame_of, unframed
from clarin_server.services import Services

_EVERY_S = 0.5
_EVENTS_KEPT = 30
_LINES_MIN = 10
_AROUND = 6  # The head, the devices and the headings.
_WIDE = 60
_COLUMNS = (
    ("at", 5, None), ("chat", None, 2), ("device", 9, None), ("new", 3, None),
    ("last message", None, 4),
)  # fmt: skip


class Screen(Listener):
    """Shows an account; a console that is no terminal gets a line for each event instead."""

    def __init__(self, services: Services, account_id: AccountId, console: Console) -> None:
        self._services = services
        self._account_id = account_id
        self._console = console
        self._happened: deque[dict[str, Any]] = deque(maxlen=_EVENTS_KEPT)

    def take(self, events: Sequence[Recorded]) -> None:
        """Remember the latest events, as sockets get them."""
        for recorded in events:
            sent = frame_of(self._account_id, recorded).for_agents
            frame = json.loads(unframed(sent))
            self._happened.append(frame)
            if not self._console.is_terminal:
                self._console.print(_line(frame))

    def begin_anew(self, reason: str) -> None:
        """Go on: nothing is shown that a gap would make wrong."""

    async def show(self, title: str) -> None:
        """Show the account until cancelled."""
        stream = self._services.feed.attach(self._account_id, self)
        try:
            await stream.open()
            if self._console.is_terminal:
                await self._keep_drawing(title)
            else:
                self._console.print(title)
                await asyncio.Event().wait()
        finally:
            self._services.feed.detach(stream, self)

    async def _keep_drawing(self, title: str) -> None:
        with Live(console=self._console, auto_refresh=False) as live:
            while True:
                live.update(await self.drawn(title, self._console.height), refresh=True)
                await asyncio.sleep(_EVERY_S)

    async def drawn(self, title: str, height: int) -> RenderableType:
        """Return what is to be seen now in so many lines."""
        lines = max(height, _LINES_MIN + _AROUND) - _AROUND - 1
        shown = lines * 2 // 3
        views = self._services.storage.views(self._account_id)
        chats = await views.chats(ChatQuery(limit=shown))
        devices = (await views.devices(DeviceQuery())).data
        names = {device.id: device.name for device in devices}
        happened = list(self._happened)[-(lines - shown) :]
        return Group(
            Text(title, style="bold", no_wrap=True),
            _devices(devices),
            _chats([(chat, names.get(chat.device_id, "")) for chat in chats.data]),
            Text(f"{chats.total} chats; events, as sockets get them:", style="dim"),
            *map(_line, happened),
        )


def _devices(devices: Sequence[Device]) -> Text:
    told = Text(no_wrap=True, overflow="ellipsis")
    for device in devices:
        colour = "green" if device.status is DeviceStatus.CONNECTED else "yellow"
        told.append("● ", style=colour)
        told.append(f"{device.name} {device.phone or ''} {device.status.value}   ")
    return told


def _chats(chats: Sequence[tuple[ChatView, str]]) -> Table:
    table = Table(box=None, pad_edge=False, expand=True, header_style="dim")
    for name, width, ratio in _COLUMNS:
        table.add_column(name, width=width, ratio=ratio, no_wrap=True, overflow="ellipsis")
    for chat, device in chats:
        unread = Text(str(chat.unread_count or ""), style="bold green")
        who = Text(chat.display_name or "", style="bold" if chat.unread_count else "")
        at = chat.active_at.astimezone().strftime("%H:%M")
        table.add_row(at, who, device, unread, Text(chat.last_message or ""))
    return table


def _line(frame: dict[str, Any]) -> Text:
    """Return an event in a line."""
    told = Text.assemble(
        (f"{frame['seq']:6} ", "cyan"), (f"{frame['event']:18} ", "dim"), gist(frame["data"])
    )
    told.no_wrap, told.overflow = True, "ellipsis"
    return told


def gist(data: dict[str, Any]) -> str:
    """Return in some words what a frame tells."""
    words = [str(data[key]) for key in ("action", "status", "state") if key in data]
    many = [found for key in ("messages", "changes", "reactions", "votes") if key in data
            for found in data[key]]  # fmt: skip
    for one in (data, *many[:1]):
        message = one.get("message") or one
        words += [str(one[key]) for key in ("sender_name", "emoji") if one.get(key)]
        words += [
            str(message[key])[:_WIDE] for key in ("kind", "status", "body") if message.get(key)
        ]
    ids = data.get("ids") or [data[key] for key in ("id", "device_id", "chat_id") if key in data]
    counted = f"({len(ids)} of them)" if len(ids) > 1 else "".join(f"#{each}" for each in ids)
    return " ".join([*dict.fromkeys(words), counted])
