"""Short ways to bring files in over HTTP, and to get them back."""

from typing import Any

import httpx

from support.serving import Person
from support.web import PNG


async def upload(
    person: Person, content: bytes = PNG, name: str = "foto.png", **fields: str
) -> httpx.Response:
    form = {"file": (name, content, "image/x-anything")}
    return await person.ask("POST", "/api/media/upload", files=form, data=fields)


async def uploaded(person: Person, content: bytes = PNG, name: str = "foto.png") -> Any:
    answer = await upload(person, content, name)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def given(person: Person, key: str, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await person.ask("GET", f"/api/media/file/{key}", headers=named)
