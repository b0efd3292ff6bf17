"""A Kommo of our own: accounts that people change, behind its API on a loopback address."""

from support.kommo.account import KommoAccount
from support.kommo.faults import Fault, Faults
from support.kommo.hours import Hours
from support.kommo.server import Kommo

__all__ = ["Fault", "Faults", "Hours", "Kommo", "KommoAccount"]
