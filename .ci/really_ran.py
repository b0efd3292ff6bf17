"""Fails unless the contracts of the real adapters ran, and nothing but lacks was skipped."""

import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter

_REAL = {
    "tests.adapters.test_embedded_postgres": 15,
    "tests.adapters.test_embedded_valkey": 15,
    "tests.adapters.test_kommo_crm": 20,
    "tests.adapters.test_media_s3": 12,
    "tests.adapters.test_postgres_imports": 5,
    "tests.adapters.test_postgres_migrations": 4,
    "tests.adapters.test_postgres_schema": 4,
    "tests.adapters.test_postgres_storage": 300,
    "tests.adapters.test_redis_budget": 10,
    "tests.adapters.test_redis_cache": 10,
    "tests.adapters.test_redis_limiter": 20,
    "tests.adapters.test_redis_publisher": 10,
    "tests.adapters.test_whatsapp_host": 8,
    "tests.adapters.test_whatsapp_host_calls": 18,
    "tests.adapters.test_whatsapp_messaging": 12,
    "tests.adapters.test_whatsapp_translate": 52,
    "tests.adapters.test_whatsapp_translate_events": 28,
    "tests.entrypoints.test_serve": 5,
    "tests.reads.test_races": 8,
    "tests.scale.test_degraded": 4,
    "tests.scale.test_kommo": 1,
    "tests.scale.test_nodes": 5,
}


def main(report: str) -> str | None:
    """Return what is missing, None when all of it ran."""
    ran, skipped = Counter[str](), Counter[str]()
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314  (pytest's own file)
        module = ".".join(case.get("classname", "").split(".")[:3])
        (ran if case.find("skipped") is None else skipped)[module] += 1
    missing = [name for name, least in _REAL.items() if ran[name] < least]
    print(f"{ran.total()} tests ran, {skipped.total()} did not; against real servers:")
    for name in _REAL:
        print(f"  {name}: {ran[name]} ran, {skipped[name]} did not")
    return f"did not run: {', '.join(missing)}" if missing else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
