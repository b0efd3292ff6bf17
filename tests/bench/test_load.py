"""The benchmark of the whole service still runs, all of it, in little time."""

import asyncio
from pathlib import Path
from xml.parsers import expat

import msgspec
import pytest

from benchmarks.asking import SCENARIOS
from benchmarks.bars import chart
from benchmarks.figures import compare
from benchmarks.load import Bench, Plan, Results, show
from benchmarks.rounds import ALL, FIGURES, Pace
from benchmarks.seeding import Shape
from clarin_embedded import EmbeddedPostgres

SHAPE = Shape(accounts=2, contacts=60, leads=200, chats=40, messages=900)
PACE = Pace(scenarios=list(SCENARIOS), seconds=0.05, warm_s=0.02, rounds=1, requests=100)
PLAN = Plan(
    shape=SHAPE, pace=PACE, beside=("ingest", "sockets"), connections=(4,), sockets=4, houses=2
)


@pytest.fixture(scope="module")
def results(postgres: EmbeddedPostgres) -> Results:
    return asyncio.run(Bench(postgres.dsn, PLAN, lambda _: None).run())


def test_every_scenario_has_figures(results: Results) -> None:
    rows = results.rows()
    assert all(tuple(rows[name]) == FIGURES for name in SCENARIOS)
    assert rows.keys() == set(ALL)
    assert all(figures["per_s"] > 0 and figures["ms_p99"] > 0 for figures in rows.values())
    assert rows["leads_deep"]["statements"] == pytest.approx(1, abs=0.5)
    assert rows["update"]["statements"] > 2


def test_figures_are_shown_and_compared(
    results: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier = tmp_path / "earlier.json"
    earlier.write_bytes(msgspec.json.encode(results.by_name()))
    show(results, profile=True)
    compare(results.by_name(), earlier)
    shown = capsys.readouterr().out
    assert "write_at_once" in shown
    assert shown.count("1.00") >= len(SCENARIOS)


def test_figures_are_drawn(results: Results) -> None:
    """Each value once, in a picture that is one."""
    drawn: list[str] = []
    reader = expat.ParserCreate()
    reader.StartElementHandler = lambda name, _: drawn.append(name)
    reader.CharacterDataHandler = drawn.append
    reader.Parse(chart("per s", results.bars("per_s")), True)
    assert drawn.count("rect") == len(ALL)
    assert {"per s", *ALL} <= set(drawn)
