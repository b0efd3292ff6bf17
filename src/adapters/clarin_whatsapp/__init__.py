"""WhatsApp: a simulated one, and the real one through a library that runs in its own process."""

from clarin_whatsapp.absent import AbsentMessaging
from clarin_whatsapp.manner import CALM, WILD, Fate, Manner
from clarin_whatsapp.messaging import NeonizeMessaging
from clarin_whatsapp.people import Letter, Person, Said
from clarin_whatsapp.simulator import SimulatedMessaging
from clarin_whatsapp.town import Town, TownMessaging
from clarin_whatsapp.world import World

__all__ = [
    "CALM",
    "WILD",
    "AbsentMessaging",
    "Fate",
    "Letter",
    "Manner",
    "NeonizeMessaging",
    "Person",
    "Said",
    "SimulatedMessaging",
    "Town",
    "TownMessaging",
    "World",
]
