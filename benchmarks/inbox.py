"""How fast messages come and go, over a PostgreSQL of its own that writes to the disk.

    make bench-inbox ARGS="ingest --seconds 10"
    python -m benchmarks.inbox pool --devices 200 --json after.json --against before.json

`ingest` stores what devices hear, in transactions of 1, 10 and 100 events each: messages of
others, own ones from the phone, and receipts, which are a fifth. Statements are without BEGIN
and COMMIT. `pool` runs devices of a simulated WhatsApp in this process, and has both sides talk
at `--rate` each: `send_to_phone` is from the answer to whoever sends until the other phone has
it, `phone_to_commit` from what the other side says until it is stored. `cpu` is this process's
time, which includes the simulation's, `postgres` that of the server's processes.
"""

from pathlib import Path
from typing import Annotated

import typer
import uvloop

from benchmarks.figures import Figures, keep, load, show, show_rows
from benchmarks.fleet import fleet
from benchmarks.ingest import DEVICES, ingest

main = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)

_MODES = ("ingest", "pool", "all")
_INGEST_S, _POOL_S = 5.0, 20.0

_Mode = Annotated[str, typer.Argument(help="ingest, pool or all.")]
_Seconds = Annotated[float, typer.Option(help="How long each measurement lasts.  [5, 20 by mode]")]
_Devices = Annotated[int, typer.Option(help="How many devices.  [1 and 16, 200 by mode]")]
_Rate = Annotated[float, typer.Option(min=0.1, help="Messages a second, each way (pool).")]
_Json = Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")]
_Against = Annotated[Path | None, typer.Option(help="Show ratios to the figures of this file.")]


@main.command()
def run(
    mode: _Mode,
    seconds: _Seconds = 0,
    devices: _Devices = 0,
    rate: _Rate = 10.0,
    json: _Json = None,
    against: _Against = None,
) -> None:
    """Measure one of: ingest, pool; or all."""
    if mode not in _MODES:
        raise typer.BadParameter(f"is one of {', '.join(_MODES)}", param_hint="mode")
    figures = Figures()
    if mode != "pool":
        figures |= _ingest(seconds or _INGEST_S, [devices] if devices else list(DEVICES))
    if mode != "ingest":
        figures |= _pool(seconds or _POOL_S, devices or 200, rate)
    keep(figures, json, against=against)


def _ingest(seconds: float, devices: list[int]) -> Figures:
    rows = uvloop.run(ingest(seconds, devices))
    show_rows(f"ingest, devices x events of a transaction, {load()}", rows)
    return {f"{row}: {name}": value for row, kept in rows.items() for name, value in kept.items()}


def _pool(seconds: float, devices: int, rate: float) -> Figures:
    figures = uvloop.run(fleet(seconds, devices, rate=rate))
    show(f"pool, {rate:g}/s each way, {load()}", figures)
    return {f"pool: {name}": value for name, value in figures.items()}


if __name__ == "__main__":
    main()
