"""Devices."""

from clarin_core.ports.views import Views
from clarin_core.usecases.devices import DeviceUseCases
from clarin_server.http.rows import delete, get, patch, post, post_once, put

_ONE = "/devices/<device_id>"

DEVICES = (
    get("/devices", Views.devices),
    post_once("/devices", DeviceUseCases.create, for_admins=True),
    get(_ONE, Views.device),
    put(_ONE, DeviceUseCases.update, for_admins=True),
    patch(_ONE, DeviceUseCases.update, for_admins=True),
    delete(_ONE, DeviceUseCases.delete, for_admins=True),
    post(f"{_ONE}/connect", DeviceUseCases.connect, status=202, for_admins=True),
    post(f"{_ONE}/pair", DeviceUseCases.pair, status=202, for_admins=True),
    post(f"{_ONE}/unlink", DeviceUseCases.unlink, status=202, for_admins=True),
    post(f"{_ONE}/sync-contacts", DeviceUseCases.sync_contacts, status=202, for_admins=True),
    post(f"{_ONE}/disconnect", DeviceUseCases.disconnect, status=202, for_admins=True),
)
