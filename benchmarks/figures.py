"""Figures of a run: shown, kept as JSON, and set against those of an earlier run."""

import os
from array import array
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

Figures = dict[str, float]

_WIDTH = 140


def percentile(values: "array[float]", part: float) -> float:
    """Return the value below which so many of a hundred are; 0 of nothing."""
    if not values:
        return 0.0
    return sorted(values)[round(part / 100 * (len(values) - 1))]


def show(title: str, figures: Figures) -> None:
    """Print a table."""
    table = Table(title=title)
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in figures.items():
        table.add_row(name, _text(value))
    Console().print(table)


def show_rows(title: str, rows: dict[str, Figures]) -> None:
    """Print a table with a line for each run; what one does not have is left empty."""
    table = Table(title=title)
    table.add_column("run")
    columns = dict.fromkeys(name for figures in rows.values() for name in figures)
    for column in columns:
        table.add_column(column.replace("_", " "), justify="right")
    for name, figures in rows.items():
        table.add_row(name, *(_text(figures[c]) if c in figures else "" for c in columns))
    _wide().print(table)


def compare(figures: Figures, earlier: Path) -> None:
    """Print each figure's ratio to that of an earlier run."""
    known = msgspec.json.decode(earlier.read_bytes(), type=Figures)
    table = Table(title=f"against {earlier}")
    for heading in ("figure", "earlier", "now", "ratio"):
        table.add_column(heading, justify="left" if heading == "figure" else "right")
    for name, value in figures.items():
        if name in known:
            ratio = f"{value / known[name]:.2f}" if known[name] else ""
            table.add_row(name, _text(known[name]), _text(value), ratio)
    Console().print(table)


def keep(figures: Figures, to: Path | None, *, against: Path | None) -> None:
    """Write the figures to a file, and compare them with those of another, if either is given."""
    if to:
        to.write_bytes(msgspec.json.format(msgspec.json.encode(figures)) + b"\n")
    if against:
        compare(figures, against)


def load() -> str:
    """Return how busy the machine has been for a minute, without which no figure says much."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"


def _wide() -> Console:
    """Return a console that has room for many columns, even if nobody looks."""
    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH)


def _text(value: float) -> str:
    digits = 0 if value == int(value) or abs(value) >= 100 else 2
    return f"{value:,.{digits}f}"
