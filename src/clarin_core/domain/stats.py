"""The figures of an account at a glance."""

from msgspec import Struct


class Stats(Struct, frozen=True, kw_only=True):
    """Live records; `leads_by_status` names every status that occurs."""

    leads: int
    leads_by_status: dict[str, int]
    leads_without_stage: int
    contacts: int
    tags: int
    pipelines: int
    members: int
