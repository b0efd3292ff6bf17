"""Lists: the envelope, the bounds of a page, walks by number and by cursor."""

from typing import Any

from support.houses import refused, tell
from support.serving import House, Person
from support.surface import OPERATIONS, request, stock_of

LISTS = [one for one in OPERATIONS if one.is_list]
PAGED = [one for one in LISTS if not one.path.startswith("/api/admin/")]
NO_PAGES = {
    "limit": ("0", "-1", "x", "", "1.5", "true", "1" * 25),
    "page": ("0", "-1", "x", "10001", "1" * 25),
    "after": ("x", "AAAA", "a" * 1024, "-_-_", "é", "💬" * 9),
}


def test_lists_keep_their_bounds() -> None:
    """Section 1: the envelope, the limit cut to 200, and what no page can be."""

    async def story(house: House) -> None:
        stock = await stock_of(house.ana)
        for one in LISTS:
            await check_bounds(house.ana, request(one, stock).url)

    tell(story)


async def check_bounds(ana: Person, path: str) -> None:
    page = await ana.get(path)
    assert {"data", "total", "page", "limit"} == set(page), path
    assert (page["page"], page["limit"]) == (1, 50), path
    assert (await ana.get(path, limit=5000))["limit"] == 200, path
    assert (await ana.get(path, page=3, limit=7))["page"] == 3, path
    for field, values in NO_PAGES.items():
        for value in values:
            answer = await ana.ask("GET", path, params={field: value})
            refused(answer, 400, "bad_request", field)
    deep = await ana.ask("GET", path, params={"page": 9999, "limit": 200})
    refused(deep, 400, "bad_request", "page")


def test_lists_can_be_walked(address: str) -> None:
    """Page by page and cursor by cursor the same rows come; both say where the log stands."""

    async def story(house: House) -> None:
        stock, *_ = [await stock_of(house.ana) for _ in range(3)]
        for one in PAGED:
            await check_walks(house.ana, request(one, stock).url)

    tell(story, address=address)


async def check_walks(ana: Person, path: str) -> None:
    everything = await ana.get(path, limit=200)
    by_page = [
        row
        for number in range(1, everything["total"] + 1)
        for row in (await ana.get(path, limit=1, page=number))["data"]
    ]
    assert by_page == everything["data"], path
    assert await walk(ana, path) == everything["data"], path
    answer = await ana.ask("GET", path)
    position = (await ana.get("/api/events/stream"))["position"]
    assert answer.headers["clarin-seq"] == str(position["seq"]), path


async def walk(person: Person, path: str) -> list[Any]:
    rows: list[Any] = []
    after = ""
    while True:
        page = await person.get(path, limit=2, after=after)
        assert set(page) <= {"data", "limit", "next"}
        rows += page["data"]
        if "next" not in page:
            return rows
        after = page["next"]


def test_a_cursor_counts_only_for_its_list() -> None:
    """Neither another account nor another filter nor another list takes it."""

    async def story(house: House) -> None:
        for person in (house.ana, house.carla):
            for _ in range(2):
                await stock_of(person)
        page = await house.ana.get("/api/leads", limit=1, after="")
        asked = {"limit": 1, "after": page["next"]}
        assert (await house.ana.ask("GET", "/api/leads", params=asked)).status_code == 200
        for person, path, extra in (
            (house.carla, "/api/leads", {}),
            (house.ana, "/api/leads", {"sort": "oldest"}),
            (house.ana, "/api/leads", {"search": "luz"}),
            (house.ana, "/api/contacts", {}),
            (house.ana, "/api/tags", {}),
        ):
            answer = await person.ask("GET", path, params={**asked, **extra})
            refused(answer, 400, "bad_request", "after")

    tell(story)
