"""Kommo, read over its REST API: the port Crm."""

from clarin_kommo.crm import API_URL, KommoCrm
from clarin_kommo.line import Waiting
from clarin_kommo.transport import Transport

__all__ = ["API_URL", "KommoCrm", "Transport", "Waiting"]
