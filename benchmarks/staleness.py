"""How long another worker may show the older value, and how long a killed worker is missed.

    .venv/bin/python benchmarks/staleness.py [--redis off]

Starts `clarin serve --workers 2` on a throwaway folder. One connection changes a lead, another
one, which another worker serves, reads it until the change is there: the time from the answered
write to the first read of it is one sample. Then serving workers are killed, and a client that
opens a new connection for each request counts how long none is answered.
"""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_hex
from statistics import quantiles
from time import perf_counter

import httpx
import typer

_PASSWORD = token_hex(12)
_SAMPLES = 400


@contextmanager
def serving(folder: str, redis: str) -> Iterator[tuple[str, int]]:
    """Run the service; yield its address and its process id."""
    environ = os.environ | {
        "ADMIN_PASSWORD": _PASSWORD,
        "CLARIN_DATA_DIR": folder,
        "CLARIN_RATE_LIMITS": "off",
        "LOG_LEVEL": "error",
    }
    command = [sys.executable, "-m", "clarin_server", "serve", "--workers", "2", "--port", "0"]
    if redis:
        environ["REDIS_URL"] = redis
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environ) as process:
        assert process.stderr is not None
        line = next(line for line in process.stderr if "is ready at" in line)
        try:
            yield line.split()[-1], process.pid
        finally:
            process.terminate()
            process.stderr.read()


async def token_at(url: str) -> str:
    """Sign in."""
    async with httpx.AsyncClient(base_url=url) as http:
        said = {"username": "admin", "password": _PASSWORD}
        answer = await http.post("/api/auth/login", json=said)
        return str(answer.json()["token"])


async def seen_after(
    writer: httpx.AsyncClient, reader: httpx.AsyncClient, path: str, n: int
) -> float:
    """Change the lead; return the seconds until the reader sees it, 0 if at once."""
    await writer.put(path, json={"name": str(n)})
    answered = perf_counter()
    tries = 0
    while (await reader.get(path)).json()["name"] != str(n):
        tries += 1
    return perf_counter() - answered if tries else 0.0


async def staleness(url: str, token: str) -> list[float]:
    """Return samples for one writing connection and eight reading ones."""
    auth = {"Authorization": f"Bearer {token}"}
    clients = [httpx.AsyncClient(base_url=url, headers=auth) for _ in range(9)]
    lead = (await clients[0].post("/api/leads", json={"name": "0"})).json()
    path = f"/api/leads/{lead['id']}"
    for client in clients:
        await client.get(path)
    samples = [
        await seen_after(clients[0], clients[1 + n % 8], path, n) for n in range(1, _SAMPLES)
    ]
    for client in clients:
        await client.aclose()
    return sorted(samples)


async def gap(url: str, supervisor: int) -> tuple[float, int]:
    """Kill the serving workers; return the longest wait in seconds, and how many were cut off."""
    command = ["/bin/ps", "--ppid", str(supervisor), "-o", "pid=,args="]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    pids = [int(line.split()[0]) for line in shown.splitlines() if "worker" in line]
    longest, cut_off = 0.0, 0
    for pid in pids[1:]:
        os.kill(pid, signal.SIGKILL)
        end = perf_counter() + 4
        while perf_counter() < end:
            began = perf_counter()
            try:
                async with httpx.AsyncClient(base_url=url, timeout=10) as http:
                    await http.get("/health")
            except httpx.TransportError:
                cut_off += 1
            longest = max(longest, perf_counter() - began)
    return longest, cut_off


def main(redis: str = typer.Option("", help="off runs without Redis")) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, serving(folder, redis) as (url, pid):
        token = asyncio.run(token_at(url))
        samples = asyncio.run(staleness(url, token))
        stale, cuts = [one for one in samples if one], quantiles(samples, n=100)
        typer.echo(f"reads after a write on another connection: {len(samples)}, stale {len(stale)}")
        typer.echo(
            f"until seen: p50 {cuts[49]:.4f} s, p99 {cuts[98]:.4f} s, max {samples[-1]:.4f} s"
        )
        waited, cut_off = asyncio.run(gap(url, pid))
        typer.echo(f"kill -9 of the workers: new connections waited {waited:.2f} s at the longest")
        typer.echo(f"connections that were cut off or refused: {cut_off}")


if __name__ == "__main__":
    typer.run(main)
