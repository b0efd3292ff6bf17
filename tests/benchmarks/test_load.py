"""The benchmark of the whole service still runs, and what it seeds is what the product reads."""

import asyncio
from pathlib import Path
from xml.etree import ElementTree

import asyncpg
import msgspec
import pytest

from benchmarks.asking import SCENARIOS
from benchmarks.bars import chart
from benchmarks.figures import compare
from benchmarks.load import Bench, Plan, Results, show
from benchmarks.rounds import ALL, Pace
from benchmarks.seeding import Shape, copied, seeded
from clarin_core.domain.actor import AccountId
from clarin_core.domain.chats import Chat, ChatQuery
from clarin_core.domain.ids import UserId
from clarin_embedded import EmbeddedPostgres
from clarin_postgres import PostgresStorage

SHAPE = Shape(accounts=2, contacts=60, leads=200, chats=40, messages=900)
PACE = Pace(scenarios=list(SCENARIOS), seconds=0.1, warm_s=0.05, rounds=1, requests=100)
PLAN = Plan(shape=SHAPE, pace=PACE, beside=("ingest", "sockets"), connections=(4,), sockets=4, houses=2)


@pytest.fixture(scope="module")
def results(postgres: EmbeddedPostgres) -> Results:
    return asyncio.run(Bench(postgres.dsn, PLAN, lambda _: None).run())


def test_every_scenario_has_figures(results: Results) -> None:
    rows = results.rows()
    assert rows.keys() == set(ALL)
    assert all(figures["per_s"] > 0 and figures["ms_p99"] > 0 for figures in rows.values())
    assert all(rows[name]["statements"] >= 1 for name in SCENARIOS if name.startswith("leads_"))
    assert rows["update"]["statements"] > rows["leads_deep"]["statements"]
