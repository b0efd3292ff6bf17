"""What an account has to have so that its chats can be asked for."""

from support.serving import Person

_CHATTY = "Bandeja"


async def two_devices(person: Person) -> list[int]:
    """Return a device without chats and one for chats; an account may have five."""
    devices = (await person.get("/api/devices"))["data"]
    for name, is_chatty in (("Ventas", False), (_CHATTY, True)):
        if all((device["name"] == _CHATTY) is not is_chatty for device in devices):
            devices.append(await person.post("/api/devices", name=name))
    devices.sort(key=lambda device: device["name"] == _CHATTY)
    return [devices[0]["id"], devices[-1]["id"]]


async def a_talk(person: Person, device_id: int, phone: str) -> tuple[int, int]:
    """Return a new chat with a phone, and the message in it."""
    asked = {"device_id": device_id, "phone": phone, "initial_message": "hola"}
    chat = await person.post("/api/chats/new", **asked)
    return chat["id"], chat["last_message_id"]
