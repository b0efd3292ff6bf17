"""What is in the demo's account before anybody writes."""

import asyncio
import csv
import unicodedata
from dataclasses import dataclass
from io import StringIO

from clarin_core.domain.actor import Actor, Role
from clarin_core.domain.devices import NewDevice
from clarin_core.domain.imports import ImportOptions, ImportState
from clarin_core.domain.leads import LeadChange, LeadQuery
from clarin_core.domain.members import NewMember
from clarin_core.domain.paging import PageQuery
from clarin_core.domain.quick_replies import NewQuickReply
from clarin_core.errors import Unavailable
from clarin_server.services import Services
from clarin_whatsapp.townsfolk import FOLK, inhabitant

ASSIGNED = 60
DEVICES = ("Ventas", "Tienda", "Postventa")

_COLLEAGUES = ("Ana", "Beto", "Carla")
_REPLIES = (
    ("hola", "Saludo", "¡Hola! Gracias por escribirnos. ¿En qué le podemos ayudar?"),
    ("precio", "Precio", "Está a S/ 129.90 con envío incluido en Lima."),
    ("yape", "Pago", "Puede pagar con Yape o Plin al 987 654 321, a nombre de Luz del Sur."),
    ("horario", "Horario", "Atendemos de lunes a sábado de 10 a 8, en Jr. Gamarra 845."),
    ("envio", "Envío", "Enviamos a todo el Perú por Olva o Shalom; en Lima llega en 24 horas."),
    ("gracias", "Despedida", "¡Gracias a usted por su compra! Quedamos atentos."),
)
_TAGS = ("mayorista", "Instagram", "cliente fiel", "feria 2026", "delivery", "factura")
_COMPANIES = ("", "", "", "Bodega Don Pepe", "Colegio San Martín", "Textiles Gamarra", "")
_STAGES = (0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 4, 5)
_LOOKS_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Filling:
    """Fills an account as its administrator."""

    services: Services
    admin: Actor

    async def fill(self) -> list[Actor]:
        """Have people, leads, colleagues and devices; return the colleagues."""
        await self._devices()
        colleagues = [await self._colleague(name) for name in _COLLEAGUES]
        for shortcut, title, body in _REPLIES:
            reply = NewQuickReply(shortcut=shortcut, title=title, body=body)
            await self.services.quick_replies.create(self.admin, reply)
        await self._leads()
        await self._assign(colleagues)
        return colleagues

    async def _devices(self) -> None:
        """Want some devices connected: phones scan their codes while the rest is made."""
        for name in DEVICES:
            device = await self.services.devices.create(self.admin, NewDevice(name=name))
            await self.services.devices.connect(self.admin, device.id)

    async def _colleague(self, name: str) -> Actor:
        word = name.lower()
        new = NewMember(
            username=word,
            email=f"{word}@luzdelsur.pe",
            password=f"la clave de {word}",
            display_name=name,
        )
        member = await self.services.members.add(self.admin, new)
        return Actor(account_id=self.admin.account_id, user_id=member.user_id, role=Role.AGENT)

    async def _leads(self) -> None:
        """Bring everybody of the town in from a file, as one who moves to Clarin would."""
        pipelines = await self.services.storage.views(self.admin.account_id).pipelines(PageQuery())
        stages = [stage.name for stage in pipelines.data[0].stages]
        options = ImportOptions(filename="clientes.csv")
        job = await self.services.imports.upload(self.admin, options, people_as_csv(stages))
        views = self.services.storage.views(self.admin.account_id)
        while job.state not in (ImportState.DONE, ImportState.FAILED):
            await asyncio.sleep(_LOOKS_EVERY_S)
            job = await views.import_job(job.id)
        if job.state is ImportState.FAILED:
            raise Unavailable(f"the import: {job.error}")

    async def _assign(self, colleagues: list[Actor]) -> None:
        views = self.services.storage.views(self.admin.account_id)
        leads = (await views.leads(LeadQuery(limit=ASSIGNED))).data
        for number, lead in enumerate(leads):
            owner = colleagues[number % len(colleagues)].user_id
            await self.services.leads.update(self.admin, lead.id, LeadChange(assigned_to=owner))


def people_as_csv(stages: list[str]) -> bytes:
    """Return the phone book of the town as a file of leads, spread over stages and tags."""
    told = StringIO()
    rows = csv.writer(told)
    rows.writerow(("nombre", "celular", "correo", "etiquetas", "etapa", "empresa"))
    for number in range(FOLK):
        name, phone, _ = inhabitant(number)
        tags = {_TAGS[number % len(_TAGS)], _TAGS[number * 5 % len(_TAGS)]} if number % 3 else set()
        stage = stages[_STAGES[number % len(_STAGES)] % len(stages)]
        company = _COMPANIES[number % len(_COMPANIES)]
        address = _plain(name.lower().replace(" ", "."))
        email = f"{address}.{number}@ejemplo.pe"
        rows.writerow((name, phone, email, ", ".join(sorted(tags)), stage, company))
    return told.getvalue().encode()


def _plain(text: str) -> str:
    """Return the letters without what stands above them."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
