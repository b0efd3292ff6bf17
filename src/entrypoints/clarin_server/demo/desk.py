"""Colleagues at the demo's desk: they read what waits longest for them to look, and answer."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from clarin_core.domain.actor import Actor
from clarin_core.domain.chats import ChatChange, ChatQuery, ChatRead, ChatView
from clarin_core.domain.messages import Direction, MessageQuery, MessageView
from clarin_core.domain.sending import NewMessage, NewPoll, NewReaction, Typing
from clarin_core.errors import ClarinError
from clarin_server.services import Services
from clarin_whatsapp.lines import Chance

_EACH_S = (2.0, 5.0)
_TYPES_S = (1.0, 2.5)
_CHATS = 20
_ASKS = 0.08
_FEELS = 0.12
_QUOTES = 0.2
_QUESTION = "¿Cuándo prefiere que le llegue?"
_OPTIONS = ("Hoy en la tarde", "Mañana en la mañana", "El fin de semana")
_FEELINGS = ("👍", "❤️", "🙏")
_ANSWERS = (
    ("gracias", "¡Gracias a usted! Que tenga un lindo día 😊"),
    ("cuánto", "Está a S/ 129.90 con envío incluido en Lima."),
    ("precio", "Desde 12 unidades le hacemos 15 % de descuento."),
    ("talla", "Sí, nos queda en esa talla. ¿Se la separo?"),
    ("delivery", "Sí hacemos delivery, llega en 24 horas."),
    ("envían", "Enviamos a todo el Perú por Olva o Shalom."),
    ("yape", "Claro, al 987 654 321, a nombre de Luz del Sur."),
    ("factura", "Sí, emitimos boleta y factura."),
    ("dirección", "Estamos en Jr. Gamarra 845, La Victoria, cerca de la estación."),
    ("hola", "¡Hola! Gracias por escribirnos. ¿En qué le podemos ayudar?"),
    ("buen", "¡Buenas! Con gusto le atiendo."),
)
_OTHERWISE = (
    "Con gusto, lo reviso y le confirmo en un momento.",
    "Sí, claro que sí 👍",
    "Perfecto, ya lo anoté.",
    "Déjeme consultarlo con almacén, por favor.",
)


@dataclass(frozen=True, slots=True)
class Desk:
    """What colleagues do all day."""

    services: Services
    colleagues: list[Actor]
    chance: Chance

    async def work(self) -> None:
        """Answer somebody, again and again."""
        while True:
            await asyncio.sleep(self.chance.between(*_EACH_S))
            with suppress(ClarinError):  # A colleague was quicker, or the device is away.
                await self.answer_somebody()

    async def answer_somebody(self) -> None:
        """Read a chat with something new in it, and say something."""
        who = self.chance.one_of(self.colleagues)
        views = self.services.storage.views(who.account_id)
        chats = (await views.chats(ChatQuery(unread_only=True, limit=_CHATS))).data
        if not chats:
            return
        chat = self.chance.one_of(chats)
        said = (await views.messages(chat.id, MessageQuery(limit=1))).data[0]
        await self._read(who, chat)
        await self.services.messages.type(who, Typing(chat_id=chat.id))
        await asyncio.sleep(self.chance.between(*_TYPES_S))
        await self._say(who, chat, said)

    async def _read(self, who: Actor, chat: ChatView) -> None:
        await self.services.chats.read(who, chat.id, ChatRead())
        if chat.assigned_to is None:
            change = ChatChange(assigned_to=who.user_id)
            await self.services.chats.update(who, chat.id, change)

    async def _say(self, who: Actor, chat: ChatView, said: MessageView) -> None:
        messages = self.services.messages
        is_theirs = said.direction is Direction.IN and said.revoked_at is None
        if is_theirs and self.chance.happens(_FEELS):
            feeling = NewReaction(message_id=said.id, emoji=self.chance.one_of(_FEELINGS))
            await messages.react(who, feeling)
        if self.chance.happens(_ASKS):
            poll = NewPoll(chat_id=chat.id, question=_QUESTION, options=list(_OPTIONS))
            await messages.ask(who, poll)
            return
        new = NewMessage(chat_id=chat.id, body=answer_to(said.body or "", self.chance))
        if is_theirs and self.chance.happens(_QUOTES):
            new = NewMessage(chat_id=chat.id, body=new.body, quoted_message_id=said.id)
        await messages.send(who, new)


def answer_to(text: str, chance: Chance) -> str:
    """Return what one says to that."""
    fitting = (answer for word, answer in _ANSWERS if word in text.lower())
    return next(fitting, None) or chance.one_of(_OTHERWISE)
